"""Guards of training in discrete steps: a step that would do harm is not taken; it is tried again at half its size."""

import equinox as eqx
import jax
import jax.numpy as jnp

from weightpath._linalg import bilinear, contracts
from weightpath._results import RESULTS
from weightpath._types import Array, Bool, Float, Int, PyTree
from weightpath.learn.integrate import trained_part
from weightpath.learn.velocity import exact_loss, missing_exact_form
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.linear import ContinuousLinearRNN, LinearRNN
from weightpath.setup import Setup
from weightpath.tasks.static import StaticTargets
from weightpath.tasks.teacher import is_stationary

#: A rise of the loss by less than this fraction, or below this fraction of a silent network's loss, is rounding.
RISE, ROUNDING = 1e-9, 1e-24


class Guards(eqx.Module):
    r"""What training does with a step that would spoil the network: "halve" the rate and try again, or "stop".

    A step that a guard rejects is never taken: the weights and the optimiser's memory stay as they were. With "halve"
    it is tried again from the same weights at half its size, and the rate stays at what was found to pass; it never
    grows back. With "stop", or after `max_halvings` halvings in all, training ends at the last good weights with the
    outcome in brackets.

    **Arguments:**
    - `unstable`: steps to weights without a stationary state, spectral abscissa (continuous time) or radius (discrete
      time) at 1 or above (`unstable`). For linear networks on stationary targets; without effect where unstable
      weights have a finite loss (`wp.FiniteTrials`, perfect integrators). Decided by repeated squaring, without
      eigenvalues. None turns it off.
    - `nonfinite`: steps to weights that are not finite (`nonfinite`).
    - `loss_rise`: steps that raise the exact loss (`diverged`); None lets it rise. Needs a setup with an exact loss.
    - `max_halvings`: how often the rate may be halved in one run (with `fall_back`: in one step).

    On static stimuli (`wp.StaticTargets`) a step is tried on the samples it was learned from, all of them or the
    step's batch, and there is more to guard:
    - `rise`: the loss may rise up to this factor before `loss_rise` acts.
    - `unsolved`: steps to weights at which a fixed point is not found (`no_fixed_point`), or exact steps through a
      singular system (`singular`). None leaves such weights to the next step, which ends the run.
    - `margin`: `unstable` acts on steps after which some fixed point has an eigenvalue of $G W$ with real part above
      1 - `margin` (`unstable_recurrence`); None accepts unstable fixed points, which `statistics["stable"]` shows.
    - `fall_back`: after so many halvings in vain, plain descent takes a step along the gradient instead of the rule's,
      halved until it passes; the rate then stays as it was. For rules whose mean over a batch need not descend.
      `statistics["fallen"]` counts such steps.

    **Raises:** ValueError for another action, a negative number or a factor below 1.
    """

    unstable: str | None = eqx.field(default="halve", static=True)
    nonfinite: str = eqx.field(default="halve", static=True)
    loss_rise: str | None = eqx.field(default=None, static=True)
    max_halvings: int = eqx.field(default=40, static=True)
    rise: float = eqx.field(default=1.0, static=True)
    unsolved: str | None = eqx.field(default="halve", static=True)
    margin: float | None = eqx.field(default=None, static=True)
    fall_back: int | None = eqx.field(default=None, static=True)

    def __check_init__(self):
        for name, allowed in (("unstable", True), ("nonfinite", False), ("loss_rise", True), ("unsolved", True)):
            value = getattr(self, name)
            if value not in ("halve", "stop") and not (allowed and value is None):
                raise ValueError(f'{name} must be "halve" or "stop"{" or None" if allowed else ""}; got {value!r}.')
        if self.max_halvings < 0:
            raise ValueError(f"max_halvings must not be negative; got {self.max_halvings}.")
        if not 1 <= self.rise < float("inf"):
            raise ValueError(f"rise is a factor of at least 1; got {self.rise}.")
        if self.margin is not None and not 0 <= self.margin < float("inf"):
            raise ValueError(f"margin must not be negative; got {self.margin}.")
        if self.fall_back is not None and (self.fall_back < 0 or self.loss_rise != "halve"):
            raise ValueError(
                f'fall_back is a number of halvings and goes with loss_rise="halve"; got {self.fall_back} and '
                f"loss_rise={self.loss_rise!r}."
            )


