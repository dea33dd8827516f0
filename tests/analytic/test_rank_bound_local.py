"""Ranks of the change under local rules: met where the bound holds, shown broken where it does not."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from weightpath import BPTT, RFLO, EProp, LinearRNN, RateRNN, Setup, SnAp0, TruncatedBPTT
from weightpath.analysis import share_outside
from weightpath.analysis.rank import numerical_rank
from weightpath.tasks.given import GivenTrials
from weightpath.theory import ColumnBounds, RankBound, keeps_columns, step_rank

UNITS, INPUTS, OUTPUTS, TRIALS, BINS = 8, 2, 2, 6, 7


def arrays(seed=0, outputs=OUTPUTS):
    random = np.random.default_rng(seed)
    w_rec = 0.6 * random.standard_normal((UNITS, UNITS)) / np.sqrt(UNITS)
    w_in, w_out = random.standard_normal((UNITS, INPUTS)), 0.4 * random.standard_normal((outputs, UNITS))
    feedback = random.standard_normal((outputs, UNITS)) / 2
    return w_rec, w_in, w_out, feedback


def setup_of(rule, *, w_rec=None, activation=None, train=("w_rec", "w_in", "w_out"), form="rate", outputs=OUTPUTS):
    first, w_in, w_out, _ = arrays(outputs=outputs)
    first = first if w_rec is None else w_rec
    network = LinearRNN(first, w_in, w_out)
    if activation is not None:
        network = RateRNN(first, w_in, w_out, activation=activation, leak=0.5, form=form)
    random = np.random.default_rng(1)
    inputs = random.standard_normal((TRIALS, BINS, INPUTS))
    targets = random.standard_normal((TRIALS, BINS, outputs))
    return Setup(network, GivenTrials(inputs, targets), rule, train=train)


@eqx.filter_jit
def update(rule, network, batch, carried):
    return rule.update(network, batch, carried)


def learned(setup, optimiser, steps=12):
    """The change of the recurrent weights after some steps, by a plain loop over the rule's updates."""
    network, batch = setup.network, setup.task.sample(jax.random.key(0), 0)
    names, weights = setup.train, {name: getattr(setup.network, name) for name in setup.train}
    state = optimiser.init(weights)
    carried = setup.rule.init(network, batch, None)
    for _ in range(steps):
        velocity, carried, _ = update(setup.rule, network, batch, carried)
        moved, state = optimiser.update({name: -getattr(velocity, name) for name in names}, state, weights)
        weights = optax.apply_updates(weights, moved)
        network = eqx.tree_at(
            lambda n: [getattr(n, name) for name in names], network, [weights[name] for name in names]
        )
    return np.asarray(network.w_rec - setup.network.w_rec)


def rank(change):
    return int(numerical_rank(np.linalg.svd(change, compute_uv=False)))


FEEDBACK = arrays()[3]
RULE = RFLO(FEEDBACK, trace_decay=0.5)
DESCENT = optax.sgd(0.05)


@pytest.mark.parametrize(
    "optimiser",
    [
        DESCENT,
        optax.sgd(0.02, momentum=0.8, nesterov=True),
        optax.chain(optax.clip_by_global_norm(0.3), optax.sgd(0.05)),
        optax.chain(optax.ema(0.9), optax.sgd(0.05)),
    ],
    ids=["descent", "momentum", "clipping by norm", "averaging"],
)
def test_rflo_meets_its_bound(optimiser):
    setup, theory = setup_of(RULE), RankBound(optimiser=optimiser)
    assert theory.regime(setup).inside
    bounds = theory.bounds(setup)
    assert isinstance(bounds, ColumnBounds) and bounds.matrix_rank == OUTPUTS and bounds.weights_rank == UNITS
    change = learned(setup, optimiser)
    assert rank(change) == OUTPUTS
    assert share_outside(change, bounds.basis, np.eye(UNITS)) < 1e-12
    np.testing.assert_array_equal(theory.bound(setup), [OUTPUTS, UNITS])


@pytest.mark.parametrize(
    "optimiser",
    [
        optax.adam(0.01), optax.rmsprop(0.01), optax.lion(0.01), optax.chain(optax.clip(0.01), optax.sgd(0.5)),
        optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.05)),
    ],
    ids=["adam", "rmsprop", "sign", "clipping by entry", "weight decay"],
)  # fmt: skip
def test_optimisers_that_leave_the_columns(optimiser):
    setup, theory = setup_of(RULE), RankBound(optimiser=optimiser)
    regime = theory.regime(setup)
    assert not regime.inside and not regime.defined and "leaves the subspace" in regime.reason
    assert rank(learned(setup, optimiser, 4)) > OUTPUTS
    assert not keeps_columns(optimiser)


def test_weight_decay_keeps_the_columns_from_zero_weights():
    decay = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.05))
    setup = setup_of(RULE, w_rec=np.zeros((UNITS, UNITS)))
    assert RankBound(optimiser=decay).regime(setup).inside and keeps_columns(decay, weights_inside=True)
    assert rank(learned(setup, decay)) == OUTPUTS == RankBound().bounds(setup).weights_rank


def test_parallel_feedback_counts_once():
    setup = setup_of(RFLO(np.stack([FEEDBACK[0], -2 * FEEDBACK[0]]), trace_decay=0.5))
    assert RankBound().bounds(setup).d == 1 and rank(learned(setup, DESCENT)) == 1


