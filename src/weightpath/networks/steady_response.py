"""The network's response: the ladder, a look at stability, and a second try where the ladder left the flow."""

import jax
import jax.numpy as jnp

from weightpath._types import Array, Bool, Float
from weightpath.networks.base import AbstractNetwork
from weightpath.networks.chunks import where
from weightpath.networks.slopes import is_linear, leak_of, slopes_of
from weightpath.networks.steady_ladder import Settled, climb, settle
from weightpath.networks.steady_solver import RUNGS, SteadySolver
from weightpath.networks.steady_stability import is_attracting, linear_stability, margins_of


def respond(
    network: AbstractNetwork,
    drive: Float[Array, "trial unit"],
    start: Float[Array, "trial unit"],
    solver: SteadySolver,
    dynamics: str,
    check: bool | None,
    margins: bool,
) -> tuple[Settled, Bool[Array, " trial"], Float[Array, " trial"]]:
    """Rates of every sample, whether they are stable, and their margins.

    Convergence of the iteration vouches for stability, since it goes to no point that repels in the direction that it
    comes from; `check` tries a generic direction too: never, for every sample, or (None) where the start was the point
    already, and for linear networks. The chord method starts only where all fixed points are stable. Eigenvalues decide
    on points found otherwise.

    Newton's method may end at a fixed point that the network would leave. From the start of such a sample, and of one
    without solution, a stiff flow looks for a stable point; where there is none the unstable one stays, as such.
    """
    if is_linear(network):
        settled = _direct(network, drive, start, solver)
        if check is False and not margins:
            return settled, settled.solved, jnp.full_like(settled.residual, jnp.nan)
        return settled, *linear_stability(network, settled.solved, dynamics, margins)
    settled, closest = settle(network, drive, start, solver, dynamics)
    unknown, iterated = jnp.full_like(settled.residual, jnp.nan), settled.solved
    certain = _certain(network, settled, solver, dynamics, check) & ~jnp.asarray(margins)

    def judged(settled: Settled, certain: Array, margin: Array) -> tuple[Array, Array]:
        unclear = settled.solved & ~certain & jnp.isnan(margin)
        margin = margins_of(network, settled.rates, drive, unclear, margin, dynamics)
        return certain | (margin > 0), margin

    def with_net_input(settled: Settled) -> Settled:
        def form():
            return settled.rates @ network.w_rec.T + drive

        return settled._replace(net_input=jax.lax.cond(jnp.all(iterated), lambda: settled.net_input, form))

    if not solver.newton:
        return with_net_input(settled), *judged(settled, certain, unknown)

    def rung(state, number):
        settled, stable, margin = state
        flow = number == RUNGS.index("flow")
        astray = ~settled.solved | (flow & (settled.rung == RUNGS.index("newton")) & ~stable)
        tried = climb(network, drive, jnp.where(flow, start, closest), settled, astray, number, solver)
        found = tried.rung == number
        stable_there, margin_there = judged(tried, certain, jnp.where(found, jnp.nan, margin))
        better = ~found | stable_there | ~settled.solved
        kept = Settled(*(where(better, new, old) for new, old in zip(tried, settled, strict=True)))
        kept = kept._replace(iterations=tried.iterations)
        return (kept, where(better, stable_there, stable), where(better, margin_there, margin)), None

    def climbed(state):
        # One program for both rungs: compiling it takes longer than running it.
        return jax.lax.scan(rung, state, jnp.asarray([RUNGS.index("newton"), RUNGS.index("flow")]))[0]

    done = jnp.all(settled.solved & certain)
    settled, stable, margin = jax.lax.cond(done, lambda state: state, climbed, (settled, certain, unknown))
    return with_net_input(settled), stable, margin


def _certain(
    network: AbstractNetwork, settled: Settled, solver: SteadySolver, dynamics: str, check: bool | None
) -> Bool[Array, " trial"]:
    """Samples that are stable for all that the iteration, and a perturbation where it is asked for, can tell."""
    leak = leak_of(network) if dynamics == "map" else None
    # A larger step of the iteration that converged vouches for a smaller one of the map.
    certain = settled.solved & (True if leak is None else settled.damping >= leak)
    if check is False:
        return certain
    todo = settled.solved & (jnp.asarray(check is True) | (settled.iterations == 0))
    todo = todo & (settled.rung != RUNGS.index("chord"))

    def perturbed():
        slopes = slopes_of(network, settled.net_input)
        return is_attracting(network, slopes, settled.damping, todo, dynamics, solver.max_steps)

    return jnp.where(todo, jax.lax.cond(jnp.any(todo), perturbed, lambda: ~todo), certain)


def _direct(network: AbstractNetwork, drive: Array, start: Array, solver: SteadySolver) -> Settled:
    """A linear network: one factorisation of 1 - W, and one step of refinement."""
    factors = jax.scipy.linalg.lu_factor(jnp.eye(drive.shape[1], dtype=drive.dtype) - network.w_rec)

    def defect(rates):
        return rates @ network.w_rec.T + drive - rates

    rates = jax.scipy.linalg.lu_solve(factors, drive.T).T
    rates = rates + jax.scipy.linalg.lu_solve(factors, defect(rates).T).T
    rates = jnp.where(jnp.all(jnp.isfinite(rates), axis=1, keepdims=True), rates, start)
    residual = jnp.max(jnp.abs(defect(rates)), axis=-1)
    solved = residual <= solver.allowed(network.w_rec, rates)
    none = jnp.zeros(drive.shape[0], int)
    rung = jnp.where(solved, RUNGS.index("direct"), RUNGS.index("none"))
    ones, finite = jnp.ones_like(residual), jnp.isfinite(residual)
    return Settled(rates, residual, none, rung, solved, ones, finite, rates @ network.w_rec.T + drive)
