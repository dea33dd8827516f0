"""Cross-validation with held-out neurons and bins, further controls, baselines, ceilings, and counts."""

import numpy as np
import pytest
from scipy import stats

import weightpath as wp
from weightpath.inference.baselines import BASELINES
from weightpath.inference.bits import bits_per_spike
from weightpath.inference.controls import COMPARISONS, CONTROLS, Asked, allowed, asked
from weightpath.inference.masks import SCHEMES
from weightpath.inference.paired import r_squared, trial_errors
from weightpath.inference.plain import PLAIN
from weightpath.inference.ridge_control import ridge_control
from weightpath.inference.scores import TOLERANCE, CrossValidation, Row
from weightpath.networks.low_tensor_rank import WORDS


def tiny(trials=40, counted=False):
    rng = np.random.default_rng(0)
    condition, late = np.arange(trials) // 2 % 2, np.arange(trials) >= trials // 2
    course = np.stack([np.sin(np.arange(6) / 2), np.cos(np.arange(6) / 3)])[condition]
    mixing = rng.normal(size=4) + late[:, None] * rng.normal(size=4)
    data = course[:, :, None] * mixing[:, None] + 0.1 * rng.normal(size=(trials, 6, 4))
    data = rng.poisson(np.exp(data)).astype(float) if counted else data
    return wp.Recording(data, condition=condition, epoch=late.astype(int))


def model(rank=1, **settings):
    return wp.LowTensorRankRNN(rank=rank, units=8, **settings)


@pytest.fixture(scope="module")
def scores():
    return wp.cross_validate(
        model(), tiny(), schemes=("units", "future"), iterations=2, controls=("per_epoch",), baselines=True
    )


def test_units_and_future_are_scored_beside_their_own_opponents(scores):
    common = {"ltr, rank 1", "per_epoch, rank 1", "lds, rank 1", "smoother + lds, rank 1", "cp, rank 1", *PLAIN}
    common |= {f"{name}, rank 1" for name in CONTROLS}
    own = {"units": {"ridge on seen neurons"}, "future": {"persistence", "ridge on earlier bins"}}
    for scheme, more in own.items():
        assert {row.label for row in scores.rows if row.scheme == scheme} == common | more
        assert {row.label for row in scores.opponents(scheme)} == (common | more) - {"ltr, rank 1"}
        assert not scores.masks[scheme].whole_trials
    assert scores.ceilings == {}
    assert "No whole trials were held out" in scores.verdict()


def test_baselines_are_scored_on_the_same_entries(scores):
    recording = scores.recording
    for scheme, mask in scores.masks.items():
        for name, predict in BASELINES.items():
            expected = r_squared(recording.values, predict(recording, mask.train, 1).prediction, mask.test)
            assert scores.r2(scheme, f"{name}, rank 1") == pytest.approx(expected, abs=1e-12)
            assert scores.row(scheme, f"{name}, rank 1").kind == "baseline"
    dataset = scores.to_dataset()
    one = dataset.sel(scheme="units", model="ridge on earlier bins")
    assert np.isnan(one["r2_mean"]) and str(dataset.sel(model="cp, rank 1")["kind"].item()) == "baseline"
    assert "low-rank tensor of the data" in str(dataset.sel(model="cp, rank 1")["described"].item())


def test_names_of_controls():
    assert set(COMPARISONS) == set(WORDS["changes"]) - {"trial"}
    assert asked(True) == Asked(CONTROLS, ()) and asked(False) == Asked((), ())
    assert asked([3, 5]) == Asked(CONTROLS, (3, 5)) == asked((3, "epoch", 5))
    assert asked("per_trial").names == (*CONTROLS, "per_trial")
    everything = asked("all")
    assert set(everything.names) == set(COMPARISONS) and everything.names[:4] == CONTROLS
    with pytest.raises(ValueError, match="unknown control 'trial'; expected some of: fixed, epoch"):
        asked(("epoch", "trial"))


def test_what_cannot_be_fitted_is_left_out_of_all_and_refused_by_name():
    def check(name):
        if name == "per_trial":
            raise ValueError("too few trials")

    left, notes = allowed(asked("all"), check)
    assert "per_trial" not in left.names and set(left.names) | {"per_trial"} == set(COMPARISONS)
    assert notes == ("control per_trial was left out: too few trials",)
    with pytest.raises(ValueError, match="too few trials"):
        allowed(asked("per_trial"), check)


@pytest.mark.slow  # twin: test_ceiling
def test_ceiling_stands_below_the_scores_and_thin_masks_are_noted():
    recording = tiny()
    few = np.zeros(recording.shape, bool)
    few[::4] = True
    mask = wp.inference.user_mask
    with pytest.warns(UserWarning, match="left to train on"):
        masks = ["even", mask(recording, few, ~few, name="thin")]
    scores = wp.cross_validate(model(), recording, schemes=masks, iterations=2, controls=False)
    assert any("only 25.0% of the observed entries" in note and "'thin'" in note for note in scores.notes)
    ceiling = scores.ceilings["even"]
    assert 0.8 < ceiling.r2 <= 1.001
    table = scores.table()
    line = next(line for line in table.splitlines() if line.strip().startswith("noise ceiling (repeats)  "))
    assert f"{ceiling.r2:.4f}" in line and max(map(len, table.splitlines())) <= 80
    dataset = scores.to_dataset()
    assert float(dataset["ceiling"].sel(scheme="even")) == ceiling.r2
    with pytest.raises(ValueError, match="bits per spike need counts"):
        scores.paired_bits("even", "target", "smoother")
    assert np.isnan(dataset["bits_per_spike"]).all() and "bits" not in table


