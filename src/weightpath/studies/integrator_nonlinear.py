r"""The nonlinear neighbour of the study `integrate-white-noise`: the same task learned by units with saturation.

A network with $h_+ = (1-\alpha)h + \alpha(W f(h) + U x)$, $y = V f(h)$ that hears inputs $s x$ and is asked for $s y^*$
is, in $g = h/s$, the network with activation $f(s g)/s$ that hears $x$ and is asked for $y^*$; its loss is the former
one over $s^2$. For $f = \tanh$ that activation is $g - s^2 g^3/3 + \dots$, so that everything differs from the linear
network by order $s^2$. All networks see the same noise, from the same start.
"""

import equinox as eqx
import jax
import numpy as np
import xarray as xr

from weightpath._types import Float
from weightpath.learn.flow import flow
from weightpath.networks.base import rollout
from weightpath.networks.rate import RateRNN
from weightpath.rules.backprop import BPTT
from weightpath.setup import Setup
from weightpath.studies.integrator_networks import random_start
from weightpath.studies.integrator_theory import TRAINED
from weightpath.tasks.base import Batch, WhiteNoise
from weightpath.tasks.filters import Integrator
from weightpath.trajectory import Trajectory

DECAY, GAIN = 0.5, 0.01
NOISE = WhiteNoise(duration=10.0, dt=0.2, trials=16)
#: Amplitudes of the input, from where the order is measured to deep saturation.
AMPLITUDES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
TIME = np.linspace(0.0, 6.0, 61)
#: Time after a pulse at which responses are compared, in membrane time constants.
LAG = np.arange(0.0, 8.0, NOISE.dt)


def nonlinear(config) -> xr.Dataset:
    """Learning with saturating units at several input amplitudes, set beside the linear network on the same noise."""
    start = random_start(config.seed, 0, config.nonlinear_units, GAIN)
    task = Integrator(DECAY, noise=NOISE)
    batch = task.sample(jax.random.fold_in(jax.random.key(config.seed), 2), 0)
    linear = learn(start, task, batch, "linear", 1.0)
    runs = [learn(start, task, batch, "tanh", amplitude) for amplitude in AMPLITUDES]
    paths = np.stack([outlier_path(run) for run in runs])
    responses = np.stack([response(run.network(-1)) for run in runs])
    losses = np.stack([np.asarray(run.loss) / s**2 for run, s in zip(runs, AMPLITUDES, strict=True)])
    straight, filtered, loss = outlier_path(linear), response(linear.network(-1)), np.asarray(linear.loss)
    target = 1 - DECAY
    data = {
        "saturation_outlier": (("amplitude", "nonlinear_step"), paths),
        "saturation_loss": (("amplitude", "nonlinear_step"), losses),
        "linear_outlier": ("nonlinear_step", straight),
        "linear_loss": ("nonlinear_step", loss),
        "saturation_outlier_error": ("amplitude", rms(paths - straight) / target),
        "saturation_filter_error": ("amplitude", rms(responses - filtered) / rms(filtered)),
        "saturation_loss_error": ("amplitude", rms(losses - loss) / loss[0]),
        "saturation_learning_time": ("amplitude", [tenth_time(row) for row in losses]),
        "linear_learning_time": tenth_time(loss),
        "saturation_state": ("amplitude", [state_size(run, batch, s) for run, s in zip(runs, AMPLITUDES, strict=True)]),
    }
    coords = {"amplitude": list(AMPLITUDES), "nonlinear_time": ("nonlinear_step", TIME)}
    return xr.Dataset(data, coords, {"nonlinear_units": config.nonlinear_units, "nonlinear_decay": DECAY})


def learn(start, task: Integrator, batch: Batch, activation: str, amplitude: float) -> Trajectory:
    """The flow on one batch of noise at this amplitude; the rates undo the loss's factor of amplitude squared."""
    network = RateRNN(start.w_rec, start.w_in, start.w_out, activation=activation, leak=NOISE.dt, form="current")
    rates = {name: 1 / amplitude**2 for name in TRAINED}
    scaled = eqx.tree_at(
        lambda one: (one.inputs, one.targets), batch, (amplitude * batch.inputs, amplitude * batch.targets)
    )
    return flow(Setup(network, task, BPTT(), TRAINED, rates), TIME, scaled, rtol=1e-7, atol=1e-9)


def outlier_path(run: Trajectory) -> np.ndarray:
    """Largest real part of the eigenvalues at each saved time: poles of the response to a weak input."""
    return np.linalg.eigvals(np.asarray(run.networks.w_rec)).real.max(axis=1)


def response(network) -> np.ndarray:
    """Response of the network to a weak unit pulse, at rest: $V (1 - dt + dt W)^k U$."""
    w_rec, state = np.asarray(network.w_rec), np.asarray(network.w_in)[:, 0]
    step, values = (1 - NOISE.dt) * np.eye(len(w_rec)) + NOISE.dt * w_rec, []
    for _ in LAG:
        values.append((np.asarray(network.w_out) @ state)[0])
        state = step @ state
    return np.array(values)


def state_size(run: Trajectory, batch: Batch, amplitude: float) -> float:
    """Root mean square of a unit's state after learning; tanh bends where it is near 1."""
    network = run.network(-1)
    states = jax.vmap(lambda inputs: rollout(network, inputs)[0])(amplitude * batch.inputs)
    return float(np.sqrt(np.mean(np.asarray(states) ** 2)))


def tenth_time(loss: np.ndarray) -> float:
    """Learning time at which the loss has fallen to a tenth of its start; NaN if it never does."""
    level = np.log(loss / (0.1 * loss[0]))
    below = int(np.argmax(level <= 0))
    if below == 0:
        return float("nan")
    share = level[below - 1] / (level[below - 1] - level[below])
    return float(TIME[below - 1] + share * (TIME[below] - TIME[below - 1]))


def rms(values: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch"]:
    """Root mean square along the last axis."""
    return np.asarray(np.sqrt(np.mean(np.asarray(values) ** 2, axis=-1)))