class Pace(eqx.Module):
    """How fast a guarded run goes."""

    share: Float[Array, ""]
    """Fraction of the optimiser's updates that is taken."""
    elapsed: Float[Array, ""]
    """Sum of the fractions that were taken: learning time in units of the learning rate."""
    earlier: Float[Array, ""]
    """`elapsed` before the last step, which is taken back when it turns out to have failed."""
    rejected: Int[Array, ""]
    """Steps that were rejected so far."""
    ground: Float[Array, ""]
    """Rise of the loss that counts as rounding."""
    fallen: Int[Array, ""]
    """Steps along the gradient in place of the rule's."""

    def moved(self, used: Array, share: Array, rejected: Array) -> "Pace":
        """The pace after a step of the fraction `used`, with `share` from now on."""
        return Pace(share, self.elapsed + used, self.elapsed, rejected, self.ground, self.fallen)

    def taken_back(self) -> "Pace":
        """The pace without the last step."""
        return Pace(self.share, self.earlier, self.earlier, self.rejected, self.ground, self.fallen)


def checked_guards(
    guards: Guards | str | None, max_rel_step: float | None, setup: Setup, descends: bool
) -> Guards | None:
    """The guards that `wp.train` was given; one word stands for all of them that suit.

    Plain gradient descent on an exact loss (`descends`) never raises it at a sensible rate, and a word then guards
    against that too; noise and momentum raise it as they should.

    **Raises:** ValueError when they are none, or need an exact loss that the setup does not have.
    """
    if max_rel_step is not None and not max_rel_step > 0:
        raise ValueError(f"max_rel_step must be positive; got {max_rel_step}.")
    if isinstance(guards, str) and guards in ("halve", "stop"):
        guards = Guards(unstable=guards, nonfinite=guards, loss_rise=guards if descends else None, unsolved=guards)
    if guards is not None and not isinstance(guards, Guards):
        raise ValueError(f'guards must be None, "halve", "stop" or wp.Guards(...); got {guards!r}.')
    static = isinstance(setup.task, StaticTargets)
    if guards is not None and not static and (guards.fall_back, guards.margin, guards.rise) != (None, None, 1.0):
        raise ValueError(
            "fall_back, margin and rise guard fixed points of static stimuli (wp.StaticTargets); this task is "
            f"{type(setup.task).__name__}: leave them out."
        )
    if guards is not None and guards.fall_back is not None and not descends:
        raise ValueError("fall_back takes steps of plain gradient descent; use optax.sgd(rate), or leave it out.")
    if guards is not None and guards.loss_rise is not None and not static:
        reason = missing_exact_form(setup)
        if reason is not None or not jax.config.read("jax_enable_x64"):
            raise ValueError(f"a guard on loss_rise needs the exact loss in 64-bit mode: {reason or '32-bit mode'}.")
    return guards


def advice(guards: Guards | None, max_rel_step: float | None) -> str:
    """What a failed run may be tried with that it was run without; empty where it had all of it."""
    missing = [
        words
        for absent, words in ((guards is None, 'guards="halve"'), (max_rel_step is None, "max_rel_step=0.1"))
        if absent
    ]
    verb = "keep" if len(missing) == 2 else "keeps"
    return f" Where steps are too large, {' and '.join(missing)} {verb} them in bounds." if missing else ""


def first_pace(setup: Setup, guards: Guards | None) -> Pace:
    """The pace before the first step."""
    one, ground, static = jnp.ones(()), jnp.zeros(()), isinstance(setup.task, StaticTargets)
    if guards is not None and guards.loss_rise is not None and not static:
        silent = eqx.tree_at(lambda value: value.network.w_out, setup, jnp.zeros_like(setup.network.w_out))
        ground = ROUNDING * _exact_loss(silent)
    return Pace(one, 0 * one, 0 * one, jnp.asarray(0), ground, jnp.asarray(0))


