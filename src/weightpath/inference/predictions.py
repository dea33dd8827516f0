"""Predictions of all trials from the parameters of a fit, a few trials at a time."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from weightpath._types import Float
from weightpath.inference.objective import predict
from weightpath.inference.parameters import Parameters
from weightpath.inference.problem import BLOCK, Arrangement


def predictions(
    parameters: Parameters, arrangement: Arrangement, dtype: np.dtype
) -> Iterator[tuple[slice, Float[np.ndarray, "trial time rank"], Float[np.ndarray, "trial time neuron"]]]:
    """Trials, their states, and their predictions on the model's scale, in order and each trial once.

    No more than `BLOCK` trials are worked out at a time: predictions of a large recording need as much memory as it.
    """
    model, (trials, bins, _) = arrangement.model, arrangement.recording.shape
    size = jnp.asarray(1 / (model.time_constant * model.solver_steps), dtype)
    parts = -(-trials // BLOCK)
    # All blocks have one length, hence one compiled program; the last begins early, and what it repeats is left out.
    length = -(-trials // parts)
    for first in range(0, trials, length):
        begin = min(first, trials - length)
        some = arrangement.trials(dtype, slice(begin, begin + length))
        found = predict(parameters, some, size, jnp.zeros(bins, dtype), arrangement.layout)
        z, predicted = (np.asarray(one)[..., first - begin :].transpose(2, 0, 1) for one in found)
        yield slice(first, begin + length), z, predicted
