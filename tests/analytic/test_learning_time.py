"""Learning times, largest stable learning rates and steps of gradient descent against tables and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outlier_cases import ALL, BOTH, random_start, rank_one
from scipy.integrate import solve_ivp

import weightpath as wp
from weightpath import theory
from weightpath.theory.learning import _modulus

OUTLIER = theory.Outlier()


@pytest.mark.parametrize(
    ("decay", "fraction", "readout_speed", "expected"),
    [
        (0.5, 0.01, 1, 2.71476364),
        (0.2, 0.01, 1, 1.55302369),
        (0.1, 0.01, 1, 1.19191354),
        (0.05, 0.01, 1, 1.04230228),
        (0.01, 0.01, 1, 0.93873732),
        (0.1, 0.5, 1, 1.10791593),
        (0.1, 0.01, 10, 0.75914935),
    ],
)
def test_learning_time_of_the_table(decay, fraction, readout_speed, expected):
    setup = rank_one(decay, rates={"w_out": readout_speed})
    np.testing.assert_allclose(wp.theory.learning_time(setup, fraction), expected, rtol=1e-7)


def test_learning_time_of_very_slow_targets():
    np.testing.assert_allclose(theory.learning_time(rank_one(0.001), 0.01), 0.91727, atol=5e-6)
    # An independent stiff solver, far into the stiff part after the collapse.
    decay, level = 0.01, 1e-6 * 25

    def field(_, y):
        return [1 / (y[1] + decay) - y[0] / (2 * y[1]), y[0] ** 2 / (4 * y[1] ** 2) - y[0] / (y[1] + decay) ** 2]

    def reached(_, y):
        a, c = y
        return 0.25 * ((a - 2 * c / (c + decay)) ** 2 / c + ((c - decay) / (c + decay)) ** 2 / decay) - level

    reached.terminal = True
    found = solve_ivp(field, (0, 2), [0.0, 1.0], "Radau", events=reached, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(theory.learning_time(rank_one(decay), 1e-6), found.t_events[0][0], rtol=1e-5)


def test_large_and_small_networks_give_the_same_time():
    alone = theory.learning_time(rank_one(0.2, readout=0.1), 0.05)
    np.testing.assert_allclose(theory.learning_time(rank_one(0.2, units=40, readout=0.1), 0.05), alone, rtol=1e-9)


class TestNever:
    def test_readout_alone_ends_above(self):
        setup = rank_one(0.2, train=("w_out",))
        assert np.isinf(theory.learning_time(setup, 0.01))
        assert np.isfinite(theory.learning_time(setup, 0.9))
        assert np.isinf(theory.steps_at_edge(setup, 0.01))

    def test_outlier_that_ends_inside_the_bulk(self):
        assert np.isinf(theory.detachment_time(rank_one(0.9), 0.3))
        assert theory.detachment_time(rank_one(0.9, outlier=0.5), 0.3) == 0


class TestFastReadout:
    @pytest.mark.parametrize("rate", [0.9, 0.6, 0.3, 0.21])
    def test_closed_form_is_the_limit(self, rate):
        expected = theory.fast_readout_time(0.2, rate)
        errors = []
        for speed in (1e2, 1e4):
            setup = rank_one(0.2, rates={"w_out": speed})
            arrival = theory.first_time(OUTLIER, setup, _modulus, 1 - rate)
            errors.append(abs(float(arrival.time / expected) - 1))
        assert errors[1] < 5e-4
        assert errors[0] / errors[1] > 10  # the error is of order 1 / (rate of the read-out)

    def test_closed_form_solves_its_equation(self):
        rate, step, decay = 0.5, 1e-5, 0.2
        slope = theory.fast_readout_time(decay, rate + step) - theory.fast_readout_time(decay, rate - step)
        np.testing.assert_allclose(slope / (2 * step), -((rate + decay) ** 3) / (rate - decay), rtol=1e-7)
        np.testing.assert_allclose(theory.fast_readout_time(decay, 1.0), 0, atol=1e-15)
        twice = theory.fast_readout_time(decay, 0.5, speed=2.0)
        np.testing.assert_allclose(2 * twice, theory.fast_readout_time(decay, 0.5))


class TestCollapse:
    TABLE = [
        (0.25, 0.47733978, 0.47738, 1.69098),
        (1.0, 0.90143810, 0.90150, 0.91516),
        (3.0, 1.40067681, 1.40070, 0.59914),
        (10.0, 1.90030207, 1.89993, 0.42788),
    ]

    @pytest.mark.parametrize(("ratio", "amplitude", "near_amplitude", "near_time"), TABLE)
    def test_table(self, ratio, amplitude, near_amplitude, near_time):
        np.testing.assert_allclose(theory.collapse_amplitude(ratio), amplitude, atol=1e-7)
        setup = rank_one(1e-4, rates={"w_out": ratio})
        near = theory.first_time(OUTLIER, setup, _modulus, 1 - 0.002)
        np.testing.assert_allclose(near.coords[1], near_amplitude, atol=1e-4)
        np.testing.assert_allclose(near.time, near_time, atol=1e-4)

    def test_root_of_the_first_integral(self):
        ratios = np.array([0.01, 0.5, 7.0, 60.0])
        x = 2 - theory.collapse_amplitude(ratios)
        np.testing.assert_allclose(np.log(2 / x) - (4 - x**2) / 8, ratios / 4, rtol=1e-9)

    def test_time_is_the_limit_of_the_flow(self):
        np.testing.assert_allclose(theory.collapse_time(1.0), 0.91492, atol=5e-6)
        for ratio in (0.25, 3.0):
            arrival = theory.first_time(OUTLIER, rank_one(1e-6, rates={"w_out": ratio}), _modulus, 1 - 1e-4)
            np.testing.assert_allclose(arrival.time, theory.collapse_time(ratio), rtol=2e-5)
        np.testing.assert_allclose(theory.collapse_time(1.0, speed=2.0) * 2, theory.collapse_time(1.0))


class TestLargestRate:
    @pytest.mark.parametrize("decay", [0.5, 0.2, 0.03])
    def test_is_that_of_the_scaled_hessian(self, decay):
        setup = rank_one(decay, kappa=1.3, rates={"w_rec": 0.7, "w_out": 2.1})
        hessian = theory.scaled_hessian(decay, read_in=1.3, speed=0.7, readout_speed=2.1)
        np.testing.assert_allclose(theory.lr_max(setup), 2 / np.linalg.eigvalsh(hessian)[-1], rtol=1e-10)

    def test_stated_values_and_limit(self):
        np.testing.assert_allclose(theory.lr_max(rank_one(0.2)), 0.0614, atol=5e-5)
        np.testing.assert_allclose(theory.lr_max(rank_one(0.5)), 0.764, atol=5e-4)
        np.testing.assert_allclose(theory.lr_max(rank_one(1e-3)), 8e-9, rtol=1e-5)

    @pytest.mark.parametrize("train", [BOTH, ALL, ("w_out",)])
    def test_gradient_descent_changes_there(self, train):
        """Just below, the end point attracts; just above, a start beside it is driven away."""
        setup = rank_one(0.3, kappa=0.9, readout=0.2, train=train)
        end, edge = OUTLIER.endpoint(setup), theory.lr_max(setup)
        field = jax.jit(lambda coords: OUTLIER.vector_field(0.0, coords, setup))
        for factor, attracted in ((0.95, True), (1.05, False)):
            coords = end + 1e-6 * jnp.zeros(3).at[jnp.array(OUTLIER.moving(setup))].set(1.0)
            start = np.linalg.norm(field(coords))
            for _ in range(120):
                coords = coords + factor * edge * field(coords)
            distance = np.linalg.norm(field(coords))
            assert bool(distance < 0.1 * start) == attracted


class TestDescent:
    @pytest.mark.parametrize(("decay", "steps"), [(0.2, 52), (0.1, 303), (0.05, 2092), (0.02, 30120)])
    def test_steps_of_the_table(self, decay, steps):
        setup = rank_one(decay)
        run = theory.descent_steps(setup, 0.01, theory.lr_max(setup) / 2)
        assert int(run.steps) == steps and float(run.loss) <= 0.01 / (4 * decay)

    def test_small_steps_follow_the_flow(self):
        setup = rank_one(0.3)
        time = float(theory.learning_time(setup, 0.1))
        for rate in (1e-2, 1e-3, 1e-4):
            assert abs(int(theory.descent_steps(setup, 0.1, rate).steps) * rate - time) < 2 * rate

    def test_outcomes(self):
        setup = rank_one(0.2)
        assert wp.outcome_name(theory.descent_steps(setup, 0.01, 1e-6, max_steps=10).result) == "max_steps"
        assert wp.outcome_name(theory.descent_steps(setup, 0.01, 5.0).result) == "unstable"


def test_time_to_leave_the_saddle_grows_with_the_logarithm_of_the_start():
    times = [
        float(theory.learning_time(rank_one(0.2, kappa=size, readout=size, train=ALL), 0.01))
        for size in (0.1, 0.01, 1e-3, 1e-4)
    ]
    np.testing.assert_allclose([times[0], times[2]], [3.05127, 8.56088], atol=1e-5)
    slopes = np.diff(times) / np.log(10)
    np.testing.assert_allclose(slopes, [1.1929, 1.1999, 1.2000], atol=1e-4)
    np.testing.assert_allclose(slopes[-1], 1 / theory.saddle_rate(0.2), rtol=1e-3)


class TestDetachment:
    def test_outlier_has_that_size_then(self):
        setup = rank_one(0.2)
        time = theory.detachment_time(setup, 0.3)
        np.testing.assert_allclose(theory.solve(OUTLIER, setup, time[None]).coords[0, 2], 0.3, atol=1e-8)

    def test_overlap(self):
        np.testing.assert_allclose(theory.detached_overlap(0.3, 0.5), 0.64)
        np.testing.assert_allclose(theory.detached_overlap(0.3, [0.2, -0.5]), [0.0, 0.64])


class TestBadInput:
    @pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, np.nan])
    def test_fraction(self, fraction):
        with pytest.raises(ValueError, match="fraction must be between 0 and 1"):
            theory.learning_time(rank_one(), fraction)

    def test_starts_that_cannot_learn(self):
        with pytest.raises(ValueError, match="no input reaches the network, the gradient is identically zero"):
            theory.learning_time(rank_one(kappa=0.0), 0.01)
        with pytest.raises(ValueError, match="starts exactly on a saddle"):
            theory.learning_time(rank_one(kappa=0.0, train=ALL), 0.01)

    def test_other_targets(self):
        three = wp.RationalFilter(-jnp.diag(jnp.array([1.0, 2.0, 3.0])), jnp.ones(3), jnp.ones(3))
        with pytest.raises(ValueError, match="no prediction for this setup.*3 poles"):
            theory.learning_time(wp.Setup(rank_one().network, three, wp.BPTT(), BOTH), 0.01)

    def test_large_gain_warns(self):
        with pytest.warns(UserWarning, match="gain; limit"):
            theory.learning_time(random_start(100, 0.3), 0.01)

    def test_numbers(self):
        with pytest.raises(ValueError, match="radius must be positive"):
            theory.detachment_time(rank_one(), 0.0)
        with pytest.raises(ValueError, match="learning_rate must be positive"):
            theory.descent_steps(rank_one(), 0.01, 0.0)
