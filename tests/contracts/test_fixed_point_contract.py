"""What every rule of fixed points owes: velocities of every network, a memory, a refusal of trials in time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import NETWORKS, RULES, TASKS
from fixed_point_cases import FAST, at_rest

import weightpath as wp
from weightpath.rules.fixed_point_base import AbstractFixedPointRule

FIXED = [rule for rule in RULES if isinstance(rule, AbstractFixedPointRule)]
(TASK,) = [task for task in TASKS if isinstance(task, wp.StaticTargets)]
INPUTS = {type(network).__name__ + getattr(network, "form", ""): network for network in NETWORKS}


#: Every rule on every network; those that solve again, for which each network is a program of its own, on one.
CELLS = [
    (rule, kind)
    for rule in FIXED
    for kind in ("LinearRNN", "ContinuousLinearRNN", "RateRNNrate", "RateRNNcurrent")
    if kind == "RateRNNcurrent" or not isinstance(rule, wp.MeanMetric | wp.EquilibriumPropagation)
]


GRADIENT = eqx.filter_jit(wp.EuclideanFixedPoint(solver=FAST).velocity_at)


@pytest.mark.parametrize(
    ("rule", "kind"), CELLS, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
class TestVelocity:
    def test_structure_and_finiteness(self, rule, kind):
        network, batch = INPUTS[kind], TASK.everything()
        rule = eqx.tree_at(lambda value: value.solver, rule, FAST)
        moved, result = eqx.filter_jit(rule.velocity_at)(network, batch, at_rest(network, batch))
        for leaf, change in zip(jax.tree.leaves(network), jax.tree.leaves(moved), strict=True):
            assert leaf.shape == change.shape and bool(jnp.all(jnp.isfinite(change)))
        assert wp.outcome_name(result) == "successful"
        # The read-out's part is the gradient's under every rule.
        exact = GRADIENT(network, batch, at_rest(network, batch))[0]
        np.testing.assert_allclose(moved.w_out, exact.w_out, rtol=1e-12)


@pytest.mark.parametrize("rule", FIXED, ids=lambda rule: type(rule).__name__)
def test_trials_in_time_are_refused(rule):
    with pytest.raises(
        ValueError, match=f"{type(rule).__name__} learns the fixed points of static stimuli, and Integr"
    ):
        wp.Setup(NETWORKS[0], wp.Integrator(0.3), rule, train=("w_rec",))
    with pytest.raises(ValueError, match=f"{type(rule).__name__} has no exact form for .* on RationalTarget"):
        rule.population(NETWORKS[0], wp.Integrator(0.3).population())
    with pytest.raises(ValueError, match="steady states are known for"):
        wp.Setup(NETWORKS[-1], TASK, rule, train=("w_out",))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in FIXED], ids=lambda rule: type(rule).__name__)
def test_rules_of_trials_refuse_static_stimuli(rule):
    with pytest.raises(ValueError, match=f"{type(rule).__name__} learns from trials in time, and StaticTargets"):
        wp.Setup(NETWORKS[0], TASK, rule, train=("w_rec",))


def test_update_goes_on_from_its_memory_and_vmaps():
    """From the fixed points found before, the next solve has nothing left to do."""
    network, batch = NETWORKS[4], TASK.everything()
    rule = wp.Reparameterised(solver=FAST)
    update = eqx.filter_jit(lambda network, state: rule.update(network, batch, state))
    first, state, info = update(network, rule.init(network, batch, None))
    again, same, _ = update(network, state)
    np.testing.assert_allclose(first.w_rec, again.w_rec, atol=1e-12)
    np.testing.assert_allclose(state, same, atol=1e-12)
    assert wp.outcome_name(info.result) == "successful" and float(info.residual) < 1e-12
    np.testing.assert_allclose(
        first.w_rec, rule.velocity_at(network, batch, at_rest(network, batch))[0].w_rec, atol=1e-11
    )
