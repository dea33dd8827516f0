"""Fits in one program: the same as single fits, each with its own end; padded terms stay zero; a batch resumes."""

import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath._results import RESULTS
from weightpath.inference import batched, crossval, fit_many
from weightpath.inference.batched import Request, batches, fit_batch
from weightpath.inference.checkpoint import fingerprint, read_arrays
from weightpath.inference.checks import training_mask
from weightpath.inference.ensembles import ensemble
from weightpath.inference.objective import objective
from weightpath.inference.optimise import run_chunk
from weightpath.inference.padding import padded_problem, resized, resized_state
from weightpath.inference.run import begin_run
from weightpath.networks.kernels import RationalQuadratic
from weightpath.networks.low_tensor_rank import InputNetwork, SmoothOffset

KERNEL = RationalQuadratic(length=5.0, sd=0.3, noise_sd=0.05)
SETTINGS = dict(iterations=60, learning_rate=1e-2, dtype="float64")
#: Everything that is drawn at random but noise, a read-in with a penalty, and a slow offset.
MODEL = wp.LowTensorRankRNN(
    rank=2, units=7, kernel=KERNEL, trial_offset=SmoothOffset(), trial_dropout=0.2, batch_trials=14, input_penalty=0.1
)


@pytest.fixture(scope="module")
def recording():
    rng = np.random.default_rng(0)
    condition = np.arange(20) % 2
    means = rng.standard_normal((2, 6, 5)).cumsum(axis=1)
    data = means[condition] + 0.3 * rng.standard_normal((20, 6, 5))
    data[3, 4:] = np.nan
    behaviour = rng.standard_normal((20, 6, 2))
    return wp.Recording(
        data, condition=condition, epoch=np.repeat(["before", "after"], 10), covariates={"hand": behaviour}
    )


@pytest.fixture(scope="module")
def mask(recording):
    mask = np.ones(recording.shape, bool)
    mask[::5] = False
    return mask


