"""How far a line of recurrent weights stays in the stable region: the first crossing of its border, to both sides."""

import equinox as eqx
import numpy as np

from weightpath._precision import require_x64
from weightpath._results import RESULTS, outcome_name
from weightpath._types import Float, Numeric
from weightpath.analysis.directions import linear_pencil
from weightpath.analysis.poles import real_eigenvalues
from weightpath.networks.base import AbstractNetwork

#: Up to this many units every crossing of the border is an eigenvalue of a pencil of size N (N - 1)/2 and is computed.
EXACT = 24
#: Least number of steps per circular-law radius where the line is searched instead.
POINTS = 40
#: The search ends at this many of those radii.
FURTHEST = 8


class StabilityRadius(eqx.Module):
    r"""Where stability is first lost along $W + tD$.

    `result` is `unstable_recurrence` if the network itself is not stable (both ends are then 0), and `max_steps` if a
    search ended before the border: the end is then the furthest point that was looked at.
    """

    backward: float
    """Largest t < 0 at which an eigenvalue reaches the border; minus infinity if none ever does."""
    forward: float
    """Smallest t > 0 at which one does; infinity if none ever does."""
    frequency: Float[np.ndarray, "2"]
    """Imaginary part (flow) or angle (map) of the eigenvalue that crosses, backward and forward; 0 at a pole."""
    circular_law: float
    """Where it is expected for large random weights; NaN if already the network lies beyond."""
    exact: bool = eqx.field(static=True)
    """True: all crossings were computed; False: searched on a grid, where a brief loss of stability can be missed."""
    dynamics: str = eqx.field(static=True)
    result: RESULTS

    def to_dataset(self):
        """An `xarray.Dataset` with dim side (backward, forward)."""
        import xarray as xr

        data = {"radius": ("side", [self.backward, self.forward]), "frequency": ("side", self.frequency)}
        attrs = {"circular_law": self.circular_law, "dynamics": self.dynamics, "exact": int(self.exact)}
        return xr.Dataset(data, {"side": ["backward", "forward"]}, attrs | {"result": outcome_name(self.result)})


def stability_radius(
    network: AbstractNetwork, direction: Numeric | AbstractNetwork, *, dynamics: str = "flow"
) -> StabilityRadius:
    r"""Largest t, to both sides, up to which a linear network $W + tD$ is stable.

    "flow": largest real part of the eigenvalues below 1. "map": largest modulus below 1. An eigenvalue reaches the
    border either alone, at 1 (a pole) or -1 (a map's), or as a conjugate pair. Sums (flow, of $W - I$) or products
    (map) of two eigenvalues are the eigenvalues of the matrix on the exterior square, so that a pair on the border is
    a real eigenvalue $t$ of a pencil of size N(N-1)/2: up to 24 units all are computed and the first one is the answer,
    derived here. Larger networks are searched in at least 40 steps per `circular_law`, shorter ones near the border,
    and the end is located to rounding; a pole is never missed, since all are computed.

    **Raises:** ValueError for a nonlinear network, a direction that does not fit, another word for `dynamics`, in
    32-bit mode.
    """
    require_x64("analysis.stability_radius")
    if dynamics not in ("flow", "map"):
        raise ValueError(f'dynamics must be "flow" or "map"; got {dynamics!r}.')
    w_rec, change = linear_pencil(network, direction, "analysis.stability_radius")
    exact, estimate = w_rec.shape[0] <= EXACT, circular_law(w_rec, change)
    if border(w_rec, dynamics) >= 1:
        return StabilityRadius(0.0, 0.0, np.zeros(2), estimate, exact, dynamics, RESULTS.unstable_recurrence)
    if exact:
        crossings = _crossings(w_rec, change, dynamics)
        ends = (np.max(crossings[crossings < 0], initial=-np.inf), np.min(crossings[crossings > 0], initial=np.inf))
        reached = True
    else:
        searched = [_search(w_rec, sign * change, dynamics, estimate) for sign in (-1, 1)]
        ends, reached = (-searched[0][0], searched[1][0]), searched[0][1] and searched[1][1]
    frequency = np.array([_frequency(w_rec + t * change, dynamics) if np.isfinite(t) else 0.0 for t in ends])
    result = RESULTS.successful if reached else RESULTS.max_steps
    return StabilityRadius(float(ends[0]), float(ends[1]), frequency, estimate, exact, dynamics, result)


