"""Trials that are given as arrays: the same inputs at every step, with targets that may change during learning."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Key
from weightpath.networks.checks import as_float, check_finite
from weightpath.tasks.base import AbstractTask, Batch


class GivenTrials(AbstractTask):
    """Learning from trials that are known as arrays.

    **Arguments:**
    - `inputs` (trial, time, in); `targets` (trial, time, out), or (phase, trial, time, out) where they change.
    - `mask` (trial, time): 1 where the output counts; left out: everywhere.
    - `phase_steps`: learning steps of each phase; the last phase stays. Needed with more than one phase.
    - `batch`: trials of a batch, drawn anew at every step without replacement; left out: all of them.

    A network that starts from rest can be brought to any initial state by a pulse in a first bin that the mask leaves
    out: after an input $u$ its state is `leak * w_in @ u`.

    **Raises:** ValueError when shapes do not fit, an array is not finite, nothing is observed, or a number is out of
    its range.
    """

    inputs: Float[Array, "trial time in"]
    targets: Float[Array, "phase trial time out"]
    mask: Float[Array, "trial time"]
    phase_steps: int | None = eqx.field(static=True)
    batch: int | None = eqx.field(static=True)

    def __init__(self, inputs, targets, mask=None, *, phase_steps: int | None = None, batch: int | None = None):
        inputs, targets = as_float(inputs), as_float(targets)
        targets = targets[None] if targets.ndim == 3 else targets
        if inputs.ndim != 3 or targets.ndim != 4 or targets.shape[1:3] != inputs.shape[:2]:
            raise ValueError(
                "inputs must be (trial, time, in) and targets (trial, time, out) or (phase, trial, time, out) of the "
                f"same trials and bins; got {inputs.shape} and {targets.shape}."
            )
        mask = jnp.ones(inputs.shape[:2], inputs.dtype) if mask is None else as_float(mask)
        if mask.shape != inputs.shape[:2]:
            raise ValueError(f"mask must be (trial, time) = {inputs.shape[:2]}; got {mask.shape}.")
        check_finite(inputs=inputs, targets=targets, mask=mask)
        if not is_traced(mask) and not np.all(np.sum(np.asarray(mask), axis=1) > 0):
            raise ValueError("mask leaves out every bin of some trial; drop that trial.")
        if (targets.shape[0] > 1 and phase_steps is None) or (phase_steps is not None and phase_steps < 1):
            raise ValueError(
                f"phase_steps must say how many steps each of the {targets.shape[0]} phases lasts, at least 1; "
                f"got {phase_steps}."
            )
        if batch is not None and not 1 <= batch <= inputs.shape[0]:
            raise ValueError(f"batch must be between 1 and the number of trials, {inputs.shape[0]}; got {batch}.")
        self.inputs, self.targets, self.mask = inputs, targets, mask
        self.phase_steps, self.batch = phase_steps, batch

    def sample(self, key: Key, step) -> Batch:
        """The trials of step `step`; `key` only draws which of them, where a batch is smaller than all."""
        phase = 0 if self.phase_steps is None else jnp.minimum(step // self.phase_steps, self.targets.shape[0] - 1)
        targets = self.targets[phase]
        if self.batch is None:
            return Batch(self.inputs, targets, self.mask)
        order = jax.random.permutation(jax.random.fold_in(key, step), self.inputs.shape[0])[: self.batch]
        return Batch(self.inputs[order], targets[order], self.mask[order])

    def population(self) -> None:
        """None: there is no noise to average over."""
        return None
