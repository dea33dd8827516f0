"""Trajectories made from arrays, and what every trajectory can be asked."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from weightpath import Lift, Trajectory

rng = np.random.default_rng(0)
HISTORY = rng.normal(size=(5, 4, 4))


def test_arrays_come_back_as_given():
    trajectory = Trajectory.from_arrays(HISTORY, w_out=HISTORY[:, :1], time=np.arange(5) / 2)
    np.testing.assert_array_equal(trajectory.w_rec, HISTORY)
    np.testing.assert_array_equal(trajectory.network(-1).w_rec, HISTORY[-1])
    assert len(trajectory) == 5 and trajectory.network(0).w_in.shape == (4, 0)


def test_map_equals_a_loop():
    trajectory = Trajectory.from_arrays(HISTORY)
    np.testing.assert_allclose(
        trajectory.map(lambda net: jnp.trace(net.w_rec @ net.w_rec)), [np.trace(w @ w) for w in HISTORY]
    )


def test_lifted_weights_are_the_large_ones():
    basis = np.linalg.qr(rng.normal(size=(7, 4)))[0]
    trajectory = Trajectory.from_arrays(HISTORY)
    lifted = Trajectory(
        trajectory.time, trajectory.networks, trajectory.loss, lift=Lift(jnp.asarray(basis), None, jnp.asarray(0.0))
    )
    np.testing.assert_allclose(lifted.w_rec, basis @ HISTORY @ basis.T, atol=1e-14)
    np.testing.assert_allclose(lifted.network(2, lifted=True).w_rec, basis @ HISTORY[2] @ basis.T, atol=1e-14)


def test_dataset_names_its_axes():
    dataset = Trajectory.from_arrays(HISTORY).to_dataset()
    assert isinstance(dataset, xr.Dataset)
    assert dataset["w_rec"].dims == ("step", "post", "pre")
    np.testing.assert_array_equal(dataset["learning_time"], np.arange(5))


def test_huge_histories_are_refused(monkeypatch):
    monkeypatch.setattr("weightpath.trajectory.MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"limit.*trajectory.map"):
        Trajectory.from_arrays(HISTORY).w_rec  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"w_rec": np.zeros((5, 4, 3))}, r"\(5, 4, 3\)"),
        ({"w_rec": HISTORY[0]}, r"\(4, 4\)"),
        ({"w_rec": HISTORY, "w_in": np.zeros((4, 4, 1))}, "w_in must be"),
        ({"w_rec": HISTORY, "w_out": np.zeros((5, 4, 1))}, "w_out must be"),
        ({"w_rec": HISTORY, "time": np.arange(4)}, "time must have"),
        ({"w_rec": np.where(HISTORY > 2, np.nan, HISTORY) * np.nan}, "w_rec holds NaN"),
    ],
)
def test_bad_arrays_have_one_clear_message(arguments, message):
    with pytest.raises(ValueError, match=message):
        Trajectory.from_arrays(**arguments)


def test_a_step_outside_is_an_index_error():
    with pytest.raises(IndexError, match="5 steps"):
        Trajectory.from_arrays(HISTORY).network(5)
