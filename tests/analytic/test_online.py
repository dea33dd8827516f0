"""Learning at every time step: against a NumPy loop, the trial form, and back-propagation at small rates."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from rule_program import Program

import weightpath as wp
from weightpath.learn.online import run_online
from weightpath.rules import past
from weightpath.rules.online import Carried, begin, online_step, restarted
from weightpath.tasks.base import AbstractTask, Batch

N, IN, OUT, BINS, STREAMS = 5, 2, 2, 8, 3
RNG = np.random.default_rng(4)
W, U, V = RNG.normal(size=(N, N)) / 2, RNG.normal(size=(N, IN)), RNG.normal(size=(OUT, N))
R = RNG.normal(size=(OUT, N))
X, Y = RNG.normal(size=(STREAMS, BINS, IN)), RNG.normal(size=(STREAMS, BINS, OUT))
TANH = dict(leak=0.5, activation="tanh")
TRAINED = ("w_rec", "w_in", "w_out")
KEY = jax.random.key(0)


def setup(rule, inputs=X, targets=Y) -> wp.Setup:
    return wp.Setup(wp.RateRNN(W, U, V, **TANH), wp.GivenTrials(inputs, targets), rule, train=TRAINED)


#: One optimiser per rate, so that what is compiled for it serves again.
sgd = functools.cache(optax.sgd)


def online(problem, rate, steps, every=100, **settings) -> wp.Trajectory:
    return wp.train(problem, sgd(rate), steps, record=wp.Record(every), key=KEY, update="step", **settings)


@pytest.mark.parametrize(
    ("rule", "name", "settings"),
    [
        (wp.RTRL(), "rtrl", {}),
        (wp.RFLO(R, trace_decay=0.7), "rflo", {"feedback": R, "decay": 0.7}),
        (wp.EProp(R), "eprop", {"feedback": R}),
        (wp.SnAp0(None), "snap", {"decay": 0.0}),
        (wp.TruncatedBPTT(3), "truncated", {"horizon": 3}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_step_is_that_of_a_loop_in_numpy(rule, name, settings):
    """Each error also comes back through weights that have just changed."""
    program = Program(W, U, V, **TANH)
    losses = program.learn(X[0], Y[0], name, 0.05, **settings)
    network, found, _ = eqx.filter_jit(run_online)(setup(rule, X[:1], Y[:1]), optax.sgd(0.05), 1, KEY)
    np.testing.assert_allclose(found, losses, rtol=1e-11)
    for one, other in ((network.w_rec, program.w), (network.w_in, program.u), (network.w_out, program.v)):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "rule",
    [
        wp.RTRL(),
        wp.TruncatedBPTT(3),
        wp.RFLO(R, trace_decay=0.7),
        wp.RFLO(R, 0.7, trace_derivative=False),
        wp.EProp(),
        wp.SnAp0(R),
        pytest.param(wp.UORO(), marks=pytest.mark.slow),
        wp.KFRTRL(),
    ],
    ids=lambda rule: type(rule).__name__,
)
@pytest.mark.parametrize("kind", ["rate", "current", "linear"])
def test_steps_with_weights_that_stand_still_add_up_to_the_trial_form(rule, kind):
    """The trial form of most rules goes another way (back in time, without a trace)."""
    if kind != "rate" and not isinstance(rule, wp.RFLO | wp.TruncatedBPTT):
        return
    b, c = RNG.normal(size=N), RNG.normal(size=OUT)
    net = wp.LinearRNN(W, U, V) if kind == "linear" else wp.RateRNN(W, U, V, b, c, form=kind, **TANH)
    batch = Batch(*map(jnp.asarray, (X, Y, np.ones((STREAMS, BINS)))))
    key = rule.init(net, batch, KEY)
    noise = None if key is None else jnp.swapaxes(rule.draw(jax.random.split(key)[1], net, STREAMS, BINS), 0, 1)

    @jax.jit
    def total():
        def step(carried, now):
            velocity, carried, loss = online_step(rule, net, carried, *now)
            return carried, (velocity, loss)

        steps = jnp.swapaxes(batch.inputs, 0, 1), jnp.swapaxes(batch.targets, 0, 1), batch.mask.T, noise
        found, losses = jax.lax.scan(step, begin(rule, net, batch, KEY), steps)[1]
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), found), jnp.sum(losses)

    (found, losses), (expected, _, info) = total(), jax.jit(lambda: rule.update(net, batch, key))()
    np.testing.assert_allclose(losses, BINS * info.loss, rtol=1e-12)
    for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        np.testing.assert_allclose(one, BINS * other, rtol=1e-10, atol=1e-12)


def test_one_vector_serves_as_the_trace_of_units_with_equal_gain():
    linear, rate = wp.LinearRNN(W, U, V), wp.RateRNN(W, U, V, **TANH)
    shapes = {
        ((N,), (IN,)): [(wp.RFLO(R, 0.5), linear), (wp.RFLO(R, trace_derivative=False), rate)],
        ((N, N), (N, IN)): [(wp.RFLO(R), rate), (wp.EProp(R), linear)],
    }
    for shape, pairs in shapes.items():
        for rule, network in pairs:
            assert tuple(block.shape for block in rule.first_trace(network, rule.check(network))) == shape


def test_real_time_learning_tends_to_the_gradient_with_the_rate():
    """Halving the rate halves the difference between the change of weights of one trial and the gradient's."""
    gradient = jax.jit(wp.BPTT().update)(setup(wp.BPTT()).network, wp.GivenTrials(X, Y).sample(KEY, 0), None)[0]
    after = jax.jit(lambda rate: run_online(setup(wp.RTRL()), optax.sgd(rate), 1, KEY)[0].w_rec)
    misses = []
    for rate in (2e-3, 1e-3, 5e-4):
        change = after(rate) - W
        misses.append(float(jnp.linalg.norm(change / rate - BINS * gradient.w_rec)))
    assert misses[0] < 0.05 * float(jnp.linalg.norm(BINS * gradient.w_rec))
    np.testing.assert_allclose(np.divide(misses[:-1], misses[1:]), 2, rtol=0.03)


