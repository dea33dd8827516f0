"""Ranks of weights that learn by gradient descent: the bound's dimension, training that meets it, and where it ends."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from weightpath import BPTT, ContinuousLinearRNN, GivenTrials, Integrator, RateRNN, Record, Setup, compare, train
from weightpath.analysis import share_outside
from weightpath.analysis.rank import numerical_rank
from weightpath.theory import RankBound, keeps_subspace, rank_bound, shared_terms

UNITS, BINS, TRIALS = 12, 10, 5


def setup_of(inputs=2, outputs=1, first_rank=0, *, activation="linear", bias=False, names=("w_rec",), seed=0):
    random = np.random.default_rng(seed)
    w_in = random.standard_normal((UNITS, inputs))
    w_out = random.standard_normal((outputs, UNITS)) / UNITS**0.5
    u, v = random.standard_normal((2, UNITS, first_rank))
    network = RateRNN(
        0.3 * u @ v.T / UNITS**0.5, w_in, w_out, bias=0.1 * random.standard_normal(UNITS) if bias else None,
        activation=activation, leak=0.1, form="current",
    )  # fmt: skip
    held = np.repeat(random.standard_normal((TRIALS, 1, inputs)), BINS, axis=1)
    targets = np.repeat(random.standard_normal((TRIALS, 1, outputs)), BINS, axis=1)
    return Setup(network, GivenTrials(held, targets), BPTT(), train=names)


def learned(setup, optimiser, steps=10):
    path = train(setup, optimiser, steps, record=Record(every=1), key=jax.random.key(0))
    assert np.all(np.isfinite(path.loss))
    return path


@pytest.mark.parametrize(
    ("p", "q", "rank", "d"), [(1, 1, 0, 2), (2, 2, 0, 4), (3, 2, 0, 5), (2, 1, 1, 5), (2, 1, 2, 7)]
)
def test_dimension_of_random_networks(p, q, rank, d):
    network = setup_of(p, q, rank).network
    found = rank_bound(network.w_in, network.w_out, network.w_rec)
    assert found.d == found.matrix_rank == d == p + q + 2 * rank
    assert found.parts == {"inputs": p, "errors": q, "starts": 0, "first weights": rank}
    assert found.multilinear_rank(60) == (min(d * d, 60), d, d) and found.tensor_rank(60) == d * d
    assert found.tensor_rank(2) == 2 * d
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(d), atol=1e-12)


def test_shared_directions_count_once_and_bases_narrow():
    eye = np.eye(UNITS)
    assert rank_bound(eye[:, :2], eye[1:3]).d == 3
    used = np.random.default_rng(0).standard_normal((4, 2))
    assert rank_bound(eye[:, :4], eye[5:8], input_basis=used, error_basis=np.eye(3)[:, :1]).d == 3
    assert rank_bound(eye[:, :1], eye[1:2], start=eye[:, 4:6]).d == 4
    assert rank_bound(eye[:, :1], eye[1:2], np.outer(eye[2], eye[1])).d == 3


@pytest.mark.parametrize(
    ("options", "optimiser"),
    [
        ({}, optax.sgd(0.5)),
        ({"first_rank": 1}, optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.2, momentum=0.8))),
        ({"bias": True, "names": ("w_rec", "w_in", "w_out", "bias")}, optax.sgd(0.2)),
    ],
    ids=["descent", "momentum and weight decay", "all weights and biases"],
)
def test_training_meets_the_bound(options, optimiser):
    setup = setup_of(**options)
    theory = RankBound(optimiser=optimiser)
    path = learned(setup, optimiser)
    assert theory.regime(setup).inside
    bounds = theory.bounds(setup)
    measured = np.asarray(path.map(lambda network: theory.measure(network, setup)))
    assert np.all(measured <= bounds.d) and measured[-1, 0] == bounds.d < UNITS
    change = np.asarray(path.w_rec - path.w_rec[0])
    assert share_outside(change, bounds.basis) <= 1e-12
    np.testing.assert_array_equal(measured[1:, 0], numerical_rank(np.linalg.svd(change[1:], compute_uv=False)))


def test_compare_sets_the_bound_beside_the_path():
    found = compare(RankBound(), learned(setup_of(), optax.sgd(0.5)))
    assert found.coords == ("change", "weights") and found.reason == ""
    assert np.all(found.error <= 0) and np.all(found.predicted == 3)
    heavy = compare(RankBound(), learned(setup_of(), optax.sgd(0.2, momentum=0.8)))
    assert heavy.reason == "" and np.all(heavy.error <= 0)


def test_one_input_and_one_output_need_three_shared_terms():
    setup = setup_of(1, 1)
    change = np.asarray(learned(setup, optax.sgd(0.5)).w_rec)
    post, pre = shared_terms(np.asarray(setup.network.w_in), np.asarray(setup.network.w_out))
    terms = np.einsum("it,jt->tij", post, pre).reshape(3, -1)
    flat = change.reshape(len(change), -1)
    rest = flat - flat @ np.linalg.pinv(terms) @ terms
    assert np.linalg.norm(rest) <= 1e-12 * np.linalg.norm(flat)
    assert int(numerical_rank(np.linalg.svd(flat, compute_uv=False))) == 3


def test_which_optimisers_keep_the_subspace():
    kept = (
        optax.sgd(0.1),
        optax.sgd(0.1, momentum=0.9, nesterov=True),
        optax.chain(optax.clip_by_global_norm(0.1), optax.add_decayed_weights(0.01), optax.sgd(0.1)),
    )
    assert all(map(keeps_subspace, kept))
    assert not any(map(keeps_subspace, (optax.adam(1e-3), optax.rmsprop(1e-3), optax.lion(1e-3), optax.clip(0.1))))


def test_outside_its_regime_it_says_why():
    setup = setup_of()
    cases = [
        (RankBound(optimiser=optax.adam(1e-3)), setup, "single entries"),
        (RankBound(), setup_of(activation="tanh"), "not linear"),
        (RankBound(), setup_of(first_rank=UNITS), f"fill all {UNITS} dimensions"),
    ]
    for theory, where, words in cases:
        regime = theory.regime(where)
        assert not regime.inside and words in regime.reason
        with pytest.warns(UserWarning, match=words):
            predicted = theory.predict(where, [0.0, 1.0])
        assert np.all(np.isnan(predicted)) if not regime.defined else np.all(predicted == UNITS)


def test_an_exact_population_velocity_stays_inside_too():
    network = ContinuousLinearRNN(jnp.zeros((6, 6)), jnp.eye(6)[0], jnp.eye(6)[1])
    setup = Setup(network, Integrator(0.3), BPTT(), train=("w_rec", "w_out"))
    assert RankBound().regime(setup).inside and RankBound().bounds(setup).d == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rank_bound(np.ones(4), np.ones((1, 4))), r"w_in must be \(post, in\).*got \(4,\)"),
        (lambda: rank_bound(np.ones((4, 1)), np.ones((1, 5))), r"same units; got \(4, 1\) and \(1, 5\)"),
        (lambda: rank_bound(np.ones((4, 1)), np.ones((1, 4)), np.ones((3, 3))), r"w_rec must be \(4, 4\)"),
        (lambda: rank_bound(np.ones((4, 1)), np.ones((1, 4)), start=np.ones((3, 1))), r"start must be \(4, k\)"),
        (lambda: rank_bound(np.ones((4, 2)), np.ones((1, 4)), input_basis=np.ones(2)), r"input_basis must be \(2, k\)"),
        (lambda: rank_bound(np.ones((4, 1)), np.full((1, 4), np.inf)), "NaN or infinite"),
        (lambda: shared_terms(np.ones((4, 1)), np.ones((1, 4))), "neither zero nor parallel"),
    ],
)
def test_bad_input_is_one_clear_message(call, message):
    with pytest.raises(ValueError, match=message):
        call()
