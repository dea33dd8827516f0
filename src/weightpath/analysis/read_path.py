"""All that can be read off a path of weights at once: movement, spectrum, ranks, alignment, and the rule behind it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from weightpath._precision import require_x64
from weightpath._types import Float
from weightpath.analysis.change_ranks import ChangeRanks, change_ranks
from weightpath.analysis.law_verdict import UNDECIDABLE
from weightpath.analysis.learned_change import LearnedChange, learned_change
from weightpath.analysis.rank import energy_count
from weightpath.analysis.spectrum import Spectrum, spectrum
from weightpath.analysis.which_rule import RuleVerdict, which_rule
from weightpath.trajectory import Trajectory

#: Records at which eigenvalues and singular values are worked out, evenly spread, the first and the last among them.
RECORDS = 60
#: Eigenvalues of the last weights that are listed.
LISTED = 5


@dataclass(frozen=True, eq=False)
class PathReading:
    """What `read_path` found; `to_dict()` gives plain numbers and words, `to_dataset()` arrays for figures."""

    steps: int
    units: int
    inputs: int
    outputs: int
    time: tuple[float, float]
    movement: dict[str, dict[str, float]]
    """Of each matrix that was given: norm at the start, net change and length of the path, both over that norm."""
    spectrum: Spectrum
    change: LearnedChange
    ranks: ChangeRanks
    alignment: dict[str, dict[str, float]]
    """Share of the energy of the change in a space, and what a random change would have there: `columns in read-out`
    (the last transposed read-out), `columns in read-in` and `rows in read-in` (the last read-in)."""
    rule: RuleVerdict

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and words."""
        found, ranks, change = self.spectrum, self.ranks, self.change
        tops = sorted({count for count in (1, 2, 3, 5, self.outputs) if 1 <= count <= self.units})
        return {
            "steps": self.steps,
            "units": self.units,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "time": list(self.time),
            "movement": self.movement,
            "spectrum": {
                "bulk_radius": found.bulk_radius,
                "radius": [float(np.abs(found.eigenvalues[k]).max()) for k in (0, -1)],
                "outliers": [int(found.outlier[k].sum()) for k in (0, -1)],
                "first": [complex(value) for value in _outermost(found.eigenvalues[0])],
                "last": [complex(value) for value in _outermost(found.eigenvalues[-1])],
            },
            "change": {
                "numerical_rank": change.numerical_rank,
                "threshold": change.threshold,
                "effective_rank": change.effective_rank,
                "singular_values": change.singular_values[:LISTED].tolist(),
                "energy": {str(count): change.top(count) for count in tops},
                "effective_rank_over_steps": ranks.effective_rank.tolist(),
            },
            "tensor": {
                "multilinear_rank": list(ranks.multilinear_rank),
                "directions_of_99_percent": [int(energy_count(values)) for values in ranks.unfolding_values],
                "records": len(ranks.time),
            },
            "alignment": self.alignment,
            "rule": self.rule.to_dict(),
        }

    def to_dataset(self):
        """An `xarray.Dataset` of spectra, singular values and laws; `learning_time` is that of the records used."""
        import xarray as xr

        laws = self.rule.laws
        data: dict[str, Any] = {
            "eigenvalue": (("step", "eig"), self.spectrum.eigenvalues),
            "outlier": (("step", "eig"), self.spectrum.outlier),
            "change_value": (("step", "eig"), self.ranks.singular_values),
            "effective_rank": ("step", self.ranks.effective_rank),
            "numerical_rank": ("step", self.ranks.numerical_rank),
            "energy": ("eig", self.change.energy),
            "unexplained": ("law", np.array([score.unexplained for score in laws.values()])),
            "noise": ("law", np.array([score.noise for score in laws.values()])),
            "drift": ("law", np.array([np.nan if s.drift is None else s.drift for s in laws.values()])),
        }
        coords = {"learning_time": ("step", self.ranks.time), "law": np.array(list(laws), dtype=str)}
        attrs = {
            "bulk_radius": self.spectrum.bulk_radius, "numerical_rank": self.change.numerical_rank,
            "threshold": self.change.threshold, "verdict": self.rule.verdict, "confidence": self.rule.confidence,
            "units": self.units, "outputs": self.outputs,
        }  # fmt: skip
        return xr.Dataset(data, coords, attrs)


