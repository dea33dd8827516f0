"""What learning rules refuse or warn of, and in which words."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import weightpath as wp
from weightpath.networks.factored import FactoredRNN
from weightpath.rules.online import begin
from weightpath.tasks.base import Batch


def network(units=4, inputs=2, outputs=3, leak=0.5) -> wp.RateRNN:
    return wp.RateRNN(np.eye(units), np.ones((units, inputs)), np.ones((outputs, units)), leak=leak)


def batch(trials=2, bins=5, inputs=2, outputs=3) -> Batch:
    return Batch(jnp.ones((trials, bins, inputs)), jnp.ones((trials, bins, outputs)), jnp.ones((trials, bins)))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((4, 3), r"\(out, post\) = \(3, 4\).*got \(4, 3\), which is \(post, out\): give its transpose"),
        ((2, 4), r"got \(2, 4\): axis 0 \(out\) must be 3"),
        ((3, 5), r"got \(3, 5\): axis 1 \(post\) must be 4"),
        ((2, 5), r"axis 0 \(out\) must be 3 and axis 1 \(post\) must be 4"),
    ],
)
@pytest.mark.parametrize("rule", [wp.RFLO, wp.EProp, wp.SnAp0])
def test_feedback_that_does_not_fit(rule, shape, words):
    with pytest.raises(ValueError, match=f"feedback of {rule.__name__} must be .*{words}"):
        rule(np.ones(shape)).init(network(), batch(), None)


def test_a_square_feedback_is_taken_as_out_by_post():
    """With as many outputs as units a transposed matrix cannot be told; the axes are those of w_out."""
    net, trials = network(outputs=4), batch(outputs=4)
    feedback = np.zeros((4, 4))
    feedback[0, 2] = 1.0
    with pytest.warns(UserWarning, match="zero for output 1, 2, 3"):
        rule = wp.SnAp0(feedback)
    moved = jax.jit(lambda: rule.update(net, trials, None)[0])()
    assert np.flatnonzero(np.any(np.asarray(moved.w_in) != 0, axis=1)).tolist() == [2]


def test_feedback_that_is_not_a_finite_matrix():
    with pytest.raises(ValueError, match="feedback holds NaN"):
        wp.EProp([[np.nan, 1.0]])
    with pytest.raises(ValueError, match=r"feedback of RFLO must be \(out, post\); got shape \(1, 2, 3\)"):
        wp.RFLO(np.ones((1, 2, 3)))


def test_an_output_without_feedback_warns():
    with pytest.warns(UserWarning, match="feedback of RFLO is zero for output 1: .* never change w_rec, w_in or bias"):
        wp.RFLO([[1.0, 2.0], [0.0, 0.0]])


class TestTraceDecay:
    def test_left_out_without_leak_warns(self):
        with pytest.warns(UserWarning, match="the default 1 - leak is 0.*SnAp-0 with random feedback"):
            wp.RFLO(np.ones((3, 4))).init(network(leak=1.0), batch(), None)
        with pytest.warns(UserWarning, match="SnAp-0 with the present read-out"):
            wp.RFLO(None).credit(wp.LinearRNN(np.eye(2), np.ones(2), np.ones(2)))

    def test_given_or_with_leak_does_not(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            wp.RFLO(np.ones((3, 4)), trace_decay=0.0).init(network(leak=1.0), batch(), None)
            wp.RFLO(np.ones((3, 4))).init(network(), batch(), None)

    @pytest.mark.parametrize("decay", [1.0, -1.2])
    def test_a_trace_that_does_not_decay_warns(self, decay):
        with pytest.warns(UserWarning, match=f"trace_decay={decay:g}: .*oldest inputs dominate"):
            wp.RFLO([1.0], trace_decay=decay)

    @pytest.mark.parametrize("decay", [np.inf, np.nan, [0.1, 0.2]])
    def test_not_one_finite_number(self, decay):
        with pytest.raises(ValueError, match="trace_decay must be one finite number"):
            wp.RFLO([1.0], trace_decay=decay)


class TestHorizon:
    @pytest.mark.parametrize("horizon", [0, -2, True])
    def test_below_one(self, horizon):
        with pytest.raises(ValueError, match="horizon must be a whole number of steps, at least 1"):
            wp.TruncatedBPTT(horizon)

    def test_beyond_the_trial_is_the_trial(self):
        rule = wp.TruncatedBPTT(9)
        with pytest.warns(UserWarning, match=r"horizon=9\) on trials of 5 steps.*horizon=5, which is BPTT"):
            rule.init(network(), batch(), None)
        long, whole = (jax.jit(wp.TruncatedBPTT(horizon).update)(network(), batch(), None)[0] for horizon in (9, 5))
        np.testing.assert_array_equal(long.w_rec, whole.w_rec)


class TestSizeOfRTRL:
    def test_too_large_is_refused_before_it_is_made(self):
        large = jax.eval_shape(lambda: network(units=1000))
        with pytest.raises(ValueError, match=r"RTRL with 1000 units and 2 trials.*1.6e\+10 bytes.*UORO.*max_bytes"):
            wp.RTRL().init(large, batch(), None)

    def test_the_limit_can_be_moved(self):
        wp.RTRL().init(network(), batch(), None)
        with pytest.raises(ValueError, match=r"1.54e\+03 bytes.*max_bytes is 1e\+03"):
            wp.RTRL(max_bytes=1000).init(network(), batch(), None)
        # Online the 5 steps of the trials are kept, 4 * 4 weights and 2 * (4 + 4 + 6) numbers each, of 8 bytes.
        with pytest.raises(ValueError, match=r"1.76e\+03 bytes.*max_bytes is 1e\+03"):
            begin(wp.RTRL(max_bytes=1000), network(), batch(), None)
        begin(wp.RTRL(max_bytes=1761), network(), batch(), None)
        with pytest.raises(ValueError, match="max_bytes must be positive"):
            wp.RTRL(max_bytes=0)


@pytest.mark.parametrize(
    "rule",
    [wp.RTRL(), wp.TruncatedBPTT(2), wp.RFLO([1.0] * 4), wp.EProp(), wp.SnAp0(None), wp.UORO(), wp.KFRTRL()],
    ids=lambda rule: type(rule).__name__,
)
def test_networks_whose_step_is_another(rule):
    factored = FactoredRNN(
        jnp.ones((4, 2)), jnp.ones((4, 2)), jnp.ones(2), jnp.ones(2), jnp.ones((1, 4)), jnp.zeros(1), jnp.asarray(4.0)
    )
    name, trials = type(rule).__name__, batch(outputs=1)
    with pytest.raises(ValueError, match=f"{name} cannot train this FactoredRNN: it needs a network in which each"):
        rule.init(factored, trials, jax.random.key(0))
    without = wp.ContinuousLinearRNN(np.eye(4), np.ones((4, 2)), np.ones(4))
    with pytest.raises(ValueError, match=f"{name} cannot train this ContinuousLinearRNN: it has no time step"):
        rule.init(without, trials, jax.random.key(0))


class TestOnline:
    def setup(self, rule, task=None):
        task = wp.GivenTrials(np.ones((2, 5, 2)), np.ones((2, 5, 3))) if task is None else task
        return wp.Setup(network(), task, rule, train=("w_rec",))

    def test_back_propagation_needs_whole_trials(self):
        with pytest.raises(ValueError, match='BPTT needs whole trials.*update="trial", or RTRL'):
            wp.train(self.setup(wp.BPTT()), optax.sgd(0.1), 3, key=jax.random.key(0), update="step")

    def test_a_loss_of_whole_trials(self):
        task = wp.ForceFieldReach(trials=2, preparation=2, movement=4)
        setup = wp.Setup(task.network(jax.random.key(0), units=4), task, wp.RTRL(), train=("w_rec",))
        with pytest.raises(ValueError, match="the loss of ReachBatch is not a sum of squared errors of single time"):
            wp.train(setup, optax.sgd(0.1), 3, key=jax.random.key(0), update="step")

    def test_a_task_without_trials(self):
        linear = wp.LinearRNN(0.1 * np.eye(3), np.ones(3), np.ones(3))
        setup = wp.Setup(linear, wp.Integrator(0.3, dt=0.1), wp.RTRL(), train=("w_rec",))
        with pytest.raises(ValueError, match='update="step" learns from sampled trials, and Integrator without noise'):
            wp.train(setup, optax.sgd(0.1), 3, update="step")

    def test_another_word(self):
        with pytest.raises(ValueError, match='update must be "trial" or "step"; got \'bin\''):
            wp.train(self.setup(wp.RTRL()), optax.sgd(0.1), 3, key=jax.random.key(0), update="bin")
