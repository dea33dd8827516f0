"""A theory beside a simulation: the same quantities measured in the networks and predicted from the start."""

import dataclasses
import warnings

import equinox as eqx
import numpy as np

from weightpath._results import RESULTS, outcome_name
from weightpath._types import Float
from weightpath.setup import Setup
from weightpath.theory.base import AbstractBound, AbstractReducedDynamics, AbstractTheory, Regime
from weightpath.theory.solve import solve
from weightpath.trajectory import Trajectory

#: Why there is no prediction for Adam and its like.
OPTIMISER = (
    "the optimiser rescales or remembers gradients (Adam, momentum, a schedule), which takes the weights out of the "
    "theory's invariant subspace: no prediction. Train with optax.sgd, or use wp.flow."
)


class Comparison(eqx.Module):
    """What was measured along a trajectory and what a theory predicted from its first network.

    `result` is `outside_regime` where the theory does not hold, with the `reason`; its numbers are then shown all the
    same, or NaN where it has none.
    """

    time: Float[np.ndarray, " step"]
    """Learning time."""
    measured: Float[np.ndarray, "step coord"]
    predicted: Float[np.ndarray, "step coord"]
    loss: Float[np.ndarray, " step"]
    """Loss of the simulated networks."""
    predicted_loss: Float[np.ndarray, " step"]
    """Loss that the theory predicts; NaN for theories that do not speak about it."""
    coords: tuple[str, ...] = eqx.field(static=True)
    reference: str = eqx.field(static=True)
    result: RESULTS
    reason: str = eqx.field(default="", static=True)

    @property
    def error(self) -> Float[np.ndarray, "step coord"]:
        """Measured minus predicted."""
        return self.measured - self.predicted

    def to_dataset(self):
        """An `xarray.Dataset` with dims (step, coord) and coordinates `learning_time` and `coord`."""
        import xarray as xr

        pair = ("step", "coord")
        return xr.Dataset(
            {
                "measured": (pair, self.measured),
                "predicted": (pair, self.predicted),
                "error": (pair, self.error),
                "loss": ("step", self.loss),
                "predicted_loss": ("step", self.predicted_loss),
            },
            {"learning_time": ("step", self.time), "coord": list(self.coords)},
            {"reference": self.reference, "result": outcome_name(self.result), "reason": self.reason},
        )


def compare(theory: AbstractTheory, trajectory: Trajectory) -> Comparison:
    """Set `theory` beside `trajectory`: measure its coordinates in every network, predict them from the first one.

    Both use the trajectory's own setup, so that their normalisations cannot differ. For a projected trajectory the
    coordinates are read off the small networks, which carry them exactly. A theory outside its regime is no error: the
    comparison says so in `result` and `reason`.

    **Raises:** ValueError when the trajectory carries no setup (a history made elsewhere); RuntimeError when the
    theory's own solver fails.
    """
    if trajectory.setup is None:
        raise ValueError(
            "this trajectory has no setup (its weights were made elsewhere), so that nothing can be predicted from it; "
            "compare trajectories of wp.flow or wp.train."
        )
    setup = trajectory.setup.with_network(trajectory.network(0))
    time = np.asarray(trajectory.time) - np.asarray(trajectory.time)[0]
    # Only what is measured enters the compiled program, so that trajectories of one shape share it.
    bare = dataclasses.replace(trajectory, setup=None, lift=None, statistics={})
    measured = np.asarray(_measured(theory, bare, setup))
    # A bound holds for whatever optimiser its own regime admits; a prediction in time holds along the velocity alone.
    judged = trajectory.follows_velocity or isinstance(theory, AbstractBound)
    regime = theory.regime(setup) if judged else Regime.outside(OPTIMISER, defined=False)
    predicted, predicted_loss = _predict(theory, setup, time, regime.defined)
    return Comparison(
        np.asarray(trajectory.time), measured, predicted, np.asarray(trajectory.loss), predicted_loss,
        theory.coords, theory.reference, regime.result, regime.reason,
    )  # fmt: skip


@eqx.filter_jit
def _measured(theory: AbstractTheory, trajectory: Trajectory, setup: Setup):
    return trajectory.map(lambda network: theory.measure(network, setup))


def _predict(theory: AbstractTheory, setup: Setup, time: np.ndarray, defined: bool) -> tuple[np.ndarray, np.ndarray]:
    """Predicted coordinates and, for reduced dynamics, the predicted loss."""
    unknown = np.full(time.shape, np.nan)
    if not defined:
        return np.full((time.size, len(theory.coords)), np.nan), unknown
    if isinstance(theory, AbstractReducedDynamics):
        solution = solve(theory, setup, time)
        return np.asarray(solution.coords), np.asarray(solution.loss)
    with warnings.catch_warnings():  # the comparison itself carries the reason
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(theory.predict(setup, time)), unknown
