"""A low-tensor-rank network fitted to a real recording across learning, and read like any trained network."""

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

import weightpath as wp  # noqa: E402  (the 64-bit switch comes first)
from weightpath.inference import read_recording, sample_path  # noqa: E402

recording = read_recording(sample_path()).recording
print(recording)

held_out = np.arange(recording.shape[0]) % 10 == 0
mask = recording.observed & ~held_out[:, None, None]
fitted = wp.fit(wp.LowTensorRankRNN(rank=3, units=30), recording, mask=mask, seed=0, iterations=100)

print(f"R^2 on held-out trials: {fitted.score(recording.observed & held_out[:, None, None]):.3f} ({fitted.reason})")
for epoch, label in enumerate(recording.epochs):
    print(f"mean trial factors, {label}: {fitted.c[recording.epoch == epoch].mean(0).round(2)}")

path = fitted.to_trajectory()  # the type that training gives: step = trial
spectrum = wp.analysis.spectrum(path)
print("largest eigenvalue on the first and on the last trial:", np.abs(spectrum.eigenvalues[[0, -1], 0]).round(3))
