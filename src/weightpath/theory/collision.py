"""When two real outliers meet, and when learning has left the plateau: times of one path of the conjugate pair."""

import warnings

import equinox as eqx
import jax.numpy as jnp

from weightpath._precision import require_x64
from weightpath._types import Array, Float
from weightpath.setup import Setup
from weightpath.theory.base import Regime
from weightpath.theory.crossings import crossings
from weightpath.theory.pair import ACROSS, ConjugatePair, Prepared, at_rest, is_patient, prepared
from weightpath.theory.pair_regime import check_structure, pair_regime
from weightpath.theory.plateau import best_exponential
from weightpath.theory.two_pole import oscillation

MAX_STEPS = 200_000
RTOL = 1e-9


class Milestones(eqx.Module):
    """Learning times of one path of `ConjugatePair`, infinite for what never happens, and its coordinates then."""

    collision: Float[Array, ""]
    """Last time at which the discriminant falls below zero: two real outliers become a conjugate pair."""
    half_plateau: Float[Array, ""]
    """First time with a loss of at most half the plateau's."""
    learned: Float[Array, ""]
    """First time with a loss of at most `fraction` of the initial one."""
    coords: Float[Array, "3 coord"]
    """Coordinates at the three times, in this order."""
    start: Float[Array, " coord"]


def milestones(setup: Setup, fraction: float = 0.01, *, pair: ConjugatePair | None = None) -> Milestones:
    """Collision, half-plateau time and learning time to `fraction` of the initial loss, from one integration.

    Arguments: `pair`: the theory with its plane, default `ConjugatePair()`, the plane of read-in and read-out. The path
    is followed with explicit steps until the loss has reached both levels and the eigenvalues are complex; each event
    is located within its step by root finding. The discriminant is also near zero at the start, while both eigenvalues
    pass zero; such shallow crossings may fall within one step and be missed, the last one is not affected.

    **Warns:** UserWarning outside the regime of the theory.
    **Raises:** ValueError for a fraction outside (0, 1), where the theory has no prediction, or in 32-bit mode;
    RuntimeError when the steps run out.
    """
    require_x64("theory.milestones")
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1; got {fraction}.")
    theory = ConjugatePair() if pair is None else pair
    check_structure(setup)
    return follow(theory, checked(theory, setup)[0].small, fraction)


def follow(theory: ConjugatePair, small: Setup, fraction: float) -> Milestones:
    """The events of a two-unit problem. **Raises:** RuntimeError when the steps run out."""
    found, ended = _milestones(theory, small, jnp.asarray(float(fraction)))
    if not ended:
        raise RuntimeError(
            f"theory.milestones: max_steps. {MAX_STEPS} explicit steps did not reach the end; the target is too slow "
            "(decay too small) or too close to one exponential."
        )
    return found


def collision_time(setup: Setup, *, pair: ConjugatePair | None = None) -> Float[Array, ""]:
    """Last learning time at which two real outliers meet and leave the real axis; infinite if they never do.

    The discriminant D of M passes from D >= 0 to D < 0 there. Zero when the eigenvalues are complex from the start on.
    See `milestones` for arguments, for what may be missed and for what is raised.
    """
    return milestones(setup, pair=pair).collision


def half_plateau_time(setup: Setup, *, pair: ConjugatePair | None = None) -> Float[Array, ""]:
    """First learning time with a loss of at most half of `theory.plateau(setup).loss`: the second pole is made.

    Infinite where learning stays at the plateau. See `milestones` for arguments and for what is raised.
    """
    return milestones(setup, pair=pair).half_plateau


def checked(theory: ConjugatePair, setup: Setup) -> tuple[Prepared, Regime]:
    """The setup in the theory's plane, once it is known that there is a prediction. **Raises:** ValueError."""
    ready = prepared(theory, setup)
    regime = pair_regime("", ready.seen, theory.weights is not None)
    if not regime.defined:
        raise ValueError(f"no prediction for this setup: {regime.reason}")
    if not regime.inside:
        warnings.warn(f"ConjugatePair outside its regime: {regime.reason}", UserWarning, stacklevel=4)
    return ready, regime


@eqx.filter_jit
def _milestones(theory: ConjugatePair, setup: Setup, fraction: Array) -> tuple[Milestones, Array]:
    start = jnp.concatenate([setup.network.w_rec.reshape(4), setup.network.w_out[0]])
    half = best_exponential(oscillation(setup.task.population())).loss / 2
    goals = jnp.stack([half, fraction * theory.loss(start, setup)])
    lowest, patient = jnp.min(goals), is_patient(start, setup)

    def heights(coords):
        return jnp.concatenate([theory.discriminant(coords)[None], theory.loss(coords, setup) - goals])

    def finished(coords, slope):
        loss, apart = theory.loss(coords, setup), theory.discriminant(coords) < 0
        arrived = (loss <= lowest) & (apart | (loss <= 1e-6 * lowest))
        return arrived | (~patient & at_rest(slope))

    # What lies across the read-in grows exponentially from a small start: its errors must be small beside that start,
    # and are, since its velocity is a product with it. The others have errors of rounding.
    index = jnp.array(ACROSS)
    across = jnp.max(jnp.abs(start[index]))
    small = jnp.where(across > 0, RTOL * jnp.clip(across, 1e-200, 1e-3), 1e-12)
    atol = jnp.full(6, 1e-12).at[index].min(small)
    path = crossings(
        lambda time, coords: theory.vector_field(time, coords, setup),
        start, heights, finished, (True, False, False), RTOL, atol, MAX_STEPS,
    )  # fmt: skip
    # What holds at the start already and never again happens at time 0.
    early = heights(start) < 0
    early = early.at[0].set(early[0] & (path.end_time >= 0) & ~jnp.isfinite(path.time[0]))
    time = jnp.where(early, 0.0, path.time)
    return Milestones(time[0], time[1], time[2], path.states, start), path.finished
