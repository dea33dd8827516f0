"""What every rule and every theory owes the rest of the library."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from catalogue import NETWORKS, NOISE, RULES, THEORIES

from weightpath import (
    BPTT,
    KFRTRL,
    RTRL,
    UORO,
    ContinuousLinearRNN,
    Integrator,
    LinearRNN,
    Setup,
    SnAp0,
    TruncatedBPTT,
    loss,
    outcome_name,
    velocity,
)
from weightpath.rules.fixed_point_base import AbstractFixedPointRule
from weightpath.theory.base import AbstractBound, AbstractReducedDynamics

#: Rules of trials in time; those of fixed points have their contract in `test_fixed_point_contract`.
TIMED = [rule for rule in RULES if not isinstance(rule, AbstractFixedPointRule)]
STEPPING = [network for network in NETWORKS if hasattr(network, "w_in") and network.w_in.shape[1] == 1]


def refused(rule, network) -> bool:
    """Whether an exact step mixes what a rule needs apart; the refusal names rule and network."""
    if isinstance(rule, BPTT) or getattr(network, "scheme", "euler") == "euler":
        return False
    with pytest.raises(ValueError, match=f"{type(rule).__name__} cannot train this {type(network).__name__}.*zoh"):
        rule.init(network, Integrator(0.3, noise=NOISE).sample(jax.random.key(0), 0), jax.random.key(1))
    return True


#: Every network with back-propagation; the first rate network, and what is refused, with the others: one loop for all,
#: and their equality with definitions is tested on every network in `test_local_rules`.
SAMPLED = [
    (rule, network)
    for rule in TIMED
    for network in STEPPING
    if isinstance(rule, BPTT) or network is NETWORKS[3] or getattr(network, "scheme", "") == "zoh"
]


PROGRAMS = {}


def program_of(rule, network):
    """A compiled function of the seed, shared by the tests of a cell: what `update` gives on that seed's batch."""

    def of_seed(seed):
        batch = Integrator(0.3, noise=NOISE).sample(jax.random.key(0), seed)
        moved, _, info = rule.update(network, batch, rule.init(network, batch, jax.random.key(1)))
        return moved, info

    return PROGRAMS.setdefault((id(rule), id(network)), eqx.filter_jit(of_seed))


@pytest.mark.parametrize(("rule", "network"), SAMPLED, ids=lambda value: type(value).__name__)
class TestSampledVelocity:
    def test_structure_and_finiteness(self, rule, network):
        if refused(rule, network):
            return
        moved, info = program_of(rule, network)(jnp.asarray(0))
        for leaf, change in zip(jax.tree.leaves(network), jax.tree.leaves(moved), strict=True):
            assert leaf.shape == change.shape and bool(jnp.all(jnp.isfinite(change)))
        assert bool(jnp.isfinite(info.loss)) and outcome_name(info.result) == "successful"


#: Every rule on one network; the others are slow, and `test_networks` maps each of them over trials.
MAPPED = [
    pytest.param(rule, network, marks=[] if network is NETWORKS[3] else pytest.mark.slow)
    for rule, network in SAMPLED
    if isinstance(rule, BPTT) or getattr(network, "scheme", "euler") == "euler"
]


@pytest.mark.parametrize(("rule", "network"), MAPPED, ids=lambda value: type(value).__name__)
def test_velocities_vmap_over_seeds(rule, network):
    one = program_of(rule, network)
    batched = jax.jit(jax.vmap(lambda seed: one(seed)[0].w_rec))(jnp.arange(3))
    np.testing.assert_allclose(batched[2], one(jnp.asarray(2))[0].w_rec, rtol=1e-10, atol=1e-13)


