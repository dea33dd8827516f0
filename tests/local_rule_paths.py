"""Paths of weights under local rules, by a plain NumPy program that shares no code with the package.

A linear student learns the last output of a linear teacher. Every rule changes the weights by sums of P_k C_k and P_k
E_k with P_k = D^k S; E_k and C_k are expectations over white noise, or means over a batch of trials.
"""

import numpy as np


class Problem:
    """Teacher and student of one random problem; `feedback` is the fixed feedback of RFLO and e-prop."""

    def __init__(self, seed=0, units=12, inputs=2, outputs=1, horizon=15, gain=0.6, size=0.3):
        random = np.random.default_rng(seed)
        hidden = 4
        self.random, self.horizon = random, horizon
        self.teacher = (
            np.diag([0.8, 0.5, -0.3, 0.2]) + 0.1 * random.standard_normal((hidden, hidden)),
            random.standard_normal((hidden, inputs)) / np.sqrt(inputs),
            random.standard_normal((outputs, hidden)) / 2,
        )
        self.start = (
            gain * random.standard_normal((units, units)) / np.sqrt(units),
            size * random.standard_normal((units, inputs)),
            size * random.standard_normal((outputs, units)),
        )
        self.feedback = random.standard_normal((outputs, units)) / np.sqrt(units)


def credit(rule, w_rec, w_out, feedback, decay):
    """Operators D, S and the number of terms (None: all)."""
    eye = np.eye(len(w_rec))
    return {
        "bptt": (w_rec.T, w_out.T, None),
        "tbptt1": (0 * eye, w_out.T, 1),
        "tbptt2": (w_rec.T, w_out.T, 2),
        "tbptt3": (w_rec.T, w_out.T, 3),
        "rflo": (decay * eye, feedback.T, None),
        "rflo tied": (decay * eye, w_out.T, None),
        "eprop": (np.diag(np.diag(w_rec)), feedback.T, None),
        "eprop tied": (np.diag(np.diag(w_rec)), w_out.T, None),
    }[rule]


def correlations(weights, teacher, horizon, trials, random):
    """E[error state'] at lags 0 .. horizon and E[error input'] at lags below it, over white noise or over trials."""
    (w_rec, w_in, w_out), (t_rec, t_in, t_out) = weights, teacher
    if trials is None:
        student, target, errors = [w_in], [t_in], []
        for _ in range(horizon - 1):
            student.append(w_rec @ student[-1])
            target.append(t_rec @ target[-1])
        errors = [w_out @ x - t_out @ y for x, y in zip(student, target, strict=True)]
        states = [np.zeros((len(w_out), len(w_rec)))]
        for error in errors[::-1]:
            states.append(states[-1] @ w_rec.T + error @ w_in.T)
        return states[::-1], errors
    inputs = random.standard_normal((horizon, trials, w_in.shape[1]))
    state, other, history = np.zeros((trials, len(w_rec))), np.zeros((trials, len(t_rec))), []
    for x in inputs:
        history.append(state)
        state, other = state @ w_rec.T + x @ w_in.T, other @ t_rec.T + x @ t_in.T
    error = (state @ w_out.T - other @ t_out.T).T / trials
    return [error @ state, *(error @ h for h in history[::-1])], [error @ x for x in inputs[::-1]]


def update(rule, weights, problem, decay, trials):
    """The update Delta of (w_rec, w_in, w_out), which is subtracted."""
    w_rec, w_in, w_out = weights
    states, errors = correlations(weights, problem.teacher, problem.horizon, trials, problem.random)
    carry, source, terms = credit(rule, w_rec, w_out, problem.feedback, decay)
    change_rec, change_in = np.zeros_like(w_rec), np.zeros_like(w_in)
    for k in range(problem.horizon if terms is None else terms):
        change_rec += source @ states[k + 1]
        change_in += source @ errors[k]
        source = carry @ source
    return change_rec, change_in, states[0]


def path(
    rule, *, seed=0, steps=400, rate=0.02, every=1, trials=None, decay=0.5, noise=0.0, optimiser="sgd",
    rates=(1.0, 1.0, 1.0), **problem,
):  # fmt: skip
    """Histories w_rec (step, post, pre), w_in, w_out; `noise`: standard deviation of what is added to each entry."""
    problem = Problem(seed, **problem)
    weights = list(problem.start)
    kept, mean, power = [list(weights)], [0.0] * 3, [0.0] * 3
    for step in range(1, steps + 1):
        if rule == "walk":
            moves = [0.1 * problem.random.standard_normal(w.shape) for w in weights]
        else:
            moves = update(rule, weights, problem, decay, trials)
        for i, move in enumerate(moves):
            if optimiser == "adam":
                mean[i] = 0.9 * mean[i] + 0.1 * move
                power[i] = 0.999 * power[i] + 0.001 * move**2
                move = mean[i] / (1 - 0.9**step) / (np.sqrt(power[i] / (1 - 0.999**step)) + 1e-8)
            elif optimiser == "momentum":
                mean[i] = move = 0.9 * mean[i] + move
            weights[i] = weights[i] - rate * rates[i] * move
        if step % every == 0:
            kept.append(list(weights))
    histories = [np.stack(history) for history in zip(*kept, strict=True)]
    return [h + noise * problem.random.standard_normal(h.shape) for h in histories]
