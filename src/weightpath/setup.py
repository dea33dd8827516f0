"""The whole problem as one value: network, task, rule, what is trained and at which rates."""

from dataclasses import fields

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, PyTree
from weightpath.networks.base import AbstractNetwork
from weightpath.rules.base import AbstractLearningRule
from weightpath.rules.fixed_point_base import AbstractFixedPointRule
from weightpath.tasks.base import AbstractTask, Batch
from weightpath.tasks.static import StaticTargets


class Setup(eqx.Module):
    r"""A learning problem: `network` learns `task` by `rule`; the weights named in `train` move, the others are frozen.

    `rates` gives the relative learning rates $\eta$ of the trained weights, e.g. `{"w_rec": 1.0, "w_out": 0.5}`;
    names that are left out have rate 1. Learning time is learning rate times steps at these rates. A Setup is a pytree:
    `jax.vmap` over its arrays (decay, weights, rates) sweeps over problems.

    **Raises:** ValueError for an empty or unknown name in `train`, a rate for a frozen weight, a negative or non-finite
    rate, a network and a task whose numbers of channels or whose time steps do not fit, a rule of fixed points on
    trials in time, or a rule of trials on static stimuli.
    """

    network: AbstractNetwork
    task: AbstractTask
    rule: AbstractLearningRule
    train: tuple[str, ...] = eqx.field(
        static=True, converter=lambda names: (names,) if isinstance(names, str) else tuple(names)
    )
    rates: dict[str, Float[Array, ""]]

    def __init__(self, network, task, rule, train, rates=None):
        self.network, self.task, self.rule = network, task, rule
        self.train = (train,) if isinstance(train, str) else tuple(train)
        trainable = trainable_names(network)
        unknown = [name for name in self.train if name not in trainable]
        if not self.train or unknown:
            raise ValueError(
                f"train must name weights of {type(network).__name__} ({', '.join(trainable)}); got {self.train!r}."
            )
        rates = dict(rates or {})
        frozen = [name for name in rates if name not in self.train]
        if frozen:
            raise ValueError(
                f"rates were given for {', '.join(frozen)}, not in train={self.train}; "
                "train them or leave the rates out."
            )
        self.rates = {name: _rate(name, rates.get(name, 1.0)) for name in self.train}
        if isinstance(task, StaticTargets) or isinstance(rule, AbstractFixedPointRule):
            _check_static(network, task, rule)
        else:
            _check_fit(network, task)
        source = getattr(rule, "source", None)
        if source is not None and getattr(network, "w_out", None) is not None:
            source(network)  # refuses feedback that does not fit, saying which axis

    def masked(self, velocity: PyTree) -> PyTree:
        """`velocity` times the rates on trained weights, zero on frozen ones."""

        def scale(path, leaf):
            name = path[0].name
            return leaf * self.rates[name] if name in self.rates else jnp.zeros_like(leaf)

        return jax.tree_util.tree_map_with_path(scale, velocity)

    def with_network(self, network: AbstractNetwork) -> "Setup":
        """The same problem from another network."""
        return eqx.tree_at(lambda setup: setup.network, self, network)


def trainable_names(network: AbstractNetwork) -> tuple[str, ...]:
    """Names of the network's fields that hold weights."""
    return tuple(field.name for field in fields(network) if eqx.is_inexact_array(getattr(network, field.name)))


def _rate(name: str, value) -> Array:
    rate = jnp.asarray(value, dtype=float)
    if not is_traced(rate) and not (np.isfinite(rate) and rate >= 0):
        raise ValueError(f"the rate of {name} must be finite and not negative; got {value}.")
    return rate


def _check_fit(network: AbstractNetwork, task: AbstractTask) -> None:
    """Refuse a task whose channels or time steps do not fit the network, where both are known."""
    target = task.population()
    channels = (getattr(target, "drive", None), getattr(target, "output", None))
    if target is None and isinstance(teacher := getattr(task, "network", None), AbstractNetwork):
        channels = (getattr(teacher, "w_in", None), getattr(teacher, "w_out", None))
    elif target is None:
        channels = _sampled_channels(task)
    w_in, w_out = getattr(network, "w_in", None), getattr(network, "w_out", None)
    if channels[0] is not None and w_in is not None and channels[0].shape[1] != w_in.shape[1]:
        raise ValueError(
            f"the task has {channels[0].shape[1]} inputs, the network {w_in.shape[1]} (w_in {w_in.shape})."
        )
    if channels[1] is not None and w_out is not None and channels[1].shape[0] != w_out.shape[0]:
        raise ValueError(
            f"the task has {channels[1].shape[0]} outputs, the network {w_out.shape[0]} (w_out {w_out.shape})."
        )
    noise, dt = getattr(task, "noise", None), getattr(network, "dt", None)
    if noise is not None and dt is not None and not np.isclose(noise.dt, dt, rtol=1e-12):
        raise ValueError(
            f"the network steps by dt={dt} and the task samples its noise at dt={noise.dt}; make them equal."
        )


def _check_static(network: AbstractNetwork, task: AbstractTask, rule: AbstractLearningRule) -> None:
    """Static stimuli are learned by rules of fixed points and by no others; channels and labels must fit."""
    if not isinstance(rule, AbstractFixedPointRule):
        raise ValueError(
            f"{type(rule).__name__} learns from trials in time, and {type(task).__name__} gives static stimuli; use a "
            "rule of fixed points (wp.EuclideanFixedPoint, wp.Reparameterised, ...)."
        )
    if not isinstance(task, StaticTargets):
        raise ValueError(
            f"{type(rule).__name__} learns the fixed points of static stimuli, and {type(task).__name__} gives trials "
            "in time; use wp.StaticTargets, or a rule of trials (wp.BPTT, ...)."
        )
    rule.check_network(network)
    channels, outputs = network.w_in.shape[1], network.w_out.shape[0]
    if task.inputs.shape[1] != channels:
        raise ValueError(
            f"the task has {task.inputs.shape[1]} inputs, the network {channels} (w_in {network.w_in.shape})."
        )
    if task.targets is not None and task.targets.shape[1] != outputs:
        raise ValueError(
            f"the task has {task.targets.shape[1]} outputs, the network {outputs} (w_out {network.w_out.shape})."
        )
    last = -1 if task.labels is None or is_traced(task.labels) else int(np.max(np.asarray(task.labels)))
    if last >= outputs:
        raise ValueError(
            f"labels go up to {last}, and the network has {outputs} outputs, for labels 0 to {outputs - 1} "
            f"(w_out {network.w_out.shape}); give w_out a row for each class."
        )


def _sampled_channels(task: AbstractTask) -> tuple[jax.ShapeDtypeStruct | None, jax.ShapeDtypeStruct | None]:
    """Shapes (out, in) and (out, in) like those of read-in and read-out of a network that fits a sampled batch.

    The batch is traced, not worked out. None where a task has nothing to sample, or cannot be traced, or where its
    batch has a criterion of its own, to which outputs need not be like the targets.
    """
    try:
        batch = jax.eval_shape(lambda: task.sample(jax.random.key(0), 0))
    except (ValueError, TypeError):
        return None, None
    like = lambda *shape: jax.ShapeDtypeStruct(shape, batch.inputs.dtype)  # noqa: E731
    plain = type(batch).criterion is Batch.criterion
    return like(0, batch.inputs.shape[-1]), like(batch.targets.shape[-1], 0) if plain else None
