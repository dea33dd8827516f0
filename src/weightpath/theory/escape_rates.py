r"""How fast learning leaves a plateau: the growth of silent units around a stationary network of any order."""

from typing import NamedTuple

import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Float
from weightpath.rules.population import error_system
from weightpath.setup import Setup
from weightpath.tasks.filters import RationalTarget
from weightpath.theory.h2 import Filter, filter_of, gramians_of


class Rates(NamedTuple):
    """Learning rates of recurrent weights, read-in and read-out; 0 for frozen ones."""

    w_rec: float
    w_in: float
    w_out: float

    def spread(self, like: Filter) -> Float[np.ndarray, " parameter"]:
        """The rate of every entry of a filter."""
        sizes = (like.step.size, like.drive.size, like.output.size)
        return np.repeat(np.asarray(self), sizes)


def escape_rates(setup: Setup) -> Float[np.ndarray, " rate"]:
    r"""Growth rates of silent units at the stationary network of `setup`, fastest first, per unit of learning time.

    A silent unit has zero weights. Its weights p and q (its column and row of W), e (read-out) and r (read-in) change
    the loss by $(p, e)^T B\,(q, r)$ (`transverse_form`), so that they grow at the singular values of
    $D_o^{1/2} B\, D_i^{1/2}$, $D_o = \mathrm{diag}(\eta_w, \eta_v)$ and $D_i = \mathrm{diag}(\eta_w, \eta_u)$, shrink
    at the same rates, and have no other motion; a frozen read-in or read-out has rate 0. At a stationary point, with
    $E = \int (f - f^*) e^{-s} ds$ (in discrete time the first entry of $f - f^*$) and where W can be inverted, they are
    the singular values of

    $$(\eta_v + \eta_w V W^{-1} W^{-T} V^T)^{1/2}\; E\; (\eta_u + \eta_w U^T W^{-T} W^{-1} U)^{1/2},$$

    at most min(in, out) of them: one for a single input and output. The rate is a property of the network, not of its
    filter: another realisation of the same filter has another rate. With one pole and the read-in frozen there is only
    one realisation; `theory.staircase` follows learning to the realisation that it reaches in the other cases.

    Exact for BPTT on the population loss, in the limit of small silent weights. Source: derived.
    **Raises:** ValueError when the task has no target filter, network and target differ in time, the network is
    unstable, or in 32-bit mode.
    """
    require_x64("theory.escape_rates")
    point, target, rates = network_filter(setup), filter_of(checked_target(setup)), rates_of(setup)
    if not point.stable:
        raise ValueError("the network is unstable: its loss is infinite, and it is no plateau of learning.")
    return unstable_unit(point, target, rates)[0]


def rates_of(setup: Setup) -> Rates:
    """Learning rates of the three weight matrices, 0 for frozen ones."""
    return Rates(*(float(setup.rates.get(name, 0.0)) for name in ("w_rec", "w_in", "w_out")))


def checked_target(setup: Setup) -> RationalTarget:
    """The exact target filter of a setup whose network runs in the same time. **Raises:** ValueError."""
    # The error system refuses what has no exact form, in words.
    error_system(setup.network, setup.task.population())
    return setup.task.population()


def network_filter(setup: Setup) -> Filter:
    """The setup's linear network as a state-space system."""
    network, continuous = setup.network, setup.task.population().dt is None
    w_rec = np.asarray(network.w_rec, dtype=float)
    step = w_rec - np.eye(len(w_rec)) if continuous else w_rec
    return Filter(step, np.asarray(network.w_in, dtype=float), np.asarray(network.w_out, dtype=float), continuous)


def transverse_form(point: Filter, target: Filter) -> Float[np.ndarray, "reading driving"]:
    r"""The bilinear form that silent units add to the loss, $\delta L = (p, e)^T B\,(q, r)$ for each of them.

    A unit that reads the network by q (its row of W) and the input by r, and is read by the network through p (its
    column of W) and by the output through e, changes the filter at second order only. With the Gramians P and Q of the
    error system $(A, B, C)$ of the network and the target, and o the network's own states,

    $$\begin{pmatrix} Q_{o\cdot} \\ C \end{pmatrix} (1 - A)^{-1} \begin{pmatrix} P_{\cdot o} & B \end{pmatrix},
      \qquad \text{discrete time: } \begin{pmatrix} Q_{o\cdot} A \\ C \end{pmatrix}
      \begin{pmatrix} A P_{\cdot o} & B \end{pmatrix},$$

    whose rows are p (k) and e (out) and whose columns are q (k) and r (in). It is linear in both factors and exact at
    every network; at a stationary point it has the rank of the mean error, at most min(in, out).
    """
    solved = gramians_of(point, target)
    reading = [np.hstack([solved.observed, -solved.read]), np.hstack([point.output, -target.output])]
    driving = [np.vstack([solved.controlled, solved.driven.T]), np.vstack([point.drive, target.drive])]
    order, whole = point.order, point.order + target.order
    step = np.zeros((whole, whole))
    step[:order, :order], step[order:, order:] = point.step, target.step
    if point.continuous:
        return np.vstack(reading) @ np.linalg.solve(np.eye(whole) - step, np.hstack(driving))
    reading[0], driving[0] = reading[0] @ step, step @ driving[0]
    return np.vstack(reading) @ np.hstack(driving)


def unstable_unit(point: Filter, target: Filter, rates: Rates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Growth rates of a silent unit, fastest first, and the fastest direction: (p, e) and (q, r) in weights.

    The scaled form has the singular values as growth rates, each with its mirror image that decays.
    """
    out_scale = np.sqrt(np.repeat([rates.w_rec, rates.w_out], [point.order, point.output.shape[0]]))
    in_scale = np.sqrt(np.repeat([rates.w_rec, rates.w_in], [point.order, point.drive.shape[1]]))
    left, growth, right = np.linalg.svd(out_scale[:, None] * transverse_form(point, target) * in_scale)
    # Minus: the loss falls along the direction.
    return growth, out_scale * left[:, 0], -in_scale * right[0]
