"""The theory of the conjugate pair against the exact rule, stated tables, finite differences and SciPy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pair_cases import BOTH, in_plane, random_start, two_units
from scipy.linalg import expm
from scipy.optimize import minimize_scalar

import weightpath as wp
from weightpath import theory
from weightpath.theory.plateau import real_roots
from weightpath.theory.two_pole import oscillation, two_pole_loss

PAIR = theory.ConjugatePair()
COORDS = np.array([0.3, -0.4, 0.5, 0.1, 0.6, 0.7])
RATES = {"w_rec": 0.6, "w_out": 2.0}
#: decay, frequency: loss without output, at the plateau, its rate and amplitude, escape rate; collision, half plateau,
#: real part at the collision (from W0 = 0 and a read-out of 1e-4 across the read-in).
TABLE = [
    (0.2, 1.0, (0.649038462, 0.360246216, 1.681488128, 1.393701163, 0.093351997), (93.71186, 102.00214), -0.229949),
    (0.3, 2.0, (0.425835371, 0.277093096, 3.382038915, 1.418523403, 0.046536147), (149.92653, 174.63912), -0.520130),
    (0.1, 0.5, (1.298076923, 0.720492431, 0.840744064, 1.393701163, 0.205497760), (37.51925, 47.05169), 0.085674),
]


@pytest.mark.parametrize(("decay", "frequency", "closed", "events", "place"), TABLE)
def test_table(decay, frequency, closed, events, place):
    setup = two_units(decay, frequency)
    best, path = theory.plateau(setup), theory.milestones(setup)
    found = [best.energy / 2, best.loss, best.rate, best.amplitude, theory.escape_rate(setup)]
    np.testing.assert_allclose(found, closed, atol=1e-8)
    np.testing.assert_allclose([path.collision, path.half_plateau], events, atol=1e-3)
    np.testing.assert_allclose(PAIR.eigenvalues(path.coords[0]).real, [place, place], atol=1e-4)
    np.testing.assert_allclose(PAIR.discriminant(path.coords[0]), 0, atol=1e-12)
    np.testing.assert_allclose(PAIR.loss(path.coords[1], setup), best.loss / 2, rtol=1e-9)
    np.testing.assert_allclose(PAIR.loss(path.coords[2], setup), 0.01 * PAIR.loss(path.start, setup), rtol=1e-9)


def test_single_times():
    setup = two_units()
    assert float(theory.collision_time(setup)) == float(theory.milestones(setup).collision)
    assert float(theory.half_plateau_time(setup)) == float(theory.milestones(setup).half_plateau)


def test_smaller_starts_escape_later_by_the_logarithm():
    times = [float(theory.half_plateau_time(two_units(size=size))) for size in (1e-4, 1e-6, 1e-10)]
    expected = np.log(100) / float(theory.escape_rate(two_units()))
    np.testing.assert_allclose(np.diff(times), [expected, 2 * expected], rtol=1e-5)


class TestAgainstTheRule:
    """On weights in a plane the theory is the exact loss and velocity of the network, at any size."""

    setup = in_plane(6, COORDS, kappa=1.4, target=(0.3, 1.2, 0.8, -0.5), rates=RATES)

    def test_start_and_loss(self):
        np.testing.assert_allclose(PAIR.start(self.setup), _positive(COORDS), atol=1e-14)
        np.testing.assert_allclose(PAIR.loss(PAIR.start(self.setup), self.setup), wp.loss(self.setup), rtol=1e-12)

    def test_velocity(self):
        moved = wp.velocity(self.setup)
        ahead = eqx.tree_at(lambda n: n.w_in, moved, self.setup.network.w_in)
        expected = PAIR.measure(ahead, self.setup)
        found = PAIR.vector_field(0.0, PAIR.start(self.setup), self.setup)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)

    def test_velocity_is_the_gradient_by_autodiff(self):
        kappa, target = jnp.asarray(1.4), oscillation(self.setup.task.population())
        slope = jax.grad(two_pole_loss)(jnp.asarray(COORDS), kappa, target)
        rates = np.array([RATES["w_rec"]] * 4 + [RATES["w_out"]] * 2)
        np.testing.assert_allclose(PAIR.vector_field(0.0, jnp.asarray(COORDS), self.setup), -rates * slope, rtol=1e-12)

    def test_loss_keeps_its_digits_near_the_optimum(self):
        setup = two_units(size=0.5)
        near = PAIR.endpoint(setup) + 1e-7 * jnp.asarray(COORDS)
        small = setup.with_network(wp.ContinuousLinearRNN(near[:4].reshape(2, 2), [1.0, 0.0], near[4:]))
        value = float(PAIR.loss(near, setup))
        assert 0 < value < 1e-12
        np.testing.assert_allclose(value, wp.loss(small), rtol=1e-6)

    def test_unstable_network(self):
        unstable = jnp.asarray([1.2, 0, 0, 0.5, 1, 1])
        assert np.isinf(PAIR.loss(unstable, self.setup))
        assert bool(jnp.isnan(PAIR.vector_field(0.0, unstable, self.setup)).all())


def _positive(coords):
    """The same with the second axis along the part of the read-out across the read-in."""
    return np.asarray(coords) * np.array([1, np.sign(coords[5]), np.sign(coords[5]), 1, 1, np.sign(coords[5])])


class TestPlateau:
    @pytest.mark.parametrize(
        "target", [(0.2, 0.6, 1.0, 0.0), (0.3, 1.1, 0.8, -0.5), (0.4, 0.9, 0.0, 1.0), (1.5, 0.3, 1, 2)]
    )
    def test_best_exponential_by_search(self, target):
        decay, frequency, cosine, sine = target
        setup = two_units(decay, frequency, cosine=cosine, sine=sine)
        best = theory.plateau(setup)

        def lost(logarithm):
            z = np.exp(logarithm) + decay
            g = (cosine * z + sine * frequency) / (z**2 + frequency**2)
            return 0.5 * (float(best.energy) - 2 * np.exp(logarithm) * g**2)

        starts = np.linspace(-6, 4, 41)
        values = [lost(start) for start in starts]
        around = starts[int(np.argmin(values))]
        found = minimize_scalar(lost, bounds=(around - 0.3, around + 0.3), method="bounded", options={"xatol": 1e-10})
        np.testing.assert_allclose(best.loss, found.fun, atol=1e-13)
        np.testing.assert_allclose(best.rate, np.exp(found.x), rtol=1e-5)

    @pytest.mark.parametrize(
        ("target", "kappa", "rates"),
        [((0.2, 1.0, 1.0, 0.0), 1.0, None), ((0.3, 1.1, 0.8, -0.5), 1.7, RATES), ((0.4, 0.9, 0.0, 1.0), 0.6, RATES)],
    )
    def test_escape_rate_is_the_growing_eigenvalue(self, target, kappa, rates):
        decay, frequency, cosine, sine = target
        setup = two_units(decay, frequency, cosine=cosine, sine=sine, kappa=kappa, rates=rates)
        best = theory.plateau(setup)
        point = jnp.array([1 - best.rate, 0, 0, 0, best.amplitude / kappa, 0])
        np.testing.assert_allclose(PAIR.vector_field(0.0, point, setup), 0, atol=1e-12)
        growth = np.sort(theory.stability(PAIR, setup, point).eigenvalues.real)
        np.testing.assert_allclose(growth[-1], theory.escape_rate(setup), rtol=1e-9)
        assert np.min(np.abs(growth + growth[-1])) < 1e-9  # and the same rate, decaying

    def test_stated_escape_rates(self):
        regular = two_units(0.2, 0.6)
        best = theory.plateau(regular)
        np.testing.assert_allclose([best.rate, best.amplitude], [1, 4 / 3], atol=1e-8)
        np.testing.assert_allclose(theory.escape_rate(regular), 10 / 81, atol=1e-8)
        other = two_units(0.3, 1.1, kappa=1.7, rates=RATES)
        np.testing.assert_allclose(theory.escape_rate(other), 0.0769952338177, atol=1e-12)

    def test_frozen_recurrent_weights_do_not_escape(self):
        assert float(theory.escape_rate(two_units(train="w_out"))) == 0

    @pytest.mark.parametrize(
        "cubic", [(1, -6, 11, -6), (0, 1, -3, 2), (2, 0, 0, -16), (1, 0.4, -3, 0.4), (1e-9, 1, -5, 6)]
    )
    def test_real_roots(self, cubic):
        expected = np.roots(cubic)
        expected = np.sort(expected[np.abs(expected.imag) < 1e-9].real)
        found = np.asarray(real_roots(jnp.asarray(cubic, float)))
        np.testing.assert_allclose(np.sort(found[np.isfinite(found)]), expected, rtol=1e-9)


@pytest.fixture(scope="module")
def solved():
    setup = two_units(rates=RATES, kappa=1.3)
    return setup, theory.solve(PAIR, setup, np.linspace(0, 240, 41), rtol=1e-11, atol=1e-14)


class TestPath:
    def test_conserved(self, solved):
        setup, path = solved
        kept = PAIR.conserved(path.coords, setup)
        np.testing.assert_allclose(kept, kept[0], atol=1e-10)

    def test_ends_at_the_poles_of_the_target(self, solved):
        setup, path = solved
        np.testing.assert_allclose(PAIR.eigenvalues(path.coords[-1]), [0.8 + 1j, 0.8 - 1j], atol=1e-6)
        np.testing.assert_allclose(PAIR.visible(path.coords[-1], setup), [0.2, 1.0, 1.0, 0.0], atol=1e-6)
        assert 0 <= float(path.loss[-1]) < 1e-10

    def test_eigenvalues_are_those_of_the_matrix(self, solved):
        for coords in solved[1].coords[::4]:
            found, expected = PAIR.eigenvalues(coords), np.linalg.eigvals(np.asarray(coords[:4]).reshape(2, 2))
            np.testing.assert_allclose(np.sort_complex(np.asarray(found)), np.sort_complex(expected), atol=1e-7)

    def test_visible_numbers_give_the_filter(self):
        setup = two_units(kappa=1.3)
        c, w, a, b = PAIR.visible(jnp.asarray(COORDS), setup)
        for s in (0.0, 0.7, 2.0):
            response = COORDS[4:] @ expm((COORDS[:4].reshape(2, 2) - np.eye(2)) * s) @ np.array([1.3, 0.0])
            np.testing.assert_allclose(np.exp(-c * s) * (a * np.cos(w * s) + b * np.sin(w * s)), response, rtol=1e-12)

    @pytest.mark.slow
    def test_endpoint_and_its_stability(self, solved):
        setup = solved[0]
        end = PAIR.endpoint(setup)
        np.testing.assert_allclose(end, solved[1].coords[-1], atol=1e-5)
        slow = np.sort(np.abs(np.asarray(theory.rates(PAIR, setup, end))))
        assert slow[1] < 1e-6 < 0.1 < slow[2]  # two invisible directions
        found = theory.stationary_points(PAIR, setup, [end + 1e-3])
        assert bool(found.found[0]) and float(PAIR.loss(found.coords[0], setup)) < 1e-12


@pytest.mark.slow
def test_network_of_forty_units_from_zero_weights():
    setup = in_plane(40, [0, 0, 0, 0, 0, 1e-4])
    time = np.linspace(0, 110, 23)
    comparison = wp.compare(PAIR, wp.flow(setup, time, project=0))
    assert comparison.reason == ""
    np.testing.assert_allclose(comparison.error, 0, atol=1e-6)
    np.testing.assert_allclose(comparison.loss, comparison.predicted_loss, atol=1e-7)
    np.testing.assert_allclose(theory.half_plateau_time(setup), 102.0021, atol=1e-3)


class TestLearning:
    def test_learning_time_is_the_milestone(self):
        setup = two_units(size=0.3)
        np.testing.assert_allclose(theory.learning_time(setup, 0.01), theory.milestones(setup).learned, rtol=1e-7)

    def test_largest_rate_bounds_gradient_descent(self):
        setup = two_units(0.4, 1.0, size=0.3)
        edge = float(theory.lr_max(setup))
        run = theory.descent_steps(setup, 0.01, edge / 2)
        assert wp.outcome_name(run.result) == "successful"
        np.testing.assert_allclose(int(run.steps) * edge / 2, theory.learning_time(setup, 0.01), rtol=0.05)
        end, direction = PAIR.endpoint(setup), jnp.asarray(COORDS) * 1e-6

        @eqx.filter_jit
        def descended(rate):
            state = end + direction
            return jax.lax.fori_loop(0, 200, lambda _, y: y + rate * PAIR.vector_field(0.0, y, setup), state)

        before = float(PAIR.loss(end + direction, setup))
        assert float(PAIR.loss(descended(0.9 * edge), setup)) < before < float(PAIR.loss(descended(1.1 * edge), setup))

    def test_rank_one_never_learns(self):
        with pytest.warns(UserWarning, match="pair can not form"):
            assert np.isinf(theory.learning_time(two_units(size=0.0), 0.01))
        with pytest.warns(UserWarning, match="pair can not form"):
            stuck = theory.milestones(two_units(size=0.0))
        assert np.isinf([stuck.collision, stuck.half_plateau, stuck.learned]).all()
        end, best = PAIR.endpoint(two_units(size=0.0)), theory.plateau(two_units())
        np.testing.assert_allclose([1 - end[0], end[4]], [best.rate, best.amplitude], atol=1e-6)


class TestRegime:
    def test_inside(self):
        for setup in (two_units(), in_plane(7, COORDS), in_plane(7, [0.1, 0, 0.2, 0, 0, 0])):
            assert PAIR.regime(setup).inside

    @pytest.mark.parametrize(
        ("setup", "words", "defined"),
        [
            (two_units(size=0.0), "rank-one subspace is invariant, the conjugate pair can not form", True),
            (random_start(0, 0.01), "use theory.escape", True),
            (in_plane(5, [0.2, 0.9, 0.9, 0.9, 0, 0.1]), "unstable in the plane", False),
            (two_units(kappa=0.0), "no input reaches the network", False),
            (two_units(0.3, 0.0), "both poles of this one are real", False),
            (two_units(train=("w_rec", "w_in", "w_out")), "w_in is trained", False),
        ],
    )
    def test_outside(self, setup, words, defined):
        regime = PAIR.regime(setup)
        assert words in regime.reason and regime.defined == defined
        assert wp.outcome_name(regime.result) == "outside_regime"

    def test_other_problems(self):
        network = two_units().network
        three = wp.RationalFilter(-np.diag([1.0, 2.0, 3.0]), np.ones(3), np.ones(3))
        discrete = wp.LinearRNN(np.zeros((2, 2)), [1.0, 0.0], [0.0, 0.1])
        for net, task, words in (
            (network, wp.Integrator(0.2), "use theory.Outlier"),
            (network, three, "this one has 3"),
            (discrete, wp.DampedOscillator(0.2, 1.0, dt=0.1), "ContinuousLinearRNN"),
        ):
            setup = wp.Setup(net, task, wp.BPTT(), BOTH)
            assert words in PAIR.regime(setup).reason and not PAIR.regime(setup).defined
            for ask in (theory.plateau, theory.escape_rate, theory.collision_time, theory.escape):
                with pytest.raises(ValueError, match="no prediction for this setup"):
                    ask(setup)

    def test_bad_fraction(self):
        with pytest.raises(ValueError, match="fraction must be between 0 and 1"):
            theory.milestones(two_units(), 1.5)


def test_sweep_over_frequencies_by_vmap():
    field = jax.jit(jax.vmap(lambda w: PAIR.vector_field(0.0, jnp.asarray(COORDS), two_units(0.2, w))))
    swept = field(jnp.array([0.8, 1.0]))
    np.testing.assert_allclose(swept[1], PAIR.vector_field(0.0, jnp.asarray(COORDS), two_units(0.2, 1.0)), rtol=1e-12)
