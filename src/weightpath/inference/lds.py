r"""A linear dynamical system of the activity, the same on all trials: Kalman smoother and EM with missing entries.

$z_0 \sim N(\mu_c, V)$, $z_{t+1} = A z_t + b_{c,t} + N(0, Q)$, $y_t = C z_t + d + N(0, \mathrm{diag}\,r)$, with an
initial mean and a table of inputs for each condition c, like those of the recurrent networks it stands beside. Nothing
learns: what changes over trials it can only follow within a trial, through the entries it sees.
"""

from dataclasses import dataclass, replace

import numpy as np

from weightpath._types import Bool, Float, Int

#: Gain of the log-likelihood per observed entry below which EM has settled.
SETTLED = 1e-5
#: Smallest variance of the noise, relative to the variance of the data.
LEAST_NOISE = 1e-6


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """The arrays of a linear dynamical system."""

    transition: Float[np.ndarray, "state state"]
    process: Float[np.ndarray, "state state"]
    readout: Float[np.ndarray, "neuron state"]
    offset: Float[np.ndarray, " neuron"]
    noise: Float[np.ndarray, " neuron"]
    start: Float[np.ndarray, "condition state"]
    spread: Float[np.ndarray, "state state"]
    drive: Float[np.ndarray, "condition step state"]
    """Inputs b between the bins."""


@dataclass(frozen=True, eq=False)
class Smoothed:
    """States given all seen entries of their trial; covariances once for each pattern of seen entries."""

    mean: Float[np.ndarray, "trial time state"]
    covariance: Float[np.ndarray, "pattern time state state"]
    following: Float[np.ndarray, "pattern step state state"]
    """Covariance of the state of the next bin (rows) with that of this bin."""
    pattern: Int[np.ndarray, " trial"]
    log_likelihood: float


def smooth(
    system: LinearSystem,
    values: Float[np.ndarray, "trial time neuron"],
    seen: Bool[np.ndarray, "trial time neuron"],
    condition: Int[np.ndarray, " trial"],
) -> Smoothed:
    """Kalman filter and Rauch-Tung-Striebel smoother; a trial without any seen entry keeps its prior."""
    patterns, index = np.unique(seen.reshape(len(seen), -1), axis=0, return_inverse=True)
    index, patterns = index.reshape(-1), patterns.reshape(-1, *seen.shape[1:])
    weighted = system.readout / system.noise[:, None]
    products = (weighted[:, :, None] * system.readout[:, None]).reshape(len(weighted), -1)
    bins, size = seen.shape[1], len(system.transition)
    ahead, filtered, means, predicted = [], [], [], []
    covariance = np.broadcast_to(system.spread, (len(patterns), size, size))
    mean, total = system.start[condition], 0.0
    for t in range(bins):
        ahead.append(covariance)
        predicted.append(mean)
        information = (patterns[:, t].astype(float) @ products).reshape(-1, size, size)
        updated = np.linalg.inv(np.linalg.inv(covariance) + information)
        left = np.where(seen[:, t], values[:, t] - mean @ system.readout.T - system.offset, 0.0)
        pull = left @ weighted
        shift = np.einsum("kab,kb->ka", updated[index], pull)
        lost = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(updated)[1]
        total -= 0.5 * (lost[index].sum() + (seen[:, t] @ np.log(2 * np.pi * system.noise)).sum())
        total -= 0.5 * ((left**2 / system.noise).sum() - (pull * shift).sum())
        filtered.append(updated)
        means.append(mean + shift)
        mean = means[-1] @ system.transition.T + (system.drive[condition, t] if t < bins - 1 else 0.0)
        covariance = system.transition @ updated @ system.transition.T + system.process
    smoothed, spread, following = [means[-1]], [filtered[-1]], []
    for t in range(bins - 2, -1, -1):
        gain = filtered[t] @ system.transition.T @ np.linalg.inv(ahead[t + 1])
        following.append(spread[-1] @ gain.transpose(0, 2, 1))
        smoothed.append(means[t] + np.einsum("kab,kb->ka", gain[index], smoothed[-1] - predicted[t + 1]))
        spread.append(filtered[t] + gain @ (spread[-1] - ahead[t + 1]) @ gain.transpose(0, 2, 1))
    after = np.stack(following[::-1], 1) if following else np.zeros((len(patterns), 0, size, size))
    return Smoothed(np.stack(smoothed[::-1], 1), np.stack(spread[::-1], 1), after, index, float(total))