def test_snap0_and_one_step_truncation_with_a_frozen_readout():
    frozen = ("w_rec", "w_in")
    for rule in (SnAp0(FEEDBACK), SnAp0(None)):
        setup = setup_of(rule, train=frozen)
        assert RankBound().bounds(setup).d == OUTPUTS and RankBound().regime(setup).inside
    setup = setup_of(TruncatedBPTT(1), train=frozen)
    bounds = RankBound().bounds(setup)
    change = learned(setup, DESCENT)
    assert rank(change) == bounds.d == OUTPUTS
    assert share_outside(change, bounds.basis, np.eye(UNITS)) < 1e-12


def test_one_step_truncation_with_a_trained_readout_turns_its_columns():
    setup = setup_of(TruncatedBPTT(1))
    assert step_rank(setup) == OUTPUTS == rank(learned(setup, DESCENT, 1))
    change = learned(setup, optax.sgd(0.1))
    values = np.linalg.svd(change, compute_uv=False)
    assert values[OUTPUTS] > 1e-4 * values[0]
    regime = RankBound().regime(setup)
    assert not regime.inside and f"fill all {UNITS} dimensions" in regime.reason
    assert "single step has rank at most 2" in regime.reason


@pytest.mark.parametrize("shift", [0.0, 0.2])
@pytest.mark.parametrize("rule", [BPTT(), TruncatedBPTT(1), TruncatedBPTT(3)], ids=["bptt", "tau 1", "tau 3"])
def test_from_a_multiple_of_the_identity(rule, shift):
    setup = setup_of(rule, w_rec=shift * np.eye(UNITS))
    bounds = RankBound().bounds(setup)
    assert bounds.d == INPUTS + OUTPUTS and bounds.shift == shift
    assert bounds.weights_rank == (UNITS if shift else INPUTS + OUTPUTS)
    change = learned(setup, optax.sgd(0.3), 20)
    assert rank(change) == INPUTS + OUTPUTS and share_outside(change, bounds.basis) < 1e-12
    assert RankBound().regime(setup).inside


def test_low_rank_beside_the_identity_and_weight_decay_on_it():
    random = np.random.default_rng(3)
    first = 0.3 * np.eye(UNITS) + 0.05 * np.outer(random.standard_normal(UNITS), random.standard_normal(UNITS))
    wide = setup_of(BPTT(), w_rec=first)
    found = RankBound().bounds(wide)
    assert found.shift == pytest.approx(0.3) and found.parts["first weights"] == 1 and found.d == 6
    change = learned(wide, DESCENT)
    assert rank(change) == 6 and share_outside(change, found.basis) < 1e-10
    decay = optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.05))
    assert not RankBound(optimiser=decay).regime(wide).inside
    assert rank(learned(wide, decay)) == UNITS


@pytest.mark.parametrize(("rule", "bound"), [(TruncatedBPTT(2), 4), (TruncatedBPTT(3), 6), (TruncatedBPTT(5), UNITS)])
def test_one_step_of_truncation(rule, bound):
    setup = setup_of(rule)
    assert step_rank(setup) == bound == rank(learned(setup, DESCENT, 1))


def test_one_step_of_eprop_counts_distinct_diagonal_entries():
    first = arrays()[0]
    np.fill_diagonal(first, np.r_[np.full(5, 0.3), np.full(3, -0.2)])
    setup = setup_of(EProp(FEEDBACK), w_rec=first)
    assert step_rank(setup) == 2 * OUTPUTS == rank(learned(setup, DESCENT, 1))
    assert rank(learned(setup, DESCENT, 12)) > 2 * OUTPUTS
    regime = RankBound().regime(setup)
    assert not regime.inside and "rank at most 4" in regime.reason and "effective rank" in regime.reason


def test_tanh_needs_a_trace_without_slope():
    exact = setup_of(RFLO(FEEDBACK, trace_decay=0.5, trace_derivative=False), activation="tanh")
    assert RankBound().regime(exact).inside
    change = learned(exact, DESCENT)
    assert rank(change) == OUTPUTS and share_outside(change, RankBound().bounds(exact).basis, np.eye(UNITS)) < 1e-12
    usual = setup_of(RULE, activation="tanh")
    regime = RankBound().regime(usual)
    assert not regime.inside and "effective rank" in regime.reason and "trace_derivative=False" in regime.reason
    assert rank(learned(usual, DESCENT)) == UNITS
    # In current form the slope enters through the output, so that leaving it out of the trace is not enough.
    current = setup_of(RFLO(FEEDBACK, trace_decay=0.5, trace_derivative=False), activation="tanh", form="current")
    assert not RankBound().regime(current).inside and rank(learned(current, DESCENT)) == UNITS


def test_the_weight_tensor_of_rflo():
    setup = setup_of(RULE)
    bounds = RankBound().bounds(setup)
    assert bounds.multilinear_rank(5) == (5, OUTPUTS, UNITS) and bounds.multilinear_rank(3) == (3, OUTPUTS, 6)
    assert bounds.tensor_rank(5) == OUTPUTS * 5 and bounds.tensor_rank(100) == OUTPUTS * UNITS


def test_compiles_with_traced_networks_and_refuses_nothing():
    setup, theory = setup_of(RULE), RankBound()

    def measured(scale):
        network = jax.tree.map(lambda leaf: scale * leaf, setup.network)
        assert theory.regime(setup.with_network(network)).inside
        return theory.measure(network, setup)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jax.jit(measured)(jnp.asarray(1.0)).shape == (2,)
