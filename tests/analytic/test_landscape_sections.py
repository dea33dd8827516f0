"""Sections of the loss of fixed points against direct solves, and the angles between first updates."""

import numpy as np
import pytest
from fixed_point_program import loss, ten_units, update, wave

import weightpath as wp
from weightpath.analysis.update_angles import norms_and_angles

LINE = wave(10, 10, 1, 2, 0.7, 2.5 * np.sqrt(0.2))


def setup(network=None, **changes) -> wp.Setup:
    w, x, t = ten_units()
    network = wp.LinearRNN(w, np.eye(10), np.eye(10)) if network is None else network
    return wp.Setup(network, wp.StaticTargets(x.T, t.T), wp.EuclideanFixedPoint(), train="w_rec", **changes)


def test_a_line_has_the_losses_of_direct_solves_and_its_poles():
    w, x, t = ten_units()
    at = np.linspace(-1, 1, 41)
    section = wp.analysis.landscape(setup(), LINE, at)
    np.testing.assert_allclose(section.loss, [loss(w + s * LINE, x, t) for s in at], rtol=1e-9)
    np.testing.assert_array_equal(section.poles, wp.analysis.poles(setup().network, LINE, within=(-1, 1)))
    abscissa = [np.max(np.linalg.eigvals(w + s * LINE).real) for s in at]
    np.testing.assert_allclose(section.margin, 1 - np.array(abscissa), atol=1e-12)
    assert set(section.outcome[section.stable]) == {"successful"}
    assert set(section.outcome[~section.stable]) == {"unstable_recurrence"}
    low, high = section.stable_range
    radius = wp.analysis.stability_radius(setup().network, LINE)
    assert radius.backward <= low <= radius.backward + 0.05 and radius.forward - 0.05 <= high <= radius.forward
    for first, last in section.determinant_changes:
        assert np.sum((section.poles > first) & (section.poles < last)) % 2 == 1
    paths = section.eigenvalue_paths()
    np.testing.assert_allclose(np.sort_complex(paths[7]), np.sort_complex(np.linalg.eigvals(w + at[7] * LINE)))
    data = section.to_dataset()
    assert dict(data.sizes) == {"t": 41, "trial": 1, "eig": 10, "k": section.poles.size}


def test_on_a_pole_the_loss_is_missing_and_the_outcome_says_why():
    eye = np.eye(2)
    task = wp.StaticTargets(np.ones((1, 2)), np.zeros((1, 2)))
    here = wp.Setup(wp.LinearRNN(0 * eye, eye, eye), task, wp.EuclideanFixedPoint(), train="w_rec")
    section = wp.analysis.landscape(here, eye, [0.0, 0.5, 1.0, 2.0])
    assert section.outcome.tolist() == ["successful", "successful", "singular", "unstable_recurrence"]
    np.testing.assert_allclose(section.loss, [2, 8, np.nan, 2], rtol=1e-14)
    np.testing.assert_allclose(section.poles, [1, 1])
    np.testing.assert_allclose(section.smallest_singular, [1, 0.5, 0, 1], atol=1e-15)


def test_a_plane_has_the_losses_of_direct_solves_and_curves_of_poles():
    w, x, t = ten_units()
    first, second = np.linspace(-0.4, 0.4, 5), np.linspace(-0.5, 0.5, 4)
    section = wp.analysis.landscape(setup(), [LINE, LINE.T], (first, second))
    expected = [[loss(w + a * LINE + b * LINE.T, x, t) for b in second] for a in first]
    np.testing.assert_allclose(section.loss, expected, rtol=1e-9)
    assert section.pole_points.shape[0] > 0
    for a, b in section.pole_points:
        assert np.linalg.svd(np.eye(10) - w - a * LINE - b * LINE.T, compute_uv=False)[-1] < 1e-10
    assert section.to_dataset().loss.dims == ("t", "other_t")


def test_a_direction_may_change_all_weights():
    w, x, t = ten_units()
    random = np.random.default_rng(0)
    change = wp.LinearRNN(*(0.1 * random.standard_normal((10, 10)) for _ in range(3)))
    section = wp.analysis.landscape(setup(), change, [-0.3, 0.0, 0.6])
    for s, value in zip((-0.3, 0.0, 0.6), section.loss, strict=True):
        solved = np.linalg.solve(np.eye(10) - w - s * np.asarray(change.w_rec), (np.eye(10) + s * change.w_in) @ x)
        answer = (np.eye(10) + s * np.asarray(change.w_out)) @ solved
        assert value == pytest.approx(np.sum((answer - t) ** 2) / 4, rel=1e-10)


def test_a_nonlinear_line_has_the_fixed_points_of_an_iteration():
    w, x, t = ten_units()
    tanh = wp.RateRNN(w, np.eye(10), np.eye(10), leak=0.1)
    at = np.array([-0.1, 0.0, 0.1])
    section = wp.analysis.landscape(setup(tanh), 0.4 * LINE, at)
    for s, value, margin in zip(at, section.loss, section.margin, strict=True):
        rates = np.zeros_like(x)
        for _ in range(4000):
            rates += 0.5 * (np.tanh((w + 0.4 * s * LINE) @ rates + x) - rates)
        assert value == pytest.approx(np.sum((rates - t) ** 2) / 4, rel=1e-10)
        spectra = [np.linalg.eigvals((1 - r**2)[:, None] * (w + 0.4 * s * LINE)).real.max() for r in rates.T]
        assert margin == pytest.approx(1 - max(spectra), abs=1e-9)
    assert section.stable_range == (-0.1, 0.1) and section.determinant_sign.shape == (3, 4)
    with pytest.raises(ValueError, match="use determinant_changes"):
        _ = section.poles


