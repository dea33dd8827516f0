"""What is asked of the study of fixed-point regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies import fixed_point_regression_references as known
from weightpath.studies.base import Check

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

PAPER = "stated finding of Zhu and Rosenbaum 2024"
DERIVED = "derived here"
REFERENCE = "independent program"
#: From this many units on the angles of large random networks are asked for.
LARGE = 100


def checks(config: Any) -> tuple[Check, ...]:
    """The stated network is asked about only where it was run."""
    # Networks of few units scatter; where there are many, the requirements are the same for every seed.
    large = config.units >= LARGE
    usual = config.updates == 3500
    return (
        *_one_unit(),
        *_ten_units(),
        *(_stated() if config.stated and usual else ()),
        *(_stated_sections() if config.stated and config.directions == len(known.STATED_POLES) else ()),
        *_every_network(usual, large),
        *_sections(),
        *_spaces(),
    )


def _one_unit() -> tuple[Check, ...]:
    def weights(start, rule):
        expected = known.UNIT_WEIGHTS[start][rule]
        return lambda ds: max(abs(_unit(ds, "weight", start, rule, n + 1) - w) for n, w in enumerate(expected))

    return (
        *(Check(f"one unit from {start:g}, {rule}: first weights, largest difference", REFERENCE,
                weights(start, rule), 1e-8 * max(1, abs(known.UNIT_WEIGHTS[start][rule][0])), compare="at_most")
          for start, rows in known.UNIT_WEIGHTS.items() for rule in rows),
        *(Check(f"one unit from {start:g}, {rule}: loss after {updates} updates", REFERENCE,
                lambda ds, key=(start, rule, updates): _unit(ds, "loss", *key), expected, 1e-5, "rel")
          for (start, rule, updates), expected in known.UNIT_LOSSES.items()),
        Check("one unit from 0, dW1: loss after 50 updates (chaotic)", REFERENCE,
              lambda ds: _unit(ds, "loss", 0.0, "dW1", 50), (0.005, 0.2), compare="between"),
        Check("one unit from beyond the pole, dW2: loss after 200 updates", DERIVED,
              lambda ds: _unit(ds, "loss", 1.5, "dW2", 200), 1e-29, compare="at_most"),
        Check("one unit from beyond the pole, dW3: ends as diverged by update 10", DERIVED,
              lambda ds: bool(ds.unit_outcome.sel(unit_start=1.5, rule="dW3") == "diverged")
              and int(ds.unit_last.sel(unit_start=1.5, rule="dW3")) < 10, compare="true"),
    )  # fmt: skip


def _ten_units() -> tuple[Check, ...]:
    rows = []
    for run, expected in known.TEN_LOSSES.items():
        for updates, value, tolerance in zip((1, 10, 100), expected, known.TEN_TOLERANCES, strict=True):
            exception = (run, updates) == known.TEN_ROUNDING[:2]
            if value is not None:
                rows.append(Check(f"ten units, {run}: loss after {updates}", REFERENCE,
                                  lambda ds, run=run, n=updates: ds.ten_loss.sel(ten_run=run, ten_update=n), value,
                                  known.TEN_ROUNDING[2] if exception else tolerance, "rel"))  # fmt: skip
    return (
        *rows,
        Check("ten units, dW3 at rate 3: ends as diverged by update 13", REFERENCE,
              lambda ds: bool(ds.ten_outcome.sel(ten_run="dW3 3") == "diverged")
              and int(ds.ten_last.sel(ten_run="dW3 3")) < 13, compare="true"),
        *(Check(f"ten units: angle of the first updates {a}, {b} [degree]", REFERENCE,
                lambda ds, a=a, b=b: ds.ten_angle.sel(rule=a, other_rule=b), value, 1e-6)
          for (a, b), value in known.TEN_ANGLES.items()),
        *(Check(f"ten units: norm of the first update {rule}", REFERENCE,
                lambda ds, rule=rule: ds.ten_norm.sel(rule=rule), value, 1e-8, "rel")
          for rule, value in known.TEN_NORMS.items()),
        Check("ten units: poles on a line, largest difference", REFERENCE,
              lambda ds: np.max(np.abs(ds.ten_pole.values - known.TEN_POLES)), 1e-8, compare="at_most"),
    )  # fmt: skip


def _stated() -> tuple[Check, ...]:
    def of(ds, name, key, updates):
        return ds[name].sel(network="stated", rule=key[0], rate=key[1], update=updates)

    def edge(key, which):
        return lambda ds: spectrum(ds.sel(network="stated"), key)[which]

    return (
        Check("stated network: first loss", PAPER, lambda ds: of(ds, "loss", ("dW1", 1.0), 0), known.STATED_FIRST,
              1e-8, "rel"),
        *(Check(f"stated network, {key[0]} at {key[1]:g}: loss after {n}", PAPER,
                lambda ds, key=key, n=n: of(ds, "loss", key, n), value, 1e-3, "rel")
          for key, values in known.STATED_LOSSES.items() for n, value in zip((100, 1000, 3500), values, strict=True)
          if value is not None),
        Check("stated network, dW1 at 3: loss after 3500 (chaotic)", PAPER,
              lambda ds: of(ds, "loss", ("dW1", 3.0), 3500), (1e-3, 1e-1), compare="between"),
        *(Check(f"stated network at {rate:g}: angle {pair} after {n} [degree]", PAPER,
                lambda ds, rate=rate, pair=pair, n=n: ds.angle.sel(
                    network="stated", angle_rate=rate, pair=pair, angle_at=n), value,
                *((0.01, "abs") if pair == "dW1, dW2" else (0.01, "rel")))
          for rate, pairs in known.STATED_ANGLES.items() for pair, values in pairs.items()
          for n, value in zip((0, 100, 1000), values, strict=True)),
        *(Check(f"stated network, {'start' if key is None else f'{key[0]} at {key[1]:g}'}: spectral {word}", REFERENCE,
                edge(key, which), value, 1e-3)
          for key, values in known.STATED_SPECTRA.items()
          for which, (word, value) in enumerate(zip(("abscissa", "radius"), values, strict=True))),
    )  # fmt: skip


def _stated_sections() -> tuple[Check, ...]:
    return (
        Check("stated network: loss at the weights that made the targets", PAPER,
              lambda ds: ds.goal_loss.sel(network="stated"), known.STATED_GOAL, 1e-12, "rel"),
        Check("stated network: poles on [-1, 1] of every direction", REFERENCE,
              lambda ds: ds.poles.values.tolist() == list(known.STATED_POLES), compare="true"),
        Check("stated network: distance of the nearest pole, least", REFERENCE,
              lambda ds: abs(ds.section_pole).min(), 0.318, 1e-3),
        Check("stated network: distance of the nearest pole, largest", REFERENCE,
              lambda ds: abs(ds.section_pole).min("k").max(), 0.602, 1e-3),
        Check("stated network: stability lost, first", REFERENCE, lambda ds: ds.radius.sel(side="forward").min(),
              (0.33, 0.37), compare="between"),
        Check("stated network: stability lost, last", REFERENCE, lambda ds: ds.radius.sel(side="forward").max(),
              (0.33, 0.37), compare="between"),
        Check("stated network: losses at t = 0.05, least", REFERENCE,
              lambda ds: ds.stated_loss.sel(stated_t=0.05).min(), 0.059, 5e-4),
        Check("stated network: losses at t = 0.05, largest", REFERENCE,
              lambda ds: ds.stated_loss.sel(stated_t=0.05).max(), 0.061, 5e-4),
        Check("stated network: losses at t = 0.5, least", REFERENCE,
              lambda ds: ds.stated_loss.sel(stated_t=0.5).min(), 51, 0.5),
        Check("stated network: losses at t = 0.5, largest", REFERENCE,
              lambda ds: ds.stated_loss.sel(stated_t=0.5).max(), 13231, 0.5),
    )  # fmt: skip


def _every_network(usual: bool, large: bool) -> tuple[Check, ...]:
    return (
        *(Check(f"every network: best last loss of {rule} over that of dW1, largest", PAPER,
                lambda ds, rule=rule: (best(ds, rule) / best(ds, "dW1")).max(), 1e-6, compare="at_most",
                required=usual) for rule in ("dW2", "dW3")),
        Check("every network: dW2 over linear regression where losses exceed 1e-24, largest difference", DERIVED,
              _from_regression, 0.01, compare="at_most"),
        Check("every network: every run ends with a name, and losses are missing only after a failure", DERIVED,
              _complete, compare="true"),
        Check("every network: angle of dW1 and dW2, largest [degree]", PAPER,
              lambda ds: ds.angle.sel(pair="dW1, dW2").max(), 90, compare="at_most"),
        Check("every network: first angle of dW2 and dW3, rate 1 over rate 0.03, largest difference from 33", PAPER,
              lambda ds: abs(_ratio(ds) - 33).max(), 1.0, compare="at_most", required=large),
        Check("every network: dW1 below dW2 after 100 updates at rate 0.03, share of networks", "finding",
              lambda ds: (_early(ds, "dW1") < _early(ds, "dW2")).mean(), required=False),
        Check("every network: runs whose last weights are stable, share", "finding",
              lambda ds: (_abscissae(ds) < 1).mean(), required=False),
        Check("every network: largest last spectral radius", "finding", lambda ds: _radii(ds).max(), required=False),
    )  # fmt: skip


def _sections() -> tuple[Check, ...]:
    return (
        Check("lines: det(1 - W) changes sign exactly where an odd number of poles lies between points", DERIVED,
              lambda ds: bool(ds.odd_between_signs.all()), compare="true"),
        Check("lines: loss close to a pole over that at twice the distance, largest difference from 4", DERIVED,
              lambda ds: abs(ds.growth - 4).max(), 0.02, compare="at_most"),
        Check("lines: loss at t = 0 (exact interpolation)", PAPER, lambda ds: ds.least_loss, 1e-20, compare="at_most"),
        Check("lines: loss missing without a reason", DERIVED,
              lambda ds: int((ds.section_loss.isnull() & (ds.section_outcome == "successful")).sum()), 0),
        Check("lines: poles on [-1, 1], mean over directions", "finding", lambda ds: ds.poles.mean(), required=False),
        Check("lines: stability lost over the circular law, mean", "finding",
              lambda ds: (abs(ds.radius) / ds.circular_law).mean(), required=False),
    )  # fmt: skip


def _spaces() -> tuple[Check, ...]:
    def more(ds, rule, side):
        return ds.unfolding_rank.sel(rule=rule, unfolding=side) - ds.few_samples

    return (
        *(Check(f"few samples, {rule}: rank of the path's {side} unfolding over the samples", DERIVED,
                lambda ds, rule=rule, side=side: more(ds, rule, side), 0)
          for rule in ("dW2", "dW3") for side in ("post", "pre")),
        *(Check(f"few samples, {rule}: change outside the spaces of its first update, largest share", DERIVED,
                lambda ds, rule=rule: ds.outside.sel(rule=rule).max(), 1e-10, compare="at_most")
          for rule in ("dW2", "dW3")),
        Check("few samples, dW1: rank of the path's post unfolding exceeds the samples", DERIVED,
              lambda ds: bool(ds.unfolding_rank.sel(rule="dW1", unfolding="post") > ds.few_samples), compare="true"),
    )  # fmt: skip


def best(ds: Dataset, rule: str) -> Any:
    """Smallest last loss over the learning rates, by network; a failed run does not count."""
    return ds.loss.sel(rule=rule).isel(update=-1).min("rate")


def spectrum(of_network: Dataset, key: tuple[str, float] | None) -> tuple[float, float]:
    """Spectral abscissa and radius of one network after a run, or at the start (None)."""
    part = of_network if key is None else of_network.sel(rule=key[0], rate=key[1])
    name = "start" if key is None else "end"
    values = part[f"{name}_re"].values + 1j * part[f"{name}_im"].values
    return float(np.nanmax(values.real)), float(np.nanmax(np.abs(values)))


def _unit(ds: Dataset, name: str, start: float, rule: str, updates: int) -> float:
    return float(ds[f"unit_{name}"].sel(unit_start=start, rule=rule, unit_update=updates))


def _from_regression(ds: Dataset) -> float:
    loss, theory = ds.loss.sel(rule="dW2"), ds.closed_form
    return float(abs(loss / theory - 1).where(theory > 1e-24).max())


def _complete(ds: Dataset) -> bool:
    failed = ds.outcome != "successful"
    named = ~ds.outcome.isin(["", "nan", "None"])
    missing = ds.loss.isnull()
    return bool(named.all()) and not bool((missing & ((ds["update"] <= ds.last_update) | ~failed)).any())


def _ratio(ds: Dataset) -> Any:
    first = ds.angle.sel(pair="dW2, dW3", angle_at=0)
    return first.sel(angle_rate=1.0) / first.sel(angle_rate=0.03)


def _early(ds: Dataset, rule: str) -> Any:
    return ds.loss.sel(rule=rule, rate=0.03, update=100)


def _abscissae(ds: Dataset) -> Any:
    return ds.end_re.max("eig")


def _radii(ds: Dataset) -> Any:
    return np.hypot(ds.end_re, ds.end_im).max("eig")
