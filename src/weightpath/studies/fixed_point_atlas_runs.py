"""What the study `fixed-point-atlas` computes: one dataset a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from weightpath.studies import fixed_point_atlas_cases as cases

if TYPE_CHECKING:
    from xarray import Dataset
else:
    Dataset = Any

RAMPS = (2, 3, 4, 7)
DRIVES = (0.54, 0.6)


def prefixed(dataset: Dataset, name: str) -> Dataset:
    """All variables, dimensions and attributes with a name of their own, so that parts can be merged."""
    everything = {str(one): f"{name}_{one}" for one in (*dataset.variables, *dataset.dims)}
    renamed = dataset.rename(everything)
    return (
        renamed.assign_attrs({})
        .drop_attrs(deep=False)
        .assign_attrs({f"{name}_{one}": value for one, value in dataset.attrs.items()})
    )


def part_of(dataset: Dataset, name: str) -> Dataset:
    """The dataset that `prefixed` renamed."""
    start = f"{name}_"
    own = dataset[[one for one in dataset.variables if str(one).startswith(start)]]
    names = {str(one): str(one).removeprefix(start) for one in (*own.variables, *own.dims)}
    attrs = {one.removeprefix(start): value for one, value in dataset.attrs.items() if one.startswith(start)}
    return own.rename(names).drop_attrs(deep=False).assign_attrs(attrs)


def ramps(count: int) -> Dataset:
    """Shifted ramps of 2, 3, 4 and 7 units as maps, that of 3 as a flow too."""
    import xarray as xr

    import weightpath as wp

    rows = []
    for units in RAMPS:
        begin = cases.grid(units) if units < 5 else np.random.default_rng(0).uniform(-1, 1, (count, units))
        network = cases.rate(cases.ramp(units))
        by_map = wp.analysis.fixed_points(network, begin, dynamics="map")
        known = [sign * np.array(point) for point in cases.RAMP_POINTS.get(units, ()) for sign in (1, -1)]
        known += [np.zeros(units)] if known else []
        error = [np.linalg.norm(by_map.points[by_map.fixed] - point, axis=1).min() for point in known]
        slow = by_map.q[by_map.slow]
        rows.append({
            "found": int(by_map.fixed.sum()), "known": len(known), "error": max(error, default=np.nan),
            "stable_map": int(np.sum(by_map.stable & by_map.fixed)),
            "marginal": int(by_map.marginal.sum()),
            "slow_q": slow.min() if len(slow) else np.nan, "q": by_map.q[by_map.fixed].max(),
            "slow_share": float(np.mean(by_map.status == "slow")),
        })  # fmt: skip
    # The middle one has points that are stable as a flow and not as a map.
    by_flow = wp.analysis.fixed_points(cases.rate(cases.ramp(3)), cases.grid(3))
    data = {f"ramp_{name}": ("ramp", np.array([row[name] for row in rows])) for name in rows[0]}
    return xr.Dataset({**data, "ramp3_stable_flow": int(by_flow.stable.sum())}, {"ramp": np.array(RAMPS)})


def start_distributions(seed: int, runs: int, count: int) -> Dataset:
    """Points that are found of the block network from each distribution of starts, pure and perturbed."""
    import jax
    import xarray as xr

    import weightpath as wp

    kinds = {"pure": 0.0, "perturbed": 0.05}
    shape = (len(kinds), len(cases.STARTS), runs)
    found, stable, least = (np.zeros(shape, int) for _ in range(3))
    histogram, largest = np.zeros((*shape, 4), int), np.zeros(shape)
    for i, noise in enumerate(kinds.values()):
        for j, name in enumerate(cases.STARTS):
            for run in range(runs):
                network = cases.rate(cases.blocks(seed + run, noise))
                begin = cases.starts(name, seed + run, count)
                points = wp.analysis.fixed_points(network, begin, count=count, key=jax.random.key(seed + run))
                here = i, j, run
                found[here], stable[here] = int(points.fixed.sum()), int(np.sum(points.stable & points.fixed))
                least[here], largest[here] = points.reached[points.fixed].min(), points.q[points.fixed].max()
                histogram[here] = np.bincount(points.unstable_dimension[points.fixed], minlength=4)[:4]
    dims = ("weights", "starts", "run")
    return xr.Dataset(
        {
            "block_found": (dims, found), "block_stable": (dims, stable), "block_least_reached": (dims, least),
            "block_q": (dims, largest), "block_unstable": ((*dims, "growing"), histogram),
        },
        {"weights": list(kinds), "starts": list(cases.STARTS), "growing": np.arange(4)},
    )  # fmt: skip


def scalar_points() -> Dataset:
    """The slow points beyond the saddle-node, and the singular point of w = 1."""
    import xarray as xr

    import weightpath as wp

    line = np.linspace(-1, 1, 41)[:, None]
    places, speeds, shares = [], [], []
    for drive in DRIVES:
        found = wp.analysis.fixed_points(cases.rate([[2.0]], [drive]), line)
        places.append(found.points[found.slow, 0])
        speeds.append(found.q[found.slow])
        shares.append(np.mean(found.status == "slow"))
    singular = wp.analysis.fixed_points(cases.rate([[1.0]]), line)
    return xr.Dataset(
        {
            "slow_place": ("drive", np.concatenate(places)), "slow_q": ("drive", np.concatenate(speeds)),
            "slow_share": ("drive", np.array(shares)), "singular_found": len(singular),
            "singular_spread": float(np.ptp(singular.end_state)), "singular_flagged": bool(singular.singular.all()),
        },
        {"drive": list(DRIVES)},
    )  # fmt: skip


def bifurcations(places: int) -> Dataset:
    """Branches of four families, each with a bifurcation at a known place."""
    import jax.numpy as jnp
    import xarray as xr

    import weightpath as wp

    def single(r, w):
        return jnp.tanh(w * r) - r

    def spiral(x, a):
        return jnp.tanh(a * jnp.array([x[0] - x[1], x[0] + x[1]]))

    line, follow = np.linspace(-1, 1, 9)[:, None], wp.analysis.follow_fixed_points
    network = wp.RateRNN([[2.0]], [[1.0]], [[1.0]], leak=1.0)
    # An even number of values keeps clear of the symmetric place itself.
    values, origin = np.linspace(0.5, 1.5, 2 * (places // 2)), np.zeros((1, 2))
    found = {
        "fold": follow(network, np.linspace(0, 1, places), np.ones((1, 1)), inputs=np.array([[-1.0], [1.0]])),
        "fork": follow(single, values, line),
        "spiral_flow": follow(lambda x, a: spiral(x, a) - x, values[:: max(places // 8, 1)], origin),
        "spiral_map": follow(spiral, values[:: max(places // 8, 1)], origin, dynamics="map"),
    }
    return xr.merge([prefixed(one.to_dataset(), name) for name, one in found.items()], combine_attrs="no_conflicts")


def flip_flop(bits: int, seed: int, updates: int, units: int = 20) -> Dataset:
    """A tanh network that has learned a flip-flop, its courses and its fixed points."""
    import jax
    import optax

    import weightpath as wp
    from weightpath.networks.init import rate

    keys = jax.random.split(jax.random.key(seed), 3)
    task = wp.FlipFlop(bits=bits, bins=20, trials=16, pulse_probability=0.15)
    setup = wp.Setup(rate(keys[0], units, *task.channels, gain=1.0, leak=0.5), task, wp.BPTT(),
                     train=("w_rec", "w_in", "w_out"))  # fmt: skip
    path = wp.train(setup, optax.adam(0.02), updates, key=keys[1], record=wp.Record(every=updates))
    network = path.network(-1)
    states = np.asarray(jax.vmap(lambda inputs: wp.rollout(network, inputs)[0])(task.sample(keys[2], 0).inputs))
    found = wp.analysis.fixed_points(network, visited=states.reshape(-1, units), count=512 * bits)
    dataset = found.to_dataset().drop_vars(("start_state", "end_state", "status", "reached_point", "iterations"))
    dataset = dataset.assign({"course": (("trial", "time", "unit"), states), "loss": float(path.loss[-1])})
    return prefixed(dataset, f"memory{bits}")
