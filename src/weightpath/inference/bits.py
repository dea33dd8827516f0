r"""Bits per spike: how much better predicted rates explain counts than the mean rate of each neuron does.

$\frac{1}{\ln 2\, \sum y} \sum_{test} \left[\log P(y|\hat\lambda) - \log P(y|\bar\lambda_n)\right]$ with Poisson
$P$ and $\bar\lambda_n$ the mean count per bin of the neuron over the training entries. Source: Pei et al. 2021 (the
Neural Latents Benchmark), who hold out neurons of held-out trials.
"""

import numpy as np

from weightpath._types import Bool, Float
from weightpath.inference.recording import Recording

#: Predicted rates below this share of the neuron's mean rate are raised to it, alike for all models: a bin in which no
#: training trial has a spike must not make one spike infinitely unlikely.
FLOOR = 0.05


def spike_counts(recording: Recording) -> Float[np.ndarray, "trial time neuron"] | None:
    """The recording as counts (original units, NaN where missing), or None where it does not hold counts.

    Counts are whole numbers, not negative, not all alike, and without a common factor, as rates in Hz can have.
    """
    counts = recording.restored(recording.values)
    whole = np.rint(counts)
    seen = recording.observed
    # Centring and scaling leave rounding errors behind.
    if not np.allclose(counts[seen], whole[seen], atol=1e-6, rtol=0) or whole[seen].min() < 0:
        return None
    known = whole[seen].astype(int)
    if known.min() == known.max() or np.gcd.reduce(known) > 1:
        return None
    return np.where(seen, whole, np.nan)


def bits_per_spike(
    counts: Float[np.ndarray, "trial time neuron"],
    rates: Float[np.ndarray, "trial time neuron"],
    train: Bool[np.ndarray, "trial time neuron"],
    test: Bool[np.ndarray, "trial time neuron"],
) -> float:
    """Bits per spike of predicted `rates` (counts per bin) on the test entries, against mean rates on the training.

    Neurons without a spike among the training entries have no mean rate to compare with and are left out. NaN when no
    spike is left, or a rate is not finite.
    """
    gain, spikes = trial_bits(counts, rates, train, test)
    return float(gain.sum() / spikes.sum()) if spikes.sum() > 0 else float("nan")


def trial_bits(
    counts: Float[np.ndarray, "trial time neuron"],
    rates: Float[np.ndarray, "trial time neuron"],
    train: Bool[np.ndarray, "trial time neuron"],
    test: Bool[np.ndarray, "trial time neuron"],
) -> tuple[Float[np.ndarray, " trial"], Float[np.ndarray, " trial"]]:
    """Bits gained and spikes in the test entries of each trial, whose sums give the bits per spike."""
    number = train.sum((0, 1))
    mean = np.where(train, counts, 0.0).sum((0, 1)) / np.maximum(number, 1)
    test = test & (mean > 0)
    null = np.where(mean > 0, mean, 1.0)
    seen = np.where(test, counts, 0.0)
    rate = np.maximum(np.where(test, rates, null), FLOOR * null)
    # The factorials are the same for both.
    gain = np.where(test, seen * np.log(rate / null) - (rate - null), 0.0)
    return gain.sum((1, 2)) / np.log(2), seen.sum((1, 2))