@pytest.mark.parametrize("small", [0, N], ids=["products", "sums"])
@pytest.mark.parametrize("whole", [True, False], ids=["trials kept", "influence"])
@pytest.mark.parametrize("kind", ["rate", "current"])
def test_real_time_learning_by_its_past_is_that_by_its_definition(monkeypatch, kind, whole, small):
    """Two streams whose weights change at every step; where the influence is a matrix, one of them starts anew."""
    monkeypatch.setattr(past, "WINDOW", 3)
    monkeypatch.setattr(past, "SMALL", small)
    net = wp.RateRNN(W, U, V, RNG.normal(size=N), RNG.normal(size=OUT), form=kind, **TANH)
    rule, mask = wp.RTRL(), np.ones((STREAMS, BINS))
    first = np.arange(BINS)[:, None] == np.zeros(STREAMS)
    mask[1, 2], first[5, 2] = 0.0, not whole

    @jax.jit
    def learned(trace):
        def step(learner, now):
            net, carried = learner
            velocity, carried, loss = online_step(rule, net, restarted(rule, net, carried, now[0]), *now[1:])
            return (jax.tree.map(lambda weight, moved: weight + 0.05 * moved, net, velocity), carried), loss

        steps = first, jnp.swapaxes(jnp.asarray(X), 0, 1), jnp.swapaxes(jnp.asarray(Y), 0, 1), jnp.asarray(mask.T)
        (found, _), losses = jax.lax.scan(step, (net, Carried(jnp.zeros((STREAMS, N)), trace, None)), steps)
        return found, losses

    plain = jnp.broadcast_to(rule.first_trace(net, rule.check(net)), (STREAMS, N, N * (N + IN + 1)))
    pairs = zip(
        *map(jax.tree.leaves, (learned(past.empty(net, STREAMS, BINS, whole=whole)), learned(plain))), strict=True
    )
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


class Parts(AbstractTask):
    """The trials cut into two batches; the second goes on where the first ended, in the streams where it may."""

    fresh: tuple = eqx.field(static=True)

    def sample(self, key, step) -> Batch:
        half, late = BINS // 2, step % 2
        cut = [jnp.stack([array[:, :half], array[:, half:]])[late] for array in map(jnp.asarray, (X, Y))]
        return Batch(*cut, jnp.ones((STREAMS, half)), first=jnp.asarray(self.fresh) | (late == 0))

    def population(self) -> None:
        return None