def circular_law(w_rec: Float[np.ndarray, "post pre"], change: Float[np.ndarray, "post pre"]) -> float:
    r"""Where random weights $W + tD$ are expected to lose stability, $t_c = \sqrt{1 - s^2}/d$.

    Independent entries of variance $(s^2 + t^2 d^2)/N$ fill a disk of radius $\sqrt{s^2 + t^2 d^2}$; s and d are taken
    from the Frobenius norms over $\sqrt N$. NaN for s >= 1. Source: Zhu and Rosenbaum 2024 (arXiv 2307.06732), who
    write it $\sqrt{1 - s^2}/(s p)$ with $p = d/s$.
    """
    s, d = (np.linalg.norm(matrix) / np.sqrt(w_rec.shape[0]) for matrix in (w_rec, change))
    return float(np.sqrt(1 - s**2) / d) if s < 1 else float("nan")


def border(w_rec: Float[np.ndarray, "post pre"], dynamics: str) -> float:
    """Spectral abscissa (flow) or radius (map) of the weights: stable below 1."""
    values = np.linalg.eigvals(w_rec)
    return float(np.max(values.real if dynamics == "flow" else np.abs(values)))


def _crossings(w_rec: np.ndarray, change: np.ndarray, dynamics: str) -> np.ndarray:
    """Every t at which one eigenvalue or a pair can lie on the border; before the first the network is stable."""
    unit = np.eye(w_rec.shape[0])
    alone = real_eigenvalues(unit - w_rec, change)
    if dynamics == "flow":
        # Sums of two eigenvalues of W - I + tD vanish: (W - I) ^ I + t D ^ I is singular.
        pairs = real_eigenvalues(-_wedge(w_rec - unit, unit), _wedge(change, unit))
        return np.concatenate([alone, pairs])
    # Products of two are 1: C(W) - 1 + 2 t (W ^ D) + t^2 C(D) is singular, made linear in (x, t x).
    constant, linear, square = _wedge(w_rec, w_rec), 2 * _wedge(w_rec, change), _wedge(change, change)
    one = np.eye(constant.shape[0])
    a = np.block([[np.zeros_like(one), one], [one - constant, -linear]])
    b = np.block([[one, np.zeros_like(one)], [np.zeros_like(one), square]])
    return np.concatenate([alone, real_eigenvalues(-unit - w_rec, change), real_eigenvalues(a, b)])


def _wedge(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    r"""$(X \wedge Y)(u \wedge v) = \tfrac12 (Xu \wedge Yv + Yu \wedge Xv)$ on the basis $e_i \wedge e_j$, i < j."""
    i, j = np.triu_indices(first.shape[0], 1)

    def minors(x, y):
        return x[np.ix_(i, i)] * y[np.ix_(j, j)] - x[np.ix_(j, i)] * y[np.ix_(i, j)]

    return 0.5 * (minors(first, second) + minors(second, first))


def _search(w_rec: np.ndarray, change: np.ndarray, dynamics: str, estimate: float) -> tuple[float, bool]:
    """First t > 0 on the border, by steps that shrink as it comes near; False if none was reached."""
    from scipy.optimize import brentq

    def beyond(t):
        return border(w_rec + t * change, dynamics) - 1

    scale = np.sqrt(w_rec.shape[0]) / np.linalg.norm(change)
    length = estimate if np.isfinite(estimate) and estimate > 0.1 * scale else scale
    alone = real_eigenvalues(np.eye(w_rec.shape[0]) - w_rec, change)
    pole = float(np.min(alone[alone > 0], initial=np.inf))
    step, t, height = length / POINTS, 0.0, beyond(0.0)
    speed = 1 / length
    while t < FURTHEST * length:
        ahead = t + float(np.clip(-0.5 * height / speed, step / 20, step))
        further = beyond(ahead)
        if further >= 0:
            end = float(brentq(beyond, t, ahead, xtol=1e-15, rtol=1e-14))  # pyright: ignore[reportArgumentType]
            return min(end, pole), True
        speed = max((further - height) / (ahead - t), 1 / length)
        t, height = ahead, further
    return min(t, pole), pole <= t


def _frequency(w_rec: np.ndarray, dynamics: str) -> float:
    """Of the eigenvalue on the border: its imaginary part, or its angle."""
    values = np.linalg.eigvals(w_rec)
    if dynamics == "flow":
        return float(np.abs(values[np.argmax(values.real)].imag))
    return float(np.abs(np.angle(values[np.argmax(np.abs(values))])))
