"""The ladder of solvers of $r = f(Wr + x)$: iteration of the whole batch, and what follows for samples it leaves."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float, Int
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.chunks import in_chunks, where
from weightpath.networks.slopes import rates_of
from weightpath.networks.steady_chord import Chord, chord, shares_slopes
from weightpath.networks.steady_newton import Found, newton_or_flow
from weightpath.networks.steady_solver import RUNGS, SteadySolver

#: A residual that does not fall below this fraction of its least within so many time constants has stalled.
PROGRESS, PATIENCE = 0.99, 50.0


class Settled(NamedTuple):
    """Where the samples of a batch came to rest."""

    rates: Array
    residual: Array
    iterations: Array
    rung: Array
    solved: Array
    damping: Array
    """The damping with which each sample's iteration ended."""
    finite: Array
    net_input: Array
    """W r + x of the samples that iteration solved."""


class _Walk(NamedTuple):
    count: Array
    rates: Array
    net_input: Array
    image: Array
    residual: Array
    passed: Array
    level: Array
    """Number of the damping in use; the number of dampings once none is left."""
    steps: Array
    least: Array
    """Least residual with this damping, and iterations since."""
    since: Array
    best: Array
    """Least residual of all, and where."""
    best_rates: Array
    iterations: Array


def iterate(network: AbstractNetwork, drive: Array, start: Array, solver: SteadySolver) -> _Walk:
    """The damped iterations: one product of the whole batch with the weights per step."""
    levels = len(solver.damping)
    damping = jnp.asarray(solver.damping + (0.0,), start.dtype)
    patience = jnp.asarray([round(PATIENCE / value) for value in solver.damping] + [0])

    def seen(rates):
        net_input = rates @ network.w_rec.T + drive
        image = rates_of(network, net_input)
        residual = jnp.max(jnp.abs(image - rates), axis=-1)
        residual = jnp.where(jnp.isfinite(residual), residual, jnp.inf)
        return net_input, image, residual, residual <= solver.allowed(network.w_rec, rates)

    def body(walk: _Walk) -> _Walk:
        rates = walk.rates + damping[walk.level][:, None] * (walk.image - walk.rates)
        if levels > 1:
            again = (walk.steps == 0) & (walk.level > 0) & (walk.level < levels)
            rates = jnp.where(again[:, None], start, rates)
        net_input, image, residual, passed = seen(rates)
        lower, better = residual < PROGRESS * walk.least, residual < walk.best
        since, steps = jnp.where(lower, 0, walk.since + 1), walk.steps + 1
        stalled = (since >= patience[walk.level]) | ~jnp.isfinite(residual)
        if not solver.newton:  # the last iteration has all its steps
            stalled = stalled & (walk.level < levels - 1)
        ended = steps >= solver.max_steps
        level = jnp.where(stalled | ended, walk.level + 1, walk.level)
        if solver.newton:
            level = jnp.where(ended & ~stalled, levels, level)
        level = jnp.where(passed, walk.level, jnp.minimum(level, levels))
        fresh = level != walk.level
        return _Walk(
            walk.count + 1,
            rates,
            net_input,
            image,
            residual,
            passed,
            level,
            jnp.where(fresh, 0, steps),
            jnp.where(fresh, jnp.inf, jnp.where(lower, residual, walk.least)),
            jnp.where(fresh, 0, since),
            jnp.where(better, residual, walk.best),
            jnp.where(better[:, None], rates, walk.best_rates),
            walk.iterations + (~walk.passed & (walk.level < levels)),
        )

    seen_first = seen(start)
    residual, none = seen_first[2], jnp.zeros(start.shape[0], int)
    walk = _Walk(jnp.asarray(0), start, *seen_first, none, none, residual, none, residual, start, none)
    return jax.lax.while_loop(lambda walk: jnp.any(~walk.passed & (walk.level < levels)), body, walk)


def settle(
    network: AbstractNetwork,
    drive: Float[Array, "trial unit"],
    start: Float[Array, "trial unit"],
    solver: SteadySolver,
    dynamics: str,
) -> tuple[Settled, Float[Array, "trial unit"]]:
    """Where the iterations leave every sample, from the rates `start`; and the rates that came closest."""
    begun = Chord(start, jnp.asarray(0))
    # The chord method's certificate speaks of the flow.
    if dynamics == "flow" and shares_slopes(start.shape[1], start.shape[0], solver):
        begun = chord(network, drive, start, solver)
    walk = iterate(network, drive, begun.rates, solver)
    level = jnp.minimum(walk.level, len(solver.damping) - 1)
    damping = jnp.asarray(solver.damping, start.dtype)[level]
    rung = jnp.where(level == 0, RUNGS.index("picard"), RUNGS.index("damped"))
    rung = jnp.where((walk.iterations == 0) & (begun.count > 0), RUNGS.index("chord"), rung)
    # What did not pass is reported where it was closest; or where it ended, if it is to be used as it is.
    back = ~walk.passed & (jnp.asarray(not solver.keep_unsolved) | ~jnp.isfinite(walk.residual))
    settled = Settled(
        jnp.where(back[:, None], walk.best_rates, walk.rates),
        jnp.where(back, walk.best, walk.residual),
        begun.count + walk.iterations,
        jnp.where(walk.passed, rung, RUNGS.index("none")),
        walk.passed,
        damping,
        jnp.isfinite(walk.best if solver.newton else walk.residual),
        walk.net_input,
    )
    return settled, walk.best_rates


def climb(
    network: AbstractNetwork,
    drive: Float[Array, "trial unit"],
    start: Float[Array, "trial unit"],
    settled: Settled,
    todo: Bool[Array, " trial"],
    rung: Int[Array, ""],
    solver: SteadySolver,
) -> Settled:
    """`settled` after the rung "newton" or "flow" from `start` on the samples `todo`, where that solved them."""
    flows = jnp.broadcast_to(rung == RUNGS.index("flow"), todo.shape)

    def work(arrays) -> Found:
        driven, begun, flowing = arrays
        return newton_or_flow(network, driven, begun, flowing, solver)

    otherwise = Found(settled.rates, settled.residual, jnp.zeros_like(settled.iterations))
    found = in_chunks(work, todo, (drive, start, flows), otherwise, start.shape[1])
    solved = todo & (found.residual <= solver.allowed(network.w_rec, found.rates))
    return settled._replace(
        rates=where(solved, found.rates, settled.rates),
        residual=where(solved, found.residual, settled.residual),
        iterations=settled.iterations + found.iterations,
        rung=jnp.where(solved, rung, settled.rung),
        solved=settled.solved | solved,
    )
