"""Networks that learn the responses of a ring of orientations, and what is measured on them afterwards."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

UNITS, RECORDS = 16, 30
#: Rules by name -> learning rates; their natural scales differ.
RATES = {
    "dW3K": (0.03, 0.1, 0.01),
    "dW1": (0.1, 0.3, 0.03),
    "dW2K": (0.03, 0.1, 0.01),
    "mean metric": (0.03, 0.1),
    "phantom": (0.1, 0.3, 0.03),
    "Adam on dW1": (0.01, 0.003),
}
NETWORKS = ("tanh", "E-I")


def signs() -> Any:
    """Signs of the units of the excitatory-inhibitory network."""
    from weightpath.networks.excitatory_inhibitory import dale_signs

    return dale_signs(UNITS, UNITS)


def network_of(kind: str, seed: int) -> Any:
    """A network of 32 units: 16 that are read and see the centres, 16 that see half of centres and surrounds.

    "tanh": normal weights of spread 0.5, of any sign. "E-I": a tenth of the weights of the supralinear ring, each times
    a log-normal number, with the first half of the units excitatory and the second inhibitory.
    """
    import weightpath as wp
    from weightpath.networks.excitatory_inhibitory import supralinear_ring

    random, units = np.random.default_rng([seed, 17]), 2 * UNITS
    one, none = np.eye(UNITS), np.zeros((UNITS, UNITS))
    w_in, draws = np.block([[one, none], [0.5 * one, 0.5 * one]]), random.standard_normal((units, units))
    if kind == "tanh":
        return wp.RateRNN(0.5 * draws / np.sqrt(units), w_in, np.eye(UNITS, units), leak=0.1)
    ring = 0.1 * np.asarray(supralinear_ring(UNITS, rate_unit=20.0).w_rec) * np.exp(0.3 * draws)
    return wp.RateRNN(ring, w_in, np.eye(UNITS, units), activation="rectified_quadratic", leak=0.1)


def rule_of(name: str) -> Any:
    """The rule by its name in the tables."""
    import weightpath as wp

    solver = iteration()
    return {
        "dW1": wp.EuclideanFixedPoint(solver=solver),
        "Adam on dW1": wp.EuclideanFixedPoint(solver=solver),
        "dW3K": wp.Reparameterised(parameter="K", solver=solver),
        "dW2K": wp.Reparameterised(parameter="K", exact=True, solver=solver),
        "mean metric": wp.MeanMetric(parameter="K", solver=solver),
        "phantom": wp.PhantomGradient(terms=1, solver=solver),
    }[name]


def iteration() -> Any:
    """Damped iteration alone: a network that it does not settle is not one that visual cortex could be."""
    import weightpath as wp

    return wp.SteadySolver(damping=(1.0, 0.5, 0.25, 0.1), tolerance=1e-10, max_steps=2000, newton=False)


@cache
def optimiser_of(kind: str, name: str, rate: float) -> Any:
    """Plain steps of size 1 (the setup holds the rate), or Adam; with the signs kept in the network that has some."""
    import optax

    from weightpath.learn.dale import keep_signs

    if not name.startswith("Adam"):
        rate = 1.0
    inner = optax.adam(rate) if name.startswith("Adam") else _plain()
    return inner if kind == "tanh" else keep_signs(inner, signs())


@cache
def _plain() -> Any:
    import optax

    return optax.sgd(1.0)


def trained(kind: str, name: str, rate: float, seed: int, updates: int, guards: str | None = None) -> Any:
    """The trajectory of one run by `wp.train`; a run that fails ends there, with the reason in its result."""
    import weightpath as wp

    rates = {} if name.startswith("Adam") else {"w_rec": rate}
    setup = wp.Setup(network_of(kind, seed), ring().task, rule_of(name), train=("w_rec",), rates=rates)
    key = rate if name.startswith("Adam") else 1.0
    record = wp.Record(every=between_records(updates))
    return wp.train(setup, optimiser_of(kind, name, key), updates, record=record, throw=False, guards=guards)


def between_records(updates: int) -> int:
    """Updates from one record to the next."""
    return max(1, updates // RECORDS)


@cache
def ring() -> Any:
    """The task."""
    import weightpath as wp

    return wp.tasks.orientation_ring(UNITS)


def measured(path: Any) -> dict[str, Any]:
    """What the last network of a run does: errors, responses at orientations it has not seen, margin, suppression."""
    import weightpath as wp
    from weightpath._results import outcome_name

    network, task = path.network(-1), ring()
    found: dict[str, Any] = {"outcome": outcome_name(path.result)}
    for name, samples in (("error", task.task), ("held_out_error", task.held_out)):
        steady = wp.steady_state(network, samples.inputs, solver=iteration(), margins=True)
        wanted = np.asarray(samples.targets)
        outputs = np.asarray(steady.outputs)
        found[name] = np.sum((outputs - wanted) ** 2) / np.sum(wanted**2)
        found["margin"] = min(found.get("margin", np.inf), float(np.min(np.asarray(steady.margin))))
    found["response"] = task.arranged(outputs)
    found["suppression"] = suppression(found["response"])
    found["w_rec"] = np.asarray(network.w_rec)
    found["abscissa"] = float(np.max(np.linalg.eigvals(found["w_rec"]).real))
    found["eigenvalue"] = np.linalg.eigvals(found["w_rec"])
    return found


def suppression(response: np.ndarray) -> float:
    """Mean over units of the suppression index at the orientation, of those held out, nearest to the preferred one."""
    from weightpath.tasks.ring import suppression_index

    at_best = response[nearest(), :, np.arange(UNITS)]
    return float(np.mean(suppression_index(at_best)))


def nearest() -> np.ndarray:
    """For each unit, the number of the held-out orientation nearest to its preferred one."""
    return np.argmin(np.abs(differences()), axis=0)


def differences() -> np.ndarray:
    """Held-out orientations minus preferred ones, between -90 and 90 degrees (orientation, unit)."""
    task = ring()
    apart = task.held_out_orientations[:, None] - task.preferred
    return (apart + 90) % 180 - 90


def row_dataset(
    kind: str, name: str, rate: float, seeds: list[int], updates: int, guards: str | None = None
) -> Dataset:
    """All seeds of one network, rule and rate as a dataset."""
    import xarray as xr

    every = between_records(updates)
    steps = np.unique(np.append(np.arange(0, updates, every), updates))
    losses, rejected, numbers, broken = [], [], [], []
    for seed in seeds:
        path = trained(kind, name, rate, seed, updates, guards)
        loss = np.full(steps.size, np.nan)
        loss[: len(path)] = np.asarray(path.loss)[: steps.size]
        losses.append(loss)
        rejected.append(float(path.statistics["rejected"][-1]) if "rejected" in path.statistics else 0.0)
        numbers.append(measured(path))
        wrong = np.sum(signs() * np.asarray(path.w_rec) < 0)
        broken.append(float(wrong) if kind == "E-I" else np.nan)
    label = f"{kind}, {name} {rate:g}" + ("" if guards is None else ", guarded")
    data: dict[str, Any] = {
        "loss": (("row", "seed", "step"), np.asarray(losses)[None]),
        "rejected": (("row", "seed"), np.asarray(rejected)[None]),
        "broken": (("row", "seed"), np.asarray(broken)[None]),
        "outcome": (("row", "seed"), np.array([[one["outcome"] for one in numbers]])),
        "response": (("row", "orientation", "size", "unit"), numbers[0]["response"][None]),
        "w_rec": (("row", "post", "pre"), numbers[0]["w_rec"][None]),
        "eigenvalue": (("row", "eig"), numbers[0]["eigenvalue"][None]),
    }
    for key in ("error", "held_out_error", "margin", "suppression", "abscissa"):
        data[key] = (("row", "seed"), np.array([[one[key] for one in numbers]]))
    coords = {
        "row": [label], "seed": seeds, "step": steps, "network": ("row", [kind]), "rule": ("row", [name]),
        "rate": ("row", [rate]), "guarded": ("row", [guards is not None]),
    }  # fmt: skip
    return xr.Dataset(data, coords)
