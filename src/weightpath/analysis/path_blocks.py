"""A path of weights cut into blocks of equal movement, and the noise with which it was observed."""

import numpy as np

from weightpath._types import Float
from weightpath.analysis.laws import Weights

#: Coarse pieces from which the length of a path is measured.
PIECES = 60
#: Standard errors by which observation noise must stand out to count as such.
CLEAR = 3.0


Noise = tuple[float, float, float]


def observation_noise(weights: Weights) -> tuple[Noise, Noise]:
    r"""Standard deviations of independent noise on the entries of w_rec, w_in, w_out: estimates, and upper limits.

    Second differences e of records with independent noise have covariance $\sigma^2$ at lag 2; those of a path whose
    steps are noisy (batches) have none there, and smooth movement has the same at lag 3, which is taken off. The median
    over steps keeps a fast start of learning from counting. An estimate is 0 where none stands out, and where there are
    fewer than 8 records. Where noise stands out in w_rec alone, the others may have as much, up to what their own
    records allow.
    Source: derived here.
    """
    found = [_lagged(history) for history in weights.arrays]
    main = found[0][0]
    estimates = [variance if variance > 0 else min(main, limit) for variance, limit in found]
    return _roots(estimates), _roots([limit for _, limit in found])


def _roots(variances: list[float]) -> Noise:
    first, second, third = (float(np.sqrt(max(variance, 0.0))) for variance in variances)
    return first, second, third


def _lagged(history: Float[np.ndarray, "step row column"]) -> tuple[float, float]:
    """Variance of the noise (0 where it does not stand out), and the largest that the records allow."""
    if len(history) < 8 or history[0].size == 0:
        return 0.0, 0.0
    bend = np.diff(history, 2, axis=0).reshape(len(history) - 2, -1)
    products = np.mean(bend[:-3] * bend[2:-1] - bend[:-3] * bend[3:], axis=1)
    middle = float(np.median(products))
    spread = 1.4826 * float(np.median(np.abs(products - middle)))
    error = 1.25 * spread * np.sqrt(3 / len(products))  # neighbours share records: as if a third as many
    return (middle if middle > CLEAR * error else 0.0), max(middle, 0.0) + CLEAR * error


def block_edges(weights: Weights, noise: Noise, blocks: int) -> list[int]:
    """Records at which blocks begin and end, so that the weights move about as far in each.

    Movement is measured over pieces, with what `noise` adds taken off; blocks of equal duration would give the long
    rest after learning most of the blocks, and most of the noise.
    """
    places = np.unique(np.linspace(0, weights.intervals, min(PIECES, weights.intervals) + 1).round().astype(int))
    power = np.zeros(len(places) - 1)
    for history, size in zip(weights.arrays, noise, strict=True):
        moves = np.diff(history[places], axis=0).reshape(len(power), -1)
        power += np.sum(moves**2, axis=1) - 2 * moves.shape[1] * size**2
    length = np.r_[0.0, np.cumsum(np.sqrt(np.maximum(power, 0)))]
    if length[-1] == 0:
        length = np.arange(len(places), dtype=float)
    wanted = np.linspace(0, length[-1], min(blocks, len(power)) + 1)
    inner = np.clip(np.searchsorted(length, wanted[1:-1]), 1, len(places) - 2)
    return [int(edge) for edge in places[np.unique(np.r_[0, inner, len(places) - 1])]]