def test_angles_and_norms_of_first_updates():
    w, x, t = ten_units()
    rules = {
        "dW1": wp.EuclideanFixedPoint(),
        "dW2": wp.Reparameterised(parameter="A", exact=True),
        "dW3": wp.Reparameterised(parameter="A"),
    }
    found = wp.analysis.update_angles(setup(), rules, learning_rate=0.3)
    np.testing.assert_allclose(found.norms, [0.3488563792, 0.2911481730, 0.3096679319], rtol=1e-8)
    known = {("dW1", "dW2"): 63.15700692, ("dW2", "dW3"): 2.96876597, ("dW1", "dW3"): 63.86831895}
    for (first, second), degrees in known.items():
        assert found.between(first, second) == pytest.approx(degrees, abs=1e-6)
        a, b = (update(rule, w, x, t, 0.3).ravel() for rule in (first, second))
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert found.between(first, second) == pytest.approx(np.degrees(np.arccos(cosine)), abs=1e-6)
    np.testing.assert_allclose(found.losses, loss(w, x, t), rtol=1e-10)
    assert found.to_dataset().angle.dims == ("rule", "other_rule")
    with pytest.raises(ValueError, match="no rule is called 'dW5'"):
        found.between("dW1", "dW5")


def test_angles_beyond_a_right_one_keep_their_digits_too():
    turns = np.array([0.0, 1e-9, 1.0, 2.5, np.pi - 1e-9])
    norms, degrees = norms_and_angles(3 * np.stack([np.cos(turns), np.sin(turns)], axis=1))
    np.testing.assert_allclose(norms, 3, rtol=1e-14)
    np.testing.assert_allclose(degrees, np.degrees(np.abs(turns[:, None] - turns)), rtol=1e-7, atol=1e-13)
    np.testing.assert_allclose(180 - degrees[0, -1], np.degrees(1e-9), rtol=1e-5)


def test_an_update_that_vanishes_has_no_angle():
    w, x, _ = ten_units()
    task = wp.StaticTargets(x.T, np.linalg.solve(np.eye(10) - w, x).T)
    rules = [wp.EuclideanFixedPoint(), wp.EuclideanFixedPoint()]
    here = wp.Setup(wp.LinearRNN(np.zeros((10, 10)), np.eye(10), np.eye(10)), task, rules[0], train="w_rec")
    found = wp.analysis.update_angles(here, rules)
    assert found.names == ("EuclideanFixedPoint", "EuclideanFixedPoint 2")
    assert found.degrees[0, 1] == 0
    exact = wp.StaticTargets(x.T, x.T)  # the silent weights are exact
    still = wp.analysis.update_angles(wp.Setup(here.network, exact, rules[0], train="w_rec"), rules)
    assert np.isnan(still.degrees).all() and np.all(still.norms == 0)


def test_bad_sections_are_refused():
    here = setup()
    with pytest.raises(ValueError, match="one .a line. or two .a plane.; got 3"):
        wp.analysis.landscape(here, [LINE] * 3, [0, 1])
    with pytest.raises(ValueError, match="increasing order"):
        wp.analysis.landscape(here, LINE, [0.0, 0.0])
    with pytest.raises(ValueError, match='"flow" or "map"'):
        wp.analysis.landscape(here, LINE, [0.0, 1.0], dynamics="both")
    with pytest.raises(ValueError, match="the second direction is zero"):
        wp.analysis.landscape(here, [LINE, 0 * LINE], [0.0, 1.0])
    noisy = wp.Integrator(0.1, noise=wp.WhiteNoise(10.0, 0.5, 4))
    column = 0.1 * np.ones((2, 1))
    other = wp.Setup(wp.ContinuousLinearRNN(np.eye(2) / 2, column, column.T, 0.5), noisy, wp.BPTT(), train="w_rec")
    with pytest.raises(ValueError, match="StaticTargets; got Integrator"):
        wp.analysis.landscape(other, np.eye(2), [0.0, 1.0])
    with pytest.raises(ValueError, match="samples are all known"):
        wp.analysis.update_angles(other, [wp.BPTT()])
    with pytest.raises(ValueError, match="BPTT learns from trials in time"):
        wp.analysis.update_angles(here, wp.BPTT())
    with pytest.raises(ValueError, match=r"the direction must be real numbers .* got None"):
        wp.analysis.landscape(here, None, [0.0, 1.0])
    with pytest.raises(ValueError, match="the direction must be real numbers"):
        wp.analysis.landscape(here, LINE + 1j, [0.0, 1.0])
    with pytest.raises(ValueError, match="rules is empty"):
        wp.analysis.update_angles(here, [])
    with pytest.raises(ValueError, match="positive and finite; got 0"):
        wp.analysis.update_angles(here, [wp.EuclideanFixedPoint()], learning_rate=0.0)
