r"""R7: the gradient of the fit's loss against the adjoint of the full network, written out step by step.

For a recurrent network of any weights $W^{(k)}$ the gradient is a sum of outer products of adjoints and rates,
$dL/dW^{(k)} = \sum \lambda \phi(x)^\top$ over bins and solver stages; the gradients of the factors follow from it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import weightpath as wp
from weightpath.inference.objective import objective
from weightpath.inference.parameters import initial_values
from weightpath.inference.problem import arrange
from weightpath.networks.kernels import RationalQuadratic

value_and_gradient = jax.jit(jax.value_and_grad(objective, has_aux=True), static_argnums=3)

#: Stages (matrix, weights) of the two solvers.
TABLEAUX = {
    "heun": (np.array([[0, 0], [1.0, 0]]), np.array([0.5, 0.5])),
    "rk4": (
        np.array([[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 1.0, 0]]),
        np.array([1, 2, 2, 1]) / 6,
    ),
}


def adjoint(weights, start, drive, target, mask, size, solver):
    """Loss of one trial, and its gradients by the weights, the start and the drive (time, unit) of a full network."""
    stage_of, weight_of = TABLEAUX[solver]
    bins, stages = len(target), len(weight_of)
    x, points, loss = start, [], 0.0
    error = []
    for t in range(bins):
        residual = mask[t] * (np.tanh(x) - target[t])
        loss += np.sum(residual**2)
        error.append(2 * residual * (1 - np.tanh(x) ** 2))
        visited, slopes = [], []
        for i in range(stages):
            point = x + size * sum((stage_of[i, j] * slopes[j] for j in range(i)), np.zeros_like(x))
            visited.append(point)
            slopes.append(-point + weights @ np.tanh(point) + drive[t])
        points.append(visited)
        x = x + size * sum(weight * slope for weight, slope in zip(weight_of, slopes, strict=True))
    lam = np.zeros_like(x)
    d_weights, d_drive = np.zeros_like(weights), np.zeros_like(drive)
    for t in reversed(range(bins)):
        by_slope = [None] * stages
        total = lam.copy()
        for i in reversed(range(stages)):
            later = [size * stage_of[j, i] * by_point for j, by_point in by_points(by_slope, i, points[t], weights)]
            by_slope[i] = size * weight_of[i] * lam + sum(later, np.zeros_like(lam))
            d_weights += np.outer(by_slope[i], np.tanh(points[t][i]))
            d_drive[t] += by_slope[i]
            total = total + pulled_back(by_slope[i], points[t][i], weights)
        lam = total + error[t]
    return loss, d_weights, lam, d_drive


def pulled_back(by_slope, point, weights):
    """Adjoint of a stage's point from that of its slope -x + W tanh(x) + u."""
    return -by_slope + (1 - np.tanh(point) ** 2) * (weights.T @ by_slope)


def by_points(by_slope, stage, points, weights):
    return [(j, pulled_back(by_slope[j], points[j], weights)) for j in range(stage + 1, len(points))]


def normalised(gradient, raw):
    """Gradient by a raw column from that by the column divided by its norm."""
    norm = np.linalg.norm(raw, axis=0)
    unit = raw / norm
    return (gradient - unit * np.sum(unit * gradient, axis=0)) / norm


@pytest.mark.parametrize("solver", ["heun", "rk4"])
def test_gradient_equals_the_adjoint(solver):
    rng = np.random.default_rng(0)
    trials, bins, units, rank, conditions = 6, 7, 9, 3, 2
    data = np.tanh(rng.standard_normal((trials, bins, units))) / 2
    condition = np.arange(trials) % conditions
    recording = wp.Recording(data, condition=condition)
    model = wp.LowTensorRankRNN(
        rank=rank, decoder="identity", inputs="free", kernel=RationalQuadratic(3.0, 0.5, 0.2), prior_weight=0.0,
        time_constant=5.0, solver=solver, substeps=1, input_penalty=0.0,
    )  # fmt: skip
    mask = rng.random(data.shape) < 0.7
    arrangement = arrange(model, recording, mask)
    dtype = np.dtype("float64")
    parameters, problem = initial_values(arrangement, 0, dtype), arrangement.problem(dtype)
    (loss, _), found = value_and_gradient(parameters, problem, jnp.zeros(()), arrangement.layout)

    p = jax.tree.map(np.asarray, parameters)
    a, b = p.post / np.linalg.norm(p.post, axis=0), p.pre / np.linalg.norm(p.pre, axis=0)
    root = np.sqrt(units)
    c = (p.level @ arrangement.maps["level"] + p.deviation @ arrangement.maps["deviation"]).T
    d_a, d_b, d_c = np.zeros_like(a), np.zeros_like(b), np.zeros_like(c)
    d_start, d_inputs, total = np.zeros_like(p.start), np.zeros_like(p.inputs), 0.0
    for k, q in enumerate(condition):
        z0, u = root * p.start[:, q], root * p.inputs[:, :, q]
        one, d_w, lam, d_drive = adjoint((a * c[k]) @ b.T, a @ z0, u @ a.T, data[k], mask[k], 0.2, solver)
        total += one
        d_a += d_w @ (b * c[k]) + np.outer(lam, z0) + d_drive.T @ u
        d_b += d_w.T @ (a * c[k])
        d_c[k] = np.sum((a.T @ d_w) * b.T, axis=1)
        d_start[:, q] += root * (a.T @ lam)
        d_inputs[:, :, q] += root * (d_drive @ a)
    count = mask.sum()
    np.testing.assert_allclose(loss, total / count, rtol=1e-13)
    expected = dict(
        post=normalised(d_a, p.post), pre=normalised(d_b, p.pre), level=d_c.T @ arrangement.maps["level"].T,
        deviation=d_c.T @ arrangement.maps["deviation"].T, start=d_start, inputs=d_inputs,
    )  # fmt: skip
    for name, gradient in expected.items():
        ours = np.asarray(getattr(found, name))
        assert np.linalg.norm(ours - gradient / count) <= 1e-12 * np.linalg.norm(ours), name


def test_unused_copies_get_no_gradient():
    """Tables are held once per epoch in every model; a copy that no trial uses must not move."""
    rng = np.random.default_rng(1)
    data = rng.standard_normal((12, 6, 5))
    recording = wp.Recording(data, condition=np.arange(12) % 2, epoch=np.repeat(["before", "after"], 6))
    for changes, moving in (("trial", ()), ("inputs_epoch", ("inputs", "start")), ("readout_epoch", ("w_out",))):
        model = wp.LowTensorRankRNN(rank=2, units=8, changes=changes, kernel=RationalQuadratic(5.0, 0.3, 0.1))
        arrangement = arrange(model, recording, recording.observed)
        parameters = initial_values(arrangement, 0, np.dtype("float64"))
        problem = arrangement.problem(np.dtype("float64"))
        gradient = value_and_gradient(parameters, problem, jnp.zeros(()), arrangement.layout)[1]
        second = dict(inputs=gradient.inputs[:, :, 2:], start=gradient.start[:, 2:], w_out=gradient.w_out[1])
        for name, array in second.items():
            assert bool(np.any(array)) == (name in moving), (changes, name)
