"""Local learning rules on trials: against their definitions step by step in NumPy, and the equalities between them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rule_program import Program

import weightpath as wp
from weightpath.rules.backprop import batch_loss
from weightpath.tasks.base import Batch

N, IN, OUT, BINS, TRIALS = 7, 3, 2, 15, 3


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def weights(n=N, inputs=IN, outputs=OUT):
    return normal(0, n, n) / np.sqrt(n), normal(1, n, inputs), normal(2, outputs, n)


R = normal(5, OUT, N)
W, U, V = weights()
#: Networks, and the same ones for the program in NumPy.
NETWORKS = {
    "rate": dict(bias=normal(3, N), readout_bias=normal(4, OUT), leak=0.6, activation="tanh"),
    "current": dict(bias=normal(3, N), readout_bias=normal(4, OUT), leak=0.3, activation="softplus", form="current"),
    "discrete": dict(leak=1.0, activation="linear"),
    "continuous": dict(leak=0.2, activation="linear"),
}


def network(kind: str, w_rec=W):
    if kind == "discrete":
        return wp.LinearRNN(w_rec, U, V)
    if kind == "continuous":
        return wp.ContinuousLinearRNN(w_rec, U, V, dt=0.2)
    return wp.RateRNN(w_rec, U, V, **NETWORKS[kind])


def batch() -> Batch:
    """Trials of which some bins do not count."""
    mask = np.random.default_rng(8).random((TRIALS, BINS)) < 0.7
    arrays = normal(6, TRIALS, BINS, IN), normal(7, TRIALS, BINS, OUT), mask.astype(float)
    return Batch(*map(jnp.asarray, arrays))


def velocity(rule, net, trials: Batch):
    """Velocity of a rule's trial form."""
    return jax.jit(lambda net, trials: rule.update(net, trials, rule.init(net, trials, None))[0])(net, trials)


def by_definition(kind: str, trials: Batch, rule: str, w_rec=W, **settings):
    """Gradient estimate (weights, w_out, readout_bias) of the program."""
    program = Program(w_rec, U, V, **NETWORKS[kind])
    mask, total = np.asarray(trials.mask), 0
    for inputs, targets, counts in zip(*map(np.asarray, (trials.inputs, trials.targets, mask)), strict=True):
        outputs = np.array([step[2] for step in program.run(inputs)])
        errors = (outputs - targets) * counts[:, None] / mask.sum()
        found = program.gradient(inputs, errors, rule, **settings)
        total = found if total == 0 else tuple(a + b for a, b in zip(total, found, strict=True))
    return total


def assert_minus(net, moved, expected, tolerance=1e-12):
    blocks, readout, offset = expected
    pairs = {"w_rec": blocks[:, :N], "w_in": blocks[:, N : N + IN], "w_out": readout}
    if getattr(net, "bias", None) is not None:
        pairs |= {"bias": blocks[:, -1], "readout_bias": offset}
    scale = max(np.abs(blocks).max(), np.abs(readout).max())
    for name, value in pairs.items():
        np.testing.assert_allclose(-np.asarray(getattr(moved, name)), value, rtol=0, atol=tolerance * scale)


CASES = [
    (wp.RTRL(), "rtrl", {}, NETWORKS),
    (wp.TruncatedBPTT(4), "truncated", {"horizon": 4}, NETWORKS),
    (wp.RFLO(R, trace_decay=0.7), "rflo", {"feedback": R, "decay": 0.7}, NETWORKS),
    (wp.RFLO(R), "rflo", {"feedback": R}, ["rate"]),
    (wp.RFLO(R, 0.7, trace_derivative=False), "rflo", {"feedback": R, "decay": 0.7, "slope": False}, ["rate"]),
    (wp.EProp(R), "eprop", {"feedback": R}, NETWORKS),
    (wp.SnAp0(R), "snap", {"feedback": R}, ["rate", "current"]),
]


