"""Networks of the study `lazy-learning`: read-outs that learn alone, spectra before and after, finite N."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from weightpath.analysis.spectrum import match
from weightpath.learn.flow import flow
from weightpath.networks.fock import infinite
from weightpath.networks.init import gaussian
from weightpath.networks.linear import ContinuousLinearRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.tasks.base import AbstractTask
from weightpath.tasks.filters import Integrator, RationalFilter
from weightpath.theory import Reservoir, bounded_readout

FIXED_SEED = 2503
#: Dimension of the Krylov space in which a read-out that learns alone is followed; exact to 1e-9 up to time 1e4.
KRYLOV = 40
TIMES = np.concatenate([[0.0], np.geomspace(0.1, 1e3, 25)])
TIME = {"long_name": "learning time", "units": "learning rate x steps"}
ONE = {"units": "1"}


def start(seed: int, index: int, units: int, gain: float) -> ContinuousLinearRNN:
    """Network number `index` of a family: Gaussian recurrent weights, read-in of norm 1, read-out zero."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), units), index)
    return gaussian(key, units, gain=gain, read_in_norm=1.0, readout="zero")


def readout_problem(network: ContinuousLinearRNN, task: AbstractTask) -> Setup:
    """The read-out learns alone, at rate 1."""
    return Setup(network, task, BPTT(), ("w_out",))


def krylov(network: ContinuousLinearRNN, size: int = KRYLOV) -> ContinuousLinearRNN:
    r"""The network on $\mathrm{span}\{W^n u\}$, n < `size`: all that a read-out from zero ever sees, up to rounding."""
    w_rec, vector = np.asarray(network.w_rec), np.asarray(network.w_in)[:, 0]
    columns = [vector / np.linalg.norm(vector)]
    while len(columns) < min(size, w_rec.shape[0]):
        known = np.array(columns)
        vector = w_rec @ columns[-1]
        for _ in range(2):
            vector = vector - known.T @ (known @ vector)
        columns.append(vector / np.linalg.norm(vector))
    basis = np.array(columns).T
    return ContinuousLinearRNN(basis.T @ w_rec @ basis, basis.T @ network.w_in, network.w_out @ basis)


def oscillation(pole: complex) -> RationalFilter:
    """The target whose poles, as eigenvalues of recurrent weights, are `pole` and its conjugate; cosine phase."""
    decay, frequency = 1 - pole.real, pole.imag
    return RationalFilter([[-decay, -frequency], [frequency, -decay]], [1.0, 0.0], [1.0, 0.0])


def readout_alone(config) -> xr.Dataset:
    """Loss and read-out norm of finite networks and of the theory, for a target inside the bulk and one outside."""
    decays = (config.decay, config.slow_decay)
    starts = [krylov(start(config.seed, i, config.units, config.gain)) for i in range(config.networks)]
    theory, ideal = Reservoir(), infinite(config.gain, 2, read_in_norm=1.0, readout="zero")
    loss, norm, predicted, limits = [], [], [], []
    for decay in decays:
        runs = [flow(readout_problem(network, Integrator(decay)), TIMES) for network in starts]
        loss.append([np.asarray(run.loss) for run in runs])
        norm.append([np.linalg.norm(np.asarray(run.networks.w_out)[:, 0], axis=1) for run in runs])
        setup = readout_problem(ideal, Integrator(decay))
        predicted.append(np.asarray(theory.predict(setup, TIMES)))
        limits.append(float(theory.limit_norm(setup)))
    triple = ("target", "network", "learning_time")
    path = np.array(predicted)
    return xr.Dataset(
        {
            "readout_loss": (triple, np.array(loss), {"long_name": "loss"}),
            "readout_norm": (triple, np.array(norm), {"long_name": "norm of the read-out"}),
            "predicted_loss": (("target", "learning_time"), path[:, :, 1], {"long_name": "loss"}),
            "predicted_norm": (("target", "learning_time"), path[:, :, 0], {"long_name": "norm of the read-out"}),
            "limit_norm": ("target", limits),
            "target_decay": ("target", list(decays)),
        },
        {"learning_time": ("learning_time", TIMES, TIME)},
        {"gain": config.gain, "decay": config.decay, "slow_decay": config.slow_decay, "units": config.units},
    )


