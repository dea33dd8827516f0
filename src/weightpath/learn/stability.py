"""Is there a stationary state? Spectral abscissa or radius of a linear network, and what to say when there is none."""

import numpy as np

from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import LinearRNN
from weightpath.tasks.teacher import TeacherTarget

#: Above this many units a cheap certificate of stability is tried before all eigenvalues are computed.
CERTIFY = 256
#: Distance from the edge of stability at which the stationary state counts as lost.
MARGIN = 1e-12


def spectral_bound(network: AbstractNetwork) -> tuple[str, float]:
    """("abscissa", max Re) of a continuous-time network, ("radius", max modulus) of a discrete-time one.

    The network has a stationary state if the value is below 1.
    """
    eigenvalues = np.linalg.eigvals(np.asarray(network.w_rec))
    if isinstance(network, LinearRNN):
        return "radius", float(np.max(np.abs(eigenvalues)))
    return "abscissa", float(np.max(eigenvalues.real))


def is_stable(network: AbstractNetwork) -> bool:
    """Whether a linear network has a stationary state, with a margin of 1e-12."""
    w_rec = np.asarray(network.w_rec)
    if w_rec.shape[0] > CERTIFY and _certified(w_rec, isinstance(network, LinearRNN)):
        return True
    return spectral_bound(network)[1] < 1 - MARGIN


def unstable_message(network: AbstractNetwork, target=None) -> str:
    """What to tell a user whose network has no stationary state on a task with this population target."""
    name, value = spectral_bound(network)
    remedy = "give the task noise=WhiteNoise(duration, dt, trials) and use wp.train."
    if isinstance(target, TeacherTarget):
        remedy = "give TeacherRNN a horizon (time steps of a trial)."
    return (
        f"initial network is unstable: spectral {name} {value:.6g} >= 1; the stationary loss is infinite. Reduce the "
        f"gain (< 1), or train on trials of finite duration: {remedy}"
    )


def _certified(w_rec: np.ndarray, discrete: bool) -> bool:
    """Whether a norm that Lanczos iterations find quickly already proves stability (sufficient, not necessary)."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

    def product(vector):
        return w_rec.T @ (w_rec @ vector) if discrete else 0.5 * (w_rec @ vector + vector @ w_rec)

    operator = LinearOperator(w_rec.shape, matvec=product, dtype=w_rec.dtype)  # pyright: ignore[reportCallIssue]
    start = np.random.default_rng(0).standard_normal(w_rec.shape[0])
    try:
        largest = eigsh(
            operator,
            k=1,
            which="LA",
            tol=1e-2,  # pyright: ignore[reportArgumentType]
            v0=start,
            return_eigenvectors=False,
        )
    except ArpackError:
        return False
    # Lanczos converges from below; the gap to 1 is far wider than its tolerance.
    return bool(largest[0] < 0.95)
