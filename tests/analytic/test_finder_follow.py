"""Fixed points followed along a parameter, where every bifurcation is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.analysis.arclength import around
from weightpath.analysis.continuation import carry

LINE = np.linspace(-1, 1, 9)[:, None]


def scalar(r, w):
    return jnp.tanh(w * r) - r


def test_pitchfork_of_the_scalar_network_at_one():
    found = wp.analysis.follow_fixed_points(scalar, np.array([0.6, 0.85, 1.15, 1.4]), LINE)
    (event,) = found.bifurcations
    assert event.kind == "pitchfork" and event.branches == (0, 1, 2) and abs(event.point[0]) < 1e-2
    assert event.place == pytest.approx(1, abs=1e-5)
    assert found.exists.sum(axis=1).tolist() == [4, 2, 2] and found.unstable_dimension[0].tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(found.eigenvalues[0, :, 0], found.parameter - 1, atol=1e-9)
    assert found.to_dataset().attrs["result"] == "successful" and "pitchfork at 1" in str(found)


@pytest.mark.slow  # twin: test_around_a_fold_lies_the_partner
def test_one_start_finds_all_of_a_hysteresis_behind_its_folds():
    """The upper branch ends at a fold; around it lies the middle one, around its other fold the lower one."""
    network = wp.RateRNN([[2.0]], [[1.0]], [[1.0]], leak=1.0)
    values = np.linspace(0, 1, 9)
    found = wp.analysis.follow_fixed_points(network, values, np.ones((1, 1)), inputs=np.array([[-1.0], [1.0]]))
    critical = np.sqrt(0.5)
    threshold = 2 * critical - np.arctanh(critical)
    places = [event.place for event in found.bifurcations]
    assert [event.kind for event in found.bifurcations] == ["saddle-node"] * 2
    np.testing.assert_allclose(places, [(1 - threshold) / 2, (1 + threshold) / 2], atol=1e-9)
    # At a fold the slope 2 (1 - r^2) is one; r converges with the square root of the place.
    np.testing.assert_allclose([event.point[0] for event in found.bifurcations], [critical, -critical], atol=1e-4)
    inside = np.abs(2 * values - 1) < threshold
    np.testing.assert_array_equal(found.exists.sum(axis=0), np.where(inside, 3, 1))
    np.testing.assert_array_equal(found.stable.sum(axis=0), np.where(inside, 2, 1))


def test_transcritical_exchange():
    found = wp.analysis.follow_fixed_points(lambda r, w: w * r - r * r, np.array([-0.5, -0.2, 0.3, 0.6]), LINE)
    (event,) = found.bifurcations
    assert event.kind == "transcritical" and event.place == pytest.approx(0, abs=1e-6) and found.exists.all()


@pytest.mark.parametrize("dynamics", ["flow", "map"])
def test_spiral_leaves_stability_at_another_place_as_flow_and_as_map(dynamics):
    """W = a [[1, -1], [1, 1]] has a (1 +- i): real part 1 at a = 1, modulus 1 at a = 1/sqrt(2)."""

    def two_units(x, a):
        rates = jnp.tanh(a * jnp.array([x[0] - x[1], x[0] + x[1]]))
        return rates if dynamics == "map" else rates - x

    found = wp.analysis.follow_fixed_points(
        two_units, np.array([0.5, 0.8, 1.15]), np.zeros((1, 2)), dynamics=dynamics
    )  # fmt: skip
    (event,) = found.bifurcations
    kind, place = {"flow": ("Hopf", 1.0), "map": ("Neimark-Sacker", np.sqrt(0.5))}[dynamics]
    assert event.kind == kind and event.place == pytest.approx(place, abs=1e-5)
    a = found.parameter
    shift = 0 if dynamics == "map" else 1
    np.testing.assert_allclose(np.sort(found.eigenvalues[0].imag, axis=1), np.stack([-a, a], axis=1), atol=1e-9)
    np.testing.assert_allclose(found.eigenvalues[0].real, np.stack([a, a], axis=1) - shift, atol=1e-9)


def test_flip_of_the_logistic_map_at_three():
    found = wp.analysis.follow_fixed_points(
        lambda x, a: a * x * (1 - x), np.array([2.2, 2.8, 3.3]), np.array([[0.5], [0.7]]), dynamics="map"
    )
    (event,) = found.bifurcations
    assert event.kind == "flip" and event.place == pytest.approx(3, abs=1e-5)


def test_along_learning_the_pitchfork_comes_when_the_weight_passes_one():
    """Between two records weights move straight: w = .7 + .2 t, so at t = 1.5, also where no record was asked for."""
    w_rec = jnp.array([[[0.7]], [[0.9]], [[1.1]], [[1.3]]])
    networks = jax.vmap(lambda w: wp.RateRNN(w, jnp.ones((1, 1)), jnp.ones((1, 1)), leak=1.0))(w_rec)
    path = wp.Trajectory(time=jnp.arange(4.0), networks=networks, loss=jnp.zeros(4))
    found = wp.analysis.follow_fixed_points(path, starts=LINE)
    assert [event.kind for event in found.bifurcations] == ["pitchfork"] and found.parameter_name == "learning time"
    assert found.bifurcations[0].place == pytest.approx(1.5, abs=1e-4)
    between = wp.analysis.follow_fixed_points(path, np.array([0.25, 2.75]), LINE)
    np.testing.assert_allclose(between.eigenvalues[0, :, 0].real, [-0.25, 0.25], atol=1e-9)


class Bend:
    """x^2 = 1/4 - s: a fold at s = 1/4, x = 0; from x = 1/2 it leads back to -1/2."""

    discrete = False

    def __init__(self, share=0.0):
        self.share = share

    def __call__(self, points):
        return 0.25 - self.share - points**2

    def jacobian(self, points):
        return -2 * points[..., None]

    def toward(self, other, share):
        return Bend(self.share + share * (other.share - self.share))


def test_around_a_fold_lies_the_partner():
    begin, end = Bend(0.0), Bend(1.0)
    assert not carry(begin, end, np.array([0.5])).arrived
    turn = around(begin, end, np.array([0.5]))
    assert turn.share == pytest.approx(0.25, abs=1e-10) and turn.exit_share == 0
    np.testing.assert_allclose(turn.exit, [-0.5], atol=1e-9)
    np.testing.assert_allclose(turn.point, [0], atol=1e-5)
    through = around(begin, Bend(0.2), np.array([0.5]))
    assert through.share is None and through.exit_share == 1
    np.testing.assert_allclose(through.exit, [np.sqrt(0.05)], atol=1e-9)


PATH = wp.Trajectory.from_arrays(np.zeros((3, 1, 1)), np.ones((3, 1, 1)))


@pytest.mark.parametrize(("system", "values", "options", "message"), [
    (scalar, None, {}, "a function needs values of its parameter"),
    (scalar, np.array([1.0, 0.5]), {}, "values must be two or more increasing numbers; got"),
    (scalar, np.array([0.5, 1.0]), {"inputs": np.zeros(1)}, "put inputs into the function"),
    (PATH, np.array([0.0, 2.5]), {}, "two or more increasing numbers from 0 to 2"),
    (PATH.network(0), None, {}, r"needs the inputs \(2, in\) = \(2, 1\) between which it is followed; got None"),
    (PATH.network(0), np.array([0.0, 1.5]), {"inputs": np.zeros((2, 1))}, "increasing numbers from 0 to 1"),
])  # fmt: skip
def test_bad_input_is_refused(system, values, options, message):
    with pytest.raises(ValueError, match=message):
        wp.analysis.follow_fixed_points(system, values, LINE, **options)
