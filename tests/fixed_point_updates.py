"""Rules of fixed points by name, their updates at fixed points found in NumPy, and problems for them."""

import jax.numpy as jnp
import numpy as np
from fixed_point_cases import FAST, at_rest
from fixed_point_program import wave

import weightpath as wp

RULES = {
    "dW1": wp.EuclideanFixedPoint(solver=FAST),
    "A": wp.Reparameterised("A", solver=FAST),
    "K": wp.Reparameterised("K", solver=FAST),
    "dW4": wp.Reparameterised("dW4", solver=FAST),
}


def step(rule, network, batch, rate):
    """Change of the recurrent weights by a finite step of size `rate`."""
    return np.asarray(rule.step_at(network, batch, at_rest(network, batch), {"w_rec": jnp.asarray(rate)})[0].w_rec)


def velocity(rule, network, task):
    """Velocity on all samples, at fixed points found in NumPy."""
    batch = task.everything()
    return rule.velocity_at(network, batch, at_rest(network, batch))


def one_sample():
    """One sample of three tanh units with given errors (.1, -.2, .3)."""
    w_rec = np.array([[0.2, -0.3, 0.1], [0.4, 0.1, -0.2], [-0.1, 0.5, 0.3]])
    x, rates = np.array([0.5, -0.3, 0.8]), np.zeros(3)
    for _ in range(300):
        rates = np.tanh(w_rec @ rates + x)
    network = wp.RateRNN(w_rec, np.eye(3), np.eye(3), bias=np.zeros(3), leak=0.5)
    return network, wp.StaticTargets(x[None], (rates - [0.1, -0.2, 0.3])[None], loss="half_squared")


ONE = {
    "dW1": (
        (-0.014975805166, 0.004667837145, -0.016110337840),
        (0.071431761473, -0.022264701353, 0.076843267994),
        (-0.130050932225, 0.040535821978, -0.139903292761),
    ),
    "A": (
        (-0.086921245943, 0.039528863051, -0.110002826635),
        (0.248065318884, -0.112811774746, 0.313938047842),
        (-0.867665697270, 0.394585215038, -1.098070767837),
    ),
    "K": (
        (0.006644423136, -0.004075469029, 0.005458680797),
        (0.098679667190, -0.060526838704, 0.081069611817),
        (-0.132190145007, 0.081081055631, -0.108599917764),
    ),
    "dW4": (
        (-0.007611428077, 0.006478882665, -0.008048492566),
        (0.089408801358, -0.076105183854, 0.094542846071),
        (-0.183395892367, 0.156107428963, -0.193926876982),
    ),
}


def general(kind):
    """A network with every weight that its kind has, and a task for it: as arrays by name, too."""
    weights = {
        "w_rec": wave(5, 5, 1, 2, 0.7, 0.3),
        "w_in": wave(5, 2, 0.4, 1.1, 0.3, 0.9),
        "w_out": wave(3, 5, 1.3, 0.2, 0.8, 0.7),
    }
    inputs, activation = wave(7, 2, 0.9, 2.3, 1.7, 1.0), "linear"
    if kind == "linear":
        network = wp.ContinuousLinearRNN(**weights)
    else:
        activation, form = kind.split("-")
        weights |= {"bias": wave(5, 1, 0.7, 1, 1, 0.3)[:, 0], "readout_bias": wave(3, 1, 2, 1, 1, 0.4)[:, 0]}
        network = wp.RateRNN(**weights, leak=0.3, form=form, activation=activation)
    labelled = kind == "softplus-current"
    targets = np.arange(7) % 3 if labelled else wave(7, 3, 0.2, 0.6, 2.1, 1.0)
    return (
        network,
        wp.StaticTargets(inputs, targets),
        weights,
        (inputs, targets, activation, "cross_entropy" if labelled else "squared"),
    )


def parts(network, rest):
    """W, G (trial, unit, unit), rates and errors as NumPy arrays."""
    gains = np.asarray(rest.steady.slopes)[:, :, None] * np.eye(network.w_rec.shape[0])
    return np.asarray(network.w_rec), gains, np.asarray(rest.steady.rates), np.asarray(rest.errors)
