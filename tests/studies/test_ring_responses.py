"""The study of the ring: its networks and measures, its requirements on numbers made by hand, and the small run."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.studies import STUDIES
from weightpath.studies import ring_responses_runs as runs
from weightpath.studies.ring_responses import best_row, rows, targets

STUDY = STUDIES["ring-responses"]


def test_networks_begin_under_their_law():
    """And the excitatory-inhibitory one settles at every grating, where it is stable."""
    network = runs.network_of("E-I", 0)
    assert np.all(runs.signs() * np.asarray(network.w_rec) > 0)
    assert not np.all(runs.signs() * np.asarray(runs.network_of("tanh", 0).w_rec) > 0)
    steady = wp.steady_state(network, runs.ring().task.inputs, solver=runs.iteration())
    assert np.all(np.asarray(steady.residual) < 1e-9) and np.all(np.asarray(steady.stable))
    assert network.w_in.shape == (32, 32) and not np.any(np.asarray(network.w_in)[:16, 16:])


def test_measures_of_the_targets_themselves():
    found = targets()
    assert float(found["target_suppression"][1]) == pytest.approx(0.336, abs=1e-3)
    apart = found["difference"][1]
    assert np.abs(apart[runs.nearest(), np.arange(16)]).max() <= 7.5
    assert apart.min() >= -90 and apart.max() < 90


def made():
    """Two networks, one rule, one rate, and a guarded run, without any training."""
    import xarray as xr

    found, ring = [], runs.ring()
    wanted = ring.arranged(np.asarray(ring.held_out.targets))
    for kind, error, guarded in (("tanh", 0.05, False), ("E-I", 0.02, False), ("tanh", 0.1, True)):
        numbers = {name: (("row", "seed"), np.full((1, 2), value)) for name, value in (
            ("error", error), ("held_out_error", error), ("margin", 0.4), ("suppression", 0.3), ("abscissa", 0.5),
            ("rejected", 2.0 * guarded), ("broken", 0.0 if kind == "E-I" else np.nan),
        )}  # fmt: skip
        numbers |= {
            "loss": (("row", "seed", "step"), np.tile(np.array([1.0, 0.5, 0.2]), (1, 2, 1))),
            "outcome": (("row", "seed"), np.full((1, 2), "successful")),
            "response": (("row", "orientation", "size", "unit"), 0.9 * wanted[None]),
            "w_rec": (("row", "post", "pre"), np.asarray(runs.network_of(kind, 0).w_rec)[None]),
        }
        coords = {
            "row": [f"{kind} {guarded}"], "seed": [0, 1], "step": [0, 75, 150], "network": ("row", [kind]),
            "rule": ("row", ["dW3K"]), "rate": ("row", [0.03]), "guarded": ("row", [guarded]),
        }  # fmt: skip
        found.append(xr.Dataset(numbers, coords))
    return xr.concat(found, "row").assign(targets())


def failed(dataset) -> list[str]:
    config = STUDY.settings("quick")
    return [check.name for check in STUDY.checks_of(config) if check.evaluate(dataset).passed is False]


def test_requirements_are_met_and_can_fail():
    dataset = made()
    assert failed(dataset) == [] and best_row(dataset, "E-I") == 1 and best_row(dataset, "tanh") == 0
    assert "Dale's law" in failed(dataset.assign(broken=dataset["broken"] + 1))[0]
    rising = dataset["loss"].copy()
    rising[2, 0, 2] = 0.51
    assert "guarded run" in failed(dataset.assign(loss=rising))[0]
    assert len(failed(dataset.assign(held_out_error=dataset["held_out_error"] + 1))) == 2
    lost = dataset["loss"].copy()
    lost[0, 0, 2] = np.nan
    assert "every run is reported" in failed(dataset.assign(loss=lost))[0]


def test_exact_steps_are_left_to_networks_without_signs():
    names = list(rows(STUDY.settings("full")))
    assert sum("dW2K" in name for name in names) == 3 and not any(name.startswith("E-I, dW2K") for name in names)
    assert names[-1] == "guarded"


def test_figures_and_table_of_a_result(tmp_path):
    from weightpath.plot.style import save_figure

    dataset = made()
    for name, draw in STUDY.figures.items():
        assert save_figure(draw(dataset), tmp_path / f"{name}.png").stat().st_size > 10_000
    (table,) = STUDY.tables(dataset)
    assert [row.group for row in table.rows] == ["tanh network", "E-I network", "tanh network"]


@pytest.mark.slow
def test_the_quick_run_meets_its_requirements(tmp_path):
    config = STUDY.settings("quick")
    dataset = STUDY.run(config, workspace=tmp_path)
    assert failed(dataset) == []
    suppression = dataset["suppression"].isel(row=best_row(dataset, "E-I")).values
    assert np.all(suppression > 0.2)
