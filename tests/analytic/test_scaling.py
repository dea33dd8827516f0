"""Another scaling, or another loss, is the canonical problem in other coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.scaling import canonical, describe

N, DECAY = 6, 0.3


@pytest.fixture
def raw():
    keys = jax.random.split(jax.random.key(4), 3)
    network = wp.ContinuousLinearRNN(
        0.4 * jax.random.normal(keys[0], (N, N)) / np.sqrt(N),
        jax.random.normal(keys[1], (N,)),
        jax.random.normal(keys[2], (N,)),
    )
    rates = {"w_rec": 0.7, "w_in": 1.3, "w_out": 0.4}
    return wp.Setup(network, wp.Integrator(DECAY), wp.BPTT(), ("w_rec", "w_in", "w_out"), rates)


def output_network(network, divisor):
    """The network that the raw weights stand for when the output is v . h / divisor."""
    return wp.ContinuousLinearRNN(network.w_rec, network.w_in, network.w_out / divisor)


@pytest.mark.parametrize(("scaling", "divisor"), [("mean_field", 1.0), ("standard", np.sqrt(N)), ("custom", 3.7)])
def test_the_output_is_the_same(raw, scaling, divisor):
    converted = canonical(raw, scaling, readout_divisor=divisor if scaling == "custom" else None)
    as_read = raw.with_network(output_network(raw.network, divisor))
    np.testing.assert_allclose(wp.loss(converted), wp.loss(as_read), rtol=1e-12)


#: Every scaling and every loss once; all nine together are slow.
QUICK = {("mean_field", "half"), ("standard", "full"), ("custom", "relative")}
PAIRS = [
    pytest.param(scaling, divisor, loss, marks=[] if (scaling, loss) in QUICK else pytest.mark.slow)
    for scaling, divisor in (("mean_field", 1.0), ("standard", np.sqrt(N)), ("custom", 3.7))
    for loss in ("half", "full", "relative")
]


@pytest.mark.parametrize(("scaling", "divisor", "loss"), PAIRS)
def test_the_velocity_is_that_of_the_raw_coordinates(raw, scaling, divisor, loss):
    # Gradient descent on the raw weights, by autodiff of the raw loss, mapped to canonical coordinates by hand.
    energy = 1 / (2 * DECAY)
    factor = {"half": 1.0, "full": 2.0, "relative": 1 / energy}[loss]
    gradient = jax.grad(lambda net: factor * wp.loss(raw.with_network(output_network(net, divisor))))(raw.network)
    root = 1.0 if scaling == "mean_field" else np.sqrt(N)
    converted = canonical(raw, scaling, readout_divisor=divisor if scaling == "custom" else None, loss=loss)
    velocity = wp.velocity(converted)
    np.testing.assert_allclose(velocity.w_rec, -0.7 * gradient.w_rec, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(velocity.w_in, -1.3 * gradient.w_in / root, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(velocity.w_out, -0.4 * gradient.w_out * root / divisor, rtol=1e-9, atol=1e-13)


def test_description_gives_the_canonical_numbers(raw):
    text = describe(canonical(raw, "standard"))
    assert f"{np.linalg.norm(raw.network.w_in) / np.sqrt(N):.6g}" in text
    assert f"{1.3 / N:.6g}" in text and "rate of w_out" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scaling": "ntk"}, "mean_field, standard, custom; got 'ntk'"),
        ({"scaling": "standard", "loss": "huge"}, "half, full, relative; got 'huge'"),
        ({"scaling": "custom"}, "needs one"),
        ({"scaling": "standard", "readout_divisor": 2.0}, 'belongs to scaling="custom"'),
        ({"scaling": "custom", "readout_divisor": -2.0}, "must be positive; got -2"),
    ],
)
def test_bad_words_are_refused(raw, arguments, message):
    with pytest.raises(ValueError, match=message):
        canonical(raw, **arguments)


def test_nonlinear_networks_are_refused(raw):
    network = wp.RateRNN(jnp.zeros((2, 2)), jnp.ones(2), jnp.ones(2), leak=0.5)
    with pytest.raises(ValueError, match="linear networks; got a RateRNN"):
        canonical(wp.Setup(network, wp.Integrator(DECAY), wp.BPTT(), "w_rec"), "standard")
