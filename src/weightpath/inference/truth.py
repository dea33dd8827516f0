"""What is known of a simulated recording: the network of every trial, its states, and the activity without noise."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from weightpath._types import Complex, Float, Int
from weightpath.networks.factored import FactoredRNN
from weightpath.trajectory import Trajectory


@dataclass(frozen=True, eq=False, repr=False)
class Truth:
    r"""The planted network, $W^{(k)} = \sum_r c_r^{(k)} a_r b_r^\top$ with unit columns, and what it did on each trial.

    Units are those of the recording; there are no inputs, x = A z.
    """

    a: Float[np.ndarray, "post rank"]
    b: Float[np.ndarray, "pre rank"]
    c: Float[np.ndarray, "step rank"]
    start: Float[np.ndarray, "condition rank"]
    """Initial states, in the coordinates of `a`."""
    condition: Int[np.ndarray, " trial"]
    z: Float[np.ndarray, "trial time rank"]
    """States, x = A z."""
    w_out: Float[np.ndarray, "neuron unit"] | None
    """Decoder; None where unit i is neuron i."""
    drift: Float[np.ndarray, "trial neuron"] | None
    """Offsets that move over trials and have nothing to do with the weights."""
    clean: Float[np.ndarray, "trial time neuron"]
    """Expected data, link(gain * (decoded rates + drift) + bias): activity without noise, or expected spike counts."""
    gain: float
    bias: float
    link: str
    """"identity", or "softplus" of spike counts."""
    time_constant: float
    """tau in bins."""
    substeps: int
    """Runge-Kutta steps per bin."""

    @property
    def rank(self) -> int:
        """Number of rank-one terms."""
        return self.a.shape[1]

    @property
    def rate(self) -> Float[np.ndarray, "trial time unit"]:
        """Rates of the units, tanh(A z)."""
        return np.tanh(self.z @ self.a.T)

    def weights(self, k: int) -> Float[np.ndarray, "post pre"]:
        """Recurrent weights of trial `k`, (post, pre)."""
        return (self.a * self.c[k]) @ self.b.T

    def eigenvalues(self) -> Complex[np.ndarray, "step eig"]:
        r"""Nonzero eigenvalues of every trial's weights, those of $\mathrm{diag}(c) B^\top A$."""
        return np.linalg.eigvals(self.c[:, :, None] * (self.b.T @ self.a)).astype(np.complex128)

    @property
    def network(self) -> FactoredRNN:
        """The network of every trial; trial factors, initial states and, with a drift, offsets have a step axis."""
        neurons = self.clean.shape[2]
        w_out = self.gain * (np.eye(neurons) if self.w_out is None else self.w_out)
        bias = self.bias + self.gain * (np.zeros(neurons) if self.drift is None else self.drift)
        arrays: dict[str, Any] = dict(
            post_factor=self.a, pre_factor=self.b, trial_factor=self.c, initial_state=self.start[self.condition],
            w_out=w_out, readout_bias=bias, time_constant=np.asarray(self.time_constant),
        )  # fmt: skip
        arrays = {name: jnp.asarray(array, dtype=float) for name, array in arrays.items()}
        return FactoredRNN(**arrays, solver="rk4", substeps=self.substeps, link=self.link)  # pyright: ignore

    def to_trajectory(self) -> Trajectory:
        """The planted path of the weights, step = trial; the loss is zero: this is the truth."""
        shared = ["post_factor", "pre_factor", "time_constant", "w_out"]
        if self.drift is None:
            shared.append("readout_bias")
        steps = len(self.c)
        return Trajectory(
            time=jnp.arange(steps, dtype=float), networks=self.network, loss=jnp.zeros(steps), shared=tuple(shared)
        )

    def __repr__(self) -> str:
        trials, bins, neurons = self.clean.shape
        return f"Truth(rank {self.rank}, {len(self.a)} units: {trials} trials x {bins} bins x {neurons} neurons)"
