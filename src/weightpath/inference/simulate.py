r"""`wp.simulate_recording`: recordings of a network whose weights move, by a known course, over trials.

With the default options this is the generator of the reference cases; its random numbers are drawn in a fixed order
(directions a, directions b, conditions, initial states, noise), so that scores repeat between implementations. What the
further options draw comes from a second stream and leaves the first as it is.
"""

import numpy as np

from weightpath._types import Float, Int
from weightpath.inference.recording import Recording
from weightpath.inference.truth import Truth
from weightpath.networks.kernels import RationalQuadratic

#: Bin width in time constants, and Runge-Kutta steps per bin.
BIN, SUBSTEPS = 0.1, 4
#: Factors with a course of their own.
COURSES = 4
#: Names of the phases and the shares of the session at which they begin.
PHASES = {"baseline": 0.0, "perturbation": 0.3, "washout": 0.7}


def simulate_recording(
    *,
    rank: int = 2,
    trials: int = 60,
    neurons: int = 40,
    bins: int = 40,
    conditions: int = 4,
    units: int | None = None,
    noise: float | int | None = None,
    rate: float | int | None = None,
    bin_width: float | int | None = None,
    modulation: float | int = 0.5,
    change: float | int = 1.0,
    factors=None,
    epochs: bool = False,
    drift: float | int = 0.0,
    seed: int = 0,
) -> tuple[Recording, Truth]:
    r"""A simulated recording with planted learning, and the truth behind it.

    $\tau\dot x = -x + W^{(k)}\tanh(x)$ with $W^{(k)} = A\,\mathrm{diag}(c^{(k)})B^\top$ and
    $\tau$ of ten bins, from an initial state of each condition. The first factor falls from 30% of the session on and
    recovers after 70% of it, as in learning and washout; the others move slowly throughout.

    Arguments: `rank`: terms of the weights; `trials`, `neurons`, `bins`, `conditions`: size; `units`: model units,
    mixed into neurons by a random decoder (default: unit i is neuron i); `noise`: standard deviation of Gaussian noise
    over that of the activity without noise (default 0.1); `rate`: mean firing rate [Hz], for Poisson spike counts in
    bins of `bin_width` [s] in place of noise, with expected counts softplus(d + `modulation` * activity / its sd);
    `change`: size of the change of the factors over trials (1: the reference cases; 0: no learning); `factors` (trial,
    rank): a course of one's own; `epochs`: label baseline, perturbation and washout; `drift`: standard deviation, over
    that of the activity, of slow offsets of the neurons that have nothing to do with learning; `seed`.

    Returns the `Recording` and the `Truth` (factors, states, network of every trial, activity without noise).

    **Raises:** ValueError for a size, number or course outside its range.
    Source: reference cases of this library; the model is that of Pellegrino et al. 2023 (arXiv 2308.11567).
    """
    size = dict(rank=rank, trials=trials, neurons=neurons, bins=bins, conditions=conditions)
    _check_size(size, units, seed)
    _check_numbers(noise, rate, bin_width, modulation, change, drift)
    c = _course(factors, trials, rank, change)
    count = neurons if units is None else units
    rng = np.random.default_rng(seed)
    further = np.random.default_rng([seed, 1])  # draws of options, which must not move those of the reference cases
    a, b = directions(rng, count, rank)
    condition = rng.permutation(trials) % conditions
    start = initial_states(rng, conditions, rank, count)
    z = states(a, b, c, start[condition], bins)
    activity = np.tanh(z @ a.T)  # (time, trial, unit)
    w_out = None if units is None else further.standard_normal((neurons, units)) / np.sqrt(units)
    activity = activity if w_out is None else activity @ w_out.T
    scale = activity.std()
    moved = None if drift == 0 else drift * scale * _slow(further, trials, neurons)
    expected = activity if moved is None else activity + moved
    gain, bias, link = 1.0, 0.0, "identity"
    if rate is None or bin_width is None:
        deviation = (0.1 if noise is None else noise) * scale
        data, clean = expected + deviation * rng.standard_normal(expected.shape), expected
    else:
        gain, link = modulation / float(scale), "softplus"
        bias = offset_of_mean(gain * expected, rate * bin_width)
        clean = np.logaddexp(0, bias + gain * expected)
        data = rng.poisson(clean).astype(float)
    order = (1, 0, 2)
    recording = Recording(
        np.ascontiguousarray(data.transpose(order)), condition=condition,
        epoch=_phase_names(trials) if epochs else None,
        time=None if bin_width is None else bin_width * np.arange(bins), name="simulated",
        counts=None if rate is None else True,
    )  # fmt: skip
    truth = Truth(
        a=a, b=b, c=c, start=start, condition=condition, z=z.transpose(order), w_out=w_out, drift=moved,
        clean=clean.transpose(order), gain=gain, bias=bias, link=link, time_constant=1 / BIN, substeps=SUBSTEPS,
    )  # fmt: skip
    return recording, truth


