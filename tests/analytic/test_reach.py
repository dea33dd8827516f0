"""Reaching in a force field against plants and paths worked out by hand, and trials given as arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from weightpath import BPTT, ForceFieldReach, GivenTrials, Record, Setup, rollout, train

TASK = ForceFieldReach(trials=6, preparation=3, movement=5, scatter=0.1)


@pytest.fixture(scope="module")
def batch():
    return TASK.sample(jax.random.key(1), 60)


def test_the_field_is_on_during_perturbation_only():
    strength = [float(TASK.strength(step)) for step in (0, 49, 50, 149, 150, 400)]
    assert strength == [0, 0, 1.5, 1.5, 0, 0]
    assert [TASK.epoch(step) for step in (49, 50, 149, 150)] == ["baseline", "perturbation", "perturbation", "washout"]
    assert float(TASK.sample(jax.random.key(0), 10).field) == 0
    jitted = jax.jit(lambda step: TASK.sample(jax.random.key(0), step).field)
    assert float(jitted(60)) == 1.5


def test_inputs_show_the_target_then_the_go_cue(batch):
    inputs, towards = np.asarray(batch.inputs), np.stack([np.cos(batch.angle), np.sin(batch.angle)], -1)
    assert inputs.shape == (6, 9, 4) and TASK.bins == 9
    np.testing.assert_array_equal(inputs[:, 1:4, :2], np.repeat(towards[:, None], 3, 1))
    assert not inputs[:, [0, *range(4, 9)], :2].any()
    np.testing.assert_array_equal(inputs[0, :, 2], [0, 0, 0, 0, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(inputs[0, :, 3], [10, 0, 0, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(batch.mask[0], [0, 1, 1, 1, 1, 1, 1, 1, 1])


def test_wanted_paths_are_smooth_steps_to_the_target(batch):
    radius = np.linalg.norm(batch.targets, axis=-1)
    q = np.arange(1, 6) / 5
    np.testing.assert_allclose(radius, np.tile(np.r_[np.zeros(4), 3 * q**2 - 2 * q**3], (6, 1)), atol=1e-12)
    np.testing.assert_allclose(np.arctan2(*batch.targets[:, -1].T[::-1]), (batch.angle + np.pi) % (2 * np.pi) - np.pi)
    away = np.asarray(batch.angle) - 2 * np.pi * np.asarray(batch.direction) / 8
    assert np.all(np.abs(away) < 0.5) and set(np.asarray(batch.direction)) <= set(range(8))


def test_the_hand_is_a_damped_mass_in_a_turning_field(batch):
    # In complex numbers v <- v + dt (F + i kappa v - mu v): a scalar recursion, done here in its closed form.
    forces = jax.random.normal(jax.random.key(0), (6, 9, 2))
    hand = np.asarray(batch.hand(forces))
    factor = 1 + 0.1 * (1.5j - 0.5)
    force = np.asarray(forces[..., 0] + 1j * forces[..., 1])[:, 4:]
    for bins in range(1, 6):
        # position = dt sum of velocities; the velocity after bin n is dt sum_j factor^(n - j) F_j
        velocity = [0.1 * sum(factor ** (n - j) * force[:, j] for j in range(n + 1)) for n in range(bins)]
        position = 0.1 * sum(velocity)
        np.testing.assert_allclose(hand[:, 3 + bins, 0] + 1j * hand[:, 3 + bins, 1], position, atol=1e-13)
    assert not hand[:, :4].any()


def test_criterion_is_the_squared_distance_of_the_hand(batch):
    assert float(batch.criterion(jnp.zeros((6, 9, 2)))) == pytest.approx(np.sum(np.asarray(batch.targets) ** 2) / 48)
    with pytest.raises(ValueError, match="2 outputs, the force in x and y; the network has 3"):
        batch.criterion(jnp.zeros((6, 9, 3)))


def test_the_pulse_sets_the_initial_state(batch):
    network = TASK.network(jax.random.key(0), 7)
    start = jnp.linspace(-1, 1, 7)
    moved = rollout(type(network)(
        network.w_rec, network.w_in.at[:, 3].set(start), network.w_out, leak=0.1, form="current"
    ), batch.inputs[0])[0]  # fmt: skip
    np.testing.assert_allclose(moved[0], start, rtol=1e-14)
    assert network.w_in.shape == (7, 4) and not network.w_in[:, 3].any()
    assert np.std(TASK.network(jax.random.key(0), 200).w_rec) == pytest.approx(0.8 / 200**0.5, rel=0.02)


@pytest.mark.slow  # twin: the code of the README, in test_examples
def test_training_lowers_the_loss_and_repeats():
    setup = Setup(TASK.network(jax.random.key(0), 10), TASK, BPTT(), train=("w_rec", "w_in", "w_out"))
    first, again = (train(setup, optax.adam(3e-2), 60, record=Record(every=60), key=jax.random.key(2)) for _ in "ab")
    assert first.loss[-1] < 0.5 * first.loss[0]
    np.testing.assert_array_equal(first.network(-1).w_rec, again.network(-1).w_rec)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trials": 0}, "trials must be a whole number, at least 1; got 0"),
        ({"movement": 0}, "movement must be a whole number, at least 1; got 0"),
        ({"baseline": -1}, "baseline must be a whole number, at least 0"),
        ({"dt": 0.0}, r"dt must be in \(0, 1\], in time constants"),
        ({"scatter": -0.1}, "scatter must not be negative"),
        ({"friction": float("nan")}, "friction must not be negative"),
        ({"field": jnp.ones(2)}, r"field must be one number; got shape \(2,\)"),
    ],
)
def test_bad_settings_are_one_clear_message(options, message):
    with pytest.raises(ValueError, match=message):
        ForceFieldReach(**options)


def test_bad_networks_are_refused():
    with pytest.raises(ValueError, match="units must be at least 1"):
        TASK.network(jax.random.key(0), 0)


class TestGivenTrials:
    inputs = np.random.default_rng(0).standard_normal((4, 6, 2))
    targets = np.random.default_rng(1).standard_normal((3, 4, 6, 1))

    def test_phases_follow_one_another_and_the_last_stays(self):
        task = GivenTrials(self.inputs, self.targets, phase_steps=10)
        for step, phase in ((0, 0), (9, 0), (10, 1), (29, 2), (30, 2), (500, 2)):
            np.testing.assert_array_equal(task.sample(jax.random.key(0), step).targets, self.targets[phase])
        assert task.population() is None

    def test_small_batches_take_every_trial_at_most_once(self):
        task = GivenTrials(self.inputs, self.targets[0], batch=3)
        seen = set()
        for step in range(12):
            batch = task.sample(jax.random.key(0), step)
            which = [int(np.flatnonzero((self.inputs == one).all((1, 2)))[0]) for one in np.asarray(batch.inputs)]
            assert len(set(which)) == 3
            np.testing.assert_array_equal(batch.targets, self.targets[0][which])
            seen |= set(which)
        assert seen == {0, 1, 2, 3}

    @pytest.mark.parametrize(
        ("args", "options", "message"),
        [
            ((inputs, targets[:, :3]), {"phase_steps": 2}, r"same trials and bins; got \(4, 6, 2\) and \(3, 3, 6, 1\)"),
            ((inputs, targets), {}, "how many steps each of the 3 phases lasts, at least 1; got None"),
            ((inputs, targets, np.ones((4, 5))), {"phase_steps": 2}, r"mask must be \(trial, time\) = \(4, 6\)"),
            ((inputs, targets, np.zeros((4, 6))), {"phase_steps": 2}, "leaves out every bin of some trial"),
            ((inputs, np.nan * targets), {"phase_steps": 2}, "targets holds NaN"),
            ((inputs, targets[0]), {"batch": 5}, "between 1 and the number of trials, 4; got 5"),
        ],
    )
    def test_bad_arrays_are_one_clear_message(self, args, options, message):
        with pytest.raises(ValueError, match=message):
            GivenTrials(*args, **options)
