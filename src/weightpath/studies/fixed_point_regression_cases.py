"""Problems of the study of fixed-point regression: one unit, ten units without random numbers, and drawn networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Rules as the paper counts them: the gradient, the exact reparameterised step, its linearised form.
RULES = ("dW1", "dW2", "dW3")
RATES = (0.03, 0.1, 0.3, 1.0, 3.0)
#: The drawn network of which numbers are stated; others are drawn from seeds.
STATED = "stated"
#: Starts of one unit whose target weight is 1/2: on the way to it, close to the pole at 1, beyond the pole.
ONE_UNIT_STARTS, ONE_UNIT_GOAL, ONE_UNIT_RATE = (0.0, 0.9, 1.5), 0.5, 0.05
#: Where random directions of entries of variance 2.5^2/N lose stability, from weights of variance 0.5^2/N.
CIRCULAR_LAW = float(np.sqrt(1 - 0.5**2) / 2.5)


@dataclass(frozen=True)
class Problem:
    """Linear regression by a recurrent network: columns of `inputs` and `targets` (unit, sample) are samples."""

    start: np.ndarray
    goal: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray

    @property
    def interpolator(self) -> np.ndarray:
        r"""Weights of zero loss, $(T - X) T^+$ (fewer samples than units)."""
        return (self.targets - self.inputs) @ np.linalg.pinv(self.targets)

    def loss(self, w_rec: np.ndarray) -> float:
        """Mean squared error of the fixed points, by a solve of its own."""
        rates = np.linalg.solve(np.eye(w_rec.shape[0]) - w_rec, self.inputs)
        return float(np.sum((rates - self.targets) ** 2) / self.inputs.shape[1])

    def regression_loss(self, rate: float, updates: np.ndarray) -> np.ndarray:
        r"""Loss of linear regression after so many updates: residual $(A_0 X - T)(1 - q X^\top X)^n$, $q = 2\eta/m$."""
        samples = self.inputs.shape[1]
        values, vectors = np.linalg.eigh(self.inputs.T @ self.inputs)
        rates = np.linalg.solve(np.eye(self.start.shape[0]) - self.start, self.inputs)
        weight = np.sum(((rates - self.targets) @ vectors) ** 2, axis=0) / samples
        factors = (1 - 2 * rate / samples * values) ** (2 * np.asarray(updates)[:, None])
        return factors @ weight

    @property
    def largest_rate(self) -> float:
        r"""Below this learning rate linear regression, and so dW2, converges: $m/\lambda_{\max}(X X^\top)$."""
        return float(self.inputs.shape[1] / np.linalg.norm(self.inputs, 2) ** 2)

    def setup(self, rule: Any, rate: float = 1.0) -> Any:
        """The learning problem of the library at one learning rate."""
        import weightpath as wp

        unit = np.eye(self.start.shape[0])
        task = wp.StaticTargets(self.inputs.T, self.targets.T)
        return wp.Setup(wp.LinearRNN(self.start, unit, unit), task, rule, train="w_rec", rates={"w_rec": rate})


def rules() -> dict[str, Any]:
    """The three rules by name; a fixed point counts as one whether stable or not, and stability is looked at later."""
    import weightpath as wp

    solver = wp.SteadySolver(accept_unstable=True)
    return {
        "dW1": wp.EuclideanFixedPoint(solver=solver),
        "dW2": wp.Reparameterised(parameter="A", exact=True, solver=solver),
        "dW3": wp.Reparameterised(parameter="A", solver=solver),
    }


def one_unit(start: float) -> Problem:
    """A single unit: r = x/(1 - w)."""
    inputs = np.array([[0.5, 1.0, 1.5, 2.0]])
    return Problem(np.array([[start]]), np.array([[ONE_UNIT_GOAL]]), inputs, inputs / (1 - ONE_UNIT_GOAL))


def ten_units() -> Problem:
    """Ten units and four samples, whose matrices are sines: no random numbers."""
    goal, inputs = wave(10, 0.5, 1.3, 1.1, 0.5 * np.sqrt(0.2)), wave(4, 2.1, 0.4, 0.9, 0.3 * np.sqrt(2))
    start = wave(10, 1.0, 2.0, 0.7, 0.6 * np.sqrt(0.2))
    return Problem(start, goal, inputs, np.linalg.solve(np.eye(10) - goal, inputs))


def prediction(network: str, units: int, samples: int, updates: int) -> dict[str, Any]:
    """What theory says of a drawn problem: the learning curve of dW2, its largest rate, where lines lose stability."""
    problem, at = drawn(network, units, samples), np.unique([0, 1, 10, 100, 1000, updates])
    at = at[at <= updates]
    return {
        "network": f"{problem.start.shape[0]} units and {problem.inputs.shape[1]} samples, drawn from seed {network}",
        "losses": "those of dW2, which learns as linear regression does",
        "largest_rate": problem.largest_rate,
        "circular_law": CIRCULAR_LAW,
        "update": at.tolist(),
        **{f"loss_at_{rate:g}": problem.regression_loss(rate, at).tolist() for rate in RATES},
    }


def wave(columns: int, a: float, b: float, c: float, size: float) -> np.ndarray:
    """Matrix (10, columns) of size times sin(a i + b j + c i j), counted from 1."""
    i, j = np.arange(1, 11)[:, None], np.arange(1, columns + 1)[None]
    return size * np.sin(a * i + b * j + c * i * j)


def drawn(network: str, units: int, samples: int) -> Problem:
    """A drawn problem: the stated one (generator and order of its published code), or that of a seed."""
    draw = _stated() if network == STATED else np.random.default_rng([int(network), 11]).standard_normal
    inputs, goal, targets = _data(draw, units, samples)
    start = 0.75 * draw((units, units)) / np.sqrt(units)
    return Problem(start, goal, inputs, targets)


def sections(network: str, units: int, samples: int, count: int) -> tuple[Problem, list[np.ndarray]]:
    """A drawn problem at weights of zero loss, and random directions from there, drawn in place of a start."""
    draw = _stated() if network == STATED else np.random.default_rng([int(network), 11]).standard_normal
    inputs, goal, targets = _data(draw, units, samples)
    exact = (targets - inputs) @ np.linalg.pinv(targets)
    directions = [2.5 * draw((units, units)) / np.sqrt(units) for _ in range(count)]
    return Problem(exact, goal, inputs, targets), directions


def _data(draw: Any, units: int, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    inputs = 0.1 * draw((units, samples))
    goal = 0.5 * draw((units, units)) / np.sqrt(units)
    noise = 0.01 * draw((units, samples))
    return inputs, goal, np.linalg.solve(np.eye(units) - goal, inputs) + noise


def _stated() -> Any:
    random = np.random.RandomState(2023)  # noqa: NPY002 - the generator of the published numbers
    return lambda shape: random.randn(*shape)
