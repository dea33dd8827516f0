"""Angles between the updates of several rules at the same weights, and how long the updates are."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import equinox as eqx
import jax
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS, outcome_name
from weightpath._types import Float
from weightpath.rules.base import AbstractLearningRule
from weightpath.setup import Setup


class UpdateAngles(eqx.Module):
    """Updates of rules at one network. An update that failed, or is zero, has NaN angles, and `results` say why."""

    names: tuple[str, ...] = eqx.field(static=True)
    norms: Float[np.ndarray, " k"]
    """Frobenius norm over all trained weights together."""
    degrees: Float[np.ndarray, "k k"]
    """Angle between two updates; below 90 for two that descend on each other's side."""
    losses: Float[np.ndarray, " k"]
    results: tuple[RESULTS, ...]

    def between(self, first: str, second: str) -> float:
        """The angle of two rules by their names, in degrees.

        **Raises:** ValueError for an unknown name.
        """
        for name in (first, second):
            if name not in self.names:
                raise ValueError(f"no rule is called {name!r}; the rules are {', '.join(self.names)}.")
        return float(self.degrees[self.names.index(first), self.names.index(second)])

    def to_dataset(self):
        """An `xarray.Dataset` with dims (rule, other_rule)."""
        import xarray as xr

        data = {
            "angle": (("rule", "other_rule"), self.degrees, {"units": "degree"}),
            "norm": ("rule", self.norms),
            "loss": ("rule", self.losses),
            "result": ("rule", [outcome_name(result) for result in self.results]),
        }
        return xr.Dataset(data, {"rule": list(self.names), "other_rule": list(self.names)})


def update_angles(
    setup: Setup,
    rules: Mapping[str, AbstractLearningRule] | Sequence[AbstractLearningRule] | AbstractLearningRule,
    *,
    learning_rate: float = 1.0,
) -> UpdateAngles:
    r"""Updates that each of the `rules` makes at the setup's network, on all samples of its task, and their angles.

    The weights in `train` count, as one vector, each at its rate. `learning_rate` scales the norms; the direction
    depends on it for rules that take an exact finite step. An angle is $2\arcsin(|u - v|/2)$ of the unit vectors,
    which keeps its digits where it is small. The setup's own rule does not matter.

    Arguments: `rules`: name -> rule, e.g. `{"dW1": wp.EuclideanFixedPoint(), "dW3": wp.Reparameterised()}`; of a
    sequence the names are those of the classes.

    **Raises:** ValueError without rules, for a task that has no exact loss, a rule that the task or the network does
    not suit, a learning rate that is not positive, in 32-bit mode.
    """
    require_x64("analysis.update_angles")
    if not (np.isfinite(learning_rate) and learning_rate > 0):
        raise ValueError(f"learning_rate must be positive and finite; got {learning_rate}.")
    rules = [rules] if isinstance(rules, AbstractLearningRule) else rules
    named = dict(rules) if isinstance(rules, Mapping) else _named(rules)
    if not named:
        raise ValueError("rules is empty; give at least one rule, as {name: rule} or as a sequence.")
    batch = _all_samples(setup)
    # Each in a setup of its own, which refuses what does not fit.
    setups = [Setup(setup.network, setup.task, rule, setup.train, setup.rates) for rule in named.values()]
    found = [_update(one, batch, learning_rate) for one in setups]
    vectors = np.stack([vector for vector, _ in found])
    norms, degrees = norms_and_angles(vectors)
    losses = np.array([float(info.loss) for _, info in found])
    return UpdateAngles(tuple(named), norms, degrees, losses, tuple(info.result for _, info in found))


def norms_and_angles(vectors: Float[np.ndarray, "k entry"]) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    """Lengths, and the angle of every two in degrees; NaN for those of length zero or not finite."""
    norms = np.linalg.norm(vectors, axis=1)
    usable = np.isfinite(norms) & (norms > 0)
    units = np.where(usable[:, None], vectors, np.nan) / np.where(usable, norms, np.nan)[:, None]
    apart = np.linalg.norm(units[:, None] - units[None, :], axis=-1)
    # Beyond a right angle the sum of the two keeps the digits.
    sums = np.linalg.norm(units[:, None] + units[None, :], axis=-1)
    acute, obtuse = (2 * np.arcsin(np.clip(length / 2, 0, 1)) for length in (apart, sums))
    return norms, np.degrees(np.where(apart <= sums, acute, np.pi - obtuse))


def _all_samples(setup: Setup) -> Any:
    """The task's batch of all samples.

    **Raises:** ValueError for a task that has none.
    """
    everything = getattr(setup.task, "everything", None)
    if everything is None:
        raise ValueError(
            f"analysis.update_angles needs a task whose samples are all known (wp.StaticTargets); got "
            f"{type(setup.task).__name__}."
        )
    return everything()


def _update(setup: Setup, batch: Any, learning_rate: float) -> tuple[np.ndarray, Any]:
    change, info = _step(setup, batch, learning_rate)
    leaves = [np.ravel(np.asarray(getattr(change, name), dtype=float)) for name in setup.train]
    return np.concatenate(leaves), info


@eqx.filter_jit
def _step(setup: Setup, batch: Any, learning_rate: Any) -> tuple[Any, Any]:
    """The displacement of the network's weights by one update of the setup's rule."""
    network, rule = setup.network, cast(Any, setup.rule)
    state = rule.init(network, batch, jax.random.key(0))
    if getattr(rule, "steps_exactly", False):
        rates = {name: rate * learning_rate for name, rate in setup.rates.items()}
        change, _, info = rule.finite_step(network, batch, state, rates)
        return change, info
    velocity, _, info = rule.update(network, batch, state)
    return jax.tree.map(lambda part: learning_rate * part, setup.masked(velocity)), info


def _named(rules: Sequence[AbstractLearningRule]) -> dict[str, AbstractLearningRule]:
    """Rules by the names of their classes, numbered where a class comes twice."""
    named: dict[str, AbstractLearningRule] = {}
    for rule in rules:
        name, number = type(rule).__name__, 1
        while name in named:
            number += 1
            name = f"{type(rule).__name__} {number}"
        named[name] = rule
    return named