class TestTrialStarts:
    def test_a_stream_may_go_on_over_batches(self):
        rule = wp.RFLO(R, trace_decay=0.7)
        parts = wp.Setup(setup(rule).network, Parts((False,) * STREAMS), rule, train=TRAINED)
        cut, whole = online(parts, 0.05, 2 * BINS), online(setup(rule), 0.05, 2 * BINS)
        np.testing.assert_allclose(cut.networks.w_rec[-1], whole.networks.w_rec[-1], rtol=1e-12)

    @pytest.mark.parametrize(
        "rule", [wp.EProp(R), wp.RFLO(R), wp.TruncatedBPTT(3)], ids=lambda rule: type(rule).__name__
    )
    def test_state_and_traces_are_reset_together(self, rule):
        net, batch = setup(rule).network, wp.GivenTrials(X, Y).sample(KEY, 0)
        carried = begin(rule, net, batch, KEY)
        assert all(not np.any(leaf) for leaf in jax.tree.leaves(carried))
        step = eqx.filter_jit(lambda carried, *now: online_step(rule, net, carried, *now)[1])
        for bin in range(2):
            carried = step(carried, batch.inputs[:, bin], batch.targets[:, bin], batch.mask[:, bin])
        after = restarted(rule, net, carried, jnp.asarray(np.array([True, False, True])))
        for old, new in zip(*map(jax.tree.leaves, (carried, after)), strict=True):
            assert np.any(old[0])
            assert not np.any(new[0])
            assert not np.any(new[2])
            np.testing.assert_array_equal(new[1], old[1])


class TestTrain:
    def test_records_cut_no_trial_short(self):
        """Records every 3 steps of trials of 8, with a rule that draws: the path is the same."""
        often, seldom = (online(setup(wp.UORO()), 0.02, 20, every) for every in (3, 20))
        np.testing.assert_allclose(often.networks.w_rec[-1], seldom.networks.w_rec[-1], rtol=1e-12)
        np.testing.assert_allclose(often.time, 0.02 * np.array([0, 3, 6, 9, 12, 15, 18, 20]))

    def test_seeds_side_by_side_are_those_one_by_one(self):
        rng = np.random.default_rng(0)
        starts = W + 0.1 * rng.normal(size=(3, N, N))
        problem, optimiser = setup(wp.RFLO(R)), optax.adam(0.01)

        def after(w_rec):
            here = eqx.tree_at(lambda value: value.network.w_rec, problem, w_rec)
            network, losses, result = run_online(here, optimiser, 3, KEY)
            return network.w_rec, losses, result == wp.RESULTS.successful

        together, losses, good = jax.jit(jax.vmap(after))(jnp.asarray(starts))
        assert bool(good.all())
        assert losses.shape == (3, 3 * BINS)
        for start, found in zip(starts, together, strict=True):
            here = eqx.tree_at(lambda value: value.network.w_rec, problem, jnp.asarray(start))
            alone = wp.train(here, optimiser, 3 * BINS, key=KEY, update="step", record=wp.Record(100))
            np.testing.assert_allclose(found, alone.networks.w_rec[-1], rtol=1e-10)

    def test_guards_see_every_step(self):
        calm, guarded = (online(setup(wp.RFLO(R)), 0.02, 12, guards=guards) for guards in (None, wp.Guards()))
        np.testing.assert_allclose(guarded.networks.w_rec[-1], calm.networks.w_rec[-1], rtol=1e-12)
        capped = online(setup(wp.RFLO(R)), 0.02, 12, every=1, max_rel_step=1e-3)
        sizes = np.linalg.norm(np.diff(capped.networks.w_rec, axis=0), axis=(1, 2))
        assert np.all(sizes <= 1.001e-3 * np.linalg.norm(capped.networks.w_rec[:-1], axis=(1, 2)))

    def test_the_last_good_weights_stand_after_a_failure(self):
        problem = setup(wp.RTRL())
        with pytest.raises(RuntimeError, match=r"stopped after step \d+ of 200 \(diverged\)"):
            online(problem, 30.0, 200)
        ended = online(problem, 30.0, 200, throw=False)
        assert wp.outcome_name(ended.result) == "diverged"
        steps = round(float(ended.time[-1]) / 30.0)
        assert 0 < steps < 200
        again = online(problem, 30.0, steps)
        np.testing.assert_array_equal(ended.networks.w_rec[-1], again.networks.w_rec[-1])

    def test_bins_that_do_not_count_change_nothing(self):
        mask = np.ones((STREAMS, BINS))
        mask[:, :4] = 0
        problem = wp.Setup(setup(wp.RTRL()).network, wp.GivenTrials(X, Y, mask), wp.RTRL(), train=TRAINED)
        path = online(problem, 0.05, BINS, every=1)
        moved = np.any(np.diff(path.networks.w_rec, axis=0) != 0, axis=(1, 2))
        np.testing.assert_array_equal(moved, np.arange(BINS) >= 4)
