r"""What learning rules leave invariant along a path of weights, as numbers that can be set beside one another.

Every rule of the family $P_k = D^k S$ (`weightpath.rules.credit`) changes the weights of a linear network so that, for
every batch, every input and every target,

$S\,\Delta A + D\,\Delta W = \Delta W W^\top + \Delta B B^\top$

with read-out A, recurrent weights W, read-in B, when all terms are kept; with one term $S\,\Delta A$ stands alone on
the left. BPTT and RTRL have $S = A^\top$, $D = W^\top$; one-step truncation $A^\top$ and 0; RFLO $R^\top$ and a scalar;
e-prop $R^\top$ and the diagonal of W. With $\tau > 1$ terms the two sides differ by a matrix whose columns lie in the
range of $(W^\top)^\tau A^\top$, and agree outside it. The right-hand side is the same for all: the share of it that a
rule's left-hand side leaves unexplained compares rules fairly.

A path recorded now and then gives movements d and weights W at its records; the identities need weights to go with each
movement. Four ways are offered, since each is right for other paths:

- "start": the weights before the movement. Exact for plain gradient descent recorded at every step.
- "middle": halfway. An interval h of a smooth path errs by $O(h^3)$, and the symmetric part of $\sum d W^\top$ is the
  exact change of $\tfrac12 W W^\top$, whatever happened within the interval.
- "combined": the middle of every interval and of every second one, combined so that the leading errors cancel.
- "beside": $W_k + \tfrac14(d_{k-1} + d_{k+1})$, also halfway for a smooth path, but independent of the movement itself:
  for steps with the noise of batches, whose squares do not average out.

Source: derived here; the identities of BPTT, one-step truncation and RFLO belong to the rules of Williams, Payeur and
Lajoie 2026 (arXiv 2606.00243).
"""

from dataclasses import dataclass, fields

import numpy as np

from weightpath._types import Float

#: Truncation horizons that are looked for beside 1.
HORIZONS = (2, 3, 4, 5)
#: Ways to place the weights that go with a movement.
PLACES = ("start", "middle", "combined", "beside")


@dataclass(frozen=True)
class Weights:
    """Histories of the weights (step first), and the relative learning rates their movements are divided by."""

    w_rec: Float[np.ndarray, "step post pre"]
    w_in: Float[np.ndarray, "step post in"]
    w_out: Float[np.ndarray, "step out pre"]
    rates: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Of w_rec, w_in and w_out."""

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three histories."""
        return self.w_rec, self.w_in, self.w_out

    @property
    def intervals(self) -> int:
        """Number of movements."""
        return len(self.w_rec) - 1

    def every(self, stride: int, stop: int | None = None) -> "Weights":
        """Every `stride`-th record, up to `stop`."""
        return replace_arrays(self, [history[:stop:stride] for history in self.arrays])

    def averaged(self, count: int) -> "Weights":
        """Means of `count` consecutive records: less noise, and for smooth paths an error of second order."""
        kept = len(self.w_rec) // count * count
        return replace_arrays(self, [h[:kept].reshape(-1, count, *h.shape[1:]).mean(axis=1) for h in self.arrays])

    def shaken(self, noise: tuple[float, float, float], random: np.random.Generator) -> "Weights":
        """The same with independent noise of these standard deviations on every entry of every record."""
        pairs = zip(self.arrays, noise, strict=True)
        return replace_arrays(self, [h + size * random.standard_normal(h.shape) for h, size in pairs])


def replace_arrays(weights: Weights, arrays: list[np.ndarray]) -> Weights:
    """The same rates with other histories."""
    w_rec, w_in, w_out = arrays
    return Weights(w_rec, w_in, w_out, weights.rates)


