"""What the study of single modes asks of its dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies import mode_dynamics_references as reference
from weightpath.studies.base import Check

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

PAPER = "Williams, Payeur, Lajoie 2026 (arXiv 2606.00243)"
DERIVED = "derived here"
TABLE = "specification table, independent program"
#: Share of the random starts of E5 that loses stability.
BOUNDARY = {"BPTT": 0.0, "TruncatedBPTT(1)": 0.0, "RFLO": 0.22, "EProp": 0.31}


def _largest(ds: Dataset, name: str, expected: str) -> float:
    return float(abs(ds[name] - ds[expected]).max(skipna=False))


def _relative(ds: Dataset, name: str, expected: str) -> float:
    return float(abs(ds[name] / ds[expected] - 1).max(skipna=False))


def _share(ds: Dataset, rule: str, outcome: str) -> float:
    return float((ds.end_outcome.sel(end_rule=rule) == ds.attrs["outcomes"].split(", ").index(outcome)).mean())


def _close_share(ds: Dataset, rule: str) -> float:
    """Share of the converged starts that ended within 1e-5 of the closed form."""
    one = ds.sel(end_rule=rule)
    converged = one.end_outcome.values == 0
    return float((abs(one.end - one.predicted_end).max("coord", skipna=False).values[converged] < 1e-5).mean())


def _growth(ds: Dataset) -> float:
    """Largest relative deviation from ln 10 of the growth of the plateau by a ten times smaller start."""
    times = ds.half_time.sel(plateau_rule=["BPTT", "TruncatedBPTT(1)"]).values
    return float(np.abs(np.diff(times, axis=1) / np.log(10) - 1).max())


def _last_change(ds: Dataset, rule: str) -> float:
    times = ds.half_time.sel(plateau_rule=rule).values
    return float(abs(times[-1] / times[-2] - 1))


def _slowest_place(ds: Dataset) -> float:
    """How far the least rate of BPTT on either branch is from |s| = sqrt|kappa|, in steps of the grid there."""
    rate, s = ds.slow_rate.sel(rule="BPTT").values, ds.position.values
    place = np.sqrt(abs(ds.attrs["gain"]))
    found = [s[branch][rate[branch].argmin()] for branch in (s < 0, s > 0)]
    return float(max(abs(abs(one) - place) for one in found) / np.diff(s).min())


def _detour(ds: Dataset) -> float:
    names = list(reference.DETOUR)
    found = np.stack([ds[f"detour_{part}"].sel(detour_rule=names).values
                      for part in ("length", "learning_time", "first", "largest")], axis=-1)  # fmt: skip
    return float(np.abs(found - np.array(list(reference.DETOUR.values()))).max())


def _detour_end(ds: Dataset, rule: str) -> float:
    return float(np.abs(ds.detour_end.sel(detour_rule=rule).values - reference.DETOUR_END[rule]).max())


def _one_step(ds: Dataset) -> float:
    expected = reference.ONE_STEP_DIFFERENCE
    found = ds.one_step_difference.sel(weak_recurrent=list(expected)).values
    return float(np.abs(found - list(expected.values())).max())


def _mirrored(ds: Dataset) -> bool:
    """Whether the maps of opposite feedback are each other's reflection in the origin."""
    return all(
        np.array_equal(ds.basin.sel(basin_rule=f"RFLO({size}, 0.5)").values,
                       ds.basin.sel(basin_rule=f"RFLO(-{size}, 0.5)").values[:, ::-1, ::-1])
        for size in ("1", "0.2")
    )  # fmt: skip


def _right_side(ds: Dataset) -> bool:
    """Whether feedback and read-out have one sign at the end of every start that converged under fixed feedback."""
    local = [name for name in ds.basin_rule.values.tolist() if name.startswith(("RFLO", "EProp"))]
    sign = np.array([np.sign(float(name.split("(")[1].split(",")[0].rstrip(")"))) for name in local])
    one = ds.sel(basin_rule=local)
    side = sign[:, None, None, None] * one.basin_end.sel(coord="read_out").values
    return bool((side[one.basin.values == 0] > 0).all())


def _off_plane(ds: Dataset, rule: str) -> float:
    """Share of the grid off the plane a + b = 0 that converges to the optimal manifold."""
    a, b = np.meshgrid(ds.first_read_out.values, ds.first_read_in.values, indexing="ij")
    off = np.abs(a + b) > 1e-9
    return float((ds.basin.sel(basin_rule=rule).values[:, off] == 0).mean())