def read_path(
    trajectory: Trajectory,
    *,
    feedback: Float[np.ndarray, "out post"] | None = None,
    trace_decay: float | None = None,
    leak: float | None = None,
    rates: dict[str, float] | None = None,
    seed: int = 0,
) -> PathReading:
    """Read a path of weights, simulated here or made elsewhere (`wp.Trajectory.from_arrays`).

    Spectra and ranks over learning are those of at most 60 records; the rule behind the path is sought on all of them
    (`which_rule`, which the last five arguments go to).

    **Raises:** ValueError in 32-bit mode, for weights that do not change, and what `which_rule` raises.
    """
    require_x64("analysis.read_path")
    w_rec = np.asarray(trajectory.w_rec)
    if len(w_rec) < 2 or not np.any(w_rec != w_rec[0]):
        raise ValueError(
            f"the recurrent weights do not change over {len(w_rec)} records: there is no path to read. Give the "
            "weights of at least two moments of learning."
        )
    whole = not (trajectory.shared or trajectory.lift is not None)
    w_in, w_out = (np.asarray(getattr(trajectory.networks, n)) for n in ("w_in", "w_out")) if whole else (None, None)
    some = np.unique(np.linspace(0, len(w_rec) - 1, min(RECORDS, len(w_rec))).round().astype(int))
    time = np.asarray(trajectory.time)
    thinned = Trajectory.from_arrays(
        w_rec[some], None if w_in is None else w_in[some], time=None if _repeats(time[some]) else time[some]
    )
    if whole:
        rule = which_rule(trajectory, feedback=feedback, trace_decay=trace_decay, leak=leak, rates=rates, seed=seed)
    else:
        rule = RuleVerdict(UNDECIDABLE, 0.0, "the trajectory does not hold w_rec, w_in and w_out at every step.")
    change = learned_change(w_rec, feedback=feedback)
    arrays = {"w_rec": w_rec} | {n: a for n, a in (("w_in", w_in), ("w_out", w_out)) if a is not None and a.size}
    return PathReading(
        steps=len(w_rec),
        units=w_rec.shape[1],
        inputs=0 if w_in is None else w_in.shape[2],
        outputs=0 if w_out is None else w_out.shape[1],
        time=(float(time[0]), float(time[-1])),
        movement={name: _movement(array) for name, array in arrays.items()},
        spectrum=spectrum(thinned),
        change=change,
        ranks=change_ranks(thinned),
        alignment=_alignment(change, arrays),
        rule=rule,
    )


def _repeats(time: np.ndarray) -> bool:
    """Whether times stand still or decrease, which eigenvalue paths cannot be followed along."""
    return bool(np.any(np.diff(time) <= 0))


def _movement(array: np.ndarray) -> dict[str, float]:
    array = array.astype(np.float64)
    norm = float(np.linalg.norm(array[0]))
    net = float(np.linalg.norm(array[-1] - array[0]))
    length = float(np.sum(np.linalg.norm(np.diff(array, axis=0).reshape(len(array) - 1, -1), axis=1)))
    scale = norm if norm > 0 else 1.0
    return {"norm_at_start": norm, "net_change": net / scale, "path_length": length / scale}


def _alignment(change: LearnedChange, arrays: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Shares of the energy of the change inside the spaces that read-out and read-in span at the end."""
    found: dict[str, dict[str, float]] = {}
    power = np.sum(change.singular_values**2)
    spaces = [("columns in read-out", change.post, "w_out"), ("columns in read-in", change.post, "w_in"),
              ("rows in read-in", change.pre, "w_in")]  # fmt: skip
    for label, directions, name in spaces:
        if name not in arrays or power == 0:
            continue
        last = arrays[name][-1].astype(np.float64)
        left, values, _ = np.linalg.svd(last.T if name == "w_out" else last, full_matrices=False)
        basis = left[:, values > 1e-10 * max(values.max(initial=0.0), 1e-300)]
        inside = np.sum(((basis.T @ directions) * change.singular_values) ** 2) / power
        found[label] = {"share": float(inside), "by_chance": basis.shape[1] / basis.shape[0]}
    if change.inside_feedback is not None and change.feedback_basis is not None:
        units, rank = change.feedback_basis.shape
        found["columns in feedback"] = {"share": change.inside_feedback, "by_chance": rank / units}
    return found


def _outermost(values: np.ndarray) -> np.ndarray:
    return values[np.argsort(-np.abs(values))][:LISTED]
