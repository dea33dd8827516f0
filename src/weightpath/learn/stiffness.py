"""Which solver suits a flow: a closed form, explicit for large or mild problems, implicit for small stiff ones."""

import math

import jax
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float
from weightpath.learn.integrate import trained_part
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.tasks.finite import FiniteTarget
from weightpath.tasks.static_batch import StaticBatch
from weightpath.tasks.teacher import TeacherTarget

SOLVERS = ("auto", "explicit", "implicit")
#: An implicit step forms and factors a Jacobian of this many variables squared; beyond, explicit steps are cheaper.
LARGEST_JACOBIAN = 100
#: Explicit steps that cost about as much as the compilation of an implicit solver.
MANY_STEPS = 1000


def choose_solver(solver: str, setup: Setup, end: Float[Array, ""], exact: bool) -> str:
    r"""Resolve "auto" to "explicit", "implicit" or, for the gradient of a lone read-out or read-in, "linear".

    Near the optimum the fastest rate of an exact flow is about $\eta_w/(4 c^3)$, c the smallest decay rate of the
    target (the scaled Hessian of `theory.Outlier` at its end, for integration of white noise), and an explicit solver
    of order 8 takes about $end\,\eta_w/(16 c^3)$ steps.

    **Raises:** ValueError for an unknown name.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver must be one of {', '.join(SOLVERS)}; got {solver!r}.")
    if solver != "auto":
        return solver
    target = setup.task.population()
    if isinstance(target, StaticBatch):
        return "explicit"
    if isinstance(target, TeacherTarget):
        return _for_teacher(setup, target, end, exact)
    finite = isinstance(target, FiniteTarget)
    if exact and not finite and isinstance(setup.rule, BPTT) and setup.train in (("w_out",), ("w_in",)):
        return "linear"
    size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(trained_part(setup)[0]))
    rate = setup.rates.get("w_rec", 0.0)
    if not exact or size > LARGEST_JACOBIAN or is_traced(target.transition, rate, end):
        return "explicit"
    poles = np.linalg.eigvals(np.asarray(target.transition))
    if finite:  # nothing that happens within a trial is slower than the trial
        decay = max(np.min(1 - np.abs(poles)), 1 / target.bins) / target.dt
    else:
        decay = np.min(-poles.real) if target.dt is None else np.min(1 - np.abs(poles))
    return "implicit" if float(end) * float(rate) / (16 * decay**3) > MANY_STEPS else "explicit"


def _for_teacher(setup: Setup, target: TeacherTarget, end: Float[Array, ""], exact: bool) -> str:
    r"""Near a teacher of slowest multiplier w and gain $\kappa$ the fastest rate is about $2\kappa^2/(1 - w^2)^3$."""
    size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(trained_part(setup)[0]))
    rate = setup.rates.get("w_rec", 0.0)
    if not exact or size > LARGEST_JACOBIAN or is_traced(target.transition, target.drive, target.output, rate, end):
        return "explicit"
    slowest = np.max(np.abs(np.linalg.eigvals(np.asarray(target.transition))))
    if target.horizon is not None:  # nothing that happens within a trial is slower than the trial
        slowest = min(slowest, 1 - 1 / target.horizon)
    gain = np.linalg.norm(np.asarray(target.output) @ np.asarray(target.drive), 2)
    stiffest = 2 * float(rate) * gain**2 / max(1 - slowest**2, 1e-12) ** 3
    return "implicit" if float(end) * stiffest / 8 > MANY_STEPS else "explicit"
