"""Training on static stimuli as the tests run it: rules by name, plain steps, every update recorded."""

import numpy as np
import optax
from fixed_point_program import ten_units

import weightpath as wp

#: One optimiser, rates from the setup: runs at several rates share a compiled program.
PLAIN = optax.sgd(1.0)

EVERY = wp.Record(every=1)

LINEAR = {
    "dW1": wp.EuclideanFixedPoint(),
    "dW2": wp.Reparameterised("A", exact=True),
    "dW3": wp.Reparameterised("A"),
    "lookahead": wp.Reparameterised("A", exact=True, lookahead=True),
}

X = np.array([0.5, 1.0, 1.5, 2.0])


def run(network, task, rule, rate, steps, **options):
    setup = wp.Setup(network, task, rule, train=("w_rec",), rates={"w_rec": rate})
    return wp.train(setup, PLAIN, steps, record=EVERY, throw=False, **options)


def ten_linear_units():
    w, x, t = ten_units()
    return wp.LinearRNN(w, np.eye(10), np.eye(10)), wp.StaticTargets(x.T, t.T), (w, x, t)
