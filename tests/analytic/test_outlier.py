"""The one-outlier theory against the exact learning rule, stated tables, SciPy and autodiff."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from outlier_cases import ALL, BOTH, random_start, rank_one
from scipy.integrate import quad, solve_ivp
from scipy.linalg import expm

import weightpath as wp
from weightpath import theory
from weightpath.networks.words import project
from weightpath.theory.solve import _solve

OUTLIER = theory.Outlier()
RATES = {"w_rec": 0.7, "w_in": 1.3, "w_out": 2.1}

#: decay, kappa, rate of w_rec, rate of w_out, times, A, c, L: stated to 8 digits (L to 4 where it is small).
PATHS = [
    (0.2, 1, 1, 1, (0.5, 1, 1.5, 2, 4), (0.37450266, 0.69159282, 0.96509630, 0.99189377, 0.99926903),
     (0.93562, 0.74014186, 0.27958630, 0.19831802, 0.19984800),
     (0.95769761, 0.67593105, 0.07049569, 4.13e-5, 3.3e-7)),
    (0.1, 1, 1, 1, (1, 1.2, 5), (0.78686955, 0.95579636, 0.99999650), (0.58469435, 0.09776352, 0.09999965),
     (1.61551073, 0.00308678, 0)),
    (0.05, 2, 1, 0.5, (0.4, 1, 2), (0.64884387, 1.03686477, 1.00000181), (0.87803066, 0.05187021, 0.05000009),
     (4.42070796, 0.00333584, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("decay", "kappa", "speed", "readout_speed", "time", "amplitude", "rate", "loss"), PATHS)
def test_path_of_the_table(decay, kappa, speed, readout_speed, time, amplitude, rate, loss):
    setup = rank_one(decay, kappa=kappa, rates={"w_rec": speed, "w_out": readout_speed})
    count = len(time)
    time = np.concatenate([time, time[-1] + np.arange(1.0, 6 - count)])  # one shape, one compiled program
    path = theory.solve(OUTLIER, setup, time).coords[:count]
    found = jax.vmap(lambda coords: OUTLIER.loss(coords, setup))(path)
    np.testing.assert_allclose(path[:, 0] * path[:, 1], amplitude, atol=1e-6)
    np.testing.assert_allclose(1 - path[:, 2], rate, atol=1e-6)
    np.testing.assert_allclose(found, loss, atol=1e-6)


class TestAgainstTheRule:
    """On rank-one weights the theory is the population velocity and loss of the network, at any size."""

    setup = rank_one(0.3, units=6, kappa=1.4, readout=0.6, outlier=0.35, train=ALL, rates=RATES)
    coords = OUTLIER.start(setup)

    def test_loss(self):
        np.testing.assert_allclose(OUTLIER.loss(self.coords, self.setup), wp.loss(self.setup), rtol=1e-12)

    def test_loss_is_the_integral_of_the_filter_difference(self):
        network = self.setup.network
        generator = np.asarray(network.w_rec) - np.eye(6)

        def squared(s):
            response = np.asarray(network.w_out)[0] @ expm(generator * s) @ np.asarray(network.w_in)[:, 0]
            return (response - np.exp(-0.3 * s)) ** 2

        value, _ = quad(squared, 0, 80, limit=200)
        np.testing.assert_allclose(OUTLIER.loss(self.coords, self.setup), value / 2, rtol=1e-7)

    def test_velocity(self):
        moved = wp.velocity(self.setup)
        direction = self.setup.network.w_in[:, 0] / jnp.linalg.norm(self.setup.network.w_in)
        along = direction @ moved.w_rec @ direction
        change = jnp.stack([direction @ moved.w_in[:, 0], moved.w_out[0] @ direction, along])
        np.testing.assert_allclose(OUTLIER.vector_field(0.0, self.coords, self.setup), change, rtol=1e-11)
        outside = moved.w_rec - jnp.outer(direction, direction) * change[2]
        np.testing.assert_allclose(outside, 0, atol=1e-13)

    def test_velocity_is_steepest_descent(self):
        slope = jax.grad(lambda coords: OUTLIER.loss(coords, self.setup))(self.coords)
        rates = jnp.array([RATES["w_in"], RATES["w_out"], RATES["w_rec"]])
        np.testing.assert_allclose(OUTLIER.vector_field(0.0, self.coords, self.setup), -rates * slope, rtol=1e-11)


@pytest.mark.parametrize("train", [ALL, ("w_rec",), ("w_rec", "w_in")])
def test_path_against_scipy(train):
    setup = rank_one(0.3, kappa=0.8, readout=0.5, outlier=0.1, train=train, rates={name: RATES[name] for name in train})
    rates = [RATES[name] if name in train else 0.0 for name in ("w_in", "w_out", "w_rec")]

    def field(_, y):
        kappa, a, w = y
        amplitude, c = kappa * a, 1 - w
        by_amplitude = amplitude / (2 * c) - 1 / (c + 0.3)
        by_rate = amplitude / (c + 0.3) ** 2 - amplitude**2 / (4 * c**2)
        return [-rates[0] * a * by_amplitude, -rates[1] * kappa * by_amplitude, rates[2] * by_rate]

    time = np.linspace(0, 6, 5)
    expected = solve_ivp(field, (0, 6), [0.8, 0.5, 0.1], "LSODA", time, rtol=1e-11, atol=1e-13).y.T
    np.testing.assert_allclose(theory.solve(OUTLIER, setup, time).coords, expected, atol=1e-8)


@pytest.mark.slow  # twins: test_path_against_scipy and test_very_stiff_path
def test_implicit_and_explicit_solvers_agree():
    setup = OUTLIER.reduced(rank_one(0.05))
    numbers = (OUTLIER.start(setup), jnp.linspace(0.0, 2.0, 5), jnp.asarray(1e-9), jnp.asarray(1e-12))
    explicit, implicit = (_solve(OUTLIER, setup, *numbers, choice) for choice in (False, True))
    np.testing.assert_allclose(explicit.coords, implicit.coords, atol=1e-7)
    assert int(implicit.steps) < int(explicit.steps)


def test_very_stiff_path_stays_affordable():
    path = theory.solve(OUTLIER, rank_one(0.001), np.linspace(0, 4, 5))
    assert OUTLIER.stiff(rank_one(0.001)) and int(path.steps) < 1000
    np.testing.assert_allclose(path.coords[-1], [1, 1, 0.999], atol=1e-9)


class TestEndpoints:
    CASES = [
        (BOTH, {"kappa": 1.5, "readout": -0.2}),
        (ALL, {"kappa": 0.4, "readout": 1.1, "outlier": 0.2}),
        (ALL, {"kappa": 0.9, "readout": -0.3}),
        (("w_out",), {"kappa": 0.7, "outlier": 0.3}),
        (("w_in",), {"kappa": 0.7, "readout": 0.4}),
        (("w_rec", "w_in"), {"kappa": 0.1, "readout": 0.8}),
        (("w_rec",), {"kappa": 1.2, "readout": 0.5}),
    ]

    @pytest.mark.parametrize(("train", "start"), CASES)
    def test_flow_ends_there(self, train, start):
        setup = rank_one(0.3, train=train, rates={name: RATES[name] for name in train}, **start)
        end = OUTLIER.endpoint(setup)
        np.testing.assert_allclose(OUTLIER.vector_field(0.0, end, setup), 0, atol=1e-13)
        np.testing.assert_allclose(theory.solve(OUTLIER, setup, [200.0]).coords[0], end, atol=1e-6)
        assert bool(theory.stability(OUTLIER, setup, end).stable) or train in (ALL, ("w_in", "w_out"))

    def test_no_end_for_recurrent_weights_that_run_away(self):
        setup = rank_one(0.2, readout=-1.0, train=("w_rec",))
        assert np.isnan(OUTLIER.endpoint(setup)[2])
        assert theory.solve(OUTLIER, setup, [50.0]).coords[0, 2] < -1


class TestStationaryPoints:
    def test_found_points_are_zeros(self):
        setup = rank_one(0.2, kappa=1.3)
        found = theory.stationary_points(OUTLIER, setup, [[1.3, 0.7, 0.75], [1.3, 0.9, 0.9], [1.3, 0.5, 0.6]])
        # The third search runs away to an infinitely fast pole, where the field fades without a zero.
        assert found.found.tolist() == [True, True, False]
        np.testing.assert_allclose(found.coords[:2], np.tile(OUTLIER.endpoint(setup), (2, 1)), atol=1e-8)
        for point in found.coords[:2]:
            np.testing.assert_allclose(OUTLIER.vector_field(0.0, point, setup), 0, atol=1e-10)

    def test_jacobian_is_the_finite_difference(self):
        setup = rank_one(0.3, kappa=1.1, train=ALL, rates=RATES)
        point, step = jnp.array([1.1, 0.4, 0.3]), 1e-6

        def field(coords):
            return OUTLIER.vector_field(0.0, coords, setup)

        columns = [(field(point + step * axis) - field(point - step * axis)) / (2 * step) for axis in jnp.eye(3)]
        np.testing.assert_allclose(theory.jacobian(OUTLIER, setup, point), jnp.stack(columns, 1), rtol=1e-7, atol=1e-8)

    def test_final_rate_of_a_fast_readout(self):
        decay = 0.2
        setup = rank_one(decay, rates={"w_rec": 1.0, "w_out": 1e5})
        slowest = theory.rates(OUTLIER, setup, OUTLIER.endpoint(setup))[0]
        np.testing.assert_allclose(slowest, 1 / (8 * decay**3), rtol=1e-3)

    def test_final_rates_of_a_slow_target(self):
        setup = rank_one(0.005, kappa=1.3, rates={"w_rec": 0.6, "w_out": 2.0})
        slow, fast = theory.rates(OUTLIER, setup, OUTLIER.endpoint(setup))
        np.testing.assert_allclose(slow, 2.0 * 1.3**2 / (4 * 0.005), rtol=1e-3)
        np.testing.assert_allclose(fast, 0.6 / (4 * 0.005**3), rtol=1e-3)


class TestReadInTrained:
    setup = rank_one(0.2, kappa=0.3, readout=0.1, train=ALL, rates=RATES)

    def test_conserved_quantity(self):
        path = theory.solve(OUTLIER, self.setup, np.linspace(0, 20, 5))
        kept = OUTLIER.conserved(path.coords, self.setup)
        np.testing.assert_allclose(kept, kept[0], atol=1e-9)
        np.testing.assert_allclose(kept[0], 0.1**2 / 2.1 - 0.3**2 / 1.3, rtol=1e-12)

    def test_origin_is_a_saddle_with_the_stated_rate(self):
        at_origin = theory.stability(OUTLIER, self.setup, jnp.zeros(3))
        expected = theory.saddle_rate(0.2, read_in_speed=RATES["w_in"], readout_speed=RATES["w_out"])
        np.testing.assert_allclose(np.sort(at_origin.eigenvalues.real), [-expected, 0, expected], atol=1e-12)
        assert not bool(at_origin.stable)


def _with_outlier(setup: wp.Setup, size: float) -> wp.Setup:
    direction = setup.network.w_in[:, 0]
    return eqx.tree_at(lambda s: s.network.w_rec, setup, setup.network.w_rec + size * jnp.outer(direction, direction))


class TestMeasure:
    def test_zero_weights(self):
        setup = rank_one(0.2, units=5, kappa=1.2)
        np.testing.assert_allclose(OUTLIER.measure(setup.network, setup), [1.2, 0, 0], atol=1e-15)

    def test_rank_one_weights_at_any_size(self):
        for units in (1, 2, 7):
            setup = rank_one(0.2, units=units, kappa=1.2, readout=0.4, outlier=0.6)
            np.testing.assert_allclose(OUTLIER.measure(setup.network, setup), [1.2, 0.4, 0.6], atol=1e-12)

    def test_negative_outlier(self):
        setup = rank_one(1.7, units=4, readout=0.9, outlier=-0.7)
        np.testing.assert_allclose(OUTLIER.measure(setup.network, setup)[2], -0.7, atol=1e-12)

    def test_outlier_beside_a_bulk_is_found_and_survives_projection(self):
        setup = random_start(60, 0.1)
        network = _with_outlier(setup, 0.7).network
        measured = OUTLIER.measure(network, setup)
        eigenvalues = np.linalg.eigvals(np.asarray(network.w_rec))
        np.testing.assert_allclose(measured[2], eigenvalues[np.argmax(np.abs(eigenvalues))].real, atol=1e-12)
        small, _ = project(network, 4)
        projected = setup.with_network(small)
        np.testing.assert_allclose(OUTLIER.measure(small, projected)[2], measured[2], atol=1e-6)

    def test_outlier_is_seen_as_soon_as_it_is_detached(self):
        """At gain .3: outside the disk, the measured outlier is the eigenvalue furthest out."""
        setup = random_start(100, 0.3, seed=0)
        for size in (0.42, 0.5, 0.8):
            network = _with_outlier(setup, size).network
            outermost = np.max(np.linalg.eigvals(np.asarray(network.w_rec)).real)
            np.testing.assert_allclose(OUTLIER.measure(network, setup)[2], outermost, atol=1e-10)

    def test_passes_jit_and_vmap(self):
        setup = rank_one(0.2, units=4, kappa=1.2, readout=0.4, outlier=0.6)
        single = OUTLIER.measure(setup.network, setup)
        stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), setup.network)
        batched = jax.jit(jax.vmap(lambda network: OUTLIER.measure(network, setup)))(stacked)
        np.testing.assert_allclose(batched, jnp.stack([single, single]), atol=1e-13)


def test_one_compiled_program_for_all_values_and_sizes():
    theory.solve(OUTLIER, rank_one(0.2), [0.0, 1.0])
    before = _solve._cached._cache_size()
    for decay, units, speed in ((0.3, 4, 1.0), (0.5, 9, 0.3), (0.11, 30, 2.0)):
        theory.solve(OUTLIER, rank_one(decay, units=units, kappa=0.9, rates={"w_rec": speed}), [0.0, 2.0])
    assert _solve._cached._cache_size() == before


@pytest.mark.slow  # twin: test_flow's flows of a batch of problems
def test_sweep_over_decays_by_vmap():
    decays, time = jnp.array([0.2, 0.3, 0.5]), jnp.linspace(0.0, 3.0, 5)
    swept = jax.vmap(lambda decay: OUTLIER.predict(rank_one(decay), time))(decays)
    single = jnp.stack([OUTLIER.predict(rank_one(decay), time) for decay in decays])
    np.testing.assert_allclose(swept, single, atol=1e-7)


class TestRegime:
    def test_inside(self):
        for setup in (rank_one(), rank_one(units=7, outlier=0.6, readout=0.3), random_start(50, 0.01)):
            regime = OUTLIER.regime(setup)
            assert regime.inside and regime.defined and wp.outcome_name(regime.result) == "successful"

    @pytest.mark.parametrize(
        ("setup", "words", "defined"),
        [
            (random_start(100, 0.3), "gain; limit 0.1", True),
            (random_start(50, 0.01, readout="random", readout_norm=0.8), "not parallel", True),
            (rank_one(kappa=0.0), "no input reaches the network", False),
            (rank_one(kappa=0.0, train=ALL), "saddle", False),
            (rank_one(outlier=1.2), "unstable", False),
        ],
    )  # fmt: skip
    def test_outside(self, setup, words, defined):
        regime = OUTLIER.regime(setup)
        assert wp.outcome_name(regime.result) == "outside_regime"
        assert words in regime.reason and regime.defined == defined

    def test_entry_along_the_read_in(self):
        setup = random_start(100, 0.01)
        assert "u^T W0 u = 0.2" in OUTLIER.regime(_with_outlier(setup, 0.2)).reason

    def test_other_problems_have_no_prediction(self):
        network = rank_one(units=3).network
        oscillator = wp.RationalFilter([[-0.2, -1.0], [1.0, -0.2]], [1.0, 0.0], [1.0, 0.0])
        louder = wp.RationalFilter([[-0.2]], [1.0], [2.0])
        discrete = wp.LinearRNN(0.1 * jnp.eye(3), jnp.ones(3), jnp.zeros(3))
        for net, task, words in (
            (network, oscillator, "2 poles"),
            (network, louder, "amplitude 2"),
            (discrete, wp.Integrator(0.2, dt=0.1), "ContinuousLinearRNN"),
        ):
            setup = wp.Setup(net, task, wp.BPTT(), BOTH)
            assert words in OUTLIER.regime(setup).reason
            with pytest.warns(UserWarning, match="outside its regime"):
                assert bool(jnp.isnan(OUTLIER.predict(setup, [0.0, 1.0])).all())

    def test_prediction_outside_warns_and_answers(self):
        setup = random_start(100, 0.3)
        with pytest.warns(UserWarning, match="wp.flow"):
            assert bool(jnp.isfinite(OUTLIER.predict(setup, [0.0, 1.0])).all())


@pytest.mark.parametrize("time", [[-1.0, 0.0], [1.0, 0.5], [np.nan], []])
def test_bad_times(time):
    with pytest.raises(ValueError, match="time"):
        theory.solve(OUTLIER, rank_one(), time)
