"""The words of a verdict follow from the paired differences, and claim no more than they allow."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.held_out import Mask
from weightpath.inference.scores import CrossValidation, Row
from weightpath.inference.wording import INDISTINCT, Standing, relation

TRIALS = 200


def scores_with(differences):
    """A comparison in which the model is ahead of each other by so many paired standard errors, by scheme."""
    rng = np.random.default_rng(0)
    values = np.tile([[1.0], [-1.0]], (TRIALS, 1, 1)) + 1e-12 * rng.normal(size=(TRIALS, 2, 1))
    recording = wp.Recording(values)
    test = np.ones(values.shape, bool)
    rows, masks = [], {}
    for scheme, others in differences.items():
        whole = scheme != "blocks"
        masks[scheme] = Mask(scheme, ~test, test, whole, "made up", 0.5, 0.5)
        own = np.full(TRIALS, 1.0)
        rows.append(Row(scheme, "ltr, rank 1", "ltr", 1, own[None], (True,), np.zeros(2 * TRIALS)))
        for label, standard_errors in others.items():
            noise = rng.normal(size=TRIALS)
            noise = 0.1 * (noise - noise.mean()) / noise.std()
            errors = own + noise + standard_errors * 0.1 / np.sqrt(TRIALS)
            kind, rank = ("control", 1) if "rank" in label else ("plain", 0)
            rows.append(Row(scheme, label, kind, rank, errors[None], (True,), np.zeros(2 * TRIALS)))
    models = {"ltr, rank 1": wp.LowTensorRankRNN(rank=1)}
    scored = dict.fromkeys(masks, test)
    return CrossValidation(recording, masks, scored, tuple(rows), models, next(iter(masks)), (0,), ())


def others(smoother, inputs=9, fixed=9):
    return {"inputs_epoch, rank 1": inputs, "readout_epoch, rank 1": 9, "fixed, rank 1": fixed, "smoother": smoother}


def test_beats_needs_two_splits_into_whole_trials():
    text = scores_with({"even": others(4), "runs": others(4)}).verdict()
    assert "beats the best control" in text and INDISTINCT not in text.lower()
    text = scores_with({"even": others(4), "blocks": others(4)}).verdict()
    assert "is level with the best control" in text and "two are needed" in text
    text = scores_with({"even": others(4), "runs": others(1)}).verdict()
    assert "is level with the best control" in text and "beats the best control" not in text


def test_behind_a_smoother_and_level_with_changing_inputs():
    text = scores_with({"even": others(-4, inputs=0.5), "runs": others(-4, inputs=-0.5)}).verdict()
    assert "is behind the best control" in text and "against smoother" in text
    assert INDISTINCT in text[0].lower() + text[1:].replace("A model with", "a model with")
    assert "It beats a network in which nothing changes" in text


def test_level_with_the_best_control():
    text = scores_with({"even": others(1, inputs=1), "runs": others(-1, inputs=1)}).verdict()
    assert "is level with the best control" in text
    assert INDISTINCT[1:] in text


def test_controls_that_predict_better():
    text = scores_with({"even": others(9, inputs=-5), "runs": others(9, inputs=-5)}).verdict()
    assert "Models with changing inputs or read-out predict better" in text and INDISTINCT[1:] not in text


def test_level_with_fixed_weights():
    text = scores_with({"even": others(9, inputs=1, fixed=1)}).verdict()
    assert "It is level with a network in which nothing changes" in text


def test_further_controls_belong_to_what_they_let_change():
    """One constant unconstrained matrix is a network in which nothing changes; inputs per trial are changing inputs."""
    text = scores_with({"even": others(9) | {"full, rank 1": 0.5}, "runs": others(9) | {"full, rank 1": 0.5}}).verdict()
    assert "It is level with a network in which nothing changes" in text and "full, rank 1" in text
    ahead = others(9) | {"inputs_only, rank 1": -5}
    text = scores_with({"even": ahead, "runs": ahead}).verdict()
    assert "Models with changing inputs or read-out predict better" in text


def test_parts_of_trials_are_never_learning():
    text = scores_with({"blocks": others(4)}).verdict()
    assert "the scores say nothing about the course over learning" in text
    assert "ahead of smoother" in text and "not learning" in text


@pytest.mark.parametrize("smoother", [-4, 0, 1.5])
def test_never_says_that_weights_changed_where_a_control_does_as_well(smoother):
    text = scores_with({"even": others(smoother), "runs": others(smoother)}).verdict().lower()
    assert "the weights changed" not in text and "low tensor rank of learning" not in text
    assert "beats the best control" not in text


def test_relation_counts_whole_trials_only():
    def standing(sign, whole=True):
        from weightpath.inference.paired import Paired

        return Standing("s", whole, "m", Paired(sign * 1.0, 0.1, 0.0, 0.0))

    assert relation([standing(1), standing(1)]) == "beats"
    assert relation([standing(1), standing(1, whole=False)]) == "is level with"
    assert relation([standing(1), standing(-1)]) == "is level with"
    assert relation([standing(-1), standing(0.1)]) == "is behind"
    assert relation([standing(0.1), standing(1)]) == "is level with"