def directions(
    rng: np.random.Generator, units: int, rank: int
) -> tuple[Float[np.ndarray, "post rank"], Float[np.ndarray, "pre rank"]]:
    r"""Orthonormal a, and b = normalised columns of $A J^\top + 0.3 P$, with P orthogonal to A and J a rotation."""
    a = np.linalg.qr(rng.standard_normal((units, rank)))[0]
    p = rng.standard_normal((units, rank))
    p -= a @ (a.T @ p)
    p /= np.linalg.norm(p, axis=0)
    b = a @ rotation(rank).T + 0.3 * p
    return a, b / np.linalg.norm(b, axis=0)


def rotation(rank: int) -> Float[np.ndarray, "rank rank"]:
    """J: one for rank 1, else 0.8 on the diagonal, -0.75 above and 0.75 below it, so that the network turns."""
    if rank == 1:
        return np.ones((1, 1))
    ones = np.ones((rank, rank))
    return 0.8 * np.eye(rank) - 0.75 * np.triu(ones, 1) + 0.75 * np.tril(ones, -1)


def trial_factors(trials: int, rank: int, change: float | int = 1.0) -> Float[np.ndarray, "trial rank"]:
    r"""Courses of up to four factors; the first is $1.9 - 0.8\,s$ with s learnt at 30% and undone from 70%."""
    k = np.arange(trials)
    learning = np.where(k < 0.3 * trials, 0.0, 1 - np.exp(-(k - 0.3 * trials) / (0.1 * trials)))
    last = learning[k < 0.7 * trials][-1]
    washout = last * np.exp(-(k - 0.7 * trials + 1) / (0.08 * trials))
    s = np.where(k < 0.7 * trials, learning, washout)
    four = [
        1.9 - change * 0.8 * s,
        1.2 + change * 0.9 * np.sin(np.pi * k / trials) ** 2,
        1.3 + change * 0.5 * np.cos(2 * np.pi * k / trials),
        1.5 + change * 0.5 * np.sin(3 * np.pi * k / trials),
    ]
    return np.stack(four[:rank], axis=1)


def initial_states(
    rng: np.random.Generator, conditions: int, rank: int, units: int
) -> Float[np.ndarray, "condition rank"]:
    """One initial state a condition; from rank 2 the first two coordinates lie on a circle."""
    start = rng.standard_normal((conditions, rank))
    if rank >= 2:
        angle = 2 * np.pi * np.arange(conditions) / conditions + 0.3
        start[:, 0], start[:, 1] = np.cos(angle), np.sin(angle)
    return start * (0.8 * np.sqrt(units))


def states(
    a: Float[np.ndarray, "post rank"],
    b: Float[np.ndarray, "pre rank"],
    c: Float[np.ndarray, "trial rank"],
    start: Float[np.ndarray, "trial rank"],
    bins: int,
    substeps: int = SUBSTEPS,
) -> Float[np.ndarray, "time trial rank"]:
    r"""$\dot z = -z + c \odot B^\top\tanh(A z)$ of all trials in NumPy's float64; the first bin is at the start."""

    def flow(z):
        return -z + c * (np.tanh(z @ a.T) @ b)

    h, z, visited = BIN / substeps, start.copy(), [start]
    for _ in range(bins - 1):
        for _ in range(substeps):
            k1 = flow(z)
            k2 = flow(z + h / 2 * k1)
            k3 = flow(z + h / 2 * k2)
            k4 = flow(z + h * k3)
            z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        visited.append(z)
    return np.stack(visited)