def guarded_step(
    setup: Setup, updates: PyTree, pace: Pace, guards: Guards | None, max_rel_step: Array | None
) -> tuple[PyTree, Pace, RESULTS]:
    """The trained weights after the largest step along `updates` that passes, the pace, and the outcome.

    Where no step passes, the weights are those of `setup`.
    """
    trained, frozen = trained_part(setup)
    first = (
        pace.share if max_rel_step is None else jnp.minimum(pace.share, largest_share(trained, updates, max_rel_step))
    )
    before = exact_loss(setup) if guards is not None and guards.loss_rise is not None else jnp.zeros(())

    def weights(share):
        return jax.tree.map(lambda weight, update: weight + (share * update).astype(weight.dtype), trained, updates)

    if guards is None:
        return weights(first), pace.moved(first, pace.share, pace.rejected), RESULTS.successful

    def unsettled(state):
        tried, _, rejected, result = state
        halvable = (result != RESULTS.successful) & _may_halve(result, guards)
        return ~tried | (halvable & (rejected < guards.max_halvings))

    def attempt(state):
        tried, share, rejected, _ = state
        share = jnp.where(tried, share / 2, share)
        rejected = rejected + tried
        network = eqx.combine(weights(share), frozen)
        return jnp.asarray(True), share, rejected, _verdict(setup.with_network(network), before + pace.ground, guards)

    untried = (jnp.asarray(False), first, pace.rejected, RESULTS.successful)
    _, share, rejected, result = jax.lax.while_loop(unsettled, attempt, untried)
    passed = result == RESULTS.successful
    kept = jnp.where(rejected > pace.rejected, share, pace.share)
    rejected = rejected + ~passed  # the last attempt, too, was one
    after = jax.tree.map(lambda new, old: jnp.where(passed, new, old), weights(share), trained)
    return after, pace.moved(jnp.where(passed, share, 0.0), kept, rejected), result


def largest_share(trained: PyTree, updates: PyTree, limit: Array) -> Array:
    """The largest fraction of the updates that changes no trained array by more than `limit` of its norm."""
    pairs = zip(jax.tree.leaves(trained), jax.tree.leaves(updates), strict=True)
    ratios = []
    for weight, update in pairs:
        size, change = jnp.linalg.norm(weight), jnp.linalg.norm(update)
        bound = limit * size / jnp.where(change > 0, change, 1.0)
        ratios.append(jnp.where((size > 0) & (change > 0), bound, jnp.inf))
    return jnp.min(jnp.stack(ratios))


def _verdict(setup: Setup, before: Array, guards: Guards) -> RESULTS:
    """What is wrong with the weights of `setup`: not finite, else unstable, else a higher loss, else nothing."""
    result = RESULTS.successful
    if guards.loss_rise is not None:
        result = RESULTS.where(exact_loss(setup) > before * (1 + RISE), RESULTS.diverged, result)
    if guards.unstable is not None and is_stationary(setup.task.population()):
        result = RESULTS.where(has_stationary_state(setup.network), result, RESULTS.unstable)
    finite = jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(trained_part(setup)[0])])
    return RESULTS.where(jnp.all(finite), result, RESULTS.nonfinite)


def has_stationary_state(network: AbstractNetwork) -> Bool[Array, ""]:
    """Whether a linear network is stable, by repeated squaring; True for networks of other kinds."""
    if isinstance(network, LinearRNN):
        return contracts(network.w_rec)
    if isinstance(network, ContinuousLinearRNN):
        generator = network.w_rec - jnp.eye(network.w_rec.shape[0], dtype=network.w_rec.dtype)
        return contracts(bilinear(generator, network.w_in, network.w_out)[0])
    return jnp.asarray(True)


def _may_halve(result: RESULTS, guards: Guards) -> Array:
    actions = (
        (RESULTS.unstable, guards.unstable),
        (RESULTS.nonfinite, guards.nonfinite),
        (RESULTS.diverged, guards.loss_rise),
    )
    return jnp.any(jnp.stack([(result == kind) & (action == "halve") for kind, action in actions]))


_exact_loss = eqx.filter_jit(exact_loss)
