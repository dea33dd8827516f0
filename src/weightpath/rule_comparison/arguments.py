"""The arguments of a comparison of rules, checked once at the border."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from weightpath.networks.base import AbstractNetwork
from weightpath.rules.base import AbstractLearningRule
from weightpath.tasks.base import AbstractTask
from weightpath.tasks.static import StaticTargets


def named_rules(rules: Any) -> dict[str, AbstractLearningRule | Callable]:
    """Name -> rule. **Raises:** ValueError when there is none, when names coincide, or for what is no rule."""
    if isinstance(rules, AbstractLearningRule):
        rules = [rules]
    if not isinstance(rules, Mapping):
        rules, given = {}, list(rules)
        for rule in given:
            name = type(rule).__name__
            if name in rules or not isinstance(rule, AbstractLearningRule):
                classes = ", ".join(type(one).__name__ for one in given)
                raise ValueError(
                    f"a list of rules must hold rules of different classes; got {classes}. "
                    'Name them: {"RFLO, large feedback": rule, ...}.'
                )
            rules[name] = rule
    if not rules:
        raise ValueError("rules is empty; give at least one, e.g. [wp.BPTT(), wp.RFLO(feedback)].")
    for name, rule in rules.items():
        if not isinstance(rule, AbstractLearningRule) and (isinstance(rule, type) or not callable(rule)):
            raise ValueError(
                f"rules[{name!r}] must be a learning rule, such as wp.BPTT(), or a function (key, network) -> rule; "
                f"got {rule!r}."
            )
    return dict(rules)


def check_counts(network: Any, *, steps: int, seeds: int, every: int | None) -> None:
    """Refuse what is no network and counts that are not whole or below 1. **Raises:** ValueError."""
    if not isinstance(network, AbstractNetwork) and (isinstance(network, type) or not callable(network)):
        raise ValueError(f"network must be a network or a function key -> network; got {network!r}.")
    for name, value in {"steps": steps, "seeds": seeds, "every": 1 if every is None else every}.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1; got {value}.")


def check_task(task: AbstractTask) -> None:
    """Refuse static stimuli, whose rules have no trials in time to be compared on. **Raises:** ValueError."""
    if isinstance(task, StaticTargets):
        raise ValueError(
            "compare_rules compares rules that learn from trials in time; for the fixed points of wp.StaticTargets run "
            "wp.train once for each rule and learning rate (docs/fixed-points.md shows the sweep), and compare updates "
            "by wp.analysis.update_angles."
        )


def checked_rates(learning_rate: Any, names: Sequence[str]) -> tuple[bool, dict[str, np.ndarray]]:
    """Whether rates are swept, and the rates (rate,) of every rule. **Raises:** ValueError."""
    given = dict(learning_rate) if isinstance(learning_rate, Mapping) else dict.fromkeys(names, learning_rate)
    if set(given) != set(names):
        raise ValueError(f"learning_rate must name every rule once ({', '.join(names)}); got {', '.join(given)}.")
    sweep = any(np.asarray(value).ndim > 0 for value in given.values())
    rates = {name: np.atleast_1d(np.asarray(given[name], dtype=float)) for name in names}
    for name, value in rates.items():
        if value.ndim != 1 or value.size == 0 or not np.all(np.isfinite(value) & (value > 0)):
            raise ValueError(f"learning rates must be positive numbers; got {given[name]} for {name}.")
    if len({value.size for value in rates.values()}) > 1:
        sizes = ", ".join(f"{name}: {value.size}" for name, value in rates.items())
        raise ValueError(f"every rule must be swept over the same number of learning rates; got {sizes}.")
    return sweep, rates


def checked_optimiser(optimiser: Any) -> optax.GradientTransformationExtraArgs:
    """The optimiser with its learning rate as a number of its state.

    **Raises:** ValueError for an optimiser that is made already, and for what is no function of a learning rate.
    """
    if isinstance(optimiser, optax.GradientTransformation):
        raise ValueError(
            "optimiser must be a function of the learning rate, such as optax.sgd or optax.adam, not what that "
            "function makes; give the rate as learning_rate."
        )
    try:
        made = _with_rate(optimiser)
        state = made.init({"weight": jnp.zeros(1)})
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"optimiser must be a function of `learning_rate`, such as optax.sgd; {error}.") from None
    if "learning_rate" not in getattr(state, "hyperparams", {}):
        raise ValueError(f"optimiser must be a function of `learning_rate`, such as optax.sgd; got {optimiser!r}.")
    return made


@cache
def _with_rate(optimiser: Callable) -> optax.GradientTransformationExtraArgs:
    """Made once: a new optax object would mean new compilations."""
    return optax.inject_hyperparams(optimiser)(learning_rate=1.0)
