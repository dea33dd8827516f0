"""Static stimuli and the answers wanted at the fixed points: all samples at every update, or batches of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from weightpath._tracing import is_traced
from weightpath._types import Array, Float, Int, Key
from weightpath.networks.checks import as_float, check_finite
from weightpath.tasks.base import AbstractTask
from weightpath.tasks.static_batch import STATIC_LOSSES, StaticBatch


class StaticTargets(AbstractTask):
    r"""Learn what a network answers, at its fixed point, to stimuli that do not change in time.

    Sample $k$ is a stimulus $u_k$ with a target $y^*_k$ or a label; $J = \frac1m\sum_k L_k(y_k)$ over $m$ samples.

    **Arguments:**
    - `inputs` (sample, in), one stimulus a row.
    - `targets`: float (sample, out), or whole-number labels (sample,), counted from 0. One number a sample as floats
      is (sample, 1).
    - `loss`: "squared" $|y - y^*|^2$ (left out: this, for targets), "half_squared" $\tfrac12|y - y^*|^2$,
      "mean_squared" $\tfrac12$ mean over outputs, "cross_entropy" of softmax outputs (left out: this, for labels).
      With labels the first three compare with one-hot rows.
    - `trials`: samples of a batch. Left out: every update sees all samples, and no key is needed. Batches go through
      shuffled epochs; samples left at the end of an epoch that fill no batch are dropped there. The batch of a step is
      a pure function of the key and the step.
    - `order` (step, trial): numbers of the samples of every update, instead of `trials`; no key is needed.

    **Raises:** ValueError for shapes that do not fit, no samples, an array that is not finite, labels below zero, a
    loss that the targets do not suit, `trials` out of range, sample numbers that there are not.
    """

    inputs: Float[Array, "sample in"]
    targets: Float[Array, "sample out"] | None
    labels: Int[Array, " sample"] | None
    loss: str = eqx.field(static=True)
    trials: int | None = eqx.field(static=True)
    order: Int[Array, "step trial"] | None

    def __init__(self, inputs, targets, *, loss: str | None = None, trials: int | None = None, order=None):
        inputs, targets = as_float(inputs), jnp.asarray(targets)
        labelled = jnp.issubdtype(targets.dtype, jnp.integer)
        targets = targets if labelled else as_float(targets)
        _check_samples(inputs, targets, labelled)
        self.inputs = inputs
        self.targets, self.labels = (None, targets) if labelled else (targets, None)
        self.loss = ("cross_entropy" if labelled else "squared") if loss is None else loss
        if self.loss not in STATIC_LOSSES:
            raise ValueError(f"loss must be one of {', '.join(STATIC_LOSSES)}; got {loss!r}.")
        if self.loss == "cross_entropy" and not labelled:
            raise ValueError('loss="cross_entropy" needs whole-number labels (sample,); the targets are floats.')
        samples = inputs.shape[0]
        if trials is not None and order is not None:
            raise ValueError("give trials (shuffled epochs) or order (the samples of every update), not both.")
        if trials is not None and not (isinstance(trials, int | np.integer) and 1 <= trials <= samples):
            raise ValueError(f"trials must be a whole number from 1 to the number of samples, {samples}; got {trials}.")
        self.trials = None if trials is None else int(trials)
        self.order = None if order is None else _checked_order(order, samples)

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.inputs.shape[0]

    @property
    def repeats(self) -> bool:
        """Whether every update sees all samples, in one order."""
        return self.trials is None and self.order is None

    def everything(self) -> StaticBatch:
        """All samples as one batch."""
        return StaticBatch(self.inputs, self.targets, self.labels, self.loss)

    def sample(self, key: Key | None, step) -> StaticBatch:
        """The samples of update `step`; `key` only shuffles the epochs.

        Beyond the last row of `order` it is the last one.

        **Raises:** ValueError without a key where epochs are shuffled.
        """
        if self.order is not None:
            return self.everything().taken(self.order[jnp.minimum(step, self.order.shape[0] - 1)])
        if self.trials is None:
            return self.everything()
        if key is None:
            raise ValueError("epochs are shuffled by a key: give key=jax.random.key(seed), or the task an order.")
        batches = self.samples // self.trials
        epoch, place = step // batches, step % batches
        shuffled = jax.random.permutation(jax.random.fold_in(key, epoch), self.samples)
        return self.everything().taken(jax.lax.dynamic_slice(shuffled, (place * self.trials,), (self.trials,)))

    def population(self) -> StaticBatch | None:
        """All samples where every update sees them; None where it sees a batch of them."""
        return self.everything() if self.repeats else None


def _check_samples(inputs: Array, targets: Array, labelled: bool) -> None:
    if inputs.ndim != 2:
        raise ValueError(f"inputs must be (sample, in), one stimulus a row; got shape {inputs.shape}.")
    if 0 in inputs.shape:
        raise ValueError(f"inputs hold no samples or no channels (shape {inputs.shape}); give at least one of each.")
    wanted = 1 if labelled else 2
    if targets.ndim != wanted or targets.shape[0] != inputs.shape[0] or 0 in targets.shape:
        raise ValueError(
            f"targets must be floats (sample, out) or whole-number labels (sample,) for {inputs.shape[0]} samples "
            f"(inputs {inputs.shape}); got {targets.dtype} of shape {targets.shape}."
        )
    if labelled:
        if not is_traced(targets) and np.min(np.asarray(targets)) < 0:
            raise ValueError(f"labels count from 0; got {int(np.min(np.asarray(targets)))}.")
        check_finite(inputs=inputs)
    else:
        check_finite(inputs=inputs, targets=targets)


def _checked_order(order, samples: int) -> Array:
    order = jnp.asarray(order)
    if order.ndim != 2 or 0 in order.shape or not jnp.issubdtype(order.dtype, jnp.integer):
        raise ValueError(f"order must be whole numbers (step, trial); got {order.dtype} of shape {order.shape}.")
    if not is_traced(order):
        numbers = np.asarray(order)
        if numbers.min() < 0 or numbers.max() >= samples:
            raise ValueError(
                f"order names samples {int(numbers.min())} to {int(numbers.max())}; there are 0 to {samples - 1}."
            )
    return order
