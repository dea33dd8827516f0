"""Online learning as one would write it in NumPy: one time step after another, a handful of operations each.

The weights `[W, U]` are one array, traces are updated in place, and RTRL's influence is carried by one matrix product
of BLAS into a second buffer. Nothing is slower than it needs to be; what remains is the interpreter's time per
operation, the traffic of several passes over the trace, and (RTRL) the matrix product itself.
"""

import numpy as np


def learn(method, weights, readout, feedback, inputs, targets, *, leak=0.5, rate=1e-3):
    """Learn from the bins of one trial of a tanh network from rest; weights (post, post + in) change in place."""
    units, size = weights.shape
    decay, rows = 1 - leak, np.arange(units)
    state, seen = np.zeros(units, weights.dtype), np.zeros(size, weights.dtype)
    trace = np.zeros((units, size) if method == "rflo" else (units, units * size), weights.dtype)
    spare, keep = np.empty_like(trace), decay * np.eye(units, dtype=weights.dtype)
    loss = 0.0
    for input, target in zip(inputs, targets, strict=True):
        seen[:units] = state
        seen[units:] = input
        active = np.tanh(weights @ seen)
        state = decay * state + leak * active
        gain = leak * (1 - active * active)
        error = readout @ state - target
        loss += 0.5 * float(error @ error)
        if method == "rflo":
            trace *= decay
            np.multiply(gain[:, None], seen, out=spare)
            trace += spare
            np.multiply((rate * (error @ feedback))[:, None], trace, out=spare)
            weights -= spare
        else:
            np.matmul(keep + gain[:, None] * weights[:, :units], trace, out=spare)
            trace, spare = spare, trace
            trace.reshape(units, units, size)[rows, rows] += gain[:, None] * seen
            weights -= rate * ((error @ readout) @ trace).reshape(units, size)
        readout -= rate * error[:, None] * state
    return loss