def offset_of_mean(activity: np.ndarray, mean: float) -> float:
    """The one d with which softplus(d + `activity`) has the mean count `mean`."""
    from scipy.optimize import brentq

    def excess(d: float) -> float:
        return float(np.mean(np.logaddexp(0, d + activity)) - mean)

    # softplus(x) lies between max(x, 0) and exp(x): both ends have the sign that the search needs.
    reach = float(np.abs(activity).max())
    low, high = np.log(mean) - reach - 1, mean + reach + 1
    return float(brentq(excess, low, high, xtol=1e-13))  # pyright: ignore[reportArgumentType]


def _slow(rng: np.random.Generator, trials: int, neurons: int) -> Float[np.ndarray, "trial neuron"]:
    """Independent smooth courses of unit variance, over a fifth of the session."""
    trial = np.arange(trials, dtype=float)
    kernel = RationalQuadratic(length=max(1.0, trials / 5), sd=1.0, noise_sd=1e-4, by_epoch=False)
    one = np.zeros(trials, dtype=int)
    covariance = kernel.smooth(trial, trial, one, one) + kernel.noise_sd**2 * np.eye(trials)
    return np.linalg.cholesky(covariance) @ rng.standard_normal((trials, neurons))


def _phase_names(trials: int) -> np.ndarray:
    names, begins = np.array(list(PHASES)), np.array(list(PHASES.values()))
    index: Int[np.ndarray, " trial"] = (np.arange(trials)[:, None] >= begins * trials).sum(axis=1) - 1
    return names[index]


def _course(factors, trials: int, rank: int, change: float) -> np.ndarray:
    if factors is None:
        if rank > COURSES:
            raise ValueError(f"rank {rank} has no built-in course of its factors (at most {COURSES}); give factors=.")
        return trial_factors(trials, rank, change)
    c = np.asarray(factors, dtype=float)
    if c.shape != (trials, rank) or not np.isfinite(c).all():
        raise ValueError(f"factors must be finite numbers (trial, rank) = ({trials}, {rank}); got shape {c.shape}.")
    if change != 1:
        raise ValueError("change scales the built-in course; leave it out where factors= gives the course.")
    return c


def _check_size(size: dict[str, int], units: int | None, seed: int) -> None:
    least = dict(rank=1, trials=2, neurons=1, bins=2, conditions=1, units=1, seed=0)
    for name, value in {**size, "units": 1 if units is None else units, "seed": seed}.items():
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least[name]:
            raise ValueError(f"{name} must be a whole number, at least {least[name]}; got {value!r}.")
    if size["conditions"] > size["trials"]:
        raise ValueError(f"{size['conditions']} conditions need at least as many trials; got {size['trials']}.")
    count, name = (size["neurons"], "neurons") if units is None else (units, "units")
    if count <= size["rank"]:
        raise ValueError(f"rank {size['rank']} needs more than {size['rank']} {name} to have directions; got {count}.")


def _check_numbers(noise, rate, bin_width, modulation, change, drift) -> None:
    if rate is not None and noise is not None:
        raise ValueError("give noise= for Gaussian noise or rate= for spike counts, not both.")
    if rate is not None and bin_width is None:
        raise ValueError("rate= in Hz needs bin_width= in seconds.")
    for name, value in dict(rate=rate, bin_width=bin_width, modulation=modulation).items():
        if value is not None and not (_is_number(value) and value > 0):
            raise ValueError(f"{name} must be positive and finite; got {value!r}.")
    for name, value in dict(noise=0.0 if noise is None else noise, drift=drift).items():
        if not (_is_number(value) and value >= 0):
            raise ValueError(f"{name} must be finite and not negative; got {value!r}.")
    if not _is_number(change):
        raise ValueError(f"change must be a finite number; got {change!r}.")


def _is_number(value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and bool(np.isfinite(value))
