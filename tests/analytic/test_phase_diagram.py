"""The rich-lazy phase diagram: reference entries, the flow, monotonicity, interrupts, and bad input."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.learn import crossover
from weightpath.studies.lazy_references import DECAYS, GAINS, LEARNING_TIME, RATIOS, RICHNESS


@pytest.fixture(scope="module")
def table():
    told = []
    found = wp.phase_diagram(
        GAINS, DECAYS, RATIOS, depth=4, error_bars=False, progress=lambda *args, **numbers: told.append(args)
    )
    assert told[0][1:] == (0, 18) and told[-1][1:] == (18, 18)
    return found


def test_reference_table(table):
    """I7: all 18 entries."""
    assert table.richness.dims == ("gain", "decay", "ratio") and np.all(table.outcome == "successful")
    np.testing.assert_allclose(table.richness, RICHNESS, atol=0.01)
    np.testing.assert_allclose(table.learning_time, LEARNING_TIME, rtol=0.01)
    np.testing.assert_allclose(table.loss, 0.01, rtol=1e-9)
    assert "|W - W0|_F" in table.attrs["definition"]


def test_richness_falls_with_gain_and_slower_recurrent_weights(table):
    assert np.all(np.diff(table.richness, axis=0) < 0) and np.all(np.diff(table.richness, axis=2) < 0)
    lazy = table.richness.values < 0.1
    inside = (np.abs(1 - table.decay) < table.gain).transpose("gain", "decay").values
    assert np.all(inside[:, :, None] | ~lazy)


def test_without_words_it_is_the_single_outlier():
    found = wp.phase_diagram([0.3], [0.1, 0.5, 1.7], [1.0], depth=0, rtol=1e-6, progress=False)
    for decay in (0.1, 0.5, 1.7):
        network = wp.ContinuousLinearRNN([[0.0]], [1.0], [0.0])
        setup = wp.Setup(network, wp.Integrator(decay), wp.BPTT(), ("w_rec", "w_out"))
        time = wp.theory.learning_time(setup, 0.01)
        np.testing.assert_allclose(found.learning_time.sel(decay=decay).item(), time, rtol=1e-5)


def test_error_bars_are_the_difference_of_depths():
    arguments = {"rtol": 1e-3, "progress": False}
    found = wp.phase_diagram([0.2], [0.5], [1.0], depth=1, **arguments)
    lower = wp.phase_diagram([0.2], [0.5], [1.0], depth=0, **arguments)
    np.testing.assert_allclose(found.richness_error, np.abs(found.richness - lower.richness), rtol=1e-12)
    np.testing.assert_allclose(found.learning_time_error, np.abs(found.learning_time - lower.learning_time), rtol=1e-12)
    assert float(found.richness_error.item()) > 0.01


def test_what_is_done_survives_an_interrupt(tmp_path, monkeypatch):
    arguments = dict(depth=0, error_bars=False, checkpoint=tmp_path / "map.npz")
    gains, decays = np.linspace(0.1, 0.8, 5), np.linspace(0.2, 0.9, 8)

    def interrupt(label, done, total):
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wp.phase_diagram(gains, decays, [1.0], progress=interrupt, **arguments)
    solved, solve = [], crossover._solve
    monkeypatch.setattr(crossover, "_solve", lambda *args: solved.append(args[0].shape[1]) or solve(*args))
    resumed = wp.phase_diagram(gains, decays, [1.0], progress=False, **arguments)
    assert 0 < sum(solved) <= 24 and np.all(resumed.outcome == "successful")
    with pytest.raises(ValueError, match="other settings"):
        wp.phase_diagram(gains, decays, [0.5], progress=False, **arguments)


def test_what_is_not_reached_has_a_name():
    found = wp.phase_diagram([0.3], [0.2], [1.0], depth=0, error_bars=False, max_steps=3, progress=False)
    assert found.outcome.item() == "max_steps" and np.isnan(found.richness.item())
    assert 0.01 < float(found.loss.item()) <= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gain": [0.5, 1.0]}, "gain must be in"),
        ({"gain": [-0.1]}, "gain must be in"),
        ({"decay": [0.0]}, "decay must be positive"),
        ({"decay": [0.5, 1.0]}, r"R is undefined at c\*=1 \(the target pole is at the origin\)"),
        ({"decay": []}, "list of finite numbers"),
        ({"decay": [np.nan]}, "list of finite numbers"),
        ({"ratio": [0.0]}, "ratio .* must be positive"),
        ({"depth": 40}, "depth"),
        ({"fraction": 1.0}, "fraction must be between 0 and 1"),
        ({"rtol": 0.0}, "rtol must be positive"),
    ],
)
def test_bad_input(change, words):
    arguments = {"gain": [0.3], "decay": [0.2], "ratio": [1.0]} | change
    with pytest.raises(ValueError, match=words):
        wp.phase_diagram(arguments.pop("gain"), arguments.pop("decay"), arguments.pop("ratio"), **arguments)
