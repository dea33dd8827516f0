"""What training needs to know of an optimiser: that it is one, and whether its steps are plain ones of some size."""

import jax
import jax.numpy as jnp
import numpy as np
import optax


def check_optimiser(optimiser) -> None:
    """**Raises:** ValueError for what is no optimiser, such as a learning rate."""
    if not isinstance(optimiser, optax.GradientTransformation):
        raise ValueError(f"the optimiser must be one of optax, such as optax.sgd(0.1); got {optimiser!r}.")


def time_per_step(optimiser: optax.GradientTransformation) -> float | None:
    """Learning rate of a plain gradient step, None for an optimiser with memory or whose step is not proportional."""
    weight = jnp.ones(2)
    state = optimiser.init(weight)
    if jax.tree.leaves(state):
        return None
    probes = [jnp.array([1.0, 3.0]), jnp.array([-2.0, 0.5])]
    answers = [np.asarray(optimiser.update(probe, state, weight)[0]) for probe in probes]
    rates = np.concatenate([-answer / np.asarray(probe) for answer, probe in zip(answers, probes, strict=True)])
    # A rate that is NaN counts as one, and is refused as such.
    return float(rates[0]) if np.allclose(rates, rates[0], rtol=1e-6, atol=0, equal_nan=True) else None
