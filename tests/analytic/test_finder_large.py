"""Searches without the Jacobian: the same points as with it, and memory that does not grow with the square of N."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import weightpath as wp
from weightpath.analysis.fixed_solver import lanes_for, search
from weightpath.analysis.fixed_steps import STEPS, Lanes
from weightpath.analysis.fixed_system import as_system


def three_blocks(units, noise=0.0, gain=1.5):
    """`gain` times the projector on the means of three blocks: blocks are 0 or +-m, m = tanh(gain m)."""
    size = units // 3
    around = np.random.default_rng(5).standard_normal((units, units)) / np.sqrt(units)
    w_rec = gain * np.kron(np.eye(3), np.ones((size, size)) / size) + noise * around
    return wp.RateRNN(w_rec, np.zeros((units, 1)), np.zeros((1, units)), leak=1.0)


def block_starts(units, count):
    rng = np.random.default_rng(1)
    return np.repeat(rng.uniform(-1, 1, (count, 3)), units // 3, axis=1) + 0.1 * rng.standard_normal((count, units))


def check_blocks(found, units):
    """All 27 points in closed form, with their eigenvalues."""
    level = float(brentq(lambda m: m - np.tanh(1.5 * m), 0.1, 1))  # pyright: ignore[reportArgumentType]
    values = np.array(np.meshgrid(*[[-level, 0.0, level]] * 3)).reshape(3, -1).T
    known = np.repeat(values, units // 3, axis=1)
    assert len(found) == 27 and found.fixed.all() and np.bincount(found.unstable_dimension).tolist() == [8, 12, 6, 1]
    apart = np.linalg.norm(found.points[:, None] - known[None], axis=-1)
    assert sorted(apart.argmin(axis=1)) == list(range(27)) and apart.min(axis=1).max() < 1e-10
    mode = {True: 1.5 * (1 - level**2), False: 1.5}
    for point, seen in zip(values[apart.argmin(axis=1)], found.eigenvalues, strict=True):
        expected = np.zeros(units)
        expected[:3] = [mode[bool(one)] for one in point]
        np.testing.assert_allclose(np.sort(seen.real), np.sort(expected) - 1, atol=1e-9)


def test_products_with_the_jacobian_lead_to_the_same_points_as_the_jacobian():
    units = 12
    found = [
        wp.analysis.fixed_points(three_blocks(units), block_starts(units, 256), matrix_free=free)
        for free in (False, True)
    ]
    for one in found:
        check_blocks(one, units)
    np.testing.assert_allclose(found[1].points, found[0].points, atol=1e-11)
    assert found[0].reached.sum() == found[1].reached.sum() == 256


@pytest.mark.slow  # twin: test_products_with_the_jacobian_lead_to_the_same_points_as_the_jacobian
def test_all_27_points_of_300_units():
    found = wp.analysis.fixed_points(three_blocks(300), block_starts(300, 300))
    check_blocks(found, 300)
    assert found.reached.sum() == 300


def test_slow_points_without_the_jacobian():
    """r = tanh(2 r + .54) has one root, and a slow point in closed form; a second unit decays to zero."""
    bias, w_rec = jnp.array([0.54, 0.0]), jnp.array([2.0, 0.5])
    starts = np.stack([np.linspace(-1, 1, 41), np.linspace(1, -0.7, 41)], axis=1)
    found = wp.analysis.fixed_points(lambda x: jnp.tanh(w_rec * x + bias) - x, starts, matrix_free=True)
    assert set(found.status.ravel()) == {"fixed", "slow"} and found.fixed.tolist() == [True, False]
    place = (-np.arctanh(np.sqrt(0.5)) - 0.54) / 2
    np.testing.assert_allclose(found.points[1], [place, 0], atol=1e-10)
    np.testing.assert_allclose(found.q[1], (np.sqrt(0.5) + place) ** 2 / 2, rtol=2e-9)


def sizes(jaxpr):
    """Numbers of entries of everything that a program computes, loops included."""
    for equation in jaxpr.eqns:
        yield from (var.aval.size for var in equation.outvars)
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from sizes(inner)


def test_no_start_has_a_jacobian_of_its_own():
    """At 1200 units one lane's Jacobian would have N^2 entries; 64 lanes are advanced with less than one of them."""
    units, lanes = 1200, 64
    system, _ = as_system(wp.RateRNN(np.zeros((units,) * 2), np.zeros((units, 1)), np.zeros((1, units)), leak=1.0),
                          None, "flow")  # fmt: skip
    state = jnp.zeros((lanes, units))
    now = Lanes(state, state[:, :1], state[:, 0], state[:, 0] + 1, state[:, 0] > 0, jnp.zeros(lanes, int))
    steps = (STEPS["levenberg-marquardt", free] for free in (True, False))
    free, dense = (max(sizes(jax.make_jaxpr(lambda now, step=step: step(system, now))(now).jaxpr)) for step in steps)
    assert free == lanes * units < units**2 and dense == lanes * units**2
    # With the Jacobian fewer lanes are advanced at once.
    assert lanes_for(units) * units**2 <= 2**23 and lanes_for(30) == 64 and lanes_for(10_000) == 1


def test_fewer_lanes_change_nothing(monkeypatch):
    system, _ = as_system(lambda x: jnp.tanh(1.5 * x) - x, None, "flow")
    starts = np.random.default_rng(0).standard_normal((9, 2))
    whole = search(system, starts, np.zeros((9, 0)))
    monkeypatch.setattr("weightpath.analysis.fixed_solver.ENTRIES", 8)
    assert lanes_for(2) == 2
    few = search(system, starts, np.zeros((9, 0)))
    np.testing.assert_allclose(few.state, whole.state, atol=1e-13)
    np.testing.assert_array_equal(few.iterations, whole.iterations)


def test_burn_in_follows_the_dynamics():
    """Four steps of x <- 2 x from a start lead a search of one unit's linear map to the same start times 16."""
    system, _ = as_system(lambda x: 2 * x, None, "map")
    begun = search(system, np.array([[0.5]]), np.zeros((1, 0)), steps=1, burn_in=4)
    plain = search(system, np.array([[8.0]]), np.zeros((1, 0)), steps=1)
    np.testing.assert_allclose(begun.state, plain.state, rtol=1e-14)


def test_newton_needs_the_jacobian():
    with pytest.raises(ValueError, match='newton needs the Jacobian; matrix_free goes with solver="levenberg-marq'):
        wp.analysis.fixed_points(lambda x: -x, np.ones((1, 2)), solver="newton", matrix_free=True)