def test_measured_inputs_are_given_to_a_ridge_as_well():
    plain = tiny()
    cursor = np.random.default_rng(1).normal(size=(40, 6, 2))
    recording = wp.Recording(plain.values, condition=plain.condition, epoch=plain.epoch, covariates={"cursor": cursor})
    given = model(inputs="known", known=("cursor",))
    scores = wp.cross_validate([given, model(2)], recording, schemes="even", iterations=2, controls=False)
    train = scores.masks["even"].train
    for words, by_condition in (("", False), (" per condition", True)):
        expected = ridge_control(recording, train, ("cursor",), by_condition=by_condition)
        label = f"smoother + ridge on cursor{words}"
        score = r_squared(recording.values, expected, scores.masks["even"].test)
        assert scores.r2("even", label) == pytest.approx(score, abs=1e-12)
        assert scores.row("even", label) in scores.opponents("even")
    assert any("uses past activity" in note for note in scores.notes)


def test_counts_have_bits_per_spike():
    recording = tiny(counted=True)
    scores = wp.cross_validate(
        model(), recording.standardised("neuron"), schemes="even", iterations=2, controls=False, baselines="cp"
    )
    mask = scores.masks["even"]
    for name in ("tuned smoother", "cp, rank 1", "ltr, rank 1"):
        rates = np.nan_to_num(scores.predicted("even", name))
        expected = bits_per_spike(recording.values, rates, mask.train, mask.test)
        assert scores.bits("even", name) == pytest.approx(expected, rel=1e-9)
        assert f"{expected:.4f}" in scores.table()
    assert scores.bits("even", "target x epoch") > 0
    paired = scores.paired_bits("even", "tuned smoother", "target")
    direct = scores.bits("even", "tuned smoother") - scores.bits("even", "target")
    assert paired.difference == pytest.approx(direct, abs=1e-12) and paired.se > 0
    dataset = scores.to_dataset()
    one = dataset.sel(scheme="even", model="target")
    gain = scores.paired_bits("even", scores.chosen, "target")
    assert (float(one["bits_difference"]), float(one["bits_difference_se"])) == (gain.difference, gain.se)
    assert float(dataset["bits_per_spike"].sel(scheme="even", model="target")) == scores.bits("even", "target")
    assert float(dataset["ceiling_poisson"][0]) == scores.poisson_ceiling("even") < 1
    assert "noise ceiling (Poisson)" in scores.table() and "bits: per spike" in scores.table()


@pytest.mark.parametrize(("likelihood", "rank", "measure"), [("gaussian", 1, "R^2"), ("poisson", 2, "bits per spike")])
def test_rank_of_counts_is_chosen_by_bits(likelihood, rank, measure):
    """Rank 2 knows the rate of a quiet neuron, which is much of the likelihood and little of the squared error."""
    rng = np.random.default_rng(0)
    rates = np.stack([rng.uniform(15, 45, (200, 5)), rng.choice([0.05, 0.8], (200, 5))], axis=-1)
    recording = wp.Recording(rng.poisson(rates).astype(float), counts=True)
    mask = SCHEMES["even"](recording)
    poor = np.where(np.arange(2) == 0, rates, recording.values[mask.train.any((1, 2))].mean((0, 1)))
    rows, models = [], {}
    for number, predicted in enumerate((poor, rates), 1):
        label = f"ltr, rank {number}"
        models[label] = wp.LowTensorRankRNN(rank=number, likelihood=likelihood)
        errors = trial_errors(recording.values, predicted, mask.test)[None]
        rows.append(Row("even", label, "ltr", number, errors, (True,), predicted[mask.test]))
    scores = CrossValidation(recording, {"even": mask}, {"even": mask.test}, tuple(rows), models, "even", (0,), ())
    assert scores.r2("even", "ltr, rank 2") - scores.r2("even", "ltr, rank 1") < TOLERANCE
    gain = stats.poisson.logpmf(recording.values, rates) - stats.poisson.logpmf(recording.values, poor)
    gain = gain[mask.test].sum() / recording.values[mask.test].sum() / np.log(2)
    paired = scores.paired_bits("even", "ltr, rank 2", "ltr, rank 1")
    assert paired.difference == pytest.approx(gain, rel=1e-9) and gain > 3 * paired.se
    assert scores.chosen_rank == rank and scores.measure == measure
    assert ("the rank is chosen by them" in " ".join(scores.table().split())) == (rank == 2)
