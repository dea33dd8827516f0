"""Time to find all fixed points of the block network, compiled, beside optimistix on the same starts.

tanh network of three blocks (27 fixed points at every size, 8 stable), starts 2 N(0,1), at 300 units block means
U(-1,1) and 0.1 N(0,1) around them, float64, one core. Ours is the whole call: search, joining of equal ends, Jacobians,
eigenvalues and both kinds of eigenvectors; optimistix's solvers, vmapped over the starts, give the ends alone. Least
processor time of interleaved rounds; in brackets the first call with its compilation. `points`: how many of the 27 the
ends hold; `q`: the largest of all ends that count as found. The second table: the search alone, with and without the
Jacobian, of the blocks and of chaotic networks (gain 2, starts N(0,1)), whose q has valleys almost everywhere.

./run python benchmarks/finder.py [--quick]
"""

import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"

from harness import interleaved  # isort: skip  # noqa: E402  (pins the core before JAX loads)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optimistix as optx  # noqa: E402

import weightpath as wp  # noqa: E402
from weightpath.analysis.fixed_solver import search  # noqa: E402
from weightpath.analysis.fixed_steps import FIXED  # noqa: E402
from weightpath.analysis.fixed_system import as_system  # noqa: E402

#: Units and starts, and the sizes at which ours is timed alone.
SIZES = {30: 512, 99: 1024, 300: 256}
LARGE = (300,)
#: What is asked of us: 512 starts of 30 units in half a second after compilation.
AIMS = {30: "< 0.5"}
ROUNDS, BUDGET = 5, 20.0


def block_network(units: int):
    """1.5 times the projector on the means of three blocks, perturbed."""
    rng = np.random.default_rng(5)
    w_rec = 1.5 * np.kron(np.eye(3), np.ones((units // 3, units // 3)) / (units // 3))
    w_rec += 0.05 * rng.standard_normal((units, units)) / np.sqrt(units)
    return wp.RateRNN(w_rec, np.zeros((units, 1)), np.zeros((1, units)), leak=1.0)


def theirs(w_rec, starts, solver: str):
    """Ends of optimistix's solvers."""

    def residual(state, _):
        return jnp.tanh(w_rec @ state) - state

    if solver == "LM":
        method, solve = optx.LevenbergMarquardt(rtol=1e-10, atol=1e-12), optx.least_squares
    else:
        method, solve = optx.Newton(rtol=1e-10, atol=1e-12), optx.root_find
    run = jax.jit(jax.vmap(lambda start: solve(residual, method, start, max_steps=200, throw=False).value))  # pyright: ignore
    return lambda: np.asarray(run(starts))


def summary(ends: np.ndarray, w_rec: np.ndarray) -> tuple[int, float]:
    """How many different roots the ends hold, and the largest q among them."""
    q = 0.5 * np.sum((np.tanh(ends @ w_rec.T) - ends) ** 2, axis=1)
    good = q <= 1e-20
    kept: list[np.ndarray] = []
    for end in ends[good]:
        if not kept or np.linalg.norm(np.array(kept) - end, axis=1).min() > 1e-5 * np.sqrt(len(end)):
            kept.append(end)
    return len(kept), float(q[good].max(initial=0.0))


def compare(units: int) -> None:
    """Print the rows of one size."""
    network = block_network(units)
    rng = np.random.default_rng(1)
    starts = 2 * rng.standard_normal((SIZES[units], units))
    if units in LARGE:
        starts = starts / 20 + np.repeat(rng.uniform(-1, 1, (len(starts), 3)), units // 3, axis=1)
    w_rec = np.asarray(network.w_rec)
    found, ends = {}, {}

    def ours(solver):
        def work():
            found[solver] = wp.analysis.fixed_points(network, starts, solver=solver)
            return found[solver].end_state[0]

        return work

    programs = {
        "ours, Levenberg-Marquardt": ours("levenberg-marquardt"),
        "ours, Newton": ours("newton"),
        "optimistix LM": theirs(network.w_rec, starts, "LM"),
        "optimistix Newton": theirs(network.w_rec, starts, "Newton"),
    }
    if units in LARGE:  # what holds a Jacobian for every start takes minutes, and the memory
        programs = dict(list(programs.items())[:1])
    kept = {name: lambda name=name, work=work: ends.update({name: work()}) for name, work in programs.items()}
    best, first = interleaved(kept, rounds=ROUNDS, budget=BUDGET)
    for name in programs:
        points, q = summary(ends[name], w_rec)
        aim = AIMS.get(units, "") if name == "ours, Levenberg-Marquardt" else ""
        times = f"{best[name]:>8.3f} ({first[name]:5.1f})"
        print(f"{units:>5} {len(starts):>6}  {name:<26} {times} {points:>7} {q:>9.1e}  {aim}", flush=True)
    lm = found["levenberg-marquardt"]
    print(f"              {len(lm)} points, {int(lm.stable.sum())} stable, unstable dimensions "
          f"{np.bincount(lm.unstable_dimension).tolist()}, at most {lm.iterations.max()} iterations")  # fmt: skip


def with_and_without() -> None:
    """Print the second table."""
    print("\nunits network  starts  with Jacobian  without  roots with, without")
    for units in (48, 99, 129):
        w_rec = 2 * np.random.default_rng(3).standard_normal((units, units)) / np.sqrt(units)
        chaotic = wp.RateRNN(w_rec, np.zeros((units, 1)), np.zeros((1, units)), leak=1.0)
        for name, network, count, spread in (("blocks", block_network(units), 512, 2), ("chaotic", chaotic, 64, 1)):
            system, _ = as_system(network, None, "flow")
            starts, found = spread * np.random.default_rng(1).standard_normal((count, units)), {}

            def work(free, system=system, starts=starts, found=found):
                ends = search(system, starts, np.zeros((len(starts), 1)), matrix_free=free)
                found[free] = int(np.sum(ends.q <= FIXED))
                return ends.state

            best, _ = interleaved({free: lambda free=free: work(free) for free in (False, True)}, rounds=2)
            print(f"{units:>5} {name:<8} {count:>6} {best[False]:>14.3f} {best[True]:>8.3f}"
                  f"  {found[False]:>10}, {found[True]}", flush=True)  # fmt: skip


def main() -> None:
    print("units starts  solver                     seconds (first)  points         q  aim", flush=True)
    for units in (30,) if "--quick" in sys.argv else SIZES:
        compare(units)
    if "--quick" not in sys.argv:
        with_and_without()


if __name__ == "__main__":
    main()
