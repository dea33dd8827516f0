"""The networks of the study of ranks: small tasks with constant inputs, trained in every way that matters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weightpath.trajectory import Trajectory
else:
    Trajectory = Any

UNITS, BINS, TRIALS, STEPS, LEAK = 40, 30, 8, 60, 0.1
#: Channels of every network, used or not, so that all share one compiled program: inputs, initial states, outputs.
INPUTS, STARTS, OUTPUTS = 4, 3, 3


@dataclass(frozen=True)
class Case:
    """One network and how it learns: `p` inputs, `q` errors, `rank` of W0, `starts` dimensions of initial states.

    Larger rates than these can overshoot in the first step and diverge; ranks do not depend on them.
    """

    name: str
    p: int = 2
    q: int = 1
    rank: int = 0
    starts: int = 0
    way: str = "descent"
    rate: float = 0.05
    activation: str = "linear"
    scale: float = 1.0
    """Size of the inputs."""
    gain: float | None = None
    """Gain of a random W0 of full rank."""
    hidden: bool = False
    """Four input channels are used in `p` directions, and errors fill `q` of three output channels."""
    varying: bool = False
    """Inputs change from bin to bin."""
    minibatch: int | None = None


@dataclass(frozen=True)
class Learned:
    """A trained case: its path, what the theory says of it, and the arrays that its gradients come from."""

    case: Case
    path: Trajectory
    bounds: Any
    regime: Any

    @property
    def change(self) -> Any:
        """Recurrent weights minus the first (step, post, pre)."""
        import numpy as np

        weights = np.asarray(self.path.w_rec)
        return weights - weights[0]


BOUNDED = (
    Case("1 input, 1 error", p=1),
    Case("2 inputs, 1 error"),
    Case("2 inputs, 2 errors", q=2),
    Case("3 inputs, 2 errors", p=3, q=2),
    Case("2, 1, W0 of rank 1", rank=1),
    Case("2, 1, W0 of rank 2", rank=2),
    Case("2, 2, starts in 2 dimensions", q=2, starts=2),
    Case("4 channels used in 2, 1 error of 3", hidden=True),
    Case("2, 1, inputs change in time", varying=True),
    Case("2, 1, read-in and read-out too", way="all weights"),
    Case("2, 1, momentum", way="momentum"),
    Case("2, 1, mini-batches", minibatch=4),
    Case("2, 1, weight decay", way="weight decay"),
    Case("2, 1, weight decay, W0 of rank 1", rank=1, way="weight decay"),
)
#: Dimensions p + q + starts + 2 rank of the cases above.
DIMENSIONS = (2, 3, 4, 5, 5, 7, 6, 3, 3, 3, 3, 3, 3, 5)
ADAPTIVE = (Case("Adam", way="adam"), Case("RMSprop", way="rmsprop"))
SCALES, RATES = (0.1, 0.3, 1.0), (0.1, 0.5)
GAINS = (0.01, 0.1, 0.3, 0.6)


def saturating(scale: float, rate: float) -> Case:
    """A tanh network with inputs of a given size."""
    return Case(f"tanh, inputs x {scale:g}", activation="tanh", scale=scale, rate=rate)


def random_start(gain: float) -> Case:
    """A linear network with random first weights of full rank."""
    return Case(f"random W0, gain {gain:g}", gain=gain, rate=0.1)


@cache
def optimiser(way: str) -> Any:
    """One object for each way to learn, since a new one means a new compilation; rates are those of the setup."""
    import optax

    return {
        "descent": lambda: optax.sgd(1.0),
        "all weights": lambda: optax.sgd(1.0),
        "momentum": lambda: optax.sgd(1.0, momentum=0.8),
        "weight decay": lambda: optax.chain(optax.add_decayed_weights(0.01), optax.sgd(1.0)),
        "adam": lambda: optax.adam(1e-2),
        "rmsprop": lambda: optax.rmsprop(1e-2),
    }[way]()


def problem(case: Case, seed: int) -> tuple[Any, Any, Any]:
    """Setup of a case, and the bases of its inputs (in, k) and errors (out, k)."""
    import numpy as np

    import weightpath as wp

    random = np.random.default_rng([seed, case.p, case.q, case.rank, case.starts])
    w_in = np.zeros((UNITS, INPUTS + STARTS))
    channels = INPUTS if case.hidden else case.p
    w_in[:, :channels] = random.standard_normal((UNITS, channels)) / np.sqrt(channels)
    w_in[:, INPUTS : INPUTS + case.starts] = 3 * random.standard_normal((UNITS, case.starts)) / np.sqrt(UNITS)
    used, seen = np.eye(INPUTS)[:, : case.p], np.eye(OUTPUTS)[:, : case.q]
    if case.hidden:
        used, seen = (np.linalg.qr(random.standard_normal(basis.shape))[0] for basis in (used, seen))
    w_out = seen @ random.standard_normal((case.q, UNITS)) / np.sqrt(UNITS)
    u, v = random.standard_normal((2, UNITS, case.rank)) / np.sqrt(UNITS)
    w_rec = 0.5 * np.sqrt(UNITS) * u @ v.T
    if case.gain is not None:
        w_rec = case.gain * random.standard_normal((UNITS, UNITS)) / np.sqrt(UNITS)
    # Bin 0 is a pulse that sets the initial state of a network at rest; it does not count.
    inputs, mask = np.zeros((TRIALS, 1 + BINS, INPUTS + STARTS)), np.ones((TRIALS, 1 + BINS))
    held = random.standard_normal((TRIALS, BINS if case.varying else 1, case.p)) @ used.T
    inputs[:, 1:, :INPUTS] = case.scale * held
    inputs[:, 0, INPUTS : INPUTS + case.starts] = random.standard_normal((TRIALS, case.starts)) / LEAK
    mask[:, 0] = 0
    targets = np.repeat(random.standard_normal((2, TRIALS, 1, case.q)) @ seen.T, 1 + BINS, axis=2)
    network = wp.RateRNN(w_rec, w_in, w_out, activation=case.activation, leak=LEAK, form="current")
    task = wp.GivenTrials(inputs, targets, mask, phase_steps=STEPS // 2, batch=case.minibatch)
    names = ("w_rec", "w_in", "w_out") if case.way == "all weights" else ("w_rec",)
    # The rates are those of the loss without its half.
    adaptive = case.way in ("adam", "rmsprop")
    setup = wp.Setup(network, task, wp.BPTT(), names, {name: 1.0 if adaptive else 2 * case.rate for name in names})
    starts = np.eye(INPUTS + STARTS)[:, INPUTS : INPUTS + case.starts]
    basis = np.concatenate([np.pad(used, ((0, STARTS), (0, 0))), starts], axis=1)
    return setup, basis, seen


def learn(case: Case, seed: int) -> Learned:
    """Train a case; every loss on the way is finite, or this raises.

    **Raises:** RuntimeError when training diverges.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    import weightpath as wp

    setup, used, seen = problem(case, seed)
    path = wp.train(
        setup, optimiser(case.way), STEPS, record=wp.Record(every=1), key=jax.random.key(seed), progress=False
    )
    if not np.all(np.isfinite(np.asarray(path.loss))):
        raise RuntimeError(f"{case.name}: the loss did not stay finite, so ranks would mean nothing.")
    theory = wp.theory.RankBound(
        input_basis=jnp.asarray(used), error_basis=jnp.asarray(seen), optimiser=optimiser(case.way)
    )
    return Learned(case, path, theory.bounds(setup), theory.regime(setup))


