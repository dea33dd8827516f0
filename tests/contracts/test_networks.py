"""What every network owes: shapes, purity under jit, vmap and grad, a printable form, a record along steps."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import NETWORKS

from weightpath import Trajectory, rollout


@pytest.fixture(params=NETWORKS, ids=lambda network: type(network).__name__)
def network(request):
    return request.param


def inputs_of(network, time=6):
    return jax.random.normal(jax.random.key(1), (time, network.w_in.shape[1]))


def test_shapes(network):
    states, outputs = rollout(network, inputs_of(network))
    assert states.shape == (6, network.w_rec.shape[0])
    assert outputs.shape == (6, network.w_out.shape[0])
    assert bool(jnp.all(jnp.isfinite(states)))


def test_rollout_is_the_loop_over_steps(network):
    state, inputs = network.initial(), inputs_of(network)
    states, outputs = jax.jit(rollout)(network, inputs)
    for index, value in enumerate(inputs):
        state = network.step(state, value)
        np.testing.assert_allclose(states[index], state, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(outputs[index], network.readout(state), rtol=1e-12, atol=1e-14)


def test_vmap_over_trials(network):
    inputs = jnp.stack([inputs_of(network), 2 * inputs_of(network)])
    batched = jax.vmap(lambda sequence: rollout(network, sequence)[1])(inputs)
    np.testing.assert_allclose(batched[1], rollout(network, inputs[1])[1], rtol=1e-12, atol=1e-14)


def test_gradients_match_finite_differences(network):
    inputs = inputs_of(network)
    moving, fixed = eqx.partition(network, eqx.is_inexact_array)

    def total(part):
        return jnp.sum(rollout(eqx.combine(part, fixed), inputs)[1] ** 2)

    direction = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=float)).reshape(leaf.shape), moving)
    _, slope = jax.jvp(total, (moving,), (direction,))
    shifted = [total(jax.tree.map(lambda a, d, h=h: a + h * d, moving, direction)) for h in (1e-5, -1e-5)]
    np.testing.assert_allclose(slope, (shifted[0] - shifted[1]) / 2e-5, rtol=1e-6)


def test_a_record_along_steps_gives_each_network_back(network):
    other = jax.tree.map(lambda leaf: 2 * leaf if eqx.is_inexact_array(leaf) else leaf, network)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), network, other)
    trajectory = Trajectory(jnp.arange(2.0), stacked, jnp.zeros(2))
    np.testing.assert_array_equal(trajectory.network(1).w_rec, other.w_rec)
    np.testing.assert_array_equal(trajectory.w_rec, jnp.stack([network.w_rec, other.w_rec]))


def test_printing_shows_the_fields(network):
    assert type(network).__name__ in repr(network) and "w_out" in repr(network)
