"""Schemes of held-out entries: whole trials, blocks of entries, neurons or bins of some trials."""

import math
from collections.abc import Callable

import numpy as np

from weightpath._types import Bool, Int
from weightpath.inference.held_out import Mask, make_mask
from weightpath.inference.recording import Recording


def even_trials(recording: Recording, *, seed: int = 0) -> Mask:
    """Trials 0, 2, 4, ... (by position) held out. `seed` has no effect."""
    return _trials("even", recording, np.arange(recording.shape[0]) % 2 == 0, "every second trial held out")


def odd_trials(recording: Recording, *, seed: int = 0) -> Mask:
    """Trials 1, 3, 5, ... (by position) held out. `seed` has no effect."""
    return _trials("odd", recording, np.arange(recording.shape[0]) % 2 == 1, "every second trial held out (the others)")


def trial_runs(recording: Recording, *, seed: int = 0, length: int | None = None, share: float = 0.25) -> Mask:
    """A `share` of the runs of `length` consecutive trials held out, the first ones of a random order of all runs.

    Default `length`: 20 trials, or a quarter of a session with fewer than 80.

    **Raises:** ValueError when there are fewer than two runs.
    """
    trials = recording.shape[0]
    length = min(20, max(1, trials // 4)) if length is None else length
    run = np.arange(trials) // length
    runs = int(run[-1]) + 1
    if runs < 2:
        raise ValueError(f"runs of {length} trials need more than {length} trials; the recording has {trials}.")
    held = np.random.default_rng(seed).permutation(runs)[: max(1, round(share * runs))]
    return _trials("runs", recording, np.isin(run, held), f"{len(held)} of {runs} runs of {length} trials held out")


def blocks(
    recording: Recording,
    *,
    seed: int = 0,
    outer: tuple[int, int, int] = (3, 3, 0),
    inner: tuple[int, int, int] = (1, 1, 0),
    fraction: float = 0.15,
    exact: bool = True,
) -> Mask:
    """Blocks of neighbouring trials, bins and neurons held out, with a guard shell that is in neither part.

    See `block_entries` for the arguments.
    """
    train, test = block_entries(recording.shape, seed=seed, outer=outer, inner=inner, fraction=fraction, exact=exact)
    held, away = ("x".join(str(2 * half + 1) for half in halves) for halves in (inner, outer))
    words = f"blocks of {held} trials x bins x neurons held out, {away} around them not trained on"
    return make_mask("blocks", recording, train, test, words)


def block_entries(
    shape: tuple[int, int, int],
    *,
    seed: int,
    outer: tuple[int, int, int],
    inner: tuple[int, int, int],
    fraction: float,
    exact: bool = True,
) -> tuple[Bool[np.ndarray, "trial time neuron"], Bool[np.ndarray, "trial time neuron"]]:
    """Training entries (outside every outer block) and test entries (the union of the inner blocks).

    `outer`, `inner`: half-widths along trial, time, neuron; a half-width of at least the number of neurons holds out
    all of them. `fraction`: share of entries that floor(fraction * entries / entries of an inner block) blocks would
    cover without overlap; overlaps make the test share smaller. `exact`: centres without replacement, otherwise
    each entry is a centre with that probability. Centres are drawn in an array (time, trial, neuron).
    Source: Pellegrino et al. 2023 (arXiv 2308.11567), the procedure of the authors' released code.

    **Raises:** ValueError when an inner half-width exceeds the outer one, is negative, or `fraction` leaves (0, 1).
    """
    if any(i > o or i < 0 for i, o in zip(inner, outer, strict=True)):
        raise ValueError(f"inner half-widths {inner} must lie between 0 and the outer ones {outer} on every axis.")
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1; got {fraction}.")
    trials, bins, neurons = shape
    # A block cannot hold more than the whole axis, which matters where all neurons are held out.
    volume = math.prod(min(2 * i + 1, n) for i, n in zip(inner, shape, strict=True))
    count = max(1, math.floor(fraction * math.prod(shape) / volume))
    rng = np.random.default_rng(seed)
    centres = np.zeros((bins, trials, neurons), bool)
    if exact:
        centres.ravel()[rng.choice(centres.size, count, replace=False)] = True
    else:
        centres[:] = rng.random(centres.shape) < count / centres.size
    centres = centres.transpose(1, 0, 2)
    return ~_widened(centres, outer), _widened(centres, inner)


def bin_blocks(recording: Recording, *, seed: int = 0, inner: int = 2, outer: int = 3) -> Mask:
    """In every even trial one stretch of 2 `inner` + 1 bins held out in all neurons, with `outer` - `inner` guards."""
    trials, bins, neurons = recording.shape
    if 2 * inner + 1 > bins:
        raise ValueError(f"stretches of {2 * inner + 1} bins do not fit into trials of {bins} bins.")
    centre = np.random.default_rng(seed).integers(inner, bins - inner, trials)
    distance = np.abs(np.arange(bins) - centre[:, None])
    even = (np.arange(trials) % 2 == 0)[:, None]
    spread = np.ones(neurons, bool)
    test, near = even & (distance <= inner), even & (distance <= outer)
    text = f"{2 * inner + 1} bins of every even trial held out, all neurons"
    return make_mask("bin_blocks", recording, ~near[..., None] & spread, test[..., None] & spread, text)


def held_out_units(recording: Recording, *, seed: int = 0, share: float = 0.25) -> Mask:
    """Co-smoothing: a `share` of the neurons, drawn at random, held out on every second trial (0, 2, ... by position).

    Every neuron is trained on the other trials. On the test trials a model sees the other neurons only, and the state
    it gives to the trial must predict the ones it does not see. Silent neurons are never among those held out.

    **Raises:** ValueError when fewer than two neurons vary or `share` leaves (0, 1).
    """
    _check_share(share)
    varying = np.flatnonzero(~recording.silent)
    if len(varying) < 2:
        raise ValueError(f"held-out units need two neurons that vary; the recording has {len(varying)}. Use 'future'.")
    number = min(max(1, round(share * len(varying))), len(varying) - 1)
    held = np.isin(np.arange(recording.shape[2]), np.random.default_rng(seed).permutation(varying)[:number])
    even = np.arange(recording.shape[0]) % 2 == 0
    test = np.broadcast_to((even[:, None] & held)[:, None], recording.shape)
    text = f"{number} of {recording.shape[2]} neurons held out on every second trial, the others seen"
    return make_mask("units", recording, ~test, test, text)


def future_bins(recording: Recording, *, seed: int = 0, share: float = 0.25) -> Mask:
    """The last `share` of the bins of every second trial (0, 2, ...) held out in all neurons; `seed` has no effect.

    **Raises:** ValueError when trials have fewer than two bins or `share` leaves (0, 1).
    """
    _check_share(share)
    trials, bins, _ = recording.shape
    if bins < 2:
        raise ValueError("future bins need trials of two bins or more; the recording has one bin.")
    number = min(max(1, round(share * bins)), bins - 1)
    late, even = np.arange(bins) >= bins - number, np.arange(trials) % 2 == 0
    test = np.broadcast_to((even[:, None] & late)[..., None], recording.shape)
    return make_mask(
        "future", recording, ~test, test, f"the last {number} of {bins} bins of every second trial held out"
    )


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1; got {share}.")


#: Every scheme by name. "trials" and other groups are resolved by `scheme_names`.
SCHEMES: dict[str, Callable[..., Mask]] = {
    "even": even_trials,
    "odd": odd_trials,
    "runs": trial_runs,
    "blocks": blocks,
    "bin_blocks": bin_blocks,
    "units": held_out_units,
    "future": future_bins,
}

#: Those that hold out whole trials.
WHOLE_TRIALS = ("even", "odd", "runs")

#: Two splits into whole trials, because one alone does not carry a claim.
GROUPS = {"trials": ("even", "runs")}


def scheme_names(schemes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of single schemes, with "trials" replaced by two splits into whole trials.

    **Raises:** ValueError that lists the known names.
    """
    names = [name for scheme in schemes for name in GROUPS.get(scheme, (scheme,))]
    unknown = [name for name in names if name not in SCHEMES]
    if unknown or not names:
        known = ", ".join([*GROUPS, *SCHEMES])
        raise ValueError(f"unknown scheme {', '.join(map(repr, unknown)) or '(none)'}; expected some of: {known}.")
    return tuple(dict.fromkeys(names))


def _widened(
    centres: Bool[np.ndarray, "trial time neuron"], half: tuple[int, int, int]
) -> Bool[np.ndarray, "trial time neuron"]:
    from scipy.ndimage import maximum_filter1d

    wide = centres.astype(np.uint8)
    for axis, (h, n) in enumerate(zip(half, centres.shape, strict=True)):
        if h > 0:
            wide = maximum_filter1d(wide, size=2 * min(h, n) + 1, axis=axis, mode="constant")
    return wide.astype(bool)


def _trials(name: str, recording: Recording, held: Int[np.ndarray, " trial"] | np.ndarray, text: str) -> Mask:
    spread = np.broadcast_to(held[:, None, None], recording.shape)
    return make_mask(name, recording, ~spread, spread, text)