@dataclass(frozen=True)
class Terms:
    """Sums of the terms of the identities over blocks of intervals, one matrix (post, pre) for each block."""

    target: Float[np.ndarray, "block post pre"]
    r"""$\Delta W W^\top + \Delta B B^\top$."""
    read_out: Float[np.ndarray, "block post pre"]
    r"""$A^\top \Delta A$."""
    transposed: Float[np.ndarray, "block post pre"]
    r"""$W^\top \Delta W$."""
    diagonal: Float[np.ndarray, "block post pre"]
    r"""$\mathrm{diag}(W) \Delta W$."""
    moved: Float[np.ndarray, "block post pre"]
    r"""$\Delta W$."""
    moved_out: Float[np.ndarray, "block out pre"]
    r"""$\Delta A$."""
    outside: Float[np.ndarray, "block horizon post pre"]
    r"""BPTT's residual outside the range of $(W^\top)^\tau A^\top$, for the horizons of `HORIZONS`."""
    target_outside: Float[np.ndarray, "block horizon post pre"]
    """The target outside the same range."""

    def combined(self, coarse: "Terms") -> "Terms":
        """The sums whose leading error is gone, from these and those with every second record."""
        return Terms(*((4 * getattr(self, f.name) - getattr(coarse, f.name)) / 3 for f in fields(self)))

    def seen_from(self, right: Float[np.ndarray, "pre pre"]) -> "Terms":
        """All terms times a projector on the right, which takes out what a frozen read-in would have added."""
        return Terms(*(getattr(self, f.name) @ right for f in fields(self)))


def block_terms(weights: Weights, edges: list[int], at: str) -> Terms:
    """Sums over the blocks of intervals between records `edges`, with weights placed as `at` says (see the module)."""
    if at == "combined":
        edges = sorted({2 * (edge // 2) for edge in edges})
        fine, coarse = weights.every(1, edges[-1] + 1), weights.every(2, edges[-1] + 1)
        return block_terms(fine, edges, "middle").combined(block_terms(coarse, [edge // 2 for edge in edges], "middle"))
    moves = [np.diff(history, axis=0) for history in weights.arrays]
    places = [_placed(history[:-1], move, at) for history, move in zip(weights.arrays, moves, strict=True)]
    moves = [move / rate for move, rate in zip(moves, weights.rates, strict=True)]
    cuts = [slice(start, stop) for start, stop in zip(edges[:-1], edges[1:], strict=True)]
    sums = [_sums([move[cut] for move in moves], [place[cut] for place in places]) for cut in cuts]
    return Terms(*(np.stack(column) for column in zip(*sums, strict=True)))


def _placed(before: np.ndarray, move: np.ndarray, at: str) -> np.ndarray:
    """The weights that go with each movement."""
    if at == "start":
        return before
    if at == "middle" or len(move) == 1:
        return before + 0.5 * move
    beside = 0.5 * np.concatenate([move[1:2], 0.5 * (move[:-2] + move[2:]), move[-2:-1]])
    return before + beside


def _sums(moves: list[np.ndarray], places: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    """The terms of one block, in the order of `Terms`."""
    (d_rec, d_in, d_out), (w_rec, w_in, w_out) = moves, places
    target = np.tensordot(d_rec, w_rec, ((0, 2), (0, 2))) + np.tensordot(d_in, w_in, ((0, 2), (0, 2)))
    read_out, transposed = (np.tensordot(a, b, ((0, 1), (0, 1))) for a, b in ((w_out, d_out), (w_rec, d_rec)))
    diagonal = np.einsum("kii,kij->ij", w_rec, d_rec)
    return target, read_out, transposed, diagonal, d_rec.sum(axis=0), d_out.sum(axis=0), *_outside(moves, places)


def _outside(moves: list[np.ndarray], places: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sums of BPTT's residual and of the target with the range of the first neglected term projected out, each step."""
    (d_rec, d_in, d_out), (w_rec, w_in, w_out) = moves, places
    back = np.swapaxes(w_rec, 1, 2)
    target = d_rec @ back + d_in @ np.swapaxes(w_in, 1, 2)
    residual = np.swapaxes(w_out, 1, 2) @ d_out + back @ d_rec - target
    carried, found = np.swapaxes(w_out, 1, 2), []
    for horizon in range(1, max(HORIZONS) + 1):
        carried = back @ carried
        if horizon in HORIZONS:
            basis = np.linalg.qr(carried)[0] if carried.shape[2] else carried
            found.append([np.sum(m - basis @ (np.swapaxes(basis, 1, 2) @ m), axis=0) for m in (residual, target)])
    both = np.array(found)
    return both[:, 0], both[:, 1]
