"""Linear fixed points and their three learning rules in NumPy, with explicit inverses: the other program."""

import numpy as np


def wave(units: int, columns: int, a: float, b: float, c: float, size: float) -> np.ndarray:
    """Matrix without random numbers, size * sin(a i + b j + c i j), counted from 1."""
    i, j = np.arange(1, units + 1)[:, None], np.arange(1, columns + 1)[None]
    return size * np.sin(a * i + b * j + c * i * j)


def ten_units() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W0 (10, 10), inputs X (10, 4) and targets T (10, 4) of a linear network that can reach them."""
    w_rec, goal = wave(10, 10, 1, 2, 0.7, 0.6 * np.sqrt(0.2)), wave(10, 10, 0.5, 1.3, 1.1, 0.5 * np.sqrt(0.2))
    x = wave(10, 4, 2.1, 0.4, 0.9, 0.3 * np.sqrt(2))
    return w_rec, x, np.linalg.solve(np.eye(10) - goal, x)


def loss(w: np.ndarray, x: np.ndarray, t: np.ndarray) -> float:
    """Mean over the samples (columns) of the squared error at the fixed points."""
    return float(np.sum((np.linalg.solve(np.eye(len(w)) - w, x) - t) ** 2) / x.shape[1])


def update(rule: str, w: np.ndarray, x: np.ndarray, t: np.ndarray, rate: float) -> np.ndarray:
    """What a rule adds to the weights: "dW1", "dW2", "dW3" or "lookahead"."""
    unit, samples = np.eye(len(w)), x.shape[1]
    answer = np.linalg.inv(unit - w)
    if rule == "dW1":
        return -2 * rate / samples * answer.T @ (answer @ x - t) @ (answer @ x).T
    slope = 2 / samples * (answer @ x - t) @ x.T
    if rule == "dW3":
        return -rate * (unit - w) @ slope @ (unit - w)
    after = answer - rate * slope
    if rule == "lookahead":
        after = answer - rate * 2 / samples * (after @ x - t) @ x.T
    return unit - w - np.linalg.inv(after)


def learned(rule: str, w: np.ndarray, x: np.ndarray, t: np.ndarray, rate: float, steps: int) -> list[np.ndarray]:
    """Weights before every update and after the last."""
    path = [w]
    for _ in range(steps):
        path.append(path[-1] + update(rule, path[-1], x, t, rate))
    return path
