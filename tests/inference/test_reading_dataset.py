"""The dataset of a fit's reading says what the fit says, goes to disk, and is drawn panel by panel."""

import json
from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest
import xarray as xr
from planted import small_fit, small_recording, with_factors

from weightpath import plot
from weightpath.inference.reading import reading_dataset
from weightpath.inference.reading.in_span import in_span
from weightpath.store.netcdf import read_dataset, write_dataset


@pytest.fixture(scope="module")
def fit():
    """Factors that move, three epochs, and behaviour that follows one factor."""
    rng = np.random.default_rng(0)
    epoch = np.repeat(["base", "turn", "wash"], [4, 5, 5])
    measures = dict(speed=rng.normal(size=(14, 6)), score=rng.normal(size=14))
    found = small_fit(recording=small_recording(covariates=measures))
    c = np.asarray(found.c) + np.array([[0.0, 0.0], [1.5, -0.5], [0.2, 0.0]])[np.repeat([0, 1, 2], [4, 5, 5])]
    found = with_factors(found, c + 0.05 * rng.normal(size=(14, 2)))
    return replace(found, recording=found.recording.with_epoch(epoch))


@pytest.fixture(scope="module")
def dataset(fit):
    return reading_dataset(fit, at=2, points=5)


def test_states_inputs_and_rates_are_those_of_the_fit(fit, dataset):
    canonical, x = fit.canonical(), fit.z @ fit.a.T
    along, inputs = x @ canonical.a, fit.trial_inputs() @ fit.a.T @ canonical.a
    recording = fit.recording
    for name, values in (("projection", along), ("input", inputs), ("neuron_data", None)):
        for e in range(3):
            for c in range(2):
                part = (recording.epoch == e) & (recording.condition == c)
                shown = [int(one) for one in dataset["shown"].values]
                expected = recording.values[part][..., shown] if values is None else values[part]
                found = dataset[name].values[e, c]
                np.testing.assert_allclose(found, expected.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(dataset["eigenvalue"], fit.eigenvalues())
    rate = np.tanh(x[7]).T
    np.testing.assert_allclose(np.sort(dataset["rate"].values, axis=0), np.sort(rate, axis=0), atol=1e-10)
    assert (np.diff(dataset["rate"].values.argmax(axis=1)) >= 0).all()
    assert dataset.attrs["solver_gap"] < 1e-10 and dataset.attrs["reading_bin"] == 2
    np.testing.assert_allclose(np.linalg.norm(dataset["state_at"], axis=1), np.linalg.norm(x[:, 2], axis=1), rtol=1e-9)


def test_principal_components_of_the_mean_data(fit, dataset):
    share = dataset["component_share"].values
    assert (np.diff(share) <= 0).all() and 0 < share.sum() <= 1 + 1e-12
    variance = dataset["data_component"].values.reshape(-1, 3).var(axis=0)
    np.testing.assert_allclose(variance / variance.sum(), share / share.sum(), atol=1e-9)


def test_fixed_points_in_the_dataset_are_fixed(fit, dataset):
    system = in_span(fit).principal()
    for drive, held in enumerate((np.zeros(2), system.mean_input)):
        for place, trial in enumerate(dataset["followed"].values.astype(int)):
            points = dataset["fixed_point"].values[drive, :, place]
            there = np.isfinite(points[:, 0])
            flow = system.at(int(trial), held)
            assert there.any() and np.linalg.norm(flow(points[there]), axis=1).max() < 1e-8
            assert ((dataset["fixed_point_unstable"].values[drive, :, place] >= 0) == there).all()
    assert isinstance(json.loads(dataset.attrs["bifurcations"]), list)


def test_numbers_of_epochs_parts_and_behaviour_are_there(dataset):
    assert dataset["part"].values.tolist() == ["learning", "input", "recurrence", "remainder"]
    assert float(dataset["share"].sum()) == pytest.approx(1.0)
    assert dataset["weight_distance"].shape == (3, 3) and 0 < float(dataset["savings"]) < 0.5
    assert dataset["savings_outcome"].item() == "successful"
    assert set(dataset["covariate"].values) == {"speed", "score"}
    assert dataset["learning_outcome"].shape == (3, 2)


def test_goes_to_disk_and_back(dataset, tmp_path):
    again = read_dataset(write_dataset(dataset, tmp_path / "reading.nc"))
    xr.testing.assert_equal(again, dataset)
    assert again.attrs["bifurcations"] == dataset.attrs["bifurcations"]


def test_what_cannot_be_read_is_refused(fit):
    with pytest.raises(ValueError, match="has a core and no trial factors to be read"):
        reading_dataset(small_fit("per_trial"))
    with pytest.raises(ValueError, match="at must be a bin from 0 to 5; got 6"):
        reading_dataset(fit, at=6)


PANELS = (
    plot.rates, plot.neuron, plot.projection, plot.inputs, plot.data_components, plot.start_states, plot.trial_factors,
    plot.eigenvalues, plot.training,
    plot.counterfactual_shares, plot.behaviour_correlations, plot.flow_field, plot.flow_change,
    plot.fixed_points,
)  # fmt: skip


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.__name__)
def test_a_panel_draws_into_its_own_or_the_given_axes(dataset, panel):
    own = panel(dataset)
    assert own.get_xlabel() and (own.get_ylabel() or own.get_yticklabels()) and own.has_data()
    _, given = plot.figure()
    assert panel(dataset, given) is given


def test_lines_are_those_of_the_dataset(dataset):
    lines = [line.get_ydata() for line in plot.projection(dataset, component=2).get_lines()]
    expected = dataset["projection"].sel(component=2).values.reshape(-1, 6)
    np.testing.assert_array_equal(lines, expected)
    widths = [bar.get_width() for bar in plot.counterfactual_shares(dataset).patches]
    np.testing.assert_allclose(widths, dataset["share"])


@pytest.mark.slow  # twin: test_one_epoch_and_rank_one draws all three
def test_whole_figures_are_drawn(dataset, tmp_path):
    for number, drawn in enumerate(
        (plot.summary(dataset), plot.flow_panels(dataset), plot.fixed_point_panels(dataset))
    ):
        assert plot.save_figure(drawn, tmp_path / f"{number}.png").stat().st_size > 10_000
        assert all(ax.get_xlabel() or ax.get_ylabel() or not ax.get_visible() for ax in drawn.axes[:2])


@pytest.mark.slow  # twin: the dataset and the figures of the whole fit
def test_one_epoch_and_rank_one(fit):
    """The least there can be: no change of flow, no second axis, no second epoch, no behaviour."""
    network = eqx.tree_at(
        lambda one: (one.post_factor, one.pre_factor, one.trial_factor, one.initial_state),
        fit.network, replace_fn=lambda array: array[..., :1],
    )  # fmt: skip
    recording = fit.recording.with_epoch(np.zeros(14, int))._with(covariates={})
    slim = replace(
        fit, network=network, model=replace(fit.model, rank=1), recording=recording, inputs=fit.inputs[..., :1],
        z=fit.z[..., :1], c_smooth=fit.c_smooth[:, :1], c_sd=fit.c_sd[:, :1], level=fit.level[:, :1],
    )  # fmt: skip
    small = reading_dataset(slim)
    assert "flow" not in small and small["line_flow"].shape == (1, 121) and "covariate" not in small.dims
    assert small.attrs["reading_bin"] == 1 and "savings" not in small and "swap_flow_share" not in small
    for drawn in (plot.summary(small), plot.flow_panels(small), plot.fixed_point_panels(small)):
        drawn.draw_without_rendering()
