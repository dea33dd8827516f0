"""Every public verb in 32-bit mode gives a right answer or the message that names the mend; never a silent downcast."""

import os
import subprocess
import sys

PROGRAM = """
import jax, numpy as np, optax, warnings
import weightpath as wp
from weightpath.networks.init import gaussian

assert not jax.config.jax_enable_x64
network = gaussian(jax.random.key(0), 5, gain=0.1, read_in_norm=1.0, readout="zero", dt=0.1)
setup = wp.Setup(network, wp.Integrator(0.3), wp.BPTT(), train=("w_rec", "w_out"))
sampled = wp.Setup(
    network, wp.Integrator(0.3, noise=wp.WhiteNoise(2.0, 0.1, 4)), wp.BPTT(), train=("w_rec", "w_out")
)
ringing = wp.ContinuousLinearRNN(network.w_rec, network.w_in, network.w_out + 0.01)
oscillating = wp.Setup(ringing, wp.DampedOscillator(0.2, 1.0), wp.BPTT(), train=("w_rec", "w_out"))
lazy = wp.Setup(ringing, wp.Integrator(0.7), wp.BPTT(), train=("w_out",))
trials = wp.FiniteTrials(wp.Integrator(0.3, noise=wp.WhiteNoise(2.0, 0.1, 4)))
short = wp.Setup(network, trials, wp.BPTT(), train=("w_rec", "w_out"))
history = wp.Trajectory.from_arrays(np.random.default_rng(0).normal(size=(3, 4, 4)))

needs_64_bits = {
    "loss": lambda: wp.loss(setup),
    "velocity": lambda: wp.velocity(setup),
    "flow": lambda: wp.flow(setup, np.linspace(0, 1, 3)),
    "train on the population": lambda: wp.train(setup, optax.sgd(0.1), 3),
    "theory": lambda: wp.theory.Outlier().predict(setup, np.linspace(0, 1, 3)),
    "learning_time": lambda: wp.theory.learning_time(setup, 0.01),
    "spectrum": lambda: wp.analysis.spectrum(history),
    "phase_diagram": lambda: wp.phase_diagram([0.5], [0.7], [1.0], depth=2, progress=False),
    "plateau": lambda: wp.theory.plateau(oscillating),
    "escape": lambda: wp.theory.escape(oscillating),
    "milestones": lambda: wp.theory.milestones(oscillating),
    "Reservoir": lambda: wp.theory.Reservoir().predict(lazy, np.linspace(0, 1, 3)),
    "best_approximation": lambda: wp.theory.best_approximation(wp.DampedOscillator(0.2, 1.0), 1),
    "staircase": lambda: wp.theory.staircase(oscillating),
    "FiniteOutlier": lambda: wp.theory.FiniteOutlier().predict(short, np.linspace(0, 1, 3)),
    "sharpness": lambda: wp.analysis.sharpness(setup),
}
for name, call in needs_64_bits.items():
    try:
        call()
    except ValueError as error:
        assert "jax_enable_x64" in str(error) and "JAX_ENABLE_X64=1" in str(error), (name, error)
    else:
        raise AssertionError(f"{name} answered in 32-bit mode")

states, outputs = wp.rollout(network, np.ones((4, 1), np.float32))
assert outputs.dtype == np.float32
trained = wp.train(sampled, optax.sgd(0.1), 3, key=jax.random.key(1))
assert trained.networks.w_rec.dtype == np.float32 and bool(np.isfinite(trained.loss).all())

values = np.sin(np.arange(8)[:, None, None] + np.arange(6)[:, None] / 2 + np.arange(3))
recording = wp.Recording(values, condition=np.arange(8) % 2)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fitted = wp.fit(wp.LowTensorRankRNN(1, units=6), recording, iterations=20, seed=0)
assert fitted.network.post_factor.dtype == np.float32 and np.isfinite(np.asarray(fitted.predict())).all()
print("every verb answered")
"""


def test_every_verb_answers_or_names_the_mend():
    environment = {**os.environ, "JAX_ENABLE_X64": "0"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "every verb answered"
