"""Reaching to targets around a circle while a force field pushes the hand off its path."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._types import Array, Float, Int, Key
from weightpath.networks.checks import as_float
from weightpath.networks.rate import RateRNN
from weightpath.tasks.base import AbstractTask, Batch


class ReachBatch(Batch):
    """Reaches of one learning step. The loss is that of the hand, which the outputs move as forces."""

    direction: Int[Array, " trial"]
    """Number of the target."""
    angle: Float[Array, " trial"]
    """Direction of the reach, with its scatter around the target's [rad]."""
    field: Float[Array, ""]
    """Strength of the force field [1/time constant]."""
    dt: float = eqx.field(static=True)
    friction: float = eqx.field(static=True)
    go: int = eqx.field(static=True)
    """First bin of the movement."""

    def hand(self, outputs: Float[Array, "trial time out"]) -> Float[Array, "trial time out"]:
        """Positions of the hand after every bin, from the forces that the network puts out."""
        turn = self.field * jnp.array([[0.0, 1.0], [-1.0, 0.0]], outputs.dtype)
        moving = (jnp.arange(outputs.shape[1]) >= self.go)[:, None, None]
        forces = jnp.where(moving, jnp.swapaxes(outputs, 0, 1), 0.0)

        def step(state, force):
            velocity, position = state
            velocity = velocity + self.dt * (force + velocity @ turn - self.friction * velocity)
            position = position + self.dt * velocity
            return (velocity, position), position

        rest = jnp.zeros_like(forces[0])
        return jnp.swapaxes(jax.lax.scan(step, (rest, rest), forces)[1], 0, 1)

    def criterion(self, outputs: Float[Array, "trial time out"]) -> Float[Array, ""]:
        r"""$\langle |p - p^*|^2\rangle$: squared distance of hand and wanted path, mean over bins and trials (no half).

        **Raises:** ValueError when the network does not have the two outputs of a force in the plane.
        """
        if outputs.shape[-1] != 2:
            raise ValueError(f"a reach needs 2 outputs, the force in x and y; the network has {outputs.shape[-1]}.")
        squared = jnp.sum((self.hand(outputs) - self.targets) ** 2, axis=-1)
        return jnp.sum(squared * self.mask) / jnp.sum(self.mask)


