"""What theory says about learning to integrate at the settings of the study, without any simulation.

Imports the theory alone, so that `weightpath predict integrate-white-noise` answers at once.
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._types import Array, ArrayLike
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.tasks.filters import Integrator
from weightpath.theory.closed_forms import collapse_time
from weightpath.theory.learning import descent_steps
from weightpath.theory.outlier import Outlier
from weightpath.theory.solve import first_time, solve

TRAINED = ("w_rec", "w_out")
#: Times of the predicted path.
PATH = 41
#: Slower targets are left to the implicit solver, which compiles slowly; explicit steps are quick above this decay.
EXPLICIT = 0.02


def problem(network: AbstractNetwork, decay: ArrayLike) -> Setup:
    """The learning problem of the study: integrate with `decay`, recurrent and read-out weights trained at rate 1."""
    return Setup(network, Integrator(decay), BPTT(), TRAINED)


def ideal(decay: ArrayLike) -> Setup:
    """The same from zero recurrent weights, which is the theory's own start; one unit stands for any number."""
    return problem(ContinuousLinearRNN(np.zeros((1, 1)), np.ones((1, 1)), np.zeros((1, 1))), decay)


class Watched(eqx.Module):
    """The loss (0) or the modulus of the outlier (1) as one quantity, so that one program finds both times."""

    which: Array

    def __call__(self, theory: Outlier, coords, setup: Setup):
        """The quantity at these coordinates."""
        return jnp.where(self.which == 0, theory.loss(coords, setup), jnp.abs(coords[2]))


def largest_rate(decay: float) -> float:
    r"""Largest stable step of gradient descent at the optimum, $2/\lambda_{max}$ of the 2 x 2 scaled Hessian."""
    a, b, h = 1 / (2 * decay), 1 / (4 * decay**3), 1 / (4 * decay**2)
    return 4 / (a + b + float(np.hypot(a - b, 2 * h)))


def prediction(config) -> dict[str, Any]:
    """What the theory says about the chosen settings: numbers, words, and the path (lists of equal length)."""
    gain, decay, edge = config.gain, config.decay, largest_rate(config.decay)
    time = np.linspace(0.0, config.time, PATH)
    levels = np.array([0.01 / (4 * decay), min(max(gain, 1e-12), max(0.999 * abs(1 - decay), 1e-12))])
    told = _told(np.asarray(decay), np.asarray(gain), time, levels, np.asarray(edge / 2), decay < EXPLICIT)
    coords, loss, (learned, detached), steps = jax.device_get(told[:4])
    return {
        "regime": words(Outlier().regime(told[4]).reason),
        "plateau": "none: the read-in is fixed, so that the start is no saddle and nothing has to be escaped",
        "final_outlier": 1 - decay,
        "learning_time_to_1_percent": float(learned),
        "largest_stable_learning_rate": edge,
        "steps_at_largest_rate": float(learned) / edge,
        "steps_at_half_largest_rate": int(steps),
        "collapse_time_for_slow_targets": float(collapse_time(1.0)),
        "detachment_time": float(detached) if 0 < gain < abs(1 - decay) else (0.0 if gain == 0 else None),
        "saddle_rate_with_read_in_trained": 1 / (1 + decay),
        "learning_time": time.tolist(),
        "outlier": coords[:, 2].tolist(),
        "readout": coords[:, 1].tolist(),
        "loss": loss.tolist(),
    }


@partial(jax.jit, static_argnames="implicit")
def _told(decay, gain, time, levels, rate, implicit: bool):
    """In one program: path and loss, times of the two levels (loss, outlier), descent steps, a start of this gain."""
    theory, setup = Outlier(), ideal(decay)
    path = solve(theory, setup, time, implicit=implicit)
    # One after the other: the same compiled loop serves both.
    times = jax.lax.map(lambda pair: first_time(theory, setup, Watched(pair[0]), pair[1]).time, (jnp.arange(2), levels))
    # Gaussian weights of this gain turn the read-in by their gain; two units are enough to do just that.
    turn = gain * jnp.array([[0.0, 1.0], [1.0, 0.0]])
    turned = problem(ContinuousLinearRNN(turn, jnp.array([1.0, 0.0]), jnp.zeros(2)), decay)
    return path.coords, path.loss, times, descent_steps(setup, 0.01, rate).steps, turned


def words(reason: str) -> str:
    """A regime in words."""
    return f"outside its regime: {reason}" if reason else "inside its regime"
