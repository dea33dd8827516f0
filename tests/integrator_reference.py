"""Networks of closed form, and losses by an independent route, for the tests of exact learning."""

import jax.numpy as jnp
import numpy as np

import weightpath as wp


def deterministic(units: int, gain: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W_ij = gain sin(1 + 3i + 5j + ij)/sqrt(N), u_i = cos i and v_i = sin(2i + 1), both of norm 1."""
    i, j = np.arange(units)[:, None], np.arange(units)[None]
    u, v = np.cos(np.arange(units)), np.sin(2 * np.arange(units) + 1)
    w_rec = gain * np.sin(1 + 3 * i + 5 * j + i * j) / np.sqrt(units)
    return w_rec, u / np.linalg.norm(u), v / np.linalg.norm(v)


def gaussian(seed: int, units: int, gain: float, channels: tuple[int, int] = (1, 1)) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    w_in, w_out = rng.normal(size=(units, channels[0])), rng.normal(size=(channels[1], units))
    return (
        gain * rng.normal(size=(units, units)) / np.sqrt(units),
        w_in / np.linalg.norm(w_in, axis=0),
        w_out / np.linalg.norm(w_out, axis=1, keepdims=True),
    )


def problem(weights, task, train=("w_rec", "w_out"), rates=None) -> wp.Setup:
    network = wp.ContinuousLinearRNN if task.dt is None else wp.LinearRNN
    return wp.Setup(network(*weights), task, wp.BPTT(), train=train, rates=rates)


ALL = ("w_rec", "w_in", "w_out")

#: Rational targets of every kind: real pole, conjugate pair, defective, several inputs and outputs.
TARGETS = {
    "exponential": wp.Integrator(0.2),
    "oscillator": wp.RationalFilter([[-0.2, -1.0], [1.0, -0.2]], [1.0, 0.0], [1.0, 0.0]),
    "defective": wp.RationalFilter(
        [[-0.3, 1.0, 0.0], [0.0, -0.3, 1.0], [0.0, 0.0, -0.3]], [0.0, 0.2, 1.0], [1.0, 0.0, 0.5]
    ),
    "several": wp.RationalFilter(
        [[-0.4, 2.0, 0.3], [-2.0, -0.4, 0.1], [0.0, 0.0, -3.0]],
        [[1.0, 0.2], [0.0, -1.0], [0.5, 0.3]],
        [[1.0, 0.0, 0.4], [0.3, -0.6, 0.0], [0.0, 0.2, 1.0]],
    ),
}


def kronecker_loss(weights, target):
    """The loss by three Kronecker solves: Gramian of the network, cross term, Gramian of the target."""
    w_rec, w_in, w_out = weights
    generator = w_rec - jnp.eye(w_rec.shape[0])

    def sylvester(left, right, constant):
        """X of left X + X right^T + constant = 0, row-major."""
        rows, columns = constant.shape
        matrix = jnp.kron(left, jnp.eye(columns)) + jnp.kron(jnp.eye(rows), right)
        return -jnp.linalg.solve(matrix, constant.reshape(-1)).reshape(rows, columns)

    own = sylvester(generator, generator, w_in @ w_in.T)
    cross = sylvester(generator, target.transition, w_in @ target.drive.T)
    energy = sylvester(target.transition, target.transition, target.drive @ target.drive.T)
    return 0.5 * (
        jnp.trace(w_out @ own @ w_out.T)
        - 2 * jnp.trace(w_out @ cross @ target.output.T)
        + jnp.trace(target.output @ energy @ target.output.T)
    )
