"""A study that was interrupted between its parts goes on from the finished ones and ends at the same result."""

import numpy as np
import pytest
import xarray as xr

from weightpath.studies.pieces import assembled


def test_finished_parts_are_not_computed_again(tmp_path):
    counts = {"first": 0, "second": 0}
    broken = [True]

    def first():
        counts["first"] += 1
        poles = ("k", np.array([1 + 2j, np.nan]))
        return xr.Dataset({"pole": poles, "stable": ("k", [True, False]), "word": ("k", ["a", "bc"])}, attrs={"n": 3})

    def second():
        counts["second"] += 1
        if broken[0]:
            raise KeyboardInterrupt
        return xr.Dataset({"loss": ("step", np.linspace(1, 0, 7))}, {"step": np.arange(7)})

    def run(workspace):
        return assembled("tiny", {"first": first, "second": second}, progress=None, workspace=workspace)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    broken[0] = False
    resumed = run(tmp_path)
    assert counts == {"first": 1, "second": 2}
    xr.testing.assert_identical(resumed, run(None))


def test_parts_see_those_before_them_and_must_agree():
    pieces = {"start": xr.Dataset({"a": ("x", [1.0, 2.0])}, {"x": [0, 1]})}
    told = []
    double = {"double": lambda: 2 * pieces["start"].rename(a="b")}
    whole = assembled(
        "tiny", double, progress=lambda *args, **numbers: told.append(args), workspace=None, pieces=pieces
    )
    assert whole.b.values.tolist() == [2.0, 4.0] and told == [("tiny: double", 0, 1), ("tiny", 1, 1)]
    other = {"other": lambda: xr.Dataset({"c": ("x", [1.0])}, {"x": [5]})}
    with pytest.raises(ValueError, match="x"):
        assembled("tiny", other, progress=None, workspace=None, pieces=pieces)