def predicted_values(system: LinearSystem, states: Smoothed) -> Float[np.ndarray, "trial time neuron"]:
    """Expected activity."""
    return states.mean @ system.readout.T + system.offset


def fit_system(
    values: Float[np.ndarray, "trial time neuron"],
    seen: Bool[np.ndarray, "trial time neuron"],
    condition: Int[np.ndarray, " trial"],
    *,
    size: int,
    conditions: int,
    iterations: int = 100,
) -> tuple[LinearSystem, list[float], bool]:
    """A system of `size` states by expectation maximisation; its log-likelihoods, and whether they settled.

    Starts at the principal components of the activity, missing entries at the mean over trials.
    """
    used = seen.any((1, 2))
    values, seen, condition = values[used], seen[used], condition[used]
    floor = LEAST_NOISE * max(float(values[seen].var()), 1e-12)
    system = _beginning(values, seen, condition, size, conditions, floor)
    course: list[float] = []
    for _ in range(iterations):
        states = smooth(system, values, seen, condition)
        course.append(states.log_likelihood)
        if len(course) > 1 and course[-1] - course[-2] < SETTLED * seen.sum():
            return system, course, True
        system = _maximised(system, states, values, seen, condition, floor)
    return system, course, False


def _maximised(system, states: Smoothed, values, seen, condition, floor: float) -> LinearSystem:
    """The system of the largest expected log-likelihood given the states (M step)."""
    mean, index = states.mean, states.pattern
    trials, bins, size = mean.shape
    second = states.covariance[index] + mean[..., :, None] * mean[..., None, :]
    codes = (np.arange(len(system.start))[:, None] == condition).astype(float)
    count = np.maximum(codes.sum(1), 1)
    if bins > 1:
        system = replace(system, **_dynamics(states, second, codes, count))
    start = np.where(codes.any(1, keepdims=True), codes @ mean[:, 0] / count[:, None], mean[:, 0].mean(0))
    away = mean[:, 0] - start[condition]
    spread = _symmetric(states.covariance[index][:, 0].mean(0) + away.T @ away / trials)
    return replace(system, start=start, spread=spread, **_observation(states, values, seen, second, floor))


def _dynamics(states: Smoothed, second, codes: np.ndarray, count: np.ndarray) -> dict[str, np.ndarray]:
    """Transition, inputs and noise by regression of each state on the one before, with a mean per condition and bin.

    A condition without trials has the mean input over conditions.
    """
    mean, index = states.mean, states.pattern
    trials, bins, size = mean.shape
    average = (codes @ mean.reshape(trials, -1) / count[:, None]).reshape(-1, bins, size)
    # Sums of products around the means of the condition.
    weighted = average * count[:, None, None]
    now = second[:, :-1].sum((0, 1)) - np.einsum("cta,ctb->ab", weighted[:, :-1], average[:, :-1])
    after = second[:, 1:].sum((0, 1)) - np.einsum("cta,ctb->ab", weighted[:, 1:], average[:, 1:])
    both = states.following[index].sum((0, 1)) + np.einsum("kta,ktb->ab", mean[:, 1:], mean[:, :-1])
    both -= np.einsum("cta,ctb->ab", weighted[:, 1:], average[:, :-1])
    transition = np.linalg.solve(now, both.T).T
    drive = average[:, 1:] - average[:, :-1] @ transition.T
    present = codes.any(1)
    drive[~present] = drive[present].mean(0)
    process = _symmetric((after - transition @ both.T) / (trials * (bins - 1)))
    return dict(transition=transition, process=process, drive=drive)


