"""A tanh network learns a flip-flop of two bits; its fixed points, which hold the memories, are found and drawn."""

import sys
from pathlib import Path

import jax
import optax

jax.config.update("jax_enable_x64", True)

import weightpath as wp  # noqa: E402  (the 64-bit switch comes first)
from weightpath.networks.init import rate  # noqa: E402

task = wp.FlipFlop(bits=2, bins=20, trials=16, pulse_probability=0.15)
network = rate(jax.random.key(0), 16, *task.channels, gain=1.0, leak=0.5)
setup = wp.Setup(network, task, wp.BPTT(), train=("w_rec", "w_in", "w_out"))
path = wp.train(setup, optax.adam(0.02), 300, key=jax.random.key(1), record=wp.Record(every=300))
network = path.network(-1)
states = jax.vmap(lambda inputs: wp.rollout(network, inputs)[0])(task.sample(jax.random.key(2), 0).inputs)
found = wp.analysis.fixed_points(network, visited=states.reshape(-1, 16))
print(f"loss {path.loss[0]:.3f} -> {path.loss[-1]:.3f}\n{found}")
if len(sys.argv) > 1:  # a file for the figure: the points among the courses of sixteen trials
    figure, ax = wp.plot.figure()
    wp.plot.found_points(found.to_dataset(), states, ax)
    wp.plot.save_figure(figure, Path(sys.argv[1]))