def threshold() -> xr.Dataset:
    """I6: the read-out's norm at infinitely many units against the target pole, at gain .5; and complex poles."""
    decays, times = np.array([0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.7, 0.8, 0.9]), np.array([1e2, 1e3, 1e4, 1e5])
    theory, ideal = Reservoir(), infinite(0.5, 2, read_in_norm=1.0, readout="zero")
    setups = [readout_problem(ideal, Integrator(decay)) for decay in decays]
    norms = [np.asarray(theory.solve(setup, times).norm) for setup in setups]
    limits = [float(theory.limit_norm(setup)) for setup in setups]
    # The same modulus at several angles: inside and outside do not depend on the phase.
    poles = np.array([radius * np.exp(1j * angle) for radius in (0.4, 0.6) for angle in (0.3, 0.8, 1.3)])
    turned = [readout_problem(ideal, oscillation(pole)) for pole in poles]
    # Outside, the norm grows in stairs (the coefficients oscillate), hence four decades.
    paths = [np.asarray(theory.solve(setup, [1e2, 1e6]).norm) for setup in turned]
    return xr.Dataset(
        {
            "threshold_norm": (("check_decay", "check_time"), np.array(norms)),
            "threshold_limit": ("check_decay", limits),
            "pole_growth": ("pole", [path[1] / path[0] for path in paths]),
            "pole_share": (
                "pole",
                [path[1] / float(theory.limit_norm(s)) for path, s in zip(paths, turned, strict=True)],
            ),
            "pole_modulus": ("pole", np.abs(poles)),
            "pole_angle": ("pole", np.angle(poles)),
            "pole_bounded": ("pole", [bool(bounded_readout(0.5, [pole])) for pole in poles]),
        },
        {"check_decay": decays, "check_time": times},
    )


def lazy_reference(networks: int) -> xr.Dataset:
    """I5(a): read-outs of networks of 400 units, gain .5, decay .6, beside the theory; complex poles at finite N."""
    times = np.array([1.0, 10.0, 100.0])
    starts = [krylov(start(FIXED_SEED, index, 400, 0.5)) for index in range(networks)]
    runs = [flow(readout_problem(network, Integrator(0.6)), times) for network in starts]
    moved = max(float(jnp.max(jnp.abs(run.networks.w_rec - run.networks.w_rec[0]))) for run in runs)
    ideal = infinite(0.5, 2, read_in_norm=1.0, readout="zero")
    theory = Reservoir().solve(readout_problem(ideal, Integrator(0.6)), times)
    late = np.array([10.0, 100.0, 1000.0])
    growth = []
    for radius in (0.4, 0.6):
        paths = [flow(readout_problem(net, oscillation(radius * np.exp(0.8j))), late) for net in starts[:6]]
        norms = np.array([np.linalg.norm(np.asarray(run.networks.w_out)[:, 0], axis=1) for run in paths])
        growth.append(float(np.mean(norms[:, 2] / norms[:, 1])))
    return xr.Dataset(
        {
            "lazy_loss": (("lazy_network", "lazy_time"), np.array([np.asarray(run.loss) for run in runs])),
            "lazy_predicted": ("lazy_time", np.asarray(theory.loss)),
            "lazy_moved": moved,
            "finite_growth": ("modulus", growth),
        },
        {"lazy_time": times, "modulus": [0.4, 0.6]},
    )