def _observation(states: Smoothed, values, seen, second, floor: float) -> dict[str, np.ndarray]:
    """Read-out, offset and noise of every neuron by regression on the states; zero where it was never seen."""
    size = states.mean.shape[2]
    weight = seen.reshape(-1, seen.shape[2]).astype(float)
    mean, data = states.mean.reshape(-1, size), np.where(seen, values, 0.0).reshape(len(weight), -1)
    gram = np.zeros((weight.shape[1], size + 1, size + 1))
    gram[:, :size, :size] = (weight.T @ second.reshape(len(weight), -1)).reshape(-1, size, size)
    gram[:, :size, size] = gram[:, size, :size] = weight.T @ mean
    count = gram[:, size, size] = weight.sum(0)
    moment = np.concatenate([data.T @ mean, data.sum(0)[:, None]], axis=1)
    gram[count == 0] = np.eye(size + 1)
    solution = np.linalg.solve(gram, moment[..., None])[..., 0]
    noise = ((data**2).sum(0) - (solution * moment).sum(1)) / np.maximum(count, 1)
    noise = np.where(count > 0, np.maximum(noise, floor), 1.0)
    return dict(readout=solution[:, :size], offset=solution[:, size], noise=noise)


def _beginning(values, seen, condition, size: int, conditions: int, floor: float) -> LinearSystem:
    """Principal components as states; what the means of the conditions leave is regressed from bin to bin."""
    offset = np.where(seen, values, 0.0).sum((0, 1)) / np.maximum(seen.sum((0, 1)), 1)
    codes = (np.arange(conditions)[:, None] == condition).astype(float)
    filled = np.where(seen, values - offset, 0.0)
    for members in (np.ones((1, len(values))), codes):  # the mean of all trials where the condition has none
        number = (members @ seen.reshape(len(seen), -1)).reshape(-1, *seen.shape[1:])
        total = (members @ np.where(seen, values - offset, 0.0).reshape(len(seen), -1)).reshape(number.shape)
        each = members.argmax(0)
        filled = np.where(seen | (number[each] == 0), filled, (total / np.maximum(number, 1))[each])
    flat = filled.reshape(-1, filled.shape[2])
    axes = np.linalg.eigh(flat.T @ flat)[1][:, ::-1][:, :size]
    extra = np.random.default_rng(0).normal(size=(len(axes), max(0, size - axes.shape[1])))
    readout = np.concatenate([axes, 0.1 * extra], axis=1)
    state = filled @ readout
    average = (codes @ state.reshape(len(state), -1)).reshape(conditions, *state.shape[1:])
    average = average / np.maximum(codes.sum(1), 1)[:, None, None]
    around = state - average[condition]
    scale = floor + float(state.var())
    now, after = around[:, :-1].reshape(-1, size), around[:, 1:].reshape(-1, size)
    transition = np.linalg.solve(now.T @ now + 1e-3 * scale * len(state) * np.eye(size), now.T @ after).T
    left = after - now @ transition.T
    small = 1e-3 * scale * np.eye(size)
    missed = np.where(seen, filled - state @ readout.T, 0.0)
    noise = (missed**2).sum((0, 1)) / np.maximum(seen.sum((0, 1)), 1) + 1e-2 * scale + floor
    return LinearSystem(
        transition=transition, process=left.T @ left / max(1, len(left)) + small, readout=readout, offset=offset,
        noise=noise, start=average[:, 0], spread=around[:, 0].T @ around[:, 0] / len(state) + small,
        drive=average[:, 1:] - average[:, :-1] @ transition.T,
    )  # fmt: skip


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    """Symmetric, with its variances kept off zero, where the recursions would lose their rank."""
    matrix = (matrix + matrix.T) / 2
    return matrix + 1e-10 * max(float(np.trace(matrix)) / len(matrix), 1e-12) * np.eye(len(matrix))