class ForceFieldReach(AbstractTask):
    r"""Centre-out reaches of a point mass, learned before, within and after a velocity-dependent force field.

    In each trial the direction of the target is shown for `preparation` bins; at the go cue it goes off and the outputs
    $F$ of the network move the hand, $\dot v = F + \kappa\,(-v_y, v_x)^\top - \mu v$, $\dot p = v$ (Euler steps of dt),
    which should follow $p^*(t) = s(t)\,(\cos\theta, \sin\theta)$, $s = 3q^2 - 2q^3$ with $q$ rising from 0 to 1 over
    the `movement` bins. $\kappa$ is `field` in the `perturbation` steps after the first `baseline` steps and 0 in all
    others: baseline, perturbation, washout. The loss is the mean of $|p - p^*|^2$ over trials and bins.

    Inputs are $\cos\theta$ and $\sin\theta$ before go, 1 on the third channel after it, and a pulse $1/dt$ on the
    fourth in one further bin ahead of the trial, which does not count: it sets the initial state to `w_in[:, 3]`, so
    that this can be trained like other weights. `network` makes a network that fits.

    **Arguments:** `field` $\kappa$ and `friction` $\mu$ [1/time constant]; `baseline` and `perturbation` in learning
    steps; `preparation` and `movement` in bins of `dt`, which must be the network's `leak`; `directions` around the
    circle, each reach scattered by `scatter` [rad] around its direction; `trials` per batch.

    **Raises:** ValueError for a number outside its range.
    Source: Pellegrino et al. 2023 (arXiv 2308.11567), network trained on force-field adaptation; details derived here.
    """

    field: Float[Array, ""] = eqx.field(default=1.5, converter=as_float)
    baseline: int = eqx.field(default=50, static=True)
    perturbation: int = eqx.field(default=100, static=True)
    trials: int = eqx.field(default=50, static=True)
    directions: int = eqx.field(default=8, static=True)
    scatter: float = eqx.field(default=0.15, static=True)
    preparation: int = eqx.field(default=10, static=True)
    movement: int = eqx.field(default=20, static=True)
    dt: float = eqx.field(default=0.1, static=True)
    friction: float = eqx.field(default=0.5, static=True)

    def __check_init__(self):
        least = {"baseline": 0, "perturbation": 0, "trials": 1, "directions": 1, "preparation": 1, "movement": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"{name} must be a whole number, at least {smallest}; got {getattr(self, name)}.")
        if not 0 < self.dt <= 1:
            raise ValueError(f"dt must be in (0, 1], in time constants, the leak of the network; got {self.dt}.")
        for name in ("scatter", "friction"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative; got {getattr(self, name)}.")
        if self.field.ndim != 0:
            raise ValueError(f"field must be one number; got shape {self.field.shape}.")

    @property
    def go(self) -> int:
        """First bin of the movement; bin 0 is the pulse, preparation comes between."""
        return 1 + self.preparation

    @property
    def bins(self) -> int:
        """Bins of a trial, the pulse included."""
        return self.go + self.movement

    def strength(self, step) -> Float[Array, ""]:
        """Strength of the force field at learning step `step`."""
        step = jnp.asarray(step)
        within = (step >= self.baseline) & (step < self.baseline + self.perturbation)
        return jnp.where(within, self.field, 0.0)

    def epoch(self, step: int) -> str:
        """Name of the phase of learning step `step`."""
        if step < self.baseline:
            return "baseline"
        return "perturbation" if step < self.baseline + self.perturbation else "washout"

    def network(self, key: Key, units: int = 100, gain: float = 0.8) -> RateRNN:
        r"""An untrained tanh network: $W \sim gain\,N(0, 1/N)$, read-in $N(0, 1/3)$, read-out $N(0, 1/N)$, start zero.

        **Raises:** ValueError when `units` is below 1 or `gain` negative.
        """
        if units < 1 or not gain >= 0:
            raise ValueError(f"units must be at least 1 and gain not negative; got {units} and {gain}.")
        first, second, third = jax.random.split(key, 3)
        w_in = jax.random.normal(second, (units, 3)) / jnp.sqrt(3.0)
        return RateRNN(
            gain * jax.random.normal(first, (units, units)) / jnp.sqrt(units),
            jnp.concatenate([w_in, jnp.zeros((units, 1))], axis=1),
            jax.random.normal(third, (2, units)) / jnp.sqrt(units),
            leak=self.dt, form="current",
        )  # fmt: skip

    def sample(self, key: Key, step) -> ReachBatch:
        """Reaches in random directions, and the force field of learning step `step`."""
        which, around = jax.random.split(jax.random.fold_in(key, step))
        direction = jax.random.randint(which, (self.trials,), 0, self.directions)
        angle = 2 * jnp.pi * direction / self.directions + self.scatter * jax.random.normal(around, (self.trials,))
        return self.batch(direction, angle, self.strength(step))

    def batch(self, direction: Int[Array, " trial"], angle: Float[Array, " trial"], field) -> ReachBatch:
        """Reaches at given angles in a force field of given strength."""
        bins = jnp.arange(self.bins)
        towards = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        shown = ((bins >= 1) & (bins < self.go))[None, :, None] * towards[:, None]
        cues = jnp.stack([bins >= self.go, (bins == 0) / self.dt], axis=-1)
        inputs = jnp.concatenate([shown, jnp.broadcast_to(cues, (*shown.shape[:2], 2))], axis=-1)
        q = jnp.clip((bins - self.go + 1) / self.movement, 0.0, 1.0)
        targets = (3 * q**2 - 2 * q**3)[None, :, None] * towards[:, None]
        mask = jnp.broadcast_to((bins > 0).astype(targets.dtype), targets.shape[:2])
        return ReachBatch(
            inputs, targets, mask, direction, angle, jnp.asarray(field, targets.dtype), self.dt, self.friction, self.go
        )

    def population(self) -> None:
        """None: no exact form over the random directions is known."""
        return None
