"""A network learns to integrate white noise; a theory of three numbers predicts its path, and when it will be done."""

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

import weightpath as wp  # noqa: E402  (the 64-bit switch comes first)
from weightpath.networks.init import gaussian  # noqa: E402

network = gaussian(jax.random.key(0), 100, gain=0.01, read_in_norm=1.0, readout="zero")
setup = wp.Setup(network, wp.Integrator(decay=0.2), wp.BPTT(), train=("w_rec", "w_out"))

path = wp.flow(setup, jnp.linspace(0.0, 4.0, 9))
comparison = wp.compare(wp.theory.Outlier(), path)

print("learning time   outlier of the network   theory    loss")
for step, time in enumerate(comparison.time):
    measured, predicted = comparison.measured[step, -1], comparison.predicted[step, -1]
    print(f"{time:13.1f}   {measured:22.4f}   {predicted:6.4f}    {path.loss[step]:.2e}")

print(f"\nloss at 1 % of its start at learning time {float(wp.theory.learning_time(setup, 0.01)):.4f} (theory)")
print(f"which takes about {float(wp.theory.steps_at_edge(setup, 0.01)):.0f} steps of gradient descent at the edge")
print("outliers at the end:", wp.analysis.spectrum(path).outliers[-1].round(4))
