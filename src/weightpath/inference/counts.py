"""Counts before they are fitted: their scale before the softplus, their means, and the constants of the likelihood."""

import jax.numpy as jnp
import numpy as np
from scipy.special import gammaln

from weightpath._types import Bool, Float
from weightpath.inference.observe import inverse_softplus
from weightpath.inference.program import Counts
from weightpath.inference.recording import Recording

#: Least spread of the condition means before the softplus that sets the model's scale.
LEAST_SCALE = 0.1
#: Range of the overdispersion from which a fit may start.
DISPERSION = (1e-2, 10.0)

Train = Bool[np.ndarray, "trial time neuron"]


def mean_counts(recording: Recording, mask: Train) -> Float[np.ndarray, " neuron"]:
    """Mean count per bin over the training entries; half a count in all of them for a neuron that never fired."""
    entries = np.maximum(mask.sum(axis=(0, 1)), 1)
    total = np.where(mask, recording.values, 0.0).sum(axis=(0, 1))
    return np.maximum(total, 0.5) / entries


def count_scale(recording: Recording, mask: Train) -> tuple[Float[np.ndarray, " neuron"], float]:
    """Value before the softplus that gives each neuron's mean count, and the spread of the condition means there.

    Counts are not standardised; the model's scale is defined before the softplus instead, so that penalties, offsets
    and learning rates mean the same as for other data.
    """
    centre = inverse_softplus(mean_counts(recording, mask))
    spread = inverse_softplus(count_means(recording, mask)) - centre
    return centre, max(float(spread.std()), LEAST_SCALE)


def count_means(recording: Recording, mask: Train) -> Float[np.ndarray, "condition time neuron"]:
    """Mean counts per condition and bin, with one further trial at the neuron's mean: never zero, less noisy."""
    codes = np.arange(len(recording.conditions))
    member = (recording.condition[None, :] == codes[:, None]).astype(float)
    total = np.einsum("ck,ktm->ctm", member, np.where(mask, recording.values, 0.0))
    entries = np.einsum("ck,ktm->ctm", member, mask.astype(float))
    return (total + mean_counts(recording, mask)) / (entries + 1)


def starting_dispersion(recording: Recording, mask: Train) -> Float[np.ndarray, " neuron"]:
    r"""Overdispersion $\alpha$ of each neuron by moments, $(\overline{(n-\mu)^2} - \bar\mu)/\overline{\mu^2}$."""
    mean = count_means(recording, mask)[recording.condition]
    entries = np.maximum(mask.sum(axis=(0, 1)), 1)
    over = lambda one: np.where(mask, one, 0.0).sum(axis=(0, 1)) / entries  # noqa: E731
    values = np.where(mask, recording.values, 0.0)
    excess = over((values - mean) ** 2) - over(mean)
    return np.clip(excess / np.maximum(over(mean**2), 1e-12), *DISPERSION)


def pearson(
    residual: Float[np.ndarray, "trial time neuron"], expected: Float[np.ndarray, "trial time neuron"]
) -> Float[np.ndarray, "trial time neuron"]:
    """Residuals of counts divided by the Poisson standard deviation."""
    return residual / np.sqrt(np.maximum(expected, 1e-6))


def count_terms(
    values: np.ndarray, mask: Train, centre: np.ndarray, scale: float, spread: bool, dtype: np.dtype
) -> Counts:
    """Scale and constants of the likelihood for the compiled program; with `spread` the negative binomial's table."""
    kept, entries, above = np.where(mask, values, 0.0), mask.sum(), None
    if spread:
        largest = max(int(kept.max()), 1)
        # A multiple of eight, so that recordings of like counts share a compiled program.
        above = np.zeros((kept.shape[2], -(-largest // 8) * 8))
        for neuron in range(len(above)):
            seen = np.bincount(kept[:, :, neuron].ravel().astype(int), minlength=above.shape[1] + 1)
            above[neuron] = (seen.sum() - np.cumsum(seen))[: above.shape[1]] / entries
    return Counts(
        centre=jnp.asarray(centre[:, None], dtype), scale=jnp.asarray(scale, dtype),
        constant=jnp.asarray(gammaln(kept + 1).sum() / entries, dtype),
        above=None if above is None else jnp.asarray(above, dtype),
    )  # fmt: skip
