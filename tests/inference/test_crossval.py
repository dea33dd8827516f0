"""Cross-validation: the same entries for all models, the rule of the rank, resuming, and refusals."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference import jobs
from weightpath.inference.controls import CONTROLS
from weightpath.inference.held_out import user_mask
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import r_squared
from weightpath.inference.plain import PLAIN
from weightpath.inference.scores import CrossValidation, Row
from weightpath.networks.kernels import RationalQuadratic

SETTINGS = dict(iterations=60, schemes=("even", "blocks"))


def tiny(trials=40, epochs=2, silent=False):
    """Two conditions and four neurons whose means move once."""
    rng = np.random.default_rng(0)
    condition, late = np.arange(trials) // 2 % 2, np.arange(trials) >= trials // 2
    time = np.arange(6)
    course = np.stack([np.sin(time / 2), np.cos(time / 3)])[condition]
    mixing = rng.normal(size=4) + late[:, None] * rng.normal(size=4)
    data = course[:, :, None] * mixing[:, None] + 0.1 * rng.normal(size=(trials, 6, 4))
    if silent:
        data[:, :, 3] = 2.0
    return wp.Recording(data, condition=condition, epoch=np.arange(trials) * epochs // trials)


def model(rank, **settings):
    return wp.LowTensorRankRNN(rank=rank, units=8, **settings)


@pytest.fixture(scope="module")
def recording():
    return tiny()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("fits")


@pytest.fixture(scope="module")
def scores(recording, kept):
    return wp.cross_validate([model(1), model(2)], recording, seeds=2, checkpoint_dir=kept, **SETTINGS)


def test_everything_is_there_on_the_same_entries(scores, recording):
    rank = scores.chosen_rank
    for scheme in ("even", "blocks"):
        labels = {row.label for row in scores.rows if row.scheme == scheme}
        assert {f"{name}, rank {rank}" for name in CONTROLS} | set(PLAIN) <= labels
        assert {"ltr, rank 1", "ltr, rank 2"} <= labels
        for row in (row for row in scores.rows if row.scheme == scheme):
            assert row.held.size == scores.scored[scheme].sum()
            assert np.array_equal(row.errors[0] > 0, scores.sums[scheme].count > 0)
            assert np.isfinite(scores.r2(scheme, row.label))
        assert not np.any(scores.masks[scheme].train & scores.scored[scheme])


def test_scores_are_those_of_single_fits(scores, recording):
    mask = SCHEMES["even"](recording)
    with pytest.warns(UserWarning):
        fitted = wp.fit(model(2), recording, mask=mask.train, seed=1, iterations=60)
    expected = r_squared(recording.values, fitted.predict(), mask.test)
    assert scores.r2_seeds("even", "ltr, rank 2")[1] == pytest.approx(expected, abs=1e-12)
    held = scores.row("even", "ltr, rank 2").held
    shown = scores.predicted("even", "ltr, rank 2")
    np.testing.assert_array_equal(shown[mask.test], held)
    assert np.isnan(shown[mask.train]).all()
    error = ((recording.values[mask.test] - held) ** 2).sum()
    mean = scores.row("even", "ltr, rank 2, mean of 2 fits")
    assert mean.errors.sum() == pytest.approx(error, rel=1e-12)


def test_plain_scores_are_those_of_the_predictors(scores, recording):
    mask = SCHEMES["even"](recording)
    for name, predict in PLAIN.items():
        expected = r_squared(recording.values, predict(recording, mask.train), mask.test)
        assert scores.r2("even", name) == pytest.approx(expected, abs=1e-12)


def test_finished_fits_are_not_fitted_again(scores, recording, kept, monkeypatch):
    monkeypatch.setattr(jobs, "fit", lambda *args, **kwargs: pytest.fail("a finished fit was fitted again"))
    again = wp.cross_validate([model(1), model(2)], recording, seeds=2, checkpoint_dir=kept, **SETTINGS)
    assert again.to_dataset().identical(scores.to_dataset())


@pytest.mark.slow  # twins: test_uncertainty, test_fit_resume; finished fits above
def test_interrupted_and_resumed_equals_uninterrupted(scores, recording, tmp_path):
    """A KeyboardInterrupt in the middle, then the same call on one thread: bit for bit the same."""

    def interrupt(label, done, total, **numbers):
        if done > total // 3:
            raise KeyboardInterrupt

    options = dict(seeds=2, checkpoint_dir=tmp_path, **SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        wp.cross_validate([model(1), model(2)], recording, progress=interrupt, **options)
    files = [path.suffix for path in tmp_path.iterdir()]
    assert 0 < files.count(".npz") < 8
    again = wp.cross_validate([model(1), model(2)], recording, workers=1, **options)
    assert again.to_dataset().identical(scores.to_dataset())
    assert not list(tmp_path.glob("*.part"))


def test_one_epoch_is_split_for_the_controls():
    scores = wp.cross_validate(model(1), tiny(epochs=1), schemes=("even",), iterations=20)
    assert any("split at the middle trial (20)" in note for note in scores.notes)
    assert scores.r2("even", "target x epoch") > scores.r2("even", "target") + 0.1


def test_silent_neurons_are_not_scored():
    with pytest.warns(UserWarning, match="silent"):
        recording = tiny(silent=True)
    scores = wp.cross_validate(model(1), recording, schemes=("even",), iterations=20, controls=False)
    assert not scores.scored["even"][:, :, 3].any() and scores.scored["even"][:, :, :3].any()
    assert any("controls were left out" in note for note in scores.notes)


def test_masks_of_ones_own(recording):
    last = np.zeros(recording.shape, bool)
    last[:, -2:] = True
    mask = user_mask(recording, ~last, last, name="future")
    scores = wp.cross_validate(model(1), recording, schemes=mask, iterations=5, controls=False)
    assert scores.schemes == ("future",) and scores.deciding == "future" and not mask.whole_trials
    assert "No whole trials were held out" in scores.verdict()


def test_models_that_differ_otherwise_are_told_apart(recording):
    scores = wp.cross_validate(
        [model(1), model(1, prior_multiplier=8.0)], recording, schemes=("even",), iterations=5, controls=False
    )
    assert set(scores.models) == {"ltr, rank 1, prior_multiplier 1", "ltr, rank 1, prior_multiplier 8"}
    assert any("not settled" in note for note in scores.notes)


def test_dataset_and_table(scores, tmp_path):
    wp.save(scores, tmp_path / "scores.nc")
    dataset = wp.load(tmp_path / "scores.nc")
    assert dataset.attrs["chosen_rank"] == scores.chosen_rank
    one = dataset.sel(scheme="even", model="smoother")
    assert float(one["r2_mean"]) == scores.r2("even", "smoother")
    paired = scores.paired("even", scores.chosen, "smoother")
    assert float(one["difference"]) == paired.difference and float(one["difference_se"]) == paired.se
    table = scores.table()
    assert table.index("Whole trials held out") < table.index("Parts of trials held out")
    assert f"{scores.r2('blocks', 'tuned smoother'):.4f}" in table


def test_cross_validation_on_disk(scores, tmp_path):
    assert wp.load(wp.save(scores, tmp_path / "scores.npz")).table() == scores.table()


def made_up(r2, noise=0.0):
    """Scores with given mean R^2 of ranks, on 400 trials of which each has two entries, -1 and 1."""
    rng = np.random.default_rng(1)
    values = np.tile([[1.0], [-1.0]], (400, 1, 1))
    recording = wp.Recording(values + 1e-12 * rng.normal(size=values.shape))
    test = np.ones(values.shape, bool)
    test[1::2] = False
    rows = []
    for rank, score in r2.items():
        errors = np.where(np.arange(400) % 2 == 0, 2 * (1 - score), 0.0)
        errors[::2] += noise * rng.normal(size=200)
        errors[::2] += 2 * (1 - score) - errors[::2].mean()
        rows.append(Row("even", f"ltr, rank {rank}", "ltr", rank, errors[None], (True,), np.zeros(400)))
    mask = SCHEMES["odd"](recording)
    models = {f"ltr, rank {rank}": model(rank) for rank in r2}
    return CrossValidation(recording, {"even": mask}, {"even": test}, tuple(rows), models, "even", (0,), ())


@pytest.mark.parametrize(
    ("r2", "noise", "rank"),
    [
        ({1: 0.50, 2: 0.60, 3: 0.6015}, 0.0, 2),
        ({1: 0.50, 2: 0.60, 3: 0.603}, 0.0, 3),
        ({1: 0.50, 2: 0.60, 3: 0.603}, 0.2, 2),
        ({1: 0.70, 2: 0.60}, 0.0, 1),
        ({3: 0.60, 1: 0.40, 2: 0.599}, 0.0, 2),
    ],
)
def test_rule_of_the_rank(r2, noise, rank):
    """The smallest rank within max(paired SE, .002) of the best: the SE of noise .2 is .2 * sqrt(2) / 2 / sqrt(200)."""
    scores = made_up(r2, noise)
    assert scores.chosen_rank == rank
    if noise:
        assert scores.paired("even", "ltr, rank 3", "ltr, rank 2").se == pytest.approx(0.01, rel=0.15)


def test_refusals(recording):
    with pytest.raises(ValueError, match="one or several wp.LowTensorRankRNN"):
        wp.cross_validate([], recording)
    with pytest.raises(ValueError, match="two models are alike"):
        wp.cross_validate([model(1), model(1)], recording)
    with pytest.raises(ValueError, match="holds? the control 'epoch'"):
        wp.cross_validate([model(1, changes="epoch")], recording)
    with pytest.raises(ValueError, match="unknown scheme"):
        wp.cross_validate(model(1), recording, schemes="halves")
    with pytest.raises(ValueError, match="at least one fit"):
        wp.cross_validate(model(1), recording, seeds=())
    with pytest.raises(ValueError, match=r"rank \[3\], which is not among the models"):
        wp.cross_validate(model(1), recording, controls=[3])
    with pytest.raises(ValueError, match=r"ltr, rank 9 on scheme 'even': rank 9 exceeds"):
        wp.cross_validate(wp.LowTensorRankRNN(rank=9), recording, schemes="even")
    epoch = np.zeros(40, int)
    epoch[4] = 1
    with pytest.raises(ValueError, match="on scheme 'even': no training trial in epoch 1"):
        wp.cross_validate(model(1), recording.with_epoch(epoch), schemes="even", iterations=2)
    with pytest.raises(ValueError, match="scheme 'even' leaves no observed entry to train on"):
        wp.cross_validate(model(1), wp.Recording(recording.values[:1]))
    with pytest.raises(ValueError, match="no 'pca' on|no .*'pca'"):
        made_up({1: 0.5}).row("even", "pca")


def test_what_would_stop_a_control_stops_the_call_before_the_first_fit(recording, monkeypatch):
    monkeypatch.setattr(jobs, "fit", lambda *_, **__: pytest.fail("a fit was begun"))
    smooth = model(1, kernel=RationalQuadratic(20.0, 0.3, 0.05, by_epoch=False))
    with pytest.raises(ValueError, match="control epoch on scheme 'even': no training trial in epoch 'b'"):
        wp.cross_validate(
            smooth, recording.with_epoch(np.where(np.arange(40) == 4, "b", "a")), schemes="even", iterations=2
        )
    with pytest.raises(ValueError, match="control epoch on scheme 'even': no training trial in epoch 'first half'"):
        wp.cross_validate(smooth, wp.Recording(recording.values[:3]), schemes="even", iterations=2)


@pytest.mark.slow  # twin: test_fit_bad_input's loss that is not finite
def test_fits_that_met_numbers_that_are_not_finite_are_named(recording):
    scores = wp.cross_validate(model(1), recording, schemes="even", iterations=5, learning_rate=1e30, controls=False)
    assert any("stopped at numbers that are not finite (*), lower the learning rate: ltr, rank 1" in note
               for note in scores.notes)  # fmt: skip
    assert np.isfinite(scores.r2("even", "ltr, rank 1"))


@pytest.mark.slow  # twin: notes of fits that are not settled above
def test_what_fits_say_of_the_data_is_kept(recording):
    few = wp.Recording(recording.values[:10], condition=recording.condition[:10])
    scores = wp.cross_validate(model(2), few, schemes="even", iterations=2, controls=False)
    text = " ".join(scores.notes)
    assert "scheme even: 5 training trials are fewer than three per factor (rank 2)" in text
    assert "scheme even: the kernel's length, 200 trials, exceeds the 5 training trials" in text
    assert "5 trials have no training entry: their factors are the predictive mean of the prior" in text
