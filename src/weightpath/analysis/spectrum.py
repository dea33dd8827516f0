"""Eigenvalues of the recurrent weights along learning: the bulk, and the outliers that learning makes."""

import equinox as eqx
import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Bool, Complex, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.factored import FactoredRNN
from weightpath.trajectory import Trajectory

#: Eigenvalues of a matrix that is zero up to rounding can be as large as this (square root of the rounding).
ROUNDING = 1e-7


class Spectrum(eqx.Module):
    """Eigenvalues matched along learning: column i follows one eigenvalue by continuity.

    Networks that are projections of a large one (`projected`) carry its outliers but not its bulk: the disk of radius
    `bulk_radius` stands for that.
    """

    time: Float[np.ndarray, " step"]
    """Learning time."""
    eigenvalues: Complex[np.ndarray, "step eig"]
    """At the last step, outermost first."""
    overlap: Float[np.ndarray, "step eig"]
    """Squared length of the unit right eigenvector's projection on the span of the read-in vectors."""
    outlier: Bool[np.ndarray, "step eig"]
    """Whether the eigenvalue lies outside the disk of the bulk, beyond its fluctuations at this number of units."""
    bulk_radius: float = eqx.field(static=True)
    projected: bool = eqx.field(static=True)

    @property
    def outliers(self) -> Complex[np.ndarray, "step k"]:
        """Paths of the eigenvalues that are outliers at the last step."""
        return self.eigenvalues[:, self.outlier[-1]]

    def to_dataset(self):
        """An `xarray.Dataset` with dims (step, eig); complex numbers as real and imaginary parts."""
        import xarray as xr

        pair = ("step", "eig")
        return xr.Dataset(
            {
                "eigenvalue_re": (pair, np.real(self.eigenvalues)),
                "eigenvalue_im": (pair, np.imag(self.eigenvalues)),
                "overlap": (pair, self.overlap),
                "outlier": (pair, self.outlier),
            },
            {"learning_time": ("step", self.time)},
            {"bulk_radius": self.bulk_radius, "projected": int(self.projected)},
        )


def spectrum(learned: Trajectory | AbstractNetwork, *, bulk_radius: float | None = None) -> Spectrum:
    r"""Eigenvalues of `w_rec` along a trajectory or of one network, their outliers and overlaps with the read-in.

    Eigenvalues of successive steps are assigned to each other by least total distance from where their paths point, so
    that crossing paths keep their identity; of a conjugate pair that forms from two real eigenvalues the one with the
    larger real part before gets the positive imaginary part.

    Arguments: `bulk_radius`: radius of the disk that the initial eigenvalues fill (the gain of Gaussian weights). Left
    out, it is the projection's own for a projected trajectory, and otherwise estimated from the first network as
    $\sqrt{(\|W\|_F^2 - \sum_{outliers}|\lambda|^2)/N}$, right for independent entries beside a few outliers.
    An eigenvalue is an outlier beyond $(1 + 3/\sqrt{N})$ of that radius, which leaves room for the fluctuations of the
    edge at N units. Networks of low rank, as a fit to a recording gives them, have no bulk: only their `rank` nonzero
    eigenvalues are worked out, from a rank x rank matrix, and the radius is zero. The convention is that of the
    network class: a continuous-time pole decays at rate $1 - \lambda$, a discrete-time one multiplies by $\lambda$.

    **Raises:** ValueError in 32-bit mode, for a negative radius or weights that are not finite.
    Source: Bordelon et al. 2025 (arXiv 2503.18754), learning as an outlier leaving the bulk.
    """
    require_x64("analysis.spectrum")
    if bulk_radius is not None and not bulk_radius >= 0:
        raise ValueError(f"bulk_radius must not be negative; got {bulk_radius}.")
    lift = learned.lift if isinstance(learned, Trajectory) else None
    time, values, overlap = _decompose(learned)
    order = match(values, time)
    values, overlap = np.take_along_axis(values, order, 1), np.take_along_axis(overlap, order, 1)
    units = values.shape[1] if lift is None else lift.basis.shape[0]
    if bulk_radius is None:
        bulk_radius = float(lift.bulk_radius) if lift is not None else _estimated_radius(learned, values[0])
    edge = max(bulk_radius * (1 + 3 / np.sqrt(units)), ROUNDING)
    return Spectrum(time, values, overlap, np.abs(values) > edge, float(bulk_radius), lift is not None)


