"""From the residuals of all laws to one verdict, and how often blocks drawn again lead to the same one."""

from dataclasses import dataclass

import numpy as np

from weightpath._types import Float
from weightpath.analysis.laws import HORIZONS

NONE, UNDECIDABLE = "none of these", "undecidable"
#: What a law stands for.
STANDS_FOR = {
    "BPTT": "BPTT (or RTRL)",
    "TruncatedBPTT(1)": "TruncatedBPTT(1)",
    "RFLO": "RFLO",
    "RFLO, symmetric": "RFLO",
    "EProp": "e-prop",
    "EProp, symmetric": "e-prop",
    **{f"TruncatedBPTT({horizon})": f"TruncatedBPTT({horizon})" for horizon in HORIZONS},
}
#: A law with more freedom obeys whatever the first one obeys, and replaces it only when it leaves much less.
CONTAINED_IN = {
    "BPTT": tuple(f"TruncatedBPTT({horizon})" for horizon in HORIZONS),
    "TruncatedBPTT(1)": ("RFLO, symmetric",),
}
MUCH_LESS = 0.25
#: A law that leaves less than the first share unexplained holds; above the second it does not.
HOLDS, FAILS = 0.05, 0.15
#: The rules' other laws must leave so many times more.
APART = 3.0
#: Noise may make up this share of the squared target, and of the norm of a law's residual over its target.
LARGEST_NOISE, LARGEST_FLOOR = 0.5, 0.5


@dataclass(frozen=True)
class Powers:
    """Squared norms in every block: of each law's residual and its target, and what noise adds to each."""

    names: tuple[str, ...]
    residual: Float[np.ndarray, "law block"]
    residual_noise: Float[np.ndarray, "law block"]
    target: Float[np.ndarray, "law block"]
    target_noise: Float[np.ndarray, "law block"]
    largest_noise: Float[np.ndarray, "law block"]
    """What noise of the largest size that the records allow adds to the residual."""


@dataclass(frozen=True)
class Decision:
    """A verdict, the law behind it, and why."""

    verdict: str
    law: str
    rival: str | None
    reason: str


def decide(powers: Powers, draw: np.ndarray | None = None) -> Decision:
    """The verdict on all blocks, or on those of `draw` (indices, with repetition)."""
    take = slice(None) if draw is None else draw
    names = powers.names
    residual, floor, target, blur, most = (
        getattr(powers, name)[:, take].sum(axis=1)
        for name in ("residual", "residual_noise", "target", "target_noise", "largest_noise")
    )
    known = target - blur
    if not np.all(known > (1 - LARGEST_NOISE) * target):
        return Decision(UNDECIDABLE, names[0], None, "the weights move no more than noise lets them seem to move")
    # What noise explains is taken off, but no residual is known better than to a third of its noise.
    left = np.sqrt(np.maximum(residual - floor, floor / 9) / known)
    order = np.argsort(left)
    best = names[order[0]]
    simpler = [name for name, wider in CONTAINED_IN.items() if best in wider and name in names]
    if simpler and left[order[0]] > MUCH_LESS * left[names.index(simpler[0])]:
        best = simpler[0]
    share = float(left[names.index(best)])
    rivals = [names[i] for i in order if _against(best, names[i])]
    rival = rivals[0] if rivals else None
    gap = float(left[names.index(rival)]) / max(share, np.finfo(float).tiny) if rival else np.inf
    noise = float(np.sqrt(floor[names.index(best)] / known[names.index(best)]))
    beyond = " beyond what noise explains" if noise > 0 else ""
    said = f"the law of {best} leaves {_percent(share)} of the movement unexplained{beyond}"
    against = f", that of {rival} {_percent(gap * share)}" if rival else ""
    if noise > LARGEST_FLOOR:
        return Decision(UNDECIDABLE, best, rival, f"{said}, and noise alone {_percent(noise)}")
    if share > FAILS:
        surely = np.sqrt(np.maximum(residual - most, 0) / known)
        if surely.min() < FAILS:
            return Decision(UNDECIDABLE, best, rival, f"{said}, which noise that these records cannot show may explain")
        return Decision(NONE, best, rival, f"{said}: no law comes nearer, and a law that holds leaves almost nothing")
    if gap < APART:
        return Decision(UNDECIDABLE, best, rival, f"{said}{against}: too near to one another")
    if share > HOLDS:
        return Decision(UNDECIDABLE, best, rival, f"{said}{against}: too much to hold, too little to fail")
    return Decision(STANDS_FOR[best], best, rival, said + against)


def _against(best: str, other: str) -> bool:
    """Whether another law speaks for another rule."""
    return STANDS_FOR[other] != STANDS_FOR[best] and other not in CONTAINED_IN.get(best, ())


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share >= 1e-4 else f"{share:.0e}"


def confidence(powers: Powers, verdict: str, resamples: int, seed: int) -> float:
    """Share of bootstrap samples of the blocks that lead to the same verdict, times (J + 1)/(J + 2) for J blocks.

    Blocks are consecutive runs of steps in which the weights move about as far, so that slow drifts of what a law
    leaves are kept together. The factor is what J blocks that agree are worth (the rule of succession).
    """
    random, blocks = np.random.default_rng(seed), powers.residual.shape[1]
    draws = random.integers(0, blocks, (resamples, blocks))
    same = np.mean([decide(powers, draw).verdict == verdict for draw in draws])
    return float(same * (blocks + 1) / (blocks + 2))
