"""Small linear networks and independent NumPy programs for the exact updates of local rules."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

import weightpath as wp

ROWS, COLUMNS = np.meshgrid(np.arange(1, 7), np.arange(1, 7), indexing="ij")


def table(formula, rows: int, columns: int) -> np.ndarray:
    """A matrix from a formula of its indices, which start at 1."""
    return formula(ROWS[:rows, :columns], COLUMNS[:rows, :columns])


#: The student, the feedback and the teacher of the reference table.
W = table(lambda i, j: 0.3 * np.cos(i + 2 * j), 3, 3)
B = table(lambda i, j: 0.5 * np.sin(2 * i + j), 3, 2)
A = table(lambda i, j: 0.5 * np.cos(i * j), 2, 3)
R = table(lambda i, j: 0.6 * np.sin(i + j), 2, 3)
W_STAR = table(lambda i, j: 0.4 * np.cos(i - 2 * j), 2, 2)
B_STAR = table(lambda i, j: np.cos(i + j), 2, 2)
A_STAR = table(lambda i, j: np.sin(i + 2 * j), 2, 2)
DECAY = 0.5

STUDENT = wp.LinearRNN(W, B, A)
TEACHER = wp.LinearRNN(W_STAR, B_STAR, A_STAR)
ALL = ("w_rec", "w_in", "w_out")

RULES = {
    "bptt": wp.BPTT(),
    "truncated_1": wp.TruncatedBPTT(1),
    "truncated_2": wp.TruncatedBPTT(2),
    "rflo": wp.RFLO(R, trace_decay=DECAY),
    "eprop": wp.EProp(R),
    "eprop_symmetric": wp.EProp(),
    "snap": wp.SnAp0(R),
    "rtrl": wp.RTRL(),
    "truncated_6": wp.TruncatedBPTT(6),
}


def operators(name: str, count: int) -> list[np.ndarray]:
    """The operators P_k of a rule, written out."""
    power = np.linalg.matrix_power
    kept = {"truncated_1": 1, "truncated_2": 2, "truncated_6": 6, "snap": 1}.get(name, count)
    forms = {
        "rflo": lambda k: DECAY**k * R.T,
        "eprop": lambda k: np.diag(np.diag(W) ** k) @ R.T,
        "eprop_symmetric": lambda k: np.diag(np.diag(W) ** k) @ A.T,
        "snap": lambda k: R.T,
    }
    form = forms.get(name, lambda k: power(W.T, k) @ A.T)
    return [form(k) if k < kept else 0 * A.T for k in range(count)]


def lagged_error(lag: int) -> np.ndarray:
    """E_k of the last step."""
    power = np.linalg.matrix_power
    return A @ power(W, lag) @ B - A_STAR @ power(W_STAR, lag) @ B_STAR


def final_update(name: str, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Update (W, B, A) at one horizon, from the double sum over lags."""
    states = [np.linalg.matrix_power(W, k) @ B for k in range(horizon)]
    errors = [lagged_error(k) for k in range(horizon)]
    credits = operators(name, horizon)
    by_state = [
        sum((errors[k + 1 + j] @ states[j].T for j in range(horizon - 1 - k)), start=np.zeros((2, 3)))
        for k in range(horizon)
    ]
    return (
        np.sum([p @ c for p, c in zip(credits, by_state, strict=True)], axis=0),
        np.sum([p @ e for p, e in zip(credits, errors, strict=True)], axis=0),
        np.sum([e @ x.T for e, x in zip(errors, states, strict=True)], axis=0),
    )


def setup(rule, horizon: int | None = None, loss: str = "final", student=STUDENT, teacher=TEACHER) -> wp.Setup:
    """The student of the table on its teacher."""
    return wp.Setup(student, wp.TeacherRNN(teacher, horizon, loss), rule, train=ALL)


@lru_cache
def exact(horizon: int | None, loss: str = "final"):
    """What every rule finds on the student of the table, and its `Info`: one compiled program for all."""
    target = wp.TeacherRNN(TEACHER, horizon, loss).population()

    @jax.jit
    def every(student):
        return {name: rule.population(student, target) for name, rule in RULES.items()}

    return {name: (update_of(velocity), info) for name, (velocity, info) in every(STUDENT).items()}


def update_of(velocity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a rule takes off (W, B, A): minus its velocity."""
    return tuple(-np.asarray(part) for part in (velocity.w_rec, velocity.w_in, velocity.w_out))


def identity_residual(kind: str, network, update, feedback=None, decay: float = 0.0) -> float:
    """Residual of the identity between the updates of one step, relative to its largest term."""
    w, b, a = (np.asarray(part) for part in (network.w_rec, network.w_in, network.w_out))
    d_w, d_b, d_a = update
    source = a if feedback is None else np.asarray(feedback)
    terms = [source.T @ d_a, -d_w @ (w - decay * np.eye(len(w))).T, -d_b @ b.T]
    if kind == "gradient":
        terms.append(w.T @ d_w)
    return float(np.max(np.abs(sum(terms))) / max(np.max(np.abs(term)) for term in terms))


def unstable(network: wp.LinearRNN, radius: float) -> wp.LinearRNN:
    """The same network with another spectral radius."""
    now = np.max(np.abs(np.linalg.eigvals(np.asarray(network.w_rec))))
    return wp.LinearRNN(radius / now * network.w_rec, network.w_in, network.w_out)


def coloured_batch(trials: int = 4, bins: int = 7):
    """A batch that is neither white nor taught by a teacher."""
    keys = jax.random.split(jax.random.key(3), 2)
    inputs = jnp.cumsum(jax.random.normal(keys[0], (trials, bins, 2)), axis=1)
    targets = jnp.exp(jax.random.normal(keys[1], (trials, bins, 2)))
    mask = jnp.ones((trials, bins)).at[:, 2].set(0.0)
    return wp.tasks.base.Batch(inputs, targets, mask)