def finite_sizes(config) -> xr.Dataset:
    """I10: losses of networks of 100 units and of infinitely many, at gain .3; and how the scatter falls with N."""
    grid = np.linspace(0.0, 2.5, 26)
    ideal = [_both(infinite(0.3, depth, read_in_norm=1.0, readout="zero"), 0.2, 1.0) for depth in (4, 3, 0)]
    limit = [np.asarray(flow(setup, grid, rtol=1e-7, atol=1e-9).loss) for setup in ideal]
    losses = {units: [] for units in (50, 100, 400)}
    for units, rows in losses.items():
        for index in range(config.check_networks if units == 100 else config.size_networks):
            setup = _both(start(FIXED_SEED, index, units, 0.3), 0.2, 1.0)
            rows.append(np.asarray(flow(setup, grid, project=3, rtol=1e-6, atol=1e-8).loss))
    return xr.Dataset(
        {
            "limit_loss": ("size_time", limit[0], {"long_name": "loss"}),
            "limit_error": ("size_time", np.abs(limit[0] - limit[1])),
            "small_gain_loss": ("size_time", limit[2]),
            "finite_loss": (("size_network", "size_time"), np.array(losses[100]), {"long_name": "loss"}),
            "size_spread": ("size", [float(np.std(np.array(rows)[:, 10], ddof=1)) for rows in losses.values()]),
            "size_mean": ("size", [float(np.mean(np.array(rows)[:, 10])) for rows in losses.values()]),
            "size_count": ("size", [len(rows) for rows in losses.values()]),
        },
        {"size_time": ("size_time", grid, TIME), "size": list(losses)},
    )


def spectra(config, times: dict[str, float]) -> xr.Dataset:
    """Eigenvalues before learning and at 1% loss: rich (gain .3, decay .2) and lazy (gain .6, decay .5, slow w_rec)."""
    regimes = {"rich": (0.3, 0.2, 1.0), "lazy": (0.6, 0.5, 0.01)}
    values, shift, loss = [], [], []
    for name, (gain, decay, ratio) in regimes.items():
        setup = _both(start(config.seed, 0, config.spectrum_units, gain), decay, ratio)
        run = flow(setup, [0.0, times[name]], project=4, rtol=1e-6, atol=1e-8)
        ends = np.stack([np.linalg.eigvals(np.asarray(run.network(step, lifted=True).w_rec)) for step in (0, 1)])
        order = match(ends.astype(complex), np.array([0.0, 1.0]))
        paths = np.take_along_axis(ends, order, 1)
        outside = np.abs(paths[1]) > gain * (1 + 3 / np.sqrt(config.spectrum_units))
        values.append(ends)
        shift.append((float(np.median(np.abs(paths[1] - paths[0])[~outside])), int(outside.sum())))
        loss.append(float(run.loss[1] / run.loss[0]))
    stack = np.array(values)
    dims = ("regime", "phase", "eig")
    return xr.Dataset(
        {
            "eigenvalue_re": (dims, np.real(stack), {"long_name": "Re eigenvalue"} | ONE),
            "eigenvalue_im": (dims, np.imag(stack), {"long_name": "Im eigenvalue"} | ONE),
            "bulk_shift": ("regime", [pair[0] for pair in shift]),
            "outlier_count": ("regime", [pair[1] for pair in shift]),
            "spectrum_loss": ("regime", loss),
            "spectrum_gain": ("regime", [setting[0] for setting in regimes.values()]),
            "spectrum_target": ("regime", [1 - setting[1] for setting in regimes.values()]),
            "spectrum_ratio": ("regime", [setting[2] for setting in regimes.values()]),
        },
        {"regime": list(regimes), "phase": ["before", "after"]},
    )


def _both(network: ContinuousLinearRNN, decay: float, ratio: float) -> Setup:
    return Setup(network, Integrator(decay), BPTT(), ("w_rec", "w_out"), {"w_rec": ratio})


def prediction(config) -> dict[str, Any]:
    """What the theory says about the chosen settings, without any simulation."""
    theory, ideal = Reservoir(), infinite(config.gain, 2, read_in_norm=1.0, readout="zero")
    setup = readout_problem(ideal, Integrator(config.decay))
    path = theory.solve(setup, TIMES)
    pole, inside = 1 - config.decay, bool(bounded_readout(config.gain, [1 - config.decay]))
    words = "inside the bulk: lazy learning ends with a bounded read-out" if inside else (
        "outside the bulk: lazy learning is a slow power law with a growing read-out; only a new pole makes it fast"
    )  # fmt: skip
    return {
        "regime": f"target pole {pole:.4g} against gain {config.gain:.4g}: {words}",
        "bounded_readout": inside,
        "limit_readout_norm": float(theory.limit_norm(setup)),
        "learning_time": TIMES.tolist(),
        "readout_norm": np.asarray(path.norm).tolist(),
        "loss": np.asarray(path.loss).tolist(),
    }
