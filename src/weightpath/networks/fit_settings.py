"""What the specification of a low-tensor-rank model refuses."""

import math

from weightpath.networks.fit_parts import InputNetwork, KnownInput, SmoothOffset
from weightpath.networks.kernels import AbstractKernel

#: Settings that are finite and not negative.
_NOT_NEGATIVE = ("prior_multiplier", "input_penalty", "decoder_penalty", "activity_penalty", "process_noise")


def check_settings(model, words: dict[str, tuple[str, ...]]) -> None:
    """Check each setting by itself, then those that must fit together.

    **Raises:** ValueError for a number or a word outside its range, or settings that exclude each other.
    """
    for name, allowed in words.items():
        if getattr(model, name) not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {getattr(model, name)!r}.")
    for name in ("rank", "units", "substeps", "batch_trials"):
        value = getattr(model, name)
        if value not in (None, "auto") and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name} must be a whole number, at least 1; got {value!r}.")
    _check_parts(model)
    if model.prior_weight != "auto" and not _is_number(model.prior_weight, least=0.0):
        raise ValueError(f'prior_weight must be "auto" or a number, not negative; got {model.prior_weight!r}.')
    for name in _NOT_NEGATIVE:
        if not _is_number(getattr(model, name), least=0.0):
            raise ValueError(f"{name} must be a finite number, not negative; got {getattr(model, name)!r}.")
    if not (_is_number(model.trial_dropout, least=0.0) and model.trial_dropout < 1):
        raise ValueError(
            f"trial_dropout must be a share of the trials, at least 0 and below 1; got {model.trial_dropout!r}."
        )
    if not (_is_number(model.initial_state_sd, least=0.0) and model.initial_state_sd > 0):
        raise ValueError(f"initial_state_sd must be a positive number; got {model.initial_state_sd!r}.")
    if not _is_number(model.time_constant, least=1.0):
        raise ValueError(
            f"time_constant must be at least one bin (got {model.time_constant!r}): with a shorter one the state "
            "forgets everything within a bin. Give it in bins, or use finer bins."
        )
    _check_together(model)


def _check_parts(model) -> None:
    if not isinstance(model.kernel, AbstractKernel):
        raise ValueError(f"kernel must be a kernel such as RationalQuadratic(length, sd); got {model.kernel!r}.")
    if not isinstance(model.trial_offset, SmoothOffset | None):
        raise ValueError(f"trial_offset must be a SmoothOffset(length, sd) or None; got {model.trial_offset!r}.")
    if not isinstance(model.input_network, InputNetwork):
        raise ValueError(f"input_network must be an InputNetwork(hidden, layers); got {model.input_network!r}.")
    if not all(isinstance(one, KnownInput) for one in model.known):
        raise ValueError(f"known must hold names of covariates or KnownInput(name, lags); got {model.known!r}.")


def _check_together(model) -> None:
    if model.inputs == "known" and not model.known:
        raise ValueError("inputs='known' needs the measured inputs, e.g. known=('cursor_pos',); none are given.")
    if model.gain and model.decoder == "linear":
        raise ValueError("decoder='linear' carries its own scale; leave gain out, or use decoder='orthogonal'.")
    if model.gain is False and model.counts and model.decoder != "linear":
        raise ValueError(
            f"likelihood={model.likelihood!r} with decoder={model.decoder!r} needs gain: softplus of rates within "
            "(-1, 1) cannot reach the counts. Leave gain out, or use decoder='linear'."
        )


def _is_number(value, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= least