def adjoint_error(activation: str, seed: int) -> float:
    """Relative difference between the gradient as a product of adjoints and rates, and that of autodiff."""
    import equinox as eqx
    import jax
    import numpy as np

    import weightpath as wp

    setup, _, _ = problem(Case("", activation=activation, rank=2, starts=2, q=2), seed)
    network, batch = setup.network, setup.task.sample(jax.random.key(0), 0)
    found = eqx.filter_jit(lambda network, batch: wp.BPTT().update(network, batch, None)[0])(network, batch)
    product, auto = adjoint_gradient(network, batch)[2], -np.asarray(found.w_rec)
    return float(np.linalg.norm(product - auto) / np.linalg.norm(auto))


def adjoint_gradient(network: Any, batch: Any) -> tuple[Any, Any, Any]:
    r"""Adjoints $\Lambda$ and rates $\Phi$ (unit, bins x trials) of a batch, and the gradient $\Lambda\Phi^\top$.

    $\lambda_t = \partial l_t + (1 - h)\lambda_{t+1} + h\,\phi'(x_t) W^\top \lambda_{t+1}$, written out with NumPy.
    """
    import numpy as np

    w_rec, w_in, w_out = (np.asarray(array) for array in (network.w_rec, network.w_in, network.w_out))
    phi, slope = (lambda x: x), np.ones_like
    if network.activation == "tanh":
        phi, slope = np.tanh, lambda x: 1 - np.tanh(x) ** 2
    inputs, targets, mask = (np.moveaxis(np.asarray(part), 1, 0) for part in (batch.inputs, batch.targets, batch.mask))
    states = [np.zeros((inputs.shape[1], w_rec.shape[0]))]
    for value in inputs:
        states.append(states[-1] + LEAK * (-states[-1] + phi(states[-1]) @ w_rec.T + value @ w_in.T))
    adjoint, adjoints = np.zeros_like(states[0]), []
    for state, target, weight in zip(states[:0:-1], targets[::-1], mask[::-1], strict=True):
        error = (phi(state) @ w_out.T - target) * weight[:, None] / mask.sum()
        adjoint = (1 - LEAK) * adjoint + slope(state) * (error @ w_out + LEAK * adjoint @ w_rec)
        adjoints.append(adjoint)
    left = LEAK * np.concatenate(adjoints[::-1]).T
    right = np.concatenate([phi(state) for state in states[:-1]]).T
    return left, right, left @ right.T
