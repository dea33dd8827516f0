"""A study that takes milliseconds: y = gain * exp(-decay t), checked against its closed form."""

import json
import os

import numpy as np
from pydantic import Field

from weightpath.studies.base import Check, Settings, Study


class TinySettings(Settings):
    decay: float = Field(0.5, gt=0, description="decay rate [1/s]")
    points: int = Field(20, ge=2, description="time points")
    ranks: tuple[int, ...] = Field((1, 2, 3), description="ranks that are compared")
    limit: float | None = Field(None, description="longest time [s]")
    failing: bool = Field(False, description="miss a requirement")
    pause: float = Field(0.0, ge=0, description="time between steps [s]")
    breakdown: bool = Field(False, description="end in a numerical failure")


def run(config, *, progress, workspace):
    import time

    import xarray as xr

    checkpoint = workspace / "steps.json"
    values = json.loads(checkpoint.read_text()) if checkpoint.exists() else []
    resumed = len(values)
    if config.breakdown:
        raise RuntimeError("the network left the stable region")
    for step in range(resumed, config.points):
        time.sleep(config.pause)
        values.append(float(np.exp(-config.decay * step)))
        beside = checkpoint.with_suffix(".beside")
        beside.write_text(json.dumps(values))
        os.replace(beside, checkpoint)
        while os.environ.get("TINY_HOLDS_AT") == str(step):  # until it is stopped from outside
            time.sleep(0.01)
        progress("decaying", step + 1, config.points, value=values[-1])
    print("a library that prints")  # must not reach the standard output of --json
    spectrum = np.exp(1j * np.arange(4.0))
    data = {"y": ("time", np.array(values)), "eigenvalue": ("eig", spectrum), "resumed": resumed}
    return xr.Dataset(data, {"time": ("time", np.arange(config.points, dtype=float), {"units": "s"})})


def _path(dataset):
    """The decaying value against time: theory (line) and network (dots) lie on top of each other."""
    from weightpath.plot.style import axis_label, figure, finish, simulated, theory

    drawn, ax = figure()
    theory(ax, dataset.time, np.exp(-dataset.attrs["decay"] * dataset.time) if "decay" in dataset.attrs else dataset.y)
    simulated(ax, dataset.time, dataset.y)
    finish(ax, x=axis_label(dataset.time), y="value", title="Decay", legend=True)
    return drawn


STUDY = Study(
    name="tiny",
    title="A value that decays",
    paper="Nobody 2000 (arXiv 0000.00000)",
    claim="Reproduces the stated finding that an exponential decays exponentially, under no assumption at all.",
    config=TinySettings,
    presets={"quick": {}, "full": {"points": 50}},
    run=run,
    checks=[
        Check("value at the start", "definition", lambda ds: ds.y[0], 1.0, 1e-12),
        Check(
            "the last value stays below the first one by the whole of the decay that the closed form gives",
            "equation 1",
            lambda ds: ds.y[-1] / ds.y[0],
            1.0,
            compare="at_most",
        ),
        Check("values between bounds", "Fig. 1", lambda ds: ds.y.mean(), (0.0, 1.0), compare="between"),
        Check("rate seen", "Fig. 2", lambda ds: float(-np.log(ds.y[1])), 0.5, required=False),
    ],
    figures={"path": _path},
    predict=lambda config: {"half_time": float(np.log(2) / config.decay), "rates": np.linspace(0, 1, 30)},
)
