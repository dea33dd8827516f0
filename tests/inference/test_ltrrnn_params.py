"""Settings of the released program, from a file as it writes them: names, units of time and noise, refusals."""

import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.ltrrnn_params import DEFAULTS, from_ltrrnn_params

FILE = """\
condition_specific_init: true
control_dnn_dim:
- 20
- 10
control_execution: true
control_hidden_dim: 12
discontinuous_covariance: true
duration: 4
fraction_masked: 0.1
fraction_test: 0.15
l: 40
learning_rate: 0.005
noise: 0.2
orthogonal_decoder: false
rank: 3
regularization: 0.02
rnn_dim: 30
seed: 7
sigma: 0.3
sigma_observation: 0.05
time_constant: 0.5
time_constant_control: 1.5
training_iterations: 20
"""


def test_a_file_becomes_a_model_and_settings_of_a_fit(tmp_path):
    path = tmp_path / "parameters.yaml"
    path.write_text(FILE)
    found = from_ltrrnn_params(path, bins=41)
    model = found.model
    assert (model.rank, model.units, model.decoder, model.inputs, model.initial_state) == (
        3, 30, "linear", "ode", "condition",
    )  # fmt: skip
    assert (model.kernel.length, model.kernel.sd, model.kernel.noise_sd, model.kernel.by_epoch) == (40, 0.3, 0.05, True)
    # 41 bins over 4 units of time are 0.1 apart: 0.5 units are 5 bins.
    assert model.time_constant == pytest.approx(5.0)
    network = model.input_network
    assert (network.hidden, network.layers, network.time_constant, network.throughout) == (12, (20, 10), 3.0, True)
    assert (model.input_penalty, model.activity_penalty, model.trial_dropout) == (0.02, 0.02, 0.1)
    assert found.fit == dict(seed=7, iterations=20, learning_rate=0.005) and found.test_fraction == 0.15
    assert any("prior_weight=0" in note for note in found.notes)


@pytest.mark.slow  # twin: test_ode_inputs fits such a model
def test_that_model_is_fitted(tmp_path):
    path = tmp_path / "parameters.yaml"
    path.write_text(FILE)
    found = from_ltrrnn_params(path, bins=41)
    rng = np.random.default_rng(0)
    recording = wp.Recording(rng.normal(size=(12, 8, 31)), condition=np.arange(12) % 2)
    with pytest.warns(UserWarning):
        fit = wp.fit(found.model, recording, **found.fit)
    assert fit.c.shape == (12, 3) and fit.settings["seed"] == 7


def test_noise_has_the_spread_of_that_program():
    r"""$\tau\,dx = -x\,dt + s\,dB$ alone has the variance $s^2 / 2\tau$; ours is $\sigma^2 / 2$."""
    found = from_ltrrnn_params({"noise": 0.3, "time_constant": 0.25}, bins=21)
    assert found.model.process_noise**2 / 2 == pytest.approx(0.3**2 / (2 * 0.25))


def test_defaults_are_all_there():
    found = from_ltrrnn_params({}, bins=21)
    assert len(DEFAULTS) == 33 and found.model.units == 200 and found.model.decoder == "orthogonal"
    assert found.model.time_constant == 10.0 and found.model.input_network.time_constant == 2.0
    assert not found.model.input_network.throughout and found.model.initial_state == "shared"
    assert any("time < 0" in note for note in found.notes)
    told = from_ltrrnn_params({"bias": True, "optimize": False}, bins=21).notes
    assert any("bias=True" in note for note in told) and any("optimize=False" in note for note in told)


@pytest.mark.parametrize(
    ("given", "bins", "message"),
    [
        ({"ranks": 3}, 21, "unknown settings ranks; that program has: seed, rnn_dim"),
        ({"in_space_control": False}, 21, "in_space_control=False pushes the state out of the span"),
        ({"regularization_function": "abs"}, 21, "regularization_function='abs' has no counterpart"),
        ({"duration": 0}, 21, "duration must be positive; got 0"),
        ({}, 1, "bins must be the number of time bins of the execution period"),
        ({"rank": 0}, 21, "rank must be a whole number"),
    ],
)
def test_refusals(given, bins, message):
    with pytest.raises(ValueError, match=message):
        from_ltrrnn_params(given, bins)


def test_files_that_are_no_settings(tmp_path):
    with pytest.raises(ValueError, match="there is no file .*give the parameters.yaml"):
        from_ltrrnn_params(tmp_path / "none.yaml", 21)
    for text, message in (("a: [1", "cannot be read as YAML"), ("- 1\n- 2\n", "holds no names with values")):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(ValueError, match=message):
            from_ltrrnn_params(tmp_path / "x.yaml", 21)
