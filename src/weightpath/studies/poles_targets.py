"""Targets of the study `pole-by-pole`: sums of damped oscillations and exponentials, by name or by their poles."""

import numpy as np

from weightpath.tasks.filters import RationalFilter

#: Name -> decays, frequencies, cosine and sine amplitudes of the terms; frequency 0 is an exponential.
NAMED = {
    "oscillation-and-exponential": ((0.3, 0.5), (1.5, 0.0), (1.0, -1.0), (0.0, 0.0)),
    "two-tones": ((0.3, 0.3), (0.5, 1.5), (1.0, -1.0), (0.0, 0.0)),
    "three-times": ((0.2, 1.0, 4.0), (0.0, 0.0, 0.0), (1.0, -2.0, 2.0), (0.0, 0.0, 0.0)),
}


def terms_of(config) -> tuple[tuple[float, ...], ...]:
    """Decays, frequencies, cosine and sine amplitudes of the settings' target.

    **Raises:** ValueError when the lists of a custom target differ in length.
    """
    if config.target != "custom":
        return NAMED[config.target]
    terms = (config.decays, config.frequencies, config.cosines, config.sines)
    lengths = {len(numbers) for numbers in terms}
    if lengths != {len(config.decays)} or 0 in lengths:
        raise ValueError(
            "a custom target needs decays, frequencies, cosines and sines of one length, one entry a term (frequency "
            f"and sine 0 for an exponential); got {', '.join(str(len(numbers)) for numbers in terms)} entries."
        )
    if min(config.decays) <= 0:
        raise ValueError(f"every decay must be positive; got {', '.join(map(str, config.decays))}.")
    return terms


def filter_task(terms: tuple[tuple[float, ...], ...], dt: float | None = None) -> RationalFilter:
    r"""The target $\sum_j e^{-c_j s}(C_j \cos w_j s + S_j \sin w_j s)$, sampled at `dt` for discrete-time networks."""
    blocks, drive, output = [], [], []
    for decay, frequency, cosine, sine in zip(*terms, strict=True):
        if frequency == 0:
            blocks, drive, output = [*blocks, np.array([[-decay]])], [*drive, 1.0], [*output, cosine]
        else:
            block = np.array([[-decay, -frequency], [frequency, -decay]])
            blocks, drive, output = [*blocks, block], [*drive, 1.0, 0.0], [*output, cosine, sine]
    return RationalFilter(_diagonal(blocks), drive, output, dt=dt)


def several_channels() -> RationalFilter:
    """Two inputs, two outputs, three poles: the fixed target of the study's check of several channels."""
    blocks = [np.array([[-0.3, -1.0], [1.0, -0.3]]), np.array([[-0.5]])]
    return RationalFilter(_diagonal(blocks), [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [[1.0, 0.0, -1.0], [0.0, 1.0, 0.5]])


def sampled() -> RationalFilter:
    """An oscillation and an exponential sampled at steps of 0.5: the fixed target of the discrete-time check."""
    return filter_task(((0.3, 0.5), (1.5, 0.0), (1.0, 0.5), (0.0, 0.0)), dt=0.5)


def _diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    from scipy.linalg import block_diag

    return np.asarray(block_diag(*blocks))
