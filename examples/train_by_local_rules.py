"""A tanh network learns a flip-flop by each learning rule, from the same weights and the same trials."""

import jax
import optax

jax.config.update("jax_enable_x64", True)

import weightpath as wp  # noqa: E402  (the 64-bit switch comes first)
from weightpath.networks.init import rate  # noqa: E402
from weightpath.rules.random_feedback import random_feedback  # noqa: E402

task = wp.FlipFlop(bits=1, bins=12, trials=16)
network = rate(jax.random.key(0), 12, *task.channels, gain=1.0, leak=0.5)
feedback = random_feedback(jax.random.key(1), network)  # fixed, where a rule does without the transposed read-out
rules = [wp.BPTT(), wp.TruncatedBPTT(5), wp.RTRL(), wp.UORO(), wp.KFRTRL()]
rules += [wp.EProp(feedback), wp.RFLO(feedback), wp.SnAp0(feedback)]
for rule in rules:
    setup = wp.Setup(network, task, rule, train=("w_rec", "w_in", "w_out"))
    path = wp.train(setup, optax.sgd(0.1), 200, key=jax.random.key(2), record=wp.Record(every=100))
    change = wp.analysis.learned_change(path)
    print(f"{type(rule).__name__:<14} loss {path.loss[0]:.3f} -> {path.loss[-1]:.3f}", end="   ")
    print(f"effective rank of the change {change.effective_rank:.2f}")