@pytest.mark.parametrize(
    ("rule", "name", "settings", "kind"),
    # A continuous network steps as a linear rate network does: one rule on it is quick.
    [
        pytest.param(rule, name, settings, kind, marks=[pytest.mark.slow] * (kind == "continuous" and name != "rflo"))
        for rule, name, settings, kinds in CASES
        for kind in kinds
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_rule_is_its_definition(rule, name, settings, kind):
    net, trials = network(kind), batch()
    assert_minus(net, velocity(rule, net, trials), by_definition(kind, trials, name, **settings))


class TestEqualities:
    """The equalities between rules, on a tanh network with leak 0.6 and the loss at all times."""

    @pytest.mark.parametrize("kind", NETWORKS)
    def test_real_time_learning_is_the_gradient(self, kind):
        net, trials = network(kind), batch()
        assert_same(velocity(wp.RTRL(), net, trials), gradient(net, trials), 1e-12)

    def test_the_gradient_is_that_of_finite_differences(self):
        net, trials = network("rate"), batch()
        direction = jax.tree.map(lambda leaf: normal(9, *leaf.shape), net)
        loss = jax.jit(lambda h: batch_loss(jax.tree.map(lambda a, b: a + h * b, net, direction), trials))
        slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
        leaves = zip(*map(jax.tree.leaves, (gradient(net, trials), direction)), strict=True)
        along = sum(np.vdot(one, other) for one, other in leaves)
        np.testing.assert_allclose(along, -slope, rtol=1e-8)

    def test_truncation_at_the_whole_trial_is_the_gradient(self):
        net, trials = network("rate"), batch()
        assert_same(velocity(wp.TruncatedBPTT(BINS), net, trials), gradient(net, trials), 1e-12)

    def test_one_step_is_snap_with_the_readout_as_feedback(self):
        net, trials = network("rate"), batch()
        one, none = velocity(wp.TruncatedBPTT(1), net, trials), velocity(wp.RFLO(V, trace_decay=0.0), net, trials)
        snap = velocity(wp.SnAp0(V), net, trials)
        assert_same(one, snap, 1e-14)
        assert_same(none, snap, 1e-14)
        assert_same(velocity(wp.SnAp0(None), net, trials), snap, 1e-14)

    def test_eprop_is_the_gradient_of_uncoupled_units(self):
        net, trials = network("rate", np.diag(np.diag(W))), batch()
        assert_same(velocity(wp.EProp(), net, trials), gradient(net, trials), 1e-12)

    def test_rflo_is_the_gradient_without_recurrence(self):
        net, trials = network("rate", np.zeros((N, N))), batch()
        assert_same(velocity(wp.RFLO(V), net, trials), gradient(net, trials), 1e-12)


def gradient(net, trials: Batch):
    """Minus the gradient, by differentiating the run of the network."""
    return jax.tree.map(jnp.negative, jax.jit(jax.grad(batch_loss))(net, trials))


def assert_same(found, expected, tolerance):
    scale = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(expected))
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * scale)


# Norm, entries 12 and 21 of the summed estimate for w_rec, and its cosine with back-propagation.
SMALL = {
    "BPTT": (1.5034263384, 0.4352103935, -0.0778771630, 1.00000000),
    "truncated 1": (1.3481669575, 0.3686696911, -0.0577713200, 0.95573693),
    "truncated 3": (1.4363887198, 0.3769540201, -0.0819417169, 0.99106684),
    "RFLO, random": (1.1916549008, -0.1503555417, -0.0340116062, -0.31561099),
    "RFLO, symmetric": (1.1643994240, 0.2122057256, -0.0734767061, 0.95534770),
    "e-prop, random": (1.1408841537, -0.0527032643, -0.0173653088, -0.25010493),
    "e-prop, symmetric": (1.3015541982, 0.3114466737, -0.0691153147, 0.99007101),
}


def test_reference_numbers_of_a_small_tanh_network():
    row, column, two = np.arange(1, 5)[:, None], np.arange(1, 5), np.arange(1, 3)
    net = wp.RateRNN(0.4 * np.cos(row + 2 * column), np.sin(2 * row + two), np.cos(two[:, None] * column), leak=0.5)
    feedback = np.sin(two[:, None] + column)
    time = np.arange(1, 9)[:, None]
    trial = Batch(*map(jnp.asarray, (np.sin(time * two)[None], np.cos(0.5 * time * two)[None], np.ones((1, 8)))))
    rules = [wp.BPTT(), wp.TruncatedBPTT(1), wp.TruncatedBPTT(3), wp.RFLO(feedback), wp.RFLO(None), wp.EProp(feedback)]
    estimates = [-8 * np.asarray(velocity(rule, net, trial).w_rec) for rule in [*rules, wp.EProp()]]
    np.testing.assert_allclose(8 * float(jax.jit(batch_loss)(net, trial)), 6.139929358208, atol=1e-9)
    for found, (norm, first, second, cosine) in zip(estimates, SMALL.values(), strict=True):
        size = np.linalg.norm(found)
        np.testing.assert_allclose([size, found[0, 1], found[1, 0]], [norm, first, second], rtol=0, atol=1e-9)
        np.testing.assert_allclose(np.vdot(found, estimates[0]) / size / SMALL["BPTT"][0], cosine, rtol=0, atol=1e-8)


def test_a_loss_that_a_plant_makes_of_the_outputs():
    """The hand of a reach integrates the outputs, so that an output's error comes from later bins."""
    task = wp.ForceFieldReach(trials=2, preparation=2, movement=4)
    net = wp.RateRNN(normal(0, 5, 5) / 2, normal(1, 5, 4), normal(2, 2, 5), leak=0.1, form="current")
    trials = task.batch(jnp.zeros(2, int), jnp.asarray([0.3, 2.0]), 1.5)
    assert_same(velocity(wp.RTRL(), net, trials), gradient(net, trials), 1e-12)


def test_sweeping_feedback_and_decay_in_one_program():
    net, trials = network("rate"), batch()
    rule = wp.RFLO(R, trace_decay=0.2)
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), rule)
    swept = jax.jit(jax.vmap(lambda rule: rule.update(net, trials, None)[0].w_rec))(many)
    np.testing.assert_allclose(swept[1], velocity(wp.RFLO(2 * R, trace_decay=0.4), net, trials).w_rec, rtol=1e-12)
