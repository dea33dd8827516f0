"""The runs of the study of rules on tasks: every rule on every task, short checks of identities, and estimators."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xarray import Dataset

    from weightpath.studies.rules_on_tasks import RulesOnTasks
else:
    Dataset = RulesOnTasks = Any

TRAIN = ("w_rec", "w_in", "bias", "w_out", "readout_bias")
GAIN, LEAK = 1.0, 0.5
#: Size of the checks of identities and estimators: learning steps; units, bins and trials.
IDENTITY_STEPS, SMALL = 10, (8, 10, 2)


def task_of(name: str, trials: int) -> Any:
    """A task by its name, on trials of 20 bins."""
    import weightpath as wp

    return {
        "match": lambda: wp.DelayedMatch(code="circular", stimuli=4, trials=trials),
        "flip-flop": lambda: wp.FlipFlop(bins=20, trials=trials),
        "evidence": lambda: wp.EvidenceIntegration(trials=trials),
        "sine": lambda: wp.SineGeneration(bins=20, trials=trials),
    }[name]()


def momentum(learning_rate: Any) -> Any:
    """Gradient descent with momentum, which adds up past updates and so keeps what is true of each: their range."""
    import optax

    return optax.sgd(learning_rate, momentum=0.9)


@cache
def network_of(units: int, inputs: int, outputs: int) -> Callable:
    """A function key -> tanh network; the same function for the same sizes, so that programs are shared."""
    from weightpath.networks.init import rate

    return lambda key: rate(key, units, inputs, outputs, gain=GAIN, leak=LEAK)


@cache
def rule_of(name: str) -> Any:
    """A rule by its name; those with -R have random feedback, drawn for each seed."""
    import weightpath as wp
    from weightpath.rules.random_feedback import random_feedback

    return {
        "BPTT": lambda: wp.BPTT(),
        "tBPTT-5": lambda: wp.TruncatedBPTT(5),
        "tBPTT-1": lambda: wp.TruncatedBPTT(1),
        "UORO": lambda: wp.UORO(),
        "KF-RTRL": lambda: wp.KFRTRL(),
        "e-prop": lambda: wp.EProp(),
        "e-prop-R": lambda: lambda key, network: wp.EProp(random_feedback(key, network)),
        "RFLO-R": lambda: lambda key, network: wp.RFLO(random_feedback(key, network)),
        "RFLO-R, no slope": lambda: lambda key, network: wp.RFLO(random_feedback(key, network), trace_derivative=False),
        "SnAp-0-R": lambda: lambda key, network: wp.SnAp0(random_feedback(key, network)),
    }[name]()


def compared(config: RulesOnTasks, name: str, progress: Any) -> Dataset:
    """Every rule on one task, at every learning rate."""
    import jax

    import weightpath as wp

    task = task_of(name, config.trials)
    dataset = wp.compare_rules(
        {rule: rule_of(rule) for rule in config.rules}, network_of(config.units, *task.channels), task, train=TRAIN,
        learning_rate=list(config.rates), steps=config.steps, seeds=config.seeds, every=config.steps // 20,
        key=jax.random.key(config.seed), optimiser=momentum, progress=progress,
    )  # fmt: skip
    return dataset.drop_vars("singular_value").assign(change_value=dataset.singular_value).expand_dims(task=[name])


def identities(config: RulesOnTasks) -> Dataset:
    """What must be equal, on a few steps on one batch: RTRL, BPTT, and BPTT over whole trials; the rank of RFLO."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import xarray as xr

    import weightpath as wp

    units, bins, trials = SMALL
    task = wp.FlipFlop(bits=1, bins=bins, trials=trials)
    network = network_of(units, *task.channels)(jax.random.key(config.seed))
    batch = task.sample(jax.random.key(config.seed + 1), 0)
    rules = {
        "BPTT": wp.BPTT(), "RTRL": wp.RTRL(), "tBPTT-T": wp.TruncatedBPTT(bins),
        "RFLO-R, no slope": rule_of("RFLO-R, no slope")(jax.random.key(config.seed + 2), network),
    }  # fmt: skip

    def learn(rule):
        def step(network, _):
            velocity, _, info = rule.update(network, batch, None)
            gradient = wp.BPTT().update(network, batch, None)[0]
            flat = [jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(part)]) for part in (velocity, gradient)]
            cosine = flat[0] @ flat[1] / (jnp.linalg.norm(flat[0]) * jnp.linalg.norm(flat[1]))
            return jax.tree.map(lambda w, v: w + 0.1 * v, network, velocity), (info.loss, cosine)

        last, found = jax.lax.scan(step, network, length=IDENTITY_STEPS)
        return *found, last.w_rec - network.w_rec

    found = [jax.tree.map(np.asarray, jax.jit(lambda rule=rule: learn(rule))()) for rule in rules.values()]
    losses, cosines, changes = (np.stack(parts) for parts in zip(*found, strict=True))
    dims = ("identity_rule", "identity_step")
    return xr.Dataset(
        {"identity_loss": (dims, losses), "identity_cosine": (dims, cosines),
         "identity_value": (("identity_rule", "identity_eig"), np.linalg.svd(changes, compute_uv=False))},
        {"identity_rule": list(rules)},
    )  # fmt: skip


def estimators(config: RulesOnTasks) -> Dataset:
    """UORO and KF-RTRL over their own draws on one batch: is the mean the gradient, and how large is the spread?"""
    import jax
    import numpy as np
    import xarray as xr

    import weightpath as wp

    units, bins, trials = SMALL
    task = wp.FlipFlop(bits=1, bins=bins, trials=trials)
    network = network_of(units, *task.channels)(jax.random.key(config.seed))
    batch = task.sample(jax.random.key(config.seed + 1), 0)
    exact = np.asarray(wp.BPTT().update(network, batch, None)[0].w_rec)
    keys = jax.random.split(jax.random.key(config.seed + 2), config.draws)
    names, error, spread = ("UORO", "KF-RTRL"), [], []
    for name in names:
        rule = rule_of(name)
        drawn = jax.jit(jax.vmap(lambda key, rule=rule: rule.update(network, batch, key)[0].w_rec))
        updates = np.asarray(drawn(keys))
        variance = np.sum(updates.var(axis=0, ddof=1))
        error.append(np.linalg.norm(updates.mean(axis=0) - exact) / np.sqrt(variance / config.draws))
        spread.append(np.sqrt(variance) / np.linalg.norm(exact))
    return xr.Dataset(
        {"standard_errors": ("estimator", error), "spread": ("estimator", spread)}, {"estimator": list(names)}
    )


def best_accuracy() -> float:
    """What no observer of the task "evidence" can surpass."""
    return float(task_of("evidence", 1).best_accuracy())