#: Which cells rule x network x task have an exact population form. The catalogue's feedback reaches four units.
EXACT = [
    (ContinuousLinearRNN(0.1 * jnp.eye(4), jnp.ones(4), jnp.ones(4)), Integrator(0.3)),
    (LinearRNN(0.1 * jnp.eye(4), jnp.ones(4), jnp.ones(4)), Integrator(0.3, dt=0.1)),
]
INEXACT = [
    (NETWORKS[3], Integrator(0.3)),
    (LinearRNN(0.1 * jnp.eye(4), jnp.ones(4), jnp.ones(4)), Integrator(0.3)),
    (ContinuousLinearRNN(0.1 * jnp.eye(4), jnp.ones(4), jnp.ones(4)), Integrator(0.3, dt=0.1)),
]
#: Rules whose mean is the gradient.
GRADIENTS = (BPTT, RTRL, UORO, KFRTRL)


def counts_steps(rule) -> bool:
    """Whether the rule is told in time steps, so that it says nothing of networks in continuous time."""
    return isinstance(rule, TruncatedBPTT | SnAp0) or getattr(rule, "trace_decay", None) is not None


@pytest.mark.parametrize("rule", TIMED, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize(("network", "task"), EXACT)
def test_exact_cells_answer(rule, network, task):
    setup = Setup(network, task, rule, train=("w_rec", "w_out"))
    if counts_steps(rule) and isinstance(network, ContinuousLinearRNN):
        with pytest.raises(ValueError, match=f"{type(rule).__name__} has no exact form for ContinuousLinearRNN"):
            velocity(setup)
        return
    moved = velocity(setup)
    assert moved.w_rec.shape == network.w_rec.shape
    np.testing.assert_array_equal(moved.w_in, jnp.zeros_like(network.w_in))
    # The read-out's part is the gradient's for every rule.
    exact = velocity(Setup(network, task, BPTT(), train=("w_rec", "w_out")))
    np.testing.assert_allclose(moved.w_out, exact.w_out, rtol=1e-10)
    if not isinstance(rule, GRADIENTS):
        return
    # A velocity of steepest descent lowers the loss at the rate of its squared norm.
    step = eqx.tree_at(lambda s: s.network, setup, jax.tree.map(lambda a, b: a + 1e-6 * b, network, moved))
    slope = (loss(step) - loss(setup)) / 1e-6
    np.testing.assert_allclose(slope, -sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(moved)), rtol=1e-4)


@pytest.mark.parametrize("rule", TIMED, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize(("network", "task"), INEXACT)
def test_other_cells_name_all_three(rule, network, task):
    with pytest.raises(ValueError, match=type(network).__name__) as caught:
        loss(Setup(network, task, rule, train=("w_rec",)))
    assert type(rule).__name__ in str(caught.value)


@pytest.mark.parametrize(("theory", "setup"), THEORIES, ids=lambda value: type(value).__name__)
class TestTheories:
    def test_measure_and_predict_agree_in_shape(self, theory, setup):
        measured = theory.measure(setup.network, setup)
        predicted = theory.predict(setup, jnp.array([0.0, 0.5]))
        assert measured.shape == (len(theory.coords),)
        assert predicted.shape == (2, len(theory.coords))
        if isinstance(theory, AbstractBound):
            assert bool(jnp.all(measured <= predicted))
        else:
            np.testing.assert_allclose(measured, predicted[0], atol=1e-12)

    def test_says_its_regime_and_its_source(self, theory, setup):
        regime = theory.regime(setup)
        assert regime.inside and outcome_name(regime.result) == "successful"
        assert "arXiv" in theory.reference

    def test_compiles_once_for_other_values(self, theory, setup):
        traces = []

        @eqx.filter_jit
        def field(coords, setup):
            traces.append(1)
            if not isinstance(theory, AbstractReducedDynamics):
                return theory.measure(setup.network, setup)
            return theory.vector_field(0.0, coords, setup)

        coords = theory.measure(setup.network, setup)
        for factor in (0.7, 1.0, 1.6):
            task = jax.tree.map(lambda leaf, factor=factor: factor * leaf, setup.task)
            field(coords, eqx.tree_at(lambda s: s.task, setup, task))
        assert len(traces) == 1
