r"""The network of a fit in orthonormal coordinates of the span in which its states move.

With $A = Q T$ (QR) every state is $x = A z = Q w$, $w = T z$, and
$\tau \dot w = -w + T M_k B^\top \tanh(Q w) + T u$, $M_k = \mathrm{diag}(c^{(k)})$ or the core of trial $k$. Lengths
and angles of $w$ are those of $x$; the other directions of the network decay at the rate $1/\tau$.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from weightpath._types import Float
from weightpath.inference.result import Fit


@dataclass(frozen=True, eq=False)
class SpanFlow:
    r"""The autonomous system of one trial with its input held: $f(w) = -w + G B^\top \tanh(Q w) + v$.

    $f = \tau \dot w$: rates of growth are in units of one over the time constant.
    """

    basis: Float[np.ndarray, "unit coord"]
    """Q, orthonormal columns."""
    pre: Float[np.ndarray, "unit rank"]
    """B."""
    gain: Float[np.ndarray, "coord rank"]
    """G = T M."""
    drive: Float[np.ndarray, " coord"]
    """v, the input in coordinates of Q."""

    def __call__(self, points: Float[np.ndarray, "... coord"]) -> Float[np.ndarray, "... coord"]:
        """F at each of `points`."""
        return -points + np.tanh(points @ self.basis.T) @ (self.pre @ self.gain.T) + self.drive

    def jacobian(self, points: Float[np.ndarray, "... coord"]) -> Float[np.ndarray, "... coord coord"]:
        r"""$-1 + G B^\top \mathrm{diag}(1 - \tanh^2(Q w))\, Q$ at each of `points`."""
        slope = 1 - np.tanh(points @ self.basis.T) ** 2
        return self.gain @ (self.pre.T @ (slope[..., None] * self.basis)) - np.eye(self.basis.shape[1])

    def toward(self, other: "SpanFlow", share: float) -> "SpanFlow":
        """The system at a `share` of the straight way of factors and input to `other`, of equal directions."""
        gain = (1 - share) * self.gain + share * other.gain
        return replace(self, gain=gain, drive=(1 - share) * self.drive + share * other.drive)


@dataclass(frozen=True, eq=False)
class InSpan:
    """All trials of a fit in orthonormal coordinates of span(A); made by `in_span`."""

    basis: Float[np.ndarray, "unit coord"]
    """Orthonormal columns: x = basis @ w."""
    to_basis: Float[np.ndarray, "coord rank"]
    """T with A = basis @ T: from the coordinates of the a_r to these."""
    pre: Float[np.ndarray, "unit rank"]
    mixing: Float[np.ndarray, "trial rank rank"]
    """diag(c), or the core, of every trial."""
    smooth_mixing: Float[np.ndarray, "trial rank rank"]
    """The same from the smooth part of the factors; the core itself where the model has one."""
    inputs: Float[np.ndarray, "trial time coord"]
    start: Float[np.ndarray, "trial coord"]
    time_constant: float
    """tau in bins."""
    solver: str
    substeps: int

    @cached_property
    def states(self) -> Float[np.ndarray, "trial time coord"]:
        """States of every trial and bin, integrated anew in float64."""
        return self.integrate()

    @property
    def mean_input(self) -> Float[np.ndarray, " coord"]:
        """Input averaged over all trials and bins."""
        return self.inputs.mean(axis=(0, 1))

    def at(self, trial: int, drive: Float[np.ndarray, " coord"] | None = None, *, smooth: bool = False) -> SpanFlow:
        """The autonomous system of a trial under a held input `drive` (coordinates of the basis; default: none)."""
        mixing = (self.smooth_mixing if smooth else self.mixing)[trial]
        drive = np.zeros(self.basis.shape[1]) if drive is None else drive
        return SpanFlow(self.basis, self.pre, self.to_basis @ mixing, drive)

    def integrate(
        self,
        *,
        mixing: Float[np.ndarray, "trial rank rank"] | None = None,
        inputs: Float[np.ndarray, "trial time coord"] | None = None,
        start: Float[np.ndarray, "trial coord"] | None = None,
    ) -> Float[np.ndarray, "trial time coord"]:
        """States of all trials with the solver of the fit, some arrays replaced; the first bin is at the start."""
        gain = self.to_basis @ (self.mixing if mixing is None else mixing)
        through = self.pre @ gain.transpose(0, 2, 1)
        inputs = self.inputs if inputs is None else inputs
        state = self.start if start is None else start
        size = 1 / (self.time_constant * self.substeps)
        found = np.empty((len(state), inputs.shape[1], state.shape[1]))
        found[:, 0] = state
        for bin in range(inputs.shape[1] - 1):
            held = inputs[:, bin]

            def flow(w, held=held):
                return -w + (np.tanh(w @ self.basis.T)[:, None] @ through)[:, 0] + held

            for _ in range(self.substeps):
                state = _advance(flow, state, size, self.solver)
            found[:, bin + 1] = state
        return found

    def principal(self) -> "InSpan":
        """The same system with the principal axes of all visited states as coordinates, largest variance first."""
        flat = self.states.reshape(-1, self.basis.shape[1])
        turn = np.linalg.eigh(np.cov(flat, rowvar=False).reshape(flat.shape[1], -1))[1][:, ::-1]
        turn = turn * np.sign(turn[np.abs(turn).argmax(axis=0), np.arange(len(turn))])
        return replace(
            self, basis=self.basis @ turn, to_basis=turn.T @ self.to_basis, inputs=self.inputs @ turn,
            start=self.start @ turn,
        )  # fmt: skip

    def to_factors(self, states: Float[np.ndarray, "... coord"]) -> Float[np.ndarray, "... rank"]:
        """Coordinates z of states, x = A z. Where the a_r are dependent, the shortest z."""
        return states @ np.linalg.pinv(self.to_basis).T


def in_span(fit: Fit) -> InSpan:
    """The system of a fit in orthonormal coordinates of span(A): the first axis is a_1, by QR.

    Everything is float64; `states` integrates again with the solver of the fit. `InSpan.principal()` turns the axes.

    **Raises:** ValueError for a model in which every trial has directions of its own.
    """
    fit.check_shared_directions("in_span")
    basis, to_basis = np.linalg.qr(fit.a.astype(np.float64))
    sign = np.where(np.diag(to_basis) < 0, -1.0, 1.0)
    basis, to_basis = basis * sign, to_basis * sign[:, None]
    mixing = fit.mixing().astype(np.float64)
    smooth = mixing if fit.model.core else fit.c_smooth.astype(np.float64)[:, :, None] * np.eye(mixing.shape[1])
    return InSpan(
        basis=basis, to_basis=to_basis, pre=fit.b.astype(np.float64), mixing=mixing, smooth_mixing=smooth,
        inputs=fit.trial_inputs().astype(np.float64) @ to_basis.T,
        start=np.asarray(fit.network.initial_state, np.float64) @ to_basis.T,
        time_constant=float(fit.network.time_constant), solver=fit.network.solver, substeps=fit.network.substeps,
    )  # fmt: skip


def held_input(
    fit: Fit, system: InSpan, *, condition: int | None = None, epoch: int | None = None
) -> Float[np.ndarray, " coord"]:
    """Input averaged over the bins of the trials of a condition and an epoch (their numbers; None for all).

    In coordinates of `system`, to be held while fixed points or a flow field are worked out.

    **Raises:** ValueError when there is no such trial.
    """
    chosen = np.ones(len(system.inputs), bool)
    for wanted, codes in ((condition, fit.recording.condition), (epoch, fit.recording.epoch)):
        if wanted is not None:
            chosen &= codes == wanted
    if not chosen.any():
        raise ValueError(f"no trial has condition {condition} and epoch {epoch}; give numbers that occur together.")
    return system.inputs[chosen].mean(axis=(0, 1))


def _advance(flow, state: np.ndarray, size: float, solver: str) -> np.ndarray:
    """One step of Heun or RK4, as `networks.factored.advance` takes it, in NumPy."""
    first = flow(state)
    if solver == "heun":
        return state + size / 2 * (first + flow(state + size * first))
    second = flow(state + size / 2 * first)
    third = flow(state + size / 2 * second)
    fourth = flow(state + size * third)
    return state + size / 6 * (first + 2 * second + 2 * third + fourth)
