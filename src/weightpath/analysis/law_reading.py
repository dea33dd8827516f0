"""How a path is read for its laws: which records, in which blocks, and what observation noise does to the outcome."""

from dataclasses import dataclass, replace

import numpy as np

from weightpath.analysis.law_fits import LawFit, fit_laws
from weightpath.analysis.law_verdict import Powers
from weightpath.analysis.laws import PLACES, Terms, Weights, block_terms
from weightpath.analysis.path_blocks import Noise, block_edges

#: Surrogates from which the effect of noise is measured, and records left when a path is thinned.
SURROGATES, THINNED = 4, 40
#: Places of the weights that go with a movement, in words.
SAID = {
    "start": "weights before each movement",
    "middle": "weights halfway through each movement",
    "combined": "weights halfway, extrapolated to short intervals",
    "beside": "weights halfway, from the movements beside",
}
#: A law that leaves less holds to rounding, and no other reading is needed.
EXACT = 1e-10
#: A noisy path is also read as means, about so many.
AVERAGED = (40, 20, 12)
#: A reading of a path is not taken where it would need more than this many multiplications.
MOST_WORK = 1e11


@dataclass(frozen=True)
class Reading:
    """Records that were taken, blocks, and where the weights stand that go with a movement."""

    weights: Weights
    edges: list[int]
    at: str
    stride: int
    averaged: bool

    def __str__(self) -> str:
        if self.stride == 1:
            records = "every record"
        else:
            records = f"{'means of' if self.averaged else 'every'} {self.stride} records"
        return f"{records}, {SAID[self.at]}"


@dataclass(frozen=True)
class Asking:
    """What is known beforehand, and the laws fitted with it."""

    feedback: np.ndarray | None
    trace_decay: float | None
    carried: float
    right: np.ndarray | None

    def fits(self, reading: Reading) -> dict[str, LawFit]:
        """Every law on one reading of the path."""
        terms: Terms = block_terms(reading.weights, reading.edges, reading.at)
        terms = terms if self.right is None else terms.seen_from(self.right)
        return fit_laws(terms, feedback=self.feedback, trace_decay=self.trace_decay, carried=self.carried)


def best_reading(weights: Weights, noise: Noise, blocks: int, ask: Asking) -> Reading:
    """The reading with which the best law leaves least."""
    paths = [(weights.every(stride), stride, False) for stride in {1, max(1, weights.intervals // THINNED)}]
    if any(noise):
        strides = {max(1, weights.intervals // count) for count in AVERAGED} - {1}
        paths += [(weights.averaged(stride), stride, True) for stride in strides]
    best, least = None, np.inf
    for path, stride, averaged in sorted(paths, key=lambda one: one[0].intervals):
        if best is not None and path.intervals * path.w_rec.shape[1] ** 3 > MOST_WORK:
            continue
        edges = block_edges(path, tuple(size / np.sqrt(stride if averaged else 1) for size in noise), blocks)
        for at in PLACES:
            if at == "combined" and path.intervals < 8:
                continue
            reading = Reading(path, edges, at, stride, averaged)
            left = min(law.unexplained for law in ask.fits(reading).values())
            if best is None or left < least:
                best, least = reading, left
            if left < EXACT:
                return reading
    assert best is not None
    return best


def powers_of(fits: dict[str, LawFit], reading: Reading, noise: Noise, ask: Asking, seed: int) -> Powers:
    """Squared norms by law and block, with those that noise of this size adds."""
    residual, target = (
        np.stack([np.sum(getattr(fit, kind) ** 2, axis=(1, 2)) for fit in fits.values()])
        for kind in ("residual", "target")
    )
    added = _added(fits, reading, noise, ask, seed)
    return Powers(tuple(fits), residual, added[0], target, added[1], added[0])


def with_largest(powers: Powers, fits: dict[str, LawFit], reading: Reading, most: Noise, ask: Asking, seed: int):
    """The same with what noise of the largest size that the records allow would add."""
    return replace(powers, largest_noise=_added(fits, reading, most, ask, seed)[0])


def _added(fits: dict[str, LawFit], reading: Reading, noise: Noise, ask: Asking, seed: int) -> list[np.ndarray]:
    """Mean square of what noise on the records changes, of the residuals and of the targets, by law and block."""
    shape = len(fits), len(next(iter(fits.values())).residual)
    random, added = np.random.default_rng(seed), [np.zeros(shape), np.zeros(shape)]
    sizes = tuple(size / np.sqrt(reading.stride if reading.averaged else 1) for size in noise)
    for _ in range(SURROGATES if any(noise) else 0):
        again = ask.fits(replace(reading, weights=reading.weights.shaken(sizes, random)))
        for total, kind in zip(added, ("residual", "target"), strict=True):
            for row, (name, fit) in enumerate(fits.items()):
                change = getattr(again[name], kind) - getattr(fit, kind)
                total[row] += np.sum(change**2, axis=(1, 2)) / SURROGATES
    return added
