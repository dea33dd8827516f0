r"""Dormand and Prince's explicit method of order 8 with adaptive steps: a path, and when it reaches a level.

Small systems spend their time in compilation. Here the twelve stages are one compiled loop and a search for a level
reuses the step of the path, so that a program compiles several times faster than a general solver's and takes a
millisecond to run.

Source: Hairer, Norsett, Wanner, *Solving ordinary differential equations I*, method DOP853 with its error estimate.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from weightpath._results import RESULTS
from weightpath._types import Array, Float, Int

# fmt: off
#: Weights of the earlier slopes in stages 2 to 12, in the step itself, and in three stages for values within the step.
_ROWS = (
    (0.05260015195876773,),
    (0.0197250569845379, 0.0591751709536137),
    (0.02958758547680685, 0, 0.08876275643042054),
    (0.2413651341592667, 0, -0.8845494793282861, 0.924834003261792),
    (0.037037037037037035, 0, 0, 0.17082860872947386, 0.12546768756682242),
    (0.037109375, 0, 0, 0.17025221101954405, 0.06021653898045596, -0.017578125),
    (0.03709200011850479, 0, 0, 0.17038392571223998, 0.10726203044637328, -0.015319437748624402, 0.008273789163814023),
    (0.6241109587160757, 0, 0, -3.3608926294469414, -0.868219346841726, 27.59209969944671, 20.154067550477894,
     -43.48988418106996),
    (0.47766253643826434, 0, 0, -2.4881146199716677, -0.590290826836843, 21.230051448181193, 15.279233632882423,
     -33.28821096898486, -0.020331201708508627),
    (-0.9371424300859873, 0, 0, 5.186372428844064, 1.0914373489967295, -8.149787010746927, -18.52006565999696,
     22.739487099350505, 2.4936055526796523, -3.0467644718982196),
    (2.273310147516538, 0, 0, -10.53449546673725, -2.0008720582248625, -17.9589318631188, 27.94888452941996,
     -2.8589982771350235, -8.87285693353063, 12.360567175794303, 0.6433927460157636),
    (0.054293734116568765, 0, 0, 0, 0, 4.450312892752409, 1.8915178993145003, -5.801203960010585, 0.3111643669578199,
     -0.1521609496625161, 0.20136540080403034, 0.04471061572777259),
    (0.056167502283047954, 0, 0, 0, 0, 0, 0.25350021021662483, -0.2462390374708025, -0.12419142326381637,
     0.15329179827876568, 0.00820105229563469, 0.007567897660545699, -0.008298),
    (0.03183464816350214, 0, 0, 0, 0, 0.028300909672366776, 0.053541988307438566, -0.05492374857139099, 0, 0,
     -0.00010834732869724932, 0.0003825710908356584, -0.00034046500868740456, 0.1413124436746325),
    (-0.42889630158379194, 0, 0, 0, 0, -4.697621415361164, 7.683421196062599, 4.06898981839711, 0.3567271874552811,
     0, 0, 0, -0.0013990241651590145, 2.9475147891527724, -9.15095847217987),
)
#: Weights of the slopes in the error estimates of order 5 and 3.
_ERRORS = (
    (0.01312004499419488, 0, 0, 0, 0, -1.2251564463762044, -0.4957589496572502, 1.6643771824549864,
     -0.35032884874997366, 0.3341791187130175, 0.08192320648511571, -0.022355307863886294),
    (-0.18980075407240762, 0, 0, 0, 0, 4.450312892752409, 1.8915178993145003, -5.801203960010585,
     -0.4226823213237919, -0.1521609496625161, 0.20136540080403034, 0.02265179219836082),
)
#: Weights of the slopes in the last coefficients of the polynomial within a step.
_WITHIN = (
    (-8.428938276109013, 0, 0, 0, 0, 0.5667149535193777, -3.0689499459498917, 2.38466765651207, 2.117034582445028,
     -0.871391583777973, 2.2404374302607883, 0.6315787787694688, -0.08899033645133331, 18.148505520854727,
     -9.194632392478356, -4.436036387594894),
    (10.427508642579134, 0, 0, 0, 0, 242.28349177525817, 165.20045171727028, -374.5467547226902, -22.113666853125306,
     7.733432668472264, -30.674084731089398, -9.332130526430229, 15.697238121770845, -31.139403219565178,
     -9.35292435884448, 35.81684148639408),
    (19.985053242002433, 0, 0, 0, 0, -387.0373087493518, -189.17813819516758, 527.8081592054236, -11.57390253995963,
     6.8812326946963, -1.0006050966910838, 0.7777137798053443, -2.778205752353508, -60.19669523126412,
     84.32040550667716, 11.99229113618279),
    (-25.69393346270375, 0, 0, 0, 0, -154.18974869023643, -231.5293791760455, 357.6391179106141, 93.40532418362432,
     -37.45832313645163, 104.0996495089623, 29.8402934266605, -43.53345659001114, 96.32455395918828,
     -39.17726167561544, -149.72683625798564),
)
# fmt: on
#: Slopes that a step needs, its end included, and with those for values within it.
STEP, WHOLE = 13, 16
WEIGHTS = np.zeros((WHOLE, WHOLE))
for _stage, _row in enumerate(_ROWS, start=1):
    WEIGHTS[_stage, : len(_row)] = _row
NODES = WEIGHTS.sum(1)
#: From the change over a step and its slopes to the coefficients of x, x(1-x), x^2(1-x), x^2(1-x)^2, ... within it.
POLYNOMIAL = np.zeros((7, 1 + WHOLE))
POLYNOMIAL[:3, [0, 1, STEP]] = [[1, 0, 0], [-1, 1, 0], [2, -1, -1]]
POLYNOMIAL[3:, 1:] = _WITHIN
ERRORS = np.pad(np.array(_ERRORS), ((0, 0), (0, 1)))
#: The first step is tried at this length; the controller adapts it within a few steps.
FIRST_STEP = 1e-4


class Path(NamedTuple):
    """States at the saved times; those that were not reached are NaN."""

    states: Float[Array, "time coord"]
    result: RESULTS
    steps: Int[Array, ""]


class Point(NamedTuple):
    """When a level was first reached (infinite if not before the horizon, NaN if the steps ran out), and where."""

    time: Float[Array, ""]
    state: Float[Array, " coord"]
    result: RESULTS


class Now(NamedTuple):
    """Where an integration stands: time, state, slope there, length of the next step, and steps so far."""

    time: Array
    state: Array
    slope: Array
    length: Array
    steps: Array


def path(field: Callable, start: Array, time: Float[Array, " time"], rtol, atol, max_steps: int) -> Path:
    """The solution of d(state)/dt = field(t, state) from `start` at 0, interpolated to order 7 at the saved `time`."""
    count, end = time.shape[0], time[-1]

    def unfinished(carry):
        now, saved, _ = carry
        return (saved < count) & (now.steps < max_steps) & ~stalled(now)

    def advance(carry):
        now, saved, states = carry
        left = end - now.time
        last = now.length >= left
        length = jnp.where(last, left, now.length)
        slopes, new, error = _stages(field, now, length, rtol, atol, WHOLE)
        reached = jnp.where(error <= 1, jnp.where(last, end, now.time + length), -1.0)

        def save(carry):
            saved, states = carry
            part = jnp.where(length > 0, (time[saved] - now.time) / jnp.where(length > 0, length, 1.0), 1.0)
            return saved + 1, states.at[saved].set(_within(now, new, slopes, length, part))

        saved, states = jax.lax.while_loop(
            lambda carry: (carry[0] < count) & (time[jnp.minimum(carry[0], count - 1)] <= reached),
            save,
            (saved, states),
        )
        return after(now, length, new, slopes[STEP - 1], error, cut=last), saved, states

    states = jnp.full((count, *start.shape), jnp.nan, start.dtype)
    now, saved, states = jax.lax.while_loop(unfinished, advance, (begin(field, start), jnp.zeros((), int), states))
    failed = RESULTS.where(stalled(now), RESULTS.nonfinite, RESULTS.max_steps)
    return Path(states, RESULTS.where(saved == count, RESULTS.successful, failed), now.steps)


def arrival(field: Callable, start: Array, height: Callable, horizon, rtol, atol, max_steps: int) -> Point:
    """When `height(state)`, negative at the start, first reaches zero.

    Once a step passes zero its length is bisected until the bracket is at rounding: each trial is a step of full order.
    """

    def unfinished(carry):
        now, low, high, _ = carry
        wide = jnp.isinf(high) | (high - low > 4e-16 * (now.time + high))
        return wide & (now.time < horizon) & (now.steps < max_steps) & ~stalled(now)

    def advance(carry):
        now, low, high, found = carry
        bracketed = jnp.isfinite(high)
        left = horizon - now.time
        length = jnp.where(bracketed, 0.5 * (low + high), jnp.minimum(now.length, left))
        new, slope, error = step(field, now, length, rtol, atol)
        good, passed = bracketed | (error <= 1), height(new) >= 0
        moved = after(now, length, new, slope, error, cut=now.length >= left)
        now = _where(bracketed | (good & passed), now._replace(steps=moved.steps), moved)
        low = jnp.where(bracketed & ~passed, length, low)
        return now, low, jnp.where(good & passed, length, high), jnp.where(good & passed, new, found)

    high = jnp.where(height(start) >= 0, 0.0, jnp.inf)
    first = begin(field, start), jnp.zeros(()), high, start
    now, _, high, found = jax.lax.while_loop(unfinished, advance, first)
    met, ended = jnp.isfinite(high), now.time >= horizon
    result = RESULTS.where(ended, RESULTS.not_converged, RESULTS.max_steps)
    result = RESULTS.where(met, RESULTS.successful, result)
    time = jnp.where(met, now.time + high, jnp.where(ended, jnp.inf, jnp.nan))
    return Point(time, jnp.where(met, found, now.state), result)


def begin(field: Callable, start: Array) -> Now:
    zero = jnp.zeros((), start.dtype)
    return Now(zero, start, field(zero, start), jnp.full((), FIRST_STEP, start.dtype), jnp.zeros((), int))


def step(field: Callable, now: Now, length, rtol, atol) -> tuple[Array, Array, Array]:
    """State and slope after one step, and its error in units of the tolerance."""
    slopes, new, error = _stages(field, now, length, rtol, atol, STEP)
    return new, slopes[STEP - 1], error


def _stages(field: Callable, now: Now, length, rtol, atol, stages: int) -> tuple[Array, Array, Array]:
    """Slopes of the stages, state after one step, and its error in units of the tolerance."""
    weights, nodes = jnp.asarray(WEIGHTS[:stages, :stages]), jnp.asarray(NODES)

    def stage(index, carry):
        slopes, new = carry
        state = now.state + length * (weights[index] @ slopes)
        slope = field(now.time + nodes[index] * length, state)
        return slopes.at[index].set(slope), jnp.where(index == STEP - 1, state, new)

    slopes = jnp.zeros((stages, now.state.size), now.state.dtype).at[0].set(now.slope)
    slopes, new = jax.lax.fori_loop(1, stages, stage, (slopes, now.state))
    scale = atol + rtol * jnp.maximum(jnp.abs(now.state), jnp.abs(new))
    fifth, third = jnp.sum((jnp.asarray(ERRORS) @ slopes[:STEP] / scale) ** 2, axis=1)
    error = length * fifth / jnp.sqrt(jnp.maximum(fifth + 0.01 * third, 1e-300) * now.state.size)
    return slopes, new, jnp.where(jnp.isfinite(error), error, jnp.inf)


def _within(now: Now, new: Array, slopes: Array, length, part) -> Array:
    """The state at a `part` (0 to 1) of the step, of order 7."""
    changes = jnp.concatenate([(new - now.state)[None], length * slopes])
    factors = jnp.cumprod(jnp.where(jnp.arange(7) % 2 == 0, part, 1 - part))
    return now.state + factors @ (jnp.asarray(POLYNOMIAL) @ changes)


def after(now: Now, length, state, slope, error, *, cut) -> Now:
    """Where the integration stands after a trial step: moved if its error was small enough, with a new length.

    A step that was `cut` to end at a given time says nothing against the length that the controller had chosen.
    """
    good = error <= 1
    length_after = length * jnp.clip(0.9 * jnp.clip(error, 1e-30, 1e30) ** (-1 / 8), 0.2, 10.0)
    length_after = jnp.where(good & cut, jnp.maximum(now.length, length_after), length_after)
    moved = Now(now.time + length, state, slope, length_after, now.steps)
    return _where(good, moved, now)._replace(length=length_after, steps=now.steps + 1)


def stalled(now: Now) -> Array:
    """Steps too short to change the time: the field is not finite, or the solution ends here."""
    return now.length <= 1e-15 * now.time + 1e-290


def _where(condition, one: Now, other: Now) -> Now:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)