def match(values: Complex[np.ndarray, "step eig"], time: Float[np.ndarray, " step"]) -> np.ndarray:
    """Order (step, eig) that makes each column of `values` one continuous path; outermost first at the last step."""
    from scipy.optimize import linear_sum_assignment

    steps, count = values.shape
    order = np.tile(np.arange(count), (steps, 1))
    order[0] = _outermost_first(values[0])
    here, slope = values[0, order[0]], np.zeros(count, complex)
    for step in range(1, steps):
        gap = time[step] - time[step - 1]
        cost = np.abs((here + slope * gap)[:, None] - values[step][None, :])
        order[step] = linear_sum_assignment(cost)[1]
        there = values[step, order[step]]
        order[step] = order[step][_upper_first(here, there)]
        there = values[step, order[step]]
        slope = (there - here) / gap if gap > 0 else np.zeros(count, complex)
        here = there
    return order[:, _outermost_first(values[-1, order[-1]])]


def _upper_first(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Permutation that gives the upper half plane to the first of two real paths that become a conjugate pair."""
    permutation = np.arange(after.size)
    scale = 1e-9 * (1 + np.abs(after).max())
    fresh = [i for i in np.nonzero(np.abs(np.imag(after)) > scale)[0] if abs(before[i].imag) <= scale]
    for i in fresh:
        partner = next((j for j in fresh if j != i and abs(after[j] - after[i].conj()) <= scale), None)
        if partner is None or partner < i:
            continue
        first, second = sorted((i, partner), key=lambda k: -before[k].real)
        if after[first].imag < 0:
            permutation[[first, second]] = permutation[[second, first]]
    return permutation


def _outermost_first(values: np.ndarray) -> np.ndarray:
    # Rounding makes the moduli of a conjugate pair differ by a bit; the upper one comes first all the same.
    modulus = np.round(np.abs(values), 12)
    return np.lexsort((-np.imag(values), -np.real(values), -modulus))


def _decompose(learned) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times, eigenvalues (step, eig) and overlaps (step, eig)."""
    if not isinstance(learned, Trajectory):
        values, overlap = _eigen_of(learned)
        return np.zeros(1), values[None], overlap[None]
    rows = [_eigen_of(learned.network(step)) for step in range(len(learned))]
    values, overlap = (np.stack(parts) for parts in zip(*rows, strict=True))
    return np.asarray(learned.time, dtype=float), values, overlap


def _eigen_of(network: AbstractNetwork) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(network, FactoredRNN):
        return _eigen(np.asarray(network.w_rec), np.asarray(getattr(network, "w_in", np.zeros((0, 0)))))
    post, mixing, pre = (
        np.asarray(array, dtype=float) for array in (network.post_factor, network.mixing, network.pre_factor)
    )
    # The eigenvectors lie in the span of the read-in vectors, which are the columns of the same factor.
    values = _eigen(mixing @ (pre.T @ post), np.zeros((0, 0)))[0]
    return values, np.ones(values.size)


def _eigen(w_rec: np.ndarray, w_in: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not np.all(np.isfinite(w_rec)):
        raise ValueError("w_rec holds NaN or infinite entries; drop those steps or repair them.")
    values, vectors = np.linalg.eig(w_rec.astype(float))
    if w_in.size == 0 or not np.any(w_in):
        return values.astype(complex), np.zeros(values.size)
    basis = np.linalg.svd(w_in, full_matrices=False)
    span = basis.U[:, basis.S > 1e-12 * basis.S[0]]
    return values.astype(complex), np.sum(np.abs(span.T @ vectors) ** 2, axis=0)


def _estimated_radius(learned, values: np.ndarray) -> float:
    """Radius of the bulk from the Frobenius norm, once what lies clearly outside is taken away."""
    first = learned.network(0) if isinstance(learned, Trajectory) else learned
    if isinstance(first, FactoredRNN):
        return 0.0
    w_rec = first.w_rec
    power, units = float(np.sum(np.asarray(w_rec) ** 2)), values.size
    outside = np.zeros(units, bool)
    for _ in range(20):
        radius = np.sqrt(max(power - np.sum(np.abs(values[outside]) ** 2), 0.0) / units)
        again = np.abs(values) > max(radius * (1 + 3 / np.sqrt(units)), ROUNDING)
        if np.array_equal(again, outside):
            break
        outside = again
    return float(radius)
