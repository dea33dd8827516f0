"""Tasks that people train on: targets recomputed from the inputs by plain loops, statistics, masks, performance."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from weightpath import DelayedMatch, EvidenceIntegration, FlipFlop, SineGeneration, rollout
from weightpath.networks.init import rate
from weightpath.rules.random_feedback import random_feedback
from weightpath.tasks.base import Batch
from weightpath.tasks.measures import decided_rightly, explained, signs_right

KEY = jax.random.key(1)
PERFORMANCE = eqx.filter_jit(lambda task, batch: task.performance(batch.targets, batch))
SAMPLE = eqx.filter_jit(lambda task, key, step: task.sample(key, step))


# One size of each task, so that the tests share a few compiled programs.
def match(code="one_hot", **arrays):
    sizes = {"sample_bins": 2, "delay": 3, "test": 1, "response": 2, "stimuli": 3, "trials": 4000}
    return DelayedMatch(code=code, **sizes, **arrays)


def flip_flop(**arrays):
    return FlipFlop(bits=2, bins=30, trials=600, **arrays)


def evidence(target, **arrays):
    return EvidenceIntegration(target=target, stimulus=6, response=2, trials=4000, **arrays)


def waves():
    return SineGeneration((0.04, 0.1), bins=25, trials=12)


def batch_of(task, step=3):
    batch = SAMPLE(task, KEY, step)
    return tuple(np.asarray(part) for part in (batch.inputs, batch.targets, batch.mask))


@pytest.mark.parametrize("code", ["one_hot", "circular"])
def test_match_is_read_off_the_inputs(code):
    task = match(code, input_noise=0.0)
    inputs, targets, mask = batch_of(task)
    assert inputs.shape == (4000, 8, task.channels[0]) and task.bins == 8
    for trial in range(100):
        first, second = inputs[trial, 0, :-1], inputs[trial, 5, :-1]
        np.testing.assert_allclose(first, inputs[trial, 1, :-1])
        np.testing.assert_allclose(np.linalg.norm(first), 1)
        assert not inputs[trial, [2, 3, 4, 6, 7], :-1].any()
        np.testing.assert_array_equal(targets[trial, 6:, 0], 1.0 if np.allclose(first, second) else -1.0)
    np.testing.assert_array_equal(mask, np.tile([0.0] * 6 + [1.0] * 2, (4000, 1)))
    np.testing.assert_array_equal(inputs[..., -1], mask)


def test_matches_and_stimuli_come_as_often_as_stated():
    inputs, targets, _ = batch_of(match(match=0.3, input_noise=0.0))
    answers = targets[:, -1, 0]
    assert abs(np.mean(answers > 0) - 0.3) < 4 * np.sqrt(0.21 / 4000)
    pairs = np.stack([inputs[:, 0, :-1].argmax(1), inputs[:, 5, :-1].argmax(1)])
    differ = pairs[:, answers < 0]
    assert scipy.stats.chisquare(np.bincount(3 * differ[0] + differ[1], minlength=9)[[1, 2, 3, 5, 6, 7]]).pvalue > 1e-3
    assert scipy.stats.chisquare(np.bincount(pairs[0])).pvalue > 1e-3


def test_noise_has_the_stated_size():
    noisy, clean = (batch_of(match(input_noise=noise))[0] for noise in (0.2, 0.0))
    np.testing.assert_allclose(np.std(noisy - clean), 0.2, rtol=0.01)


def test_flip_flop_holds_the_last_pulse():
    inputs, targets, mask = batch_of(flip_flop(amplitude=1.7))
    for trial in range(40):
        held = np.zeros(2)
        for time in range(30):
            pulse = inputs[trial, time] != 0
            held = np.where(pulse, np.sign(inputs[trial, time]), held)
            np.testing.assert_array_equal(targets[trial, time], held)
    assert set(np.unique(inputs)) == {-1.7, 0.0, 1.7} and mask.all()


def test_pulses_come_at_their_rate_and_with_either_sign():
    inputs, _, _ = batch_of(flip_flop(pulse_probability=0.25))
    later = inputs[:, 1:]
    assert abs(np.mean(later != 0) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / later.size)
    assert abs(np.mean(later)) < 4 * np.sqrt(0.25 / later.size)
    assert (inputs[:, 0] != 0).all()


def test_running_mean_of_the_evidence():
    inputs, targets, mask = batch_of(evidence("mean"))
    for trial in range(10):
        total = 0.0
        for time in range(8):
            total += inputs[trial, time, 0]
            np.testing.assert_allclose(targets[trial, time, 0], total / 6, rtol=1e-13, atol=1e-15)
    assert mask.all() and not inputs[:, 6:, 0].any()
    np.testing.assert_array_equal(inputs[..., 1], np.tile([0.0] * 6 + [1.0] * 2, (4000, 1)))


def test_evidence_has_the_drawn_mean_and_spread():
    inputs, targets, mask = batch_of(evidence("decision", coherences=(0.2, 0.4, 0.6), evidence_noise=0.5))
    levels = (inputs[:, :6, 0] * targets[:, -1:, 0]).mean(1)
    spread = np.sqrt(0.08 / 3 + 0.5**2 / 6)
    np.testing.assert_allclose(levels.mean(), 0.4, atol=4 * spread / np.sqrt(4000))
    np.testing.assert_allclose(levels.std(), spread, rtol=0.05)
    np.testing.assert_array_equal(targets[..., 0] != 0, mask == 1)


def test_the_ideal_observer_is_as_good_as_stated():
    task = evidence("decision")
    inputs, targets, _ = batch_of(task)
    right = np.mean(inputs[..., 0].sum(1) * targets[:, -1, 0] > 0)
    best = np.mean(scipy.stats.norm.cdf(np.array([0.1, 0.2, 0.4]) * np.sqrt(6) / 0.5))
    np.testing.assert_allclose(task.best_accuracy(), best, rtol=1e-12)
    assert abs(right - best) < 4 * np.sqrt(best * (1 - best) / 4000)


def test_waves_are_rotations_by_the_cued_angle():
    inputs, targets, mask = batch_of(waves())
    for trial in range(12):
        turn = np.exp(2j * np.pi * inputs[trial, 0, 0] * 0.1)
        phase = 1.0 + 0.0j
        for time in range(25):
            phase *= turn
            np.testing.assert_allclose(targets[trial, time, 0], phase.imag, atol=1e-12)
    assert mask.all() and set(np.round(np.unique(inputs[..., 0]), 12)) == {0.4, 1.0}
    np.testing.assert_array_equal(inputs[..., 1], np.tile(np.eye(25)[0], (12, 1)))


def test_performance_of_known_answers():
    targets = np.random.default_rng(0).choice([-1.0, 1.0], size=(6, 5, 2))
    mask = np.ones((6, 5))
    mask[:, :3] = 0
    batch = Batch(jnp.zeros((6, 5, 1)), jnp.asarray(targets), jnp.asarray(mask))
    wrong = targets * np.where(np.arange(6) < 2, -1, 1)[:, None, None]
    wrong[:, :3] = 99.0  # not observed
    assert jax.jit(signs_right)(jnp.asarray(wrong), batch) == pytest.approx(4 / 6)
    constant = np.broadcast_to(targets[:, :1], targets.shape)
    decided = Batch(batch.inputs, jnp.asarray(constant), batch.mask)
    half_wrong = constant * np.where(np.arange(6) < 2, -0.1, 7)[:, None, None]
    assert jax.jit(decided_rightly)(half_wrong, decided) == pytest.approx(4 / 6)
    seen = targets[:, 3:]
    spread = np.sum((seen - seen.mean((0, 1))) ** 2)
    score = jax.jit(explained)
    assert score(jnp.asarray(0.5 * targets), batch) == pytest.approx(1 - np.sum((0.5 * seen) ** 2) / spread)
    assert score(jnp.asarray(targets), batch) == pytest.approx(1)


@pytest.mark.parametrize(
    "task",
    [match(), flip_flop(), evidence("mean"), waves()],
    ids=lambda t: type(t).__name__,
)
def test_right_answers_perform_perfectly(task):
    batch = SAMPLE(task, KEY, 0)
    assert PERFORMANCE(task, batch) == pytest.approx(1)
    assert (batch.inputs.shape[2], batch.targets.shape[2]) == task.channels


def test_difficulties_share_one_program():
    never, always = (batch_of(flip_flop(pulse_probability=p))[0] for p in (0.0, 1.0))
    assert not never[:, 1:].any() and always.all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DelayedMatch(stimuli=1), "stimuli must be a whole number, at least 2; got 1"),
        (lambda: DelayedMatch(delay=-1), "delay must be a whole number, at least 0; got -1"),
        (lambda: DelayedMatch(code="words"), "code must be one of one_hot, circular; got 'words'"),
        (lambda: DelayedMatch(match=1.2), r"match must lie in \[0, 1\]; got 1.2"),
        (lambda: FlipFlop(bits=0), "bits must be a whole number, at least 1"),
        (lambda: FlipFlop(pulse_probability=jnp.nan), r"pulse_probability must lie in \[0, 1\]; got nan"),
        (lambda: FlipFlop(amplitude=-1.0), "amplitude must be at least 0; got -1"),
        (lambda: EvidenceIntegration(target="sum"), "target must be one of decision, mean; got 'sum'"),
        (lambda: EvidenceIntegration((0.0, 0.1)), "coherences must be positive"),
        (lambda: EvidenceIntegration(jnp.ones((2, 2))), "coherences must be a list of numbers; got shape"),
        (lambda: EvidenceIntegration(evidence_noise=-0.1), "evidence_noise must be at least 0"),
        (lambda: SineGeneration((0.1, 0.6)), r"frequencies must lie in \(0, 0.5\] cycles per bin"),
        (lambda: SineGeneration(bins=0), "bins must be a whole number, at least 1"),
        (lambda: rate(jax.random.key(0), 0, 1, 1, gain=1.0, leak=0.5), "units must be a whole number, at least 1"),
        (lambda: rate(jax.random.key(0), 4, 1, 1, gain=-1.0, leak=0.5), "gain must not be negative; got -1.0"),
    ],
)  # fmt: skip
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_start_of_a_rate_network_and_its_feedback():
    network = rate(jax.random.key(0), 400, 3, 2, gain=1.5, read_in_gain=0.5, readout_gain=2.0, leak=0.2)
    np.testing.assert_allclose(np.std(network.w_rec) * 20, 1.5, rtol=0.02)
    np.testing.assert_allclose(np.std(network.w_in) * np.sqrt(3), 0.5, rtol=0.1)
    np.testing.assert_allclose(np.std(network.w_out) * 20, 2.0, rtol=0.1)
    assert network.leak == 0.2 and not network.bias.any() and not network.readout_bias.any()
    feedback = random_feedback(jax.random.key(1), network, scale=3.0)
    assert feedback.shape == network.w_out.shape
    np.testing.assert_allclose(np.std(feedback) * 20, 3.0, rtol=0.1)
    bare = rate(jax.random.key(0), 4, 1, 1, gain=1.0, leak=0.5, bias=False, activation="relu")
    assert bare.bias is None and bare.readout_bias is None and bare.activation == "relu"
    assert rollout(bare, jnp.ones((3, 1)))[1].shape == (3, 1)
    with pytest.raises(ValueError, match="scale must be positive; got -1"):
        random_feedback(jax.random.key(1), network, scale=-1.0)
