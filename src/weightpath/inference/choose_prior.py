"""Choice of the prior's strength and of the kernel's length on the training trials alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from weightpath.inference.checks import check_model
from weightpath.inference.choose import Choice, choose_model
from weightpath.inference.held_out import Mask
from weightpath.inference.recording import Recording
from weightpath.networks.kernels import Independent
from weightpath.networks.low_tensor_rank import LowTensorRankRNN


def tune_prior(
    model: LowTensorRankRNN,
    recording: Recording,
    mask: Mask | np.ndarray | None = None,
    *,
    multipliers: Sequence[float | int] = (1, 3, 8, 30, 100),
    lengths: Sequence[float | int] = (),
    **settings: Any,
) -> Choice:
    """Choose `prior_multiplier`, and the kernel's length where `lengths` are given, by held-out training trials.

    Every pair of `multipliers` and `lengths` (in trials) is tried. `mask` and `settings` (`folds`, `run`, `seeds`,
    `iterations`, `checkpoint_dir`, ...) are those of `choose.choose_model`: test entries are never looked at, and the
    same call goes on from kept fits. `.model` of the result is the model with the chosen settings, `print` shows all.

    **Raises:** ValueError where the prior has nothing to choose, for too few trials, or what `wp.fit` refuses.
    """
    check_model(model, recording)
    if not len(multipliers):
        raise ValueError("multipliers must hold at least one number.")
    if model.prior_weight != "auto":
        raise ValueError(
            f"prior_multiplier multiplies the automatic weight; the model has prior_weight={model.prior_weight!r}. Use "
            'prior_weight="auto".'
        )
    if len(lengths) and (model.changes != "trial" or isinstance(model.kernel, Independent)):
        raise ValueError(
            f"lengths have no effect with changes={model.changes!r} and the kernel {type(model.kernel).__name__}; "
            "leave them out."
        )
    kernels = [replace(model.kernel, length=length) for length in lengths] or [model.kernel]
    grid = {
        f"multiplier {multiplier:g}, length {kernel.length:g}": replace(
            model, prior_multiplier=multiplier, kernel=kernel
        )
        for multiplier in multipliers
        for kernel in kernels
    }
    return choose_model(grid, recording, mask, **settings)
