"""Speed of the integrator: exact velocities and flows against the SciPy program that a user would write, and theory.

./run python benchmarks/integrator.py [--all-cores]
"""

from harness import seconds, table  # isort: skip  (limits threads before JAX loads)

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

import weightpath as wp
from weightpath.networks.init import gaussian


def setup_of(units: int, *, gain: float = 0.01, decay: float = 0.2) -> wp.Setup:
    network = gaussian(jax.random.key(0), units, gain=gain, read_in_norm=1.0, readout="zero")
    return wp.Setup(network, wp.Integrator(decay), wp.BPTT(), train=("w_rec", "w_out"))


def scipy_velocity(w_rec, w_in, w_out, decay):
    """Loss gradient by two Lyapunov solves and two linear solves, as one writes it with SciPy."""
    units = len(w_rec)
    generator, shift = w_rec - np.eye(units), (1 + decay) * np.eye(units) - w_rec
    controlled = scipy.linalg.solve_continuous_lyapunov(generator, -np.outer(w_in, w_in))
    observed = scipy.linalg.solve_continuous_lyapunov(generator.T, -np.outer(w_out, w_out))
    x, y = np.linalg.solve(shift, w_in), np.linalg.solve(shift.T, w_out)
    return observed @ controlled - np.outer(y, x), controlled @ w_out - x


def velocities() -> None:
    rows = []
    for units in (20, 50, 100, 200):
        setup = setup_of(units, gain=0.3)
        network = setup.network
        setup = setup.with_network(type(network)(network.w_rec, network.w_in, network.w_in[:, 0]))
        arrays = [np.asarray(a) for a in (network.w_rec, network.w_in[:, 0], network.w_in[:, 0])]
        ours = seconds(lambda setup=setup: wp.velocity(setup).w_rec)
        theirs = seconds(lambda arrays=arrays: scipy_velocity(*arrays, 0.2)[0], repeats=3)
        difference = np.abs(np.asarray(wp.velocity(setup).w_rec) + scipy_velocity(*arrays, 0.2)[0]).max()
        what = f"one velocity, N={units} (difference {difference:.0e})"
        rows.append((what, f"{1e3 * ours:.2f} ms", f"SciPy takes {theirs / ours:.1f} x as long"))
    table("Exact population velocity (processor time, best of 5)", rows)


def flows() -> None:
    times = jnp.linspace(0.0, 4.0, 41)
    full = setup_of(100)
    large = setup_of(2000)
    jobs = (
        ("full flow, N=100, to time 4, rtol 1e-7", lambda: wp.flow(full, times, rtol=1e-7, atol=1e-10), "< 4 s"),
        ("full flow, N=100, to time 4, rtol 1e-9", lambda: wp.flow(full, times), ""),
        ("word-Krylov basis and flow, N=2000, K=4", lambda: wp.flow(large, times, project=4), "< 5 s"),
    )
    rows = [(what, f"{seconds(lambda work=work: work().loss, repeats=2):.2f} s", aim) for what, work, aim in jobs]
    table("Flows (processor time, best of 2)", rows)


def theory() -> None:
    times = jnp.linspace(0.0, 4.0, 41)
    rows = []
    for decay in (0.5, 0.2, 0.1, 0.05):
        setup = setup_of(10, gain=0.0, decay=decay)
        path = seconds(lambda setup=setup: wp.theory.Outlier().predict(setup, times), repeats=20)
        arrival = seconds(lambda setup=setup: wp.theory.learning_time(setup, 0.01), repeats=20)
        figures = f"{1e3 * path:.2f} / {1e3 * arrival:.2f} ms"
        rows.append((f"decay {decay}: path at 41 times / learning time", figures, "< 5 ms each"))
    table("Reduced theory (processor time, best of 20)", rows)


if __name__ == "__main__":
    theory()
    velocities()
    flows()
