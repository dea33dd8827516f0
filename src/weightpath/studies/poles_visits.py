"""How close learning comes to the predicted plateaus, and when it leaves them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.optimize import brentq

from weightpath._types import Complex, Float
from weightpath.learn.velocity import exact_velocity
from weightpath.networks.base import AbstractNetwork
from weightpath.setup import Setup
from weightpath.theory.staircase import Staircase
from weightpath.trajectory import Trajectory


class Visit(NamedTuple):
    """Where learning is slowest around a predicted plateau."""

    step: int
    deviation: float
    """Loss minus the predicted one."""
    tolerance: float
    """What the loss may deviate by at this speed."""
    pole_distance: float
    pole_tolerance: float
    """What the poles may deviate by at this speed."""


def descent_rates(run: Trajectory) -> Float[np.ndarray, " step"]:
    r"""$-dL/d\tau = \sum |d\theta/d\tau|^2/\eta$ along the flow."""
    setup = _setup(run)

    def rate(network: AbstractNetwork):
        velocity = exact_velocity(setup.with_network(network))[0]
        return jnp.stack([(getattr(velocity, name) ** 2).sum() / setup.rates[name] for name in setup.train]).sum()

    return np.asarray(run.map(rate))


def visits(run: Trajectory, stairs: Staircase) -> list[Visit]:
    r"""The slowest point around every plateau but the last.

    Around a saddle $L - L_k = \tfrac12\sum h_i x_i^2$ and $-dL/d\tau = \sum h_i^2 x_i^2$ in the coordinates in which
    the scaled Hessian is diagonal, hence $|L - L_k| \le (-dL/d\tau)/(2\min|h_i|)$ and
    $|x| \le \sqrt{-dL/d\tau}/\min|h_i|$, which times the condition of the poles bounds their distance: the tolerances,
    to leading order. The window in which the slowest point is looked for ends half-way to the losses of the plateaus
    before and after.
    """
    loss, rate = np.asarray(run.loss), descent_rates(run)
    levels = [max(stairs.start_loss, loss[0]) * 2, *stairs.loss]
    found = []
    for index, plateau in enumerate(stairs.plateaus[:-1]):
        middle_above, middle_below = (0.5 * (plateau.loss + levels[index + shift]) for shift in (0, 2))
        inside = (loss < middle_above) & (loss > middle_below)
        if not inside.any():
            found.append(Visit(0, *[np.nan] * 4))
            continue
        step = int(np.argmin(np.where(inside, rate, np.inf)))
        distance = pole_distance(run.network(step), plateau.poles)
        moved = float(np.sqrt(rate[step]) / plateau.slowest) * float(_setup(run).rates["w_rec"]) ** 0.5
        found.append(
            Visit(
                step, float(loss[step] - plateau.loss), float(rate[step] / (2 * plateau.slowest)),
                distance, condition(plateau.network) * moved,
            )
        )  # fmt: skip
    return found


def condition(network: AbstractNetwork) -> float:
    """How far the worst conditioned pole moves for a change of W of norm 1, to first order."""
    vectors = np.linalg.eig(np.asarray(network.w_rec))[1]
    inverse = np.linalg.inv(vectors)
    return float(np.max(np.linalg.norm(inverse, axis=1) * np.linalg.norm(vectors, axis=0)))


def pole_distance(network: AbstractNetwork, poles: Complex[np.ndarray, " k"]) -> float:
    """Largest distance of predicted poles from the eigenvalues of the network that are assigned to them."""
    from scipy.optimize import linear_sum_assignment

    if poles.size == 0:
        return 0.0
    cost = np.abs(poles[:, None] - np.linalg.eigvals(np.asarray(network.w_rec))[None, :])
    return float(cost[linear_sum_assignment(cost)].max())


def crossing_times(run: Trajectory, stairs: Staircase) -> Float[np.ndarray, " plateau"]:
    """When the loss first falls half-way from every plateau to the next; NaN when it does not."""
    time, loss, slope = np.asarray(run.time), np.asarray(run.loss), -descent_rates(run)
    found = []
    for above, below in zip(stairs.loss[:-1], stairs.loss[1:], strict=True):
        level = 0.5 * (above + below)
        step = int(np.argmax(loss < level))
        # Few points are saved while the loss falls: a chord between two of them would be off by a good part of their
        # distance, so that the slope of the flow at both is used.
        pair = [step - 1, step]
        fall = CubicHermiteSpline(time[pair], loss[pair] - level, slope[pair])
        found.append(brentq(fall, time[step - 1], time[step]) if step else np.nan)
    return np.array(found)


def _setup(run: Trajectory) -> Setup:
    assert run.setup is not None, "flows carry their setup"
    return run.setup
