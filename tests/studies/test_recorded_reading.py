"""Tables and figures of the fitted network in the report: the numbers of the dataset, and no claim beyond the model."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest
from planted import small_fit, small_recording, with_factors

from weightpath.inference.reading import reading_dataset
from weightpath.studies.recorded_reading import FIGURES, draw_behaviour, reading_tables
from weightpath.studies.recorded_settings import FitSettings, model_of


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(0)
    fit = small_fit(recording=small_recording(covariates=dict(hand_speed=rng.normal(size=14))))
    moved = with_factors(fit, np.asarray(fit.c) + np.repeat([[0.0, 0.0], [1.0, 0.5]], 7, axis=0))
    return reading_dataset(moved, at=2, points=5)


def cells(table):
    return {row.label: row.cells[0] for row in table.rows}


def test_numbers_are_those_of_the_dataset(dataset):
    first, second = reading_tables(dataset)
    found = cells(first)
    share = dict(zip(dataset["part"].values.tolist(), dataset["share"].values, strict=True))
    assert found["factors held at their mean over before"].text == f"{share['learning']:.2f}"
    assert found["one less the sum of these"].text.replace("\N{MINUS SIGN}", "-") == f"{share['remainder']:.2f}"
    assert found["relative distance, before – after"].text == f"{float(dataset['weight_distance'][0, 1]):.2f}"
    middle = dataset["fixed_point_unstable"].values[0][:, 3]  # middle of the seven trials of the first epoch
    text = f"before: {np.sum(middle >= 0)} ({np.sum(middle == 0)} stable)"
    assert found["no input"].text.startswith(text)
    events = json.loads(dataset.attrs["bifurcations"])
    kinds = [event["kind"] for event in events if event["drive"] == "no input" and not event["jump"]]
    assert found["no input"].detail.endswith("none") if not kinds else kinds[0] in found["no input"].detail
    correlation = float(dataset["behaviour_detrended"][0, 0])
    assert cells(second)["hand speed"].text.replace("\N{MINUS SIGN}", "-") == f"{correlation:+.2f}"


def test_one_epoch_and_no_behaviour_make_shorter_tables(dataset):
    fit = small_fit()
    whole = replace(fit, recording=fit.recording.with_epoch(np.zeros(14, int)))
    (table,) = reading_tables(reading_dataset(whole, points=5))
    assert not any("relative distance" in row.label or "flow" in row.label for row in table.rows)


def test_captions_and_tables_speak_of_the_model(dataset):
    """What is read from a fit is the model's account; that weights changed is nowhere said."""
    for table in reading_tables(dataset):
        assert "describes the model and is no evidence that weights changed" in table.note
    for draw in (*FIGURES.values(), draw_behaviour):
        caption = inspect.getdoc(draw)
        assert caption and "the model" in caption and "the weights changed" not in caption
        assert draw(dataset).axes


def test_settings_reach_the_model():
    assert model_of(2, FitSettings()).likelihood == "gaussian"
    assert model_of(2, FitSettings(likelihood="poisson")).likelihood == "poisson"
    assert model_of(2, FitSettings(prior_multiplier=8)).prior_multiplier == 8.0
    assert FitSettings(prior_multiplier="auto").prior_multiplier == "auto"
    for wrong in (0.0, "best"):
        with pytest.raises(ValueError, match="prior_multiplier"):
            FitSettings(prior_multiplier=wrong)
