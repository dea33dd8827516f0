"""Symmetries of the loss: the Noether identity at every point, and what the flow therefore conserves."""

import numpy as np
import pytest
from integrator_reference import ALL, TARGETS, deterministic, gaussian, problem

import weightpath as wp

RATES = {"w_rec": 0.7, "w_in": 1.6, "w_out": 0.4}


@pytest.mark.parametrize("name", TARGETS)
def test_noether_identity(name):
    """A change of basis of the hidden units changes no output: [dL/dW, W^T] + dL/dU U^T - V^T dL/dV = 0."""
    target = TARGETS[name].population()
    w_rec, w_in, w_out = gaussian(1, 15, 0.6, (target.drive.shape[1], target.output.shape[0]))
    velocity = wp.velocity(problem((w_rec, w_in, w_out), TARGETS[name], train=ALL))
    turn = velocity.w_rec @ w_rec.T - w_rec.T @ velocity.w_rec + velocity.w_in @ w_in.T - w_out.T @ velocity.w_out
    assert np.abs(turn).max() < 1e-13 * max(1.0, np.abs(velocity.w_rec).max())


def conserved(network, rates, with_input: bool):
    w_rec, w_in, w_out = (np.asarray(array) for array in (network.w_rec, network.w_in, network.w_out))
    matrix = (w_rec @ w_rec.T - w_rec.T @ w_rec) / rates["w_rec"] - w_out.T @ w_out / rates["w_out"]
    return matrix + w_in @ w_in.T / rates["w_in"] if with_input else matrix


def test_conserved_matrix_when_everything_is_trained():
    weights = gaussian(2, 10, 0.5, (2, 3))
    path = wp.flow(
        problem(weights, TARGETS["several"], train=ALL, rates=RATES), [0.0, 1.0, 3.0], rtol=1e-12, atol=1e-14
    )
    start = conserved(path.network(0), RATES, True)
    assert np.linalg.norm(path.network(2).w_rec - weights[0]) > 0.1
    for step in (1, 2):
        assert np.abs(conserved(path.network(step), RATES, True) - start).max() < 1e-11


def test_conserved_matrix_across_a_fixed_read_in():
    weights = deterministic(8, 0.4)
    rates = {"w_rec": 0.7, "w_out": 1.6}
    path = wp.flow(problem(weights, TARGETS["oscillator"], rates=rates), [0.0, 2.0, 10.0], rtol=1e-12, atol=1e-14)
    across = np.eye(8) - np.outer(weights[1], weights[1])
    start = across @ conserved(path.network(0), rates, False) @ across
    for step in (1, 2):
        assert np.abs(across @ conserved(path.network(step), rates, False) @ across - start).max() < 1e-11


def test_conserved_number_of_the_two_dimensional_oscillator():
    rates = {"w_rec": 0.6, "w_out": 2.0}
    weights = np.zeros((2, 2)), [1.0, 0.0], [0.0, 0.3]
    path = wp.flow(problem(weights, TARGETS["oscillator"], rates=rates), [0.0, 5.0, 20.0], rtol=1e-12, atol=1e-14)
    w_rec, w_out = np.asarray(path.networks.w_rec), np.asarray(path.networks.w_out)[:, 0]
    number = (w_rec[:, 1, 0] ** 2 - w_rec[:, 0, 1] ** 2) / rates["w_rec"] - w_out[:, 1] ** 2 / rates["w_out"]
    assert np.abs(number - number[0]).max() < 1e-11
