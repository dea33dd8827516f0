"""Static stimuli: losses and their errors, shuffled epochs, what is refused and in which words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp

INPUTS = np.arange(14.0).reshape(7, 2)
TARGETS = np.cos(np.arange(21.0)).reshape(7, 3)
LABELS = np.array([0, 2, 1, 1, 0, 2, 2])


@pytest.mark.parametrize("kind", ["squared", "half_squared", "mean_squared", "cross_entropy"])
@pytest.mark.parametrize("labelled", [False, True])
def test_losses_and_their_errors(kind, labelled):
    if kind == "cross_entropy" and not labelled:
        return
    batch = wp.StaticTargets(INPUTS, LABELS if labelled else TARGETS, loss=kind).everything()
    outputs = np.sin(np.arange(21.0)).reshape(7, 3)
    wanted = np.eye(3)[LABELS] if labelled else TARGETS
    losses = {
        "squared": lambda y: ((y - wanted) ** 2).sum(1),
        "half_squared": lambda y: 0.5 * ((y - wanted) ** 2).sum(1),
        "mean_squared": lambda y: 0.5 * ((y - wanted) ** 2).mean(1),
        "cross_entropy": lambda y: np.log(np.exp(y).sum(1)) - (y * wanted).sum(1),
    }[kind]
    np.testing.assert_allclose(batch.criterion(jnp.asarray(outputs)), losses(outputs).mean(), rtol=1e-13)
    direction = np.cos(1 + np.arange(21.0)).reshape(7, 3)
    slope = (losses(outputs + 1e-6 * direction) - losses(outputs - 1e-6 * direction)) / 2e-6
    errors = np.asarray(batch.errors(jnp.asarray(outputs)))
    np.testing.assert_allclose((errors * direction).sum(1), slope, rtol=1e-7, atol=1e-9)


def test_defaults_and_accuracy():
    assert wp.StaticTargets(INPUTS, TARGETS).loss == "squared"
    task = wp.StaticTargets(INPUTS, LABELS)
    assert task.loss == "cross_entropy" and task.population() is not None and task.samples == 7
    outputs = jnp.asarray(np.eye(3)[[0, 2, 1, 0, 0, 2, 1]])
    np.testing.assert_allclose(task.everything().accuracy(outputs), 5 / 7)


def test_epochs_are_shuffled_and_incomplete_batches_dropped():
    task, key = wp.StaticTargets(INPUTS, LABELS, trials=3), jax.random.key(0)
    assert task.population() is None
    sample = jax.jit(lambda key, step: task.sample(key, step))
    rows = [[int(row[0] / 2) for row in sample(key, step).inputs] for step in range(8)]
    for epoch in range(4):
        seen = rows[2 * epoch] + rows[2 * epoch + 1]
        assert len(set(seen)) == 6  # nobody twice, one left out
    assert len({tuple(row) for row in rows}) == 8
    again = task.sample(key, 5)
    np.testing.assert_array_equal(again.inputs, INPUTS[rows[5]])
    np.testing.assert_array_equal(again.labels, LABELS[rows[5]])
    assert [int(row[0] / 2) for row in sample(jax.random.key(1), 0).inputs] != rows[0]


def test_an_order_needs_no_key_and_stays_at_its_last_row():
    task = wp.StaticTargets(INPUTS, TARGETS, order=[[4, 0], [1, 1]])
    for step, row in ((0, [4, 0]), (1, [1, 1]), (7, [1, 1])):
        np.testing.assert_array_equal(task.sample(None, step).targets, TARGETS[row])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((INPUTS[:, 0], TARGETS), {}, r"inputs must be \(sample, in\), one stimulus a row; got shape \(7,\)"),
        ((INPUTS[:0], TARGETS[:0]), {}, r"no samples or no channels \(shape \(0, 2\)\)"),
        ((INPUTS.T, TARGETS), {}, r"for 2 samples \(inputs \(2, 7\)\); got float64 of shape \(7, 3\)"),
        ((INPUTS, TARGETS[:, 0]), {}, r"targets must be floats \(sample, out\) or whole-number labels"),
        ((INPUTS, LABELS[:, None]), {}, r"got int64 of shape \(7, 1\)"),
        ((np.where(INPUTS == 3, np.nan, INPUTS), TARGETS), {}, "inputs holds NaN or infinite entries"),
        ((INPUTS, np.where(TARGETS == 1, np.inf, TARGETS)), {}, "targets holds NaN or infinite entries"),
        ((INPUTS, LABELS - 1), {}, "labels count from 0; got -1"),
        ((INPUTS + 1j, TARGETS), {}, r"expected real numbers; got complex128 of shape \(7, 2\)"),
        ((None, TARGETS), {}, "expected an array of real numbers; got None"),
        ((INPUTS, TARGETS), {"loss": "absolute"}, "loss must be one of squared, half_squared, .*; got 'absolute'"),
        ((INPUTS, TARGETS), {"loss": "cross_entropy"}, "needs whole-number labels"),
        ((INPUTS, LABELS), {"trials": 8}, "trials must be a whole number from 1 to the number of samples, 7; got 8"),
        ((INPUTS, LABELS), {"trials": 2, "order": [[0]]}, "not both"),
        ((INPUTS, LABELS), {"order": [[0, 7]]}, "order names samples 0 to 7; there are 0 to 6"),
        (
            (INPUTS, LABELS),
            {"order": [0, 1]},
            r"order must be whole numbers \(step, trial\); got int64 of shape \(2,\)",
        ),
    ],
)
def test_bad_samples_say_what_is_wrong(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        wp.StaticTargets(*arguments, **options)


def test_a_batch_needs_a_key_and_accuracy_needs_labels():
    with pytest.raises(ValueError, match=r"epochs are shuffled by a key: give key=jax.random.key\(seed\)"):
        wp.StaticTargets(INPUTS, TARGETS, trials=2).sample(None, 0)
    with pytest.raises(ValueError, match="these samples have targets, not labels"):
        wp.StaticTargets(INPUTS, TARGETS).everything().accuracy(jnp.zeros((7, 3)))


@pytest.mark.parametrize(
    ("channels", "outputs", "answers", "message"),
    [
        (3, 3, TARGETS, r"the task has 2 inputs, the network 3 \(w_in \(4, 3\)\)"),
        (2, 2, TARGETS, r"the task has 3 outputs, the network 2 \(w_out \(2, 4\)\)"),
        (2, 2, LABELS, r"labels go up to 2, and the network has 2 outputs, for labels 0 to 1"),
    ],
)
def test_channels_must_fit(channels, outputs, answers, message):
    network = wp.RateRNN(np.eye(4), np.ones((4, channels)), np.ones((outputs, 4)), leak=0.1)
    with pytest.raises(ValueError, match=message):
        wp.Setup(network, wp.StaticTargets(INPUTS, answers), wp.EuclideanFixedPoint(), train=("w_rec",))


def test_lookahead_is_for_linear_networks():
    network = wp.RateRNN(np.eye(4), np.ones((4, 2)), np.ones((3, 4)), leak=0.1)
    rule = wp.Reparameterised("A", exact=True, lookahead=True)
    with pytest.raises(
        ValueError, match="lookahead is defined for linear networks; this RateRNN has activation 'tanh'"
    ):
        wp.Setup(network, wp.StaticTargets(INPUTS, TARGETS), rule, train=("w_rec",))
