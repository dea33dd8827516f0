"""What a theory owes the rest of the library: what it speaks about, how to see it in a network, and when it holds."""

import warnings
from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from equinox import AbstractClassVar

from weightpath._results import RESULTS
from weightpath._types import Array, ArrayLike, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.setup import Setup

#: Numbers as users give them: arrays of either library, numbers, or (nested) lists of numbers.
Values = ArrayLike | list | tuple


class Regime(eqx.Module):
    """Whether a theory holds for a setup, and why not.

    `result` is `RESULTS.successful` or `RESULTS.outside_regime`, `reason` a sentence for the user (empty inside the
    regime). `defined` is False where the theory has no number to offer at all, so that its predictions are NaN; outside
    the regime but `defined`, it predicts with an error that it does not control.
    """

    result: RESULTS
    reason: str = eqx.field(default="", static=True)
    defined: bool = eqx.field(default=True, static=True)

    @property
    def inside(self) -> bool:
        """True where every assumption holds."""
        return not self.reason

    @classmethod
    def outside(cls, reason: str, *, defined: bool = True) -> "Regime":
        """Outside the regime, with the reason."""
        return cls(RESULTS.outside_regime, reason, defined)


class AbstractTheory(eqx.Module):
    """A theory of learning: `measure` and `predict` speak about the same `coords`, so that each can test the other."""

    coords: AbstractClassVar[tuple[str, ...]]
    """Names of the quantities that the theory speaks about."""
    reference: AbstractClassVar[str]
    """Paper and section."""

    @abstractmethod
    def measure(self, network: AbstractNetwork, setup: Setup) -> Float[Array, " coord"]:
        """The coordinates read off a real network; `setup` holds the network that learning started from."""

    @abstractmethod
    def predict(self, setup: Setup, time: Values) -> Float[Array, "time coord"]:
        """The coordinates at learning times `time` (time,), for learning that starts from `setup.network`."""

    @abstractmethod
    def regime(self, setup: Setup) -> Regime:
        """Whether the assumptions hold for `setup`, with the reason where they do not; it never raises."""


class AbstractBound(AbstractTheory):
    """A theory that says how large its coordinates can become: the prediction is an upper bound at every time."""

    @abstractmethod
    def bound(self, setup: Setup) -> Float[Array, " coord"]:
        """Upper bounds of the coordinates, for learning that starts from `setup.network`."""

    def predict(self, setup: Setup, time: Values) -> Float[Array, "time coord"]:
        """The bounds at learning times `time` (time,), the same at each; NaN where the theory is silent.

        **Warns:** UserWarning with the reason when the theory is asked outside its regime.
        """
        regime = self.regime(setup)
        if not regime.inside:
            warnings.warn(f"{type(self).__name__} outside its regime: {regime.reason}", UserWarning, stacklevel=2)
        bound = self.bound(setup) if regime.defined else jnp.full(len(self.coords), jnp.nan)
        return jnp.broadcast_to(bound, (np.size(time), len(self.coords)))


class AbstractReducedDynamics(AbstractTheory):
    """A theory that is a small closed system of differential equations in its coordinates.

    A member gives the vector field, the loss and the start; `theory.solve`, `theory.stationary_points`,
    `theory.jacobian`, `theory.stability` and `theory.rates` work on every member.
    """

    @abstractmethod
    def vector_field(self, time, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, " coord"]:
        """d(coords)/d(learning time), rates included."""

    @abstractmethod
    def loss(self, coords: Float[Array, " coord"], setup: Setup) -> Float[Array, ""]:
        """Loss of the network that the coordinates stand for."""

    @abstractmethod
    def start(self, setup: Setup) -> Float[Array, " coord"]:
        """Coordinates of `setup.network`, from which the dynamics start."""

    def reduced(self, setup: Setup) -> Setup:
        """The smallest setup with the same reduced dynamics, so that networks of all sizes share compiled programs."""
        return setup

    def moving(self, setup: Setup) -> tuple[int, ...]:
        """Indices of the coordinates that can change under `setup.train`."""
        return tuple(range(len(self.coords)))

    def stiff(self, setup: Setup) -> bool:
        """Whether an implicit solver is the better choice; the theory knows its own time scales."""
        return False

    def predict(self, setup: Setup, time: Values) -> Float[Array, "time coord"]:
        """The coordinates at learning times `time` (time,), not decreasing, from 0 on; NaN where the theory is silent.

        **Warns:** UserWarning with the reason when the theory is asked outside its regime.
        **Raises:** ValueError when times decrease or are negative; RuntimeError when the solver fails.
        """
        from weightpath.theory.solve import solve

        regime = self.regime(setup)
        if not regime.inside:
            warnings.warn(f"{type(self).__name__} outside its regime: {regime.reason}", UserWarning, stacklevel=2)
        if not regime.defined:
            return jnp.full((np.size(time), len(self.coords)), jnp.nan)
        return solve(self, setup, time).coords