def quiet_fit(model, recording, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return wp.fit(model, recording, progress=False, **given)


def quiet_many(*given, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_many(*given, batched=True, **options)


def models():
    return replace(MODEL, rank=1), replace(MODEL, prior_multiplier=3.0, changes="epoch"), replace(MODEL, rank=2)


@pytest.fixture(scope="module")
def many(recording, mask):
    return quiet_many(models(), recording, seeds=(0, 4), mask=mask, **SETTINGS)


@pytest.mark.parametrize("place", [0, 3, 5])
def test_each_fit_of_a_batch_is_the_single_fit(many, recording, mask, place):
    """Among them one padded from rank 1 to 2, and two that share a rank but neither prior nor seed."""
    one = quiet_fit(models()[place // 2], recording, mask=mask, seed=(0, 4)[place % 2], **SETTINGS)
    found = many[place]
    assert found.model == one.model and found.settings == one.settings and found.c.shape == one.c.shape
    np.testing.assert_allclose(found.history["loss"], one.history["loss"], rtol=1e-9)
    np.testing.assert_allclose(found.predict(), one.predict(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.c, one.c, rtol=1e-9, atol=1e-9)
    assert found.prior_weight == pytest.approx(one.prior_weight, rel=1e-9)
    assert found.n_eff == pytest.approx(one.n_eff, rel=1e-9)
    assert (found.converged, found.reason) == (one.converged, one.reason)


PADDED = {
    "free inputs, offset": {},
    "networks behind the inputs": dict(
        inputs="ode", input_network=InputNetwork(hidden=4, layers=(4,), throughout=True), input_penalty=0.1
    ),
    "measured inputs, states of trials": dict(inputs="known", known=("hand",), initial_state="trial"),
    "a core": dict(changes="per_trial"),
    "directions of trials": dict(changes="low_matrix_rank", decoder="orthogonal"),
    "penalised activity, counts": dict(activity_penalty=0.1, likelihood="poisson"),
}


#: The quick ones have inputs of every kind but networks between them; each case compiles its own loss twice.
QUICK = ("measured inputs, states of trials",)


@pytest.mark.parametrize(
    "changes",
    [pytest.param(one, id=name, marks=[] if name in QUICK else pytest.mark.slow) for name, one in PADDED.items()],
)
def test_padded_terms_have_no_part_in_the_loss_and_no_gradient(recording, mask, changes):
    model = replace(MODEL, **(dict(trial_dropout=0.0, batch_trials=None) | changes))
    if model.counts:
        data = np.nan_to_num(np.abs(recording.values)).round()
        recording = wp.Recording(data, condition=recording.condition, epoch=recording.epoch)
    run = begin_run(model, recording, mask, {"seed": 1, **SETTINGS}, None)
    problem, layout, core = run.arrangement.problem(run.dtype), run.arrangement.layout, model.core
    # Away from the start, where some arrays are zero.
    leaves, structure = jax.tree.flatten(run.state.parameters)
    rng = np.random.default_rng(0)
    moved = [jax.device_put(np.asarray(leaf) + 0.1 * rng.standard_normal(leaf.shape)) for leaf in leaves]
    parameters = jax.tree.unflatten(structure, moved)
    work = jax.jit(jax.value_and_grad(lambda *given: objective(*given, jnp.asarray(0.01), layout)[0]))
    loss, gradient = work(parameters, problem)
    larger = resized(parameters, 4, core=core)
    padded_loss, padded_gradient = work(larger, padded_problem(problem, 2, 4))
    assert float(padded_loss) == pytest.approx(float(loss), rel=1e-12)
    for leaf, own, there in zip(
        jax.tree.leaves(padded_gradient), jax.tree.leaves(gradient), jax.tree.leaves(larger), strict=True
    ):
        own_part = tuple(slice(size) for size in own.shape)
        np.testing.assert_allclose(leaf[own_part], own, rtol=1e-9, atol=1e-12)
        for array in (leaf, there):
            rest = np.array(array)
            rest[own_part] = 0
            assert not rest.any()  # exactly: the optimiser would scale up any residue


def test_padded_terms_stay_zero_through_the_optimiser(recording, mask):
    model = replace(MODEL, trial_dropout=0.0, batch_trials=None)
    run = begin_run(model, recording, mask, {"seed": 1, **SETTINGS}, None)
    problem, state = run.arrangement.problem(run.dtype), resized_state(run.state, 4, core=False)
    after, _ = run_chunk(state, padded_problem(problem, 2, 4), run.schedule, jnp.asarray(20), run.arrangement.layout)
    back = resized_state(resized_state(after, 2, core=False), 4, core=False)
    for one, other in zip(jax.tree.leaves(after), jax.tree.leaves(back), strict=True):
        assert np.array_equal(one, other)


def test_fits_end_each_at_its_own_time(recording, mask):
    """A fit with fewer iterations stands still; one that breaks says so and leaves the others alone."""
    given = [
        dict(SETTINGS),
        SETTINGS | dict(iterations=30),
        SETTINGS | dict(learning_rate=1e200),
    ]
    requests = [Request(str(place), MODEL, recording, mask, 0, one) for place, one in enumerate(given)]
    assert batches(requests, True) == [[0, 1, 2]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fit_batch(requests, lambda *_, **__: None)
    for fit, settings in zip(found, given, strict=True):
        one = quiet_fit(MODEL, recording, mask=mask, **settings)
        assert fit.result == one.result and fit.reason == one.reason
        assert len(fit.history["loss"]) == len(one.history["loss"])
        np.testing.assert_allclose(fit.predict(), one.predict(), rtol=1e-9, atol=1e-9)
    assert found[2].result == RESULTS.nonfinite and "learning_rate=5e+199" in found[2].reason


def test_an_interrupted_batch_goes_on_to_the_same_end(many, recording, mask, tmp_path):
    def stop(label, done, total, **numbers):
        if done >= 300:
            raise KeyboardInterrupt

    options = dict(seeds=(0, 4), mask=mask, checkpoint_dir=tmp_path, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        quiet_many(models(), recording, progress=stop, **options)
    assert len(list(tmp_path.iterdir())) == 6
    # A single fit goes on from the state that the batch kept: not from the start, and to the same end.
    model = models()[0]
    kept = (
        tmp_path / f"{fingerprint(model, recording, training_mask(recording, mask), {'seed': 4, **SETTINGS})[:24]}.npz"
    )
    alone = Path(shutil.copy(kept, tmp_path.with_suffix(".npz")))
    done = len(read_arrays(alone)[1]["history"])
    assert done == 50
    one = quiet_fit(model, recording, mask=mask, seed=4, checkpoint=alone, **SETTINGS)
    assert np.array_equal(one.history["loss"][:done], many[1].history["loss"][:done])
    np.testing.assert_allclose(one.history["loss"], many[1].history["loss"], rtol=1e-9)
    np.testing.assert_allclose(one.predict(), many[1].predict(), rtol=1e-9, atol=1e-9)
    seen = []
    again = quiet_many(models(), recording, progress=lambda label, done, *_, **__: seen.append(done), **options)
    # The first report is that of nothing done; then the batch reads where it stood.
    assert seen[:2] == [0, 300] and seen[-1] == 360
    for one, other in zip(again, many, strict=True):
        assert np.array_equal(one.predict(), other.predict()) and np.array_equal(one.c, other.c)
        assert np.array_equal(one.history["loss"], other.history["loss"])


def test_what_cannot_share_a_program_does_not(recording, mask):
    other = mask.copy()
    other[1] = False
    noisy = replace(MODEL, process_noise=0.1)
    given = [
        (MODEL, mask), (replace(MODEL, rank=3), mask), (MODEL, other), (replace(MODEL, units=8), mask),
        (noisy, mask), (replace(noisy, rank=3), mask), (replace(MODEL, changes="readout_epoch"), mask),
    ]  # fmt: skip
    requests = [Request("", model, recording, entries, 0, SETTINGS) for model, entries in given]
    assert batches(requests, True) == [[0, 1], [2], [3], [4], [5], [6]]
    assert batches(requests, False) == [[place] for place in range(7)]
    assert batches(requests, None) == batches(requests, jax.default_backend() != "cpu")


@pytest.fixture
def groups(monkeypatch):
    """Sizes of the programs of several fits that are run."""
    sizes, run = [], batched.fit_batch
    monkeypatch.setattr(batched, "fit_batch", lambda given, report: sizes.append(len(given)) or run(given, report))
    return sizes


@pytest.mark.slow
def test_an_ensemble_in_one_program(recording, mask, tmp_path, groups):
    options = dict(iterations=60, dtype="float64")
    one = ensemble(MODEL, recording, 2, mask=mask, **options)
    other = ensemble(MODEL, recording, 2, mask=mask, batched=True, checkpoint_dir=tmp_path, **options)
    np.testing.assert_allclose(other.predictions, one.predictions, rtol=1e-8, atol=1e-8)
    assert np.array_equal(other.settled, one.settled) and groups == [2]
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz", ".npz"]


@pytest.mark.slow
def test_a_cross_validation_in_one_program(recording, groups):
    ranks = [MODEL, replace(MODEL, rank=1)]
    plain = dict(schemes="even", controls=False, iterations=60, dtype="float64")
    together = crossval.cross_validate(ranks, recording, batched=True, **plain)
    apart = crossval.cross_validate(ranks, recording, batched=False, **plain)
    assert groups == [2]
    for label in together.labels:
        np.testing.assert_allclose(
            together.row("even", label).held, apart.row("even", label).held, rtol=1e-8, atol=1e-8
        )


def test_bad_input(recording, mask):
    with pytest.raises(ValueError, match="models must be one or several"):
        fit_many([], recording)
    with pytest.raises(ValueError, match="seeds must differ"):
        fit_many(MODEL, recording, seeds=(1, 1))
    with pytest.raises(ValueError, match=r"model 1 \(rank 2\), seed 0: learning_rate must be positive"):
        fit_many(MODEL, recording, seeds=2, learning_rate=-1.0, batched=True)
    # Three of them, as many as in the program above.
    with pytest.warns(UserWarning, match="3 of 3 fits are not settled; the first, model 1"):
        fit_many(MODEL, recording, seeds=3, mask=mask, iterations=5, dtype="float64", batched=True)
