"""How well a network does a task, beside the loss: agreement in sign, and explained variance."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, Float
from weightpath.tasks.base import Batch


def decided_rightly(outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
    """Share of trials whose mean output over the observed bins has the sign of the mean target, over all outputs."""
    weight = batch.mask[..., None]
    given, wanted = (jnp.sum(values * weight, axis=1) for values in (outputs, batch.targets))
    return jnp.mean((given * wanted > 0).astype(outputs.dtype))


def signs_right(outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
    """Share of observed bins and outputs with the sign of the target."""
    right = jnp.mean((outputs * batch.targets > 0).astype(outputs.dtype), axis=-1)
    return jnp.sum(right * batch.mask) / jnp.sum(batch.mask)


def explained(outputs: Float[Array, "trial time out"], batch: Batch) -> Float[Array, ""]:
    r"""$R^2 = 1 - \sum (y - y^*)^2 / \sum (y^* - \bar y^*)^2$ over observed bins; $\bar y^*$: mean of each output."""
    weight = batch.mask[..., None]
    mean = jnp.sum(batch.targets * weight, axis=(0, 1)) / jnp.sum(weight)
    left, whole = (jnp.sum(weight * (batch.targets - other) ** 2) for other in (outputs, mean))
    return 1 - left / whole


def check_whole(**numbers: tuple[Any, int]) -> None:
    """Refuse counts that are not whole or below their least; each is given as (value, least).

    **Raises:** ValueError.
    """
    for name, (value, least) in numbers.items():
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be a whole number, at least {least}; got {value}.")


def check_range(**numbers: tuple[Array, float | int, float | int]) -> None:
    """Refuse arrays with an entry outside [low, high]; each is given as (value, low, high).

    **Raises:** ValueError.
    """
    for name, (value, low, high) in numbers.items():
        found = np.asarray(value)
        if not np.all((found >= low) & (found <= high)):  # also refuses NaN
            words = f"be at least {low:g}" if np.isinf(high) else f"lie in [{low:g}, {high:g}]"
            raise ValueError(f"{name} must {words}; got {found}.")