CHECKS = (
    Check("E1 resting points found from random starts: largest distance to a manifold", f"{PAPER}: stationary sets",
          lambda ds: ds.root_distance.where(ds.root_found).max(), 1e-8, compare="at_most"),
    Check("E1 RFLO: largest loss at a resting point, none but the optimal manifold", f"{PAPER}: stationary sets",
          lambda ds: ds.root_loss.where(ds.root_found).isel(root_rule=2).max(), 1e-10, compare="at_most"),
    Check("E1 largest share of searches that end at no resting point", "precondition",
          lambda ds: 1 - ds.root_found.mean("root").min(), 0.3, compare="at_most"),
    Check("E2 growth of the plateau by a ten times smaller start over ln 10, minus 1, largest (BPTT, one-step)",
          f"{PAPER}: slow phase near the saddles", _growth, 0.1, compare="at_most"),
    Check("E2 RFLO: change of the time by the last ten times smaller start", "derived here: no saddles",
          lambda ds: _last_change(ds, "RFLO(1, 0.5)"), 0.01, compare="at_most"),
    Check("E2 times to half the first loss, largest error", TABLE,
          lambda ds: _largest(ds, "half_time", "half_time_expected"), 1e-4, compare="at_most"),
    Check("E3 slow rates of five rules at five positions, largest error", TABLE,
          lambda ds: _largest(ds, "table_rate", "table_expected"), 1e-5, compare="at_most"),
    Check("E3 BPTT is slowest at s = ±√|κ|: distance in steps of the grid", f"{PAPER}; {DERIVED}",
          _slowest_place, 1.0, compare="at_most"),
    Check("E3 RFLO(1, .5) is unstable on the whole branch s < 0 (κ = 1, w* = .8)", PAPER,
          lambda ds: bool(~ds.wrong_side_stable), compare="true"),
    Check("E3 RFLO(.016, .5) at s = -4 is stable and oscillates: error of the eigenvalue", TABLE,
          lambda ds: np.abs(ds.small_feedback.values - reference.SMALL_FEEDBACK).max(), 1e-5, compare="at_most"),
    Check("E3 BPTT and one-step BPTT at weak recurrence: error of the difference of rates", TABLE,
          _one_step, 5e-5, compare="at_most"),
    Check("E3 that difference at w* = .01: it vanishes with w*", PAPER,
          lambda ds: ds.one_step_difference.sel(weak_recurrent=0.01), 2e-4, compare="at_most"),
    Check("E3 right sign of feedback: share of random points that is stable", PAPER,
          lambda ds: ds.right_sign_stable, 1.0, 0.0),
    Check("E3 wrong sign: random points where window and eigenvalues disagree", DERIVED,
          lambda ds: ds.window_disagreements, 0, 0.0),
    Check("E3 wrong sign: random stable points with w*(w* - trace decay) ≤ 0", DERIVED,
          lambda ds: ds.in_window_outside_reach, 0, 0.0),
    Check("E3 wrong sign under e-prop: random points that are stable", DERIVED,
          lambda ds: ds.eprop_wrong_sign_stable, 0, 0.0),
    Check("E3 example in the window: relative error of the eigenvalues", TABLE,
          lambda ds: np.abs(ds.example_eigenvalue.values / reference.WINDOW_EXAMPLE.eigenvalues - 1).max(),
          1e-4, compare="at_most"),
    Check("E3 example in the window: Hopf value of m", TABLE,
          lambda ds: ds.example_hopf, reference.WINDOW_EXAMPLE.hopf, 1e-4),
    Check("E4 detour: path lengths, times, first and largest losses, largest error", TABLE, _detour, 1e-4,
          compare="at_most"),
    Check("E4 detour: time of the largest loss", TABLE,
          lambda ds: ds.detour_peak_time.sel(detour_rule="RFLO(-0.5, 0.5)"), reference.DETOUR_PEAK_TIME, 1e-3),
    *(Check(f"E4 end of {name}, largest error", TABLE, lambda ds, name=name: _detour_end(ds, name), 1e-4,
            compare="at_most") for name in reference.DETOUR_END),
    *(Check(f"E5 {rule}: converged starts that end within 1e-5 of the closed form, share", DERIVED,
            lambda ds, rule=rule: _close_share(ds, rule), 0.995, compare="at_least")
      for rule in ("BPTT", "RFLO", "EProp")),
    Check("E5 TruncatedBPTT(1): the same, whose sign is a rule of thumb", DERIVED,
          lambda ds: _close_share(ds, "TruncatedBPTT(1)"), required=False),
    Check("E8 share of random modes in which RFLO ends more slowly than BPTT", PAPER,
          lambda ds: ds.slower, (0.80, 0.85), compare="between"),
    Check("E8 share in which one-step BPTT ends more slowly than BPTT", "finding",
          lambda ds: ds.one_step_slower, required=False),
    Check("E9 final against sequence loss on trials of 60 inputs, largest difference of the paths",
          f"{PAPER}: both losses alike", lambda ds: ds.sequence_gap.sel(horizon=60).max(), 0.03, compare="at_most"),
    Check("E9 that difference on trials of 120 inputs over half of it, least", "derived here: of order 1/T",
          lambda ds: 2 * (ds.sequence_gap.sel(horizon=120) / ds.sequence_gap.sel(horizon=60)).min(), 1.0, 0.2),
    Check("E9 that difference on trials of 120 inputs over half of it, largest", "derived here: of order 1/T",
          lambda ds: 2 * (ds.sequence_gap.sel(horizon=120) / ds.sequence_gap.sel(horizon=60)).max(), 1.0, 0.2),
    Check("E9 differences of every rule, largest error", TABLE,
          lambda ds: _largest(ds, "sequence_gap", "sequence_expected"), 1e-6, compare="at_most"),
    Check("E9 the sequence loss ends on the same manifold: largest distance", PAPER,
          lambda ds: ds.sequence_left.max(), 1e-8, compare="at_most"),
    Check("E10 drift of the conserved numbers along the flow, ten cases, largest", DERIVED,
          lambda ds: ds.largest_drift.max(skipna=False), 1e-8, compare="at_most"),
    Check("E10 drift under discrete updates, relative error", TABLE,
          lambda ds: _relative(ds, "discrete_drift", "discrete_expected"), 1e-3, compare="at_most"),
    *(Check(f"E10 that drift over its learning rate, {one:g} against {two:g}", "derived here: of first order",
            lambda ds, one=one, two=two: (ds.discrete_drift.sel(rate=one) / one)
            / (ds.discrete_drift.sel(rate=two) / two), 1.0, 0.05)
      for one, two in zip(reference.DRIFT_RATES[:-1], reference.DRIFT_RATES[1:], strict=True)),
    Check("E12 learning times of long memory, five rules, largest relative error", TABLE,
          lambda ds: _relative(ds, "integrator_time", "integrator_expected"), 0.01, compare="at_most"),
    *(Check(f"E12 fastest rate at w* = .999 under {name}", "finding",
            lambda ds, name=name: ds.stiffness.sel(integrator_rule=name).max(), required=False)
      for name in ("BPTT", "RFLO(1, 0.99)")),
    Check("maps: those of opposite feedback are each other's reflection", DERIVED, _mirrored, compare="true"),
    Check("maps: whatever converges under fixed feedback has a read-out of its sign", DERIVED, _right_side,
          compare="true"),
    *(Check(f"maps: share of the grid off the plane a + b = 0 that converges, {rule}", DERIVED,
            lambda ds, rule=rule: _off_plane(ds, rule), 1.0, 0.0) for rule in ("BPTT", "TruncatedBPTT(1)")),
)  # fmt: skip


def checks(config) -> tuple[Check, ...]:
    """What is asked of a run with these settings: shares depend on how many starts were drawn, and on the grid."""
    scatter = 0.04 * max(1.0, np.sqrt(1000 / config.starts))
    boundary = tuple(
        Check(f"E5 {rule}: share of random starts that loses stability", DERIVED,
              lambda ds, rule=rule: _share(ds, rule, "unstable_recurrence"), share, scatter if share else 0.0)
        for rule, share in BOUNDARY.items()
    )  # fmt: skip
    shares = tuple(
        Check(f"maps: share that converges under {rule} from recurrent weight {first:g}", TABLE if exact else "finding",
              lambda ds, rule=rule, first=first: ds.converged.sel(basin_rule=rule, first_recurrent=first),
              expected if exact else None, 0.01 if exact else None, required=exact)
        for exact in (config.grid == 41,)
        for rule, row in reference.GRID_SHARES.items()
        for first, expected in zip(reference.GRID_RECURRENT, row, strict=True)
        if not rule.startswith("RFLO(-")
    )  # fmt: skip
    return CHECKS + boundary + shares
