"""The question put to a recording: scores against direct ones, the rule of two kinds of split, refusals."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.bits import bits_per_spike
from weightpath.inference.ceiling import Ceiling
from weightpath.inference.choose import Candidate, Choice
from weightpath.inference.contest import Contest, Duel, _run, contest
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import Paired, r_squared
from weightpath.inference.plain import tuned_smoother
from weightpath.studies.recorded_question import answer, candidates, recordings, winner_among_controls

SETTINGS = dict(seeds=(0, 1), folds=2, iterations=2, multipliers=(1,), workers=1)


def made(counted=False):
    rng = np.random.default_rng(0)
    condition = np.arange(40) // 2 % 2
    course = np.stack([np.sin(np.arange(6) / 2), np.cos(np.arange(6) / 3)])[condition]
    data = course[..., None] * rng.normal(size=4) + 0.3 * rng.normal(size=(40, 6, 4))
    return wp.Recording(rng.poisson(np.exp(data)).astype(float) if counted else data, condition=condition)


def model(**settings):
    return wp.LowTensorRankRNN(rank=1, units=8, **settings)


@pytest.mark.filterwarnings("ignore")
def test_scores_are_those_of_the_mean_of_single_fits(tmp_path):
    recording = made()
    said = []
    found = answer(
        {"made": recording}, models={"one": model(), "fixed": model(changes="fixed")}, schemes=("even",), out=tmp_path,
        say=said.append, **SETTINGS,
    )["made"]  # fmt: skip
    duel, mask = found.duels[0], SCHEMES["even"](recording)
    fits = [wp.fit(duel.model, recording, mask=mask.train, seed=seed, iterations=2).predict() for seed in (0, 1)]
    fits = [np.asarray(one, float) for one in fits]
    assert duel.score == pytest.approx(r_squared(recording.values, np.mean(fits, 0), mask.test), abs=1e-12)
    assert duel.seeds == pytest.approx([r_squared(recording.values, one, mask.test) for one in fits], abs=1e-12)
    smooth = r_squared(recording.values, tuned_smoother(recording, mask.train), mask.test)
    assert duel.smoother == pytest.approx(smooth, abs=1e-12)
    assert duel.paired.difference == pytest.approx(duel.score - smooth, abs=1e-12) and duel.measure == "R^2"
    assert not found.beaten and "no model tried beats" in said[0] and f"{smooth:.4f}" in said[0]
    assert list((tmp_path / "made").glob("*.npz"))


@pytest.mark.slow  # twin: test_crossval_more's bits per spike of counts
@pytest.mark.filterwarnings("ignore")
def test_counts_are_compared_in_bits():
    recording = made(counted=True)
    duel = contest({"counts": model(likelihood="poisson")}, recording, schemes=("even",), **SETTINGS).duels[0]
    mask = SCHEMES["even"](recording)
    assert duel.measure == "bits per spike"
    direct = bits_per_spike(recording.values, tuned_smoother(recording, mask.train), mask.train, mask.test)
    assert duel.smoother == pytest.approx(direct, abs=1e-12)
    assert duel.paired.difference == pytest.approx(duel.score - duel.smoother, abs=1e-12)


def test_choices_for_runs_are_made_across_gaps():
    many = wp.Recording(np.random.default_rng(0).normal(size=(400, 2, 2)))
    assert _run("runs", SCHEMES["runs"](many), 3) == 20 and _run("even", SCHEMES["even"](many), 3) == 1
    assert _run("runs", SCHEMES["runs"](made()), 3) == 5


def test_two_kinds_of_split_are_needed():
    choice = Choice((Candidate("one", model(), 0.5, Paired(0.0, 0.0, 0.0, 0.0), True),), "R^2", 3)

    def duel(scheme, difference):
        paired = Paired(difference, 0.01, 0.0, 0.0)
        return Duel(scheme, choice, None, model(), "R^2", 0.6, (0.6,), 0.6, paired, Ceiling(0.7, 0.01))

    assert not Contest("r", (duel("even", 0.03), duel("odd", 0.03))).beaten
    assert not Contest("r", (duel("even", 0.03), duel("runs", 0.019))).beaten
    won = Contest("r", (duel("even", 0.03), duel("runs", 0.03)))
    assert won.beaten and "beats the tuned smoother on every split" in won.verdict
    assert "ahead on: even" in Contest("r", (duel("even", 0.03), duel("runs", -0.03))).verdict


def test_candidates_can_be_fitted_to_what_they_are_for():
    from weightpath.inference.checks import check_model

    found = recordings()
    assert list(found) == ["latents"]
    for one in candidates().values():
        check_model(one, found["latents"])
    counts = wp.Recording(np.random.default_rng(0).poisson(2.0, (40, 6, 8)).astype(float))
    for one in candidates(counts=True, rank=3).values():
        assert one.counts
        check_model(one, counts)


@pytest.mark.filterwarnings("ignore")
def test_the_winner_meets_the_controls(tmp_path):
    scores = winner_among_controls(
        made(), model(), out=tmp_path, schemes=("even",), iterations=2, workers=1, progress=False
    )
    assert {f"{name}, rank 1" for name in ("fixed", "epoch", "inputs_epoch", "readout_epoch")} < set(scores.labels)
    assert list((tmp_path / "controls").glob("*.npz"))


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="'blocks' does not hold out whole trials; expected some of: even, odd, runs"):
        contest({"one": model()}, made(), schemes=("even", "blocks"))
    with pytest.raises(ValueError, match="is not there; give the folder that holds both sets"):
        recordings(tmp_path)
