"""Which learning rule made a path of weights, as far as its conservation laws can tell."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from weightpath._types import Float
from weightpath.analysis.law_fits import LawFit
from weightpath.analysis.law_reading import Asking, best_reading, powers_of, with_largest
from weightpath.analysis.law_verdict import NONE, UNDECIDABLE, Powers, confidence, decide
from weightpath.analysis.laws import Weights
from weightpath.analysis.path_blocks import observation_noise
from weightpath.trajectory import Trajectory

#: Weights that change by less than this share of their norm do not move.
STILL = 1e-9


@dataclass(frozen=True)
class LawScore:
    """One law on the path: the share of the movement that it leaves unexplained, what noise explains of that, drift."""

    unexplained: float
    noise: float
    drift: float | None


@dataclass(frozen=True, eq=False)
class RuleVerdict:
    """What `which_rule` found. `str(verdict)` is a text for people, `to_dict()` plain numbers."""

    verdict: str
    """"BPTT (or RTRL)", "TruncatedBPTT(1)" (2 to 5), "RFLO", "e-prop", "none of these" or "undecidable"."""
    confidence: float
    """Share of resamples of the path that lead to this verdict (see `which_rule`); 0 where no law could be asked."""
    reason: str
    laws: dict[str, LawScore] = field(default_factory=dict)
    """All laws, best first."""
    nearest: str | None = None
    """The law that explains most; a path of none of these rules has one too."""
    trace_decay: float | None = None
    """Fitted (or given) trace decay of the nearest law, if it has one."""
    feedback: Float[np.ndarray, "out post"] | None = None
    """Fitted (or given) feedback of the nearest law, if it has any."""
    noise: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Standard deviation of observation noise of w_rec, w_in and w_out."""
    blocks: int = 0
    reading: str = ""
    """Which weights were set beside each movement (`weightpath.analysis.laws`), and every how many records."""

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and words."""
        return {
            "verdict": self.verdict,
            "confidence": self.confidence,
            "reason": self.reason,
            "nearest": self.nearest,
            "laws": {name: vars(score) for name, score in self.laws.items()},
            "trace_decay": self.trace_decay,
            "feedback": None if self.feedback is None else self.feedback.tolist(),
            "noise": dict(zip(("w_rec", "w_in", "w_out"), self.noise, strict=True)),
            "blocks": self.blocks,
            "reading": self.reading,
        }

    def __str__(self) -> str:
        return f"{self.verdict} (confidence {self.confidence:.2f}): {self.reason}"


def which_rule(
    trajectory: Trajectory,
    *,
    feedback: Float[np.ndarray, "out post"] | None = None,
    trace_decay: float | None = None,
    leak: float | None = None,
    rates: dict[str, float] | None = None,
    noise: dict[str, float] | None = None,
    blocks: int = 10,
    resamples: int = 400,
    seed: int = 0,
) -> RuleVerdict:
    r"""Name the learning rule behind a path of (w_in, w_rec, w_out) of a linear network, or say that none fits.

    Each rule keeps an identity between the movements of the three matrices (`weightpath.analysis.laws`). They hold for
    every task, batch and input, so that the task need not be known. For each law the share of the movement that it
    leaves unexplained is measured over `blocks` runs of steps in which the weights move equally far. The smallest wins
    if it is below 5% and three times below that of any other rule; when even the smallest is above 15% the path is
    "none of these", and in between "undecidable". What observation noise explains, measured on copies of the path with
    that much noise added, is taken off first.

    `confidence` is the share of `resamples` bootstrap samples of the blocks that lead to the same verdict, times
    (J + 1)/(J + 2) for J blocks: ten blocks that all agree give 0.92. It speaks about the path at hand and the laws
    listed, not about rules that nobody listed.

    **Arguments:**
    - `feedback` (out, post), `trace_decay`: of RFLO and e-prop; left out, they are fitted for each block on the others.
    - `leak`: of a leaky network, taken from the network where it has one, otherwise 1. The trace decay reported is then
      that of the rule, $1 - \alpha$ by default.
    - `rates`: relative learning rates by name. Without them unequal rates break every law, and the verdict is "none".
    - `noise`: standard deviation of observation noise by name, where known; otherwise estimated.

    The verdict cannot see: truncation beyond horizon 5; RTRL beside BPTT; RFLO without trace beside one-step truncation
    when feedback follows the read-out. Momentum keeps the laws as long as weights move little within its memory; Adam
    breaks them. The laws are those of linear networks: tanh units leave more unexplained the further they saturate.
    A read-in that does not move is allowed for; a read-out must move.

    **Raises:** ValueError for settings that do not fit the path, and non-positive rates.
    Source: derived here.
    """
    names = ("w_rec", "w_in", "w_out")
    for kind, given in (("rates", rates), ("noise", noise)):
        wrong = [name for name, value in (given or {}).items() if name not in names or not 0 <= value < np.inf]
        if wrong or (kind == "rates" and 0 in (given or {}).values()):
            raise ValueError(f"{kind} must give positive numbers for w_rec, w_in, w_out; got {given}.")
    if blocks < 2 or resamples < 1:
        raise ValueError(f"blocks must be at least 2 and resamples at least 1; got {blocks} and {resamples}.")
    if trajectory.only_last:
        raise ValueError("the trajectory holds the last network only; train with whole networks recorded.")
    if trajectory.shared or any(not hasattr(trajectory.networks, name) for name in names):
        raise ValueError(
            "which_rule compares the movements of w_rec, w_in and w_out of one network; this trajectory, of "
            f"{type(trajectory.networks).__name__}, has not all three at every step, as a fit to a recording has not: "
            "its recurrent weights alone move. Give the path of a trained network."
        )
    arrays = [np.asarray(getattr(trajectory.networks, name), dtype=np.float64) for name in names]
    units, outputs = arrays[0].shape[1], arrays[2].shape[1]
    if feedback is not None and np.shape(feedback) != (outputs, units):
        raise ValueError(f"feedback must be (out, post) = ({outputs}, {units}); got {np.shape(feedback)}.")
    leak = float(np.ravel(getattr(trajectory.networks, "leak", 1.0))[0]) if leak is None else leak
    if not 0 < leak <= 1:
        raise ValueError(f"leak must be in (0, 1]; got {leak}.")
    weights = Weights(arrays[0], arrays[1], arrays[2], _triple(rates, 1.0))
    if (why := _silent(weights)) is not None:
        return RuleVerdict(UNDECIDABLE, 0.0, why)
    sizes, most = observation_noise(weights)
    if noise is not None:
        sizes = most = _triple(noise, 0.0)
    known = None if feedback is None else np.asarray(feedback, dtype=np.float64)
    shift = None if trace_decay is None else (trace_decay - (1 - leak)) / leak
    ask = Asking(known, shift, (1 - leak) / leak, _frozen_in(weights))
    reading = best_reading(weights, sizes, blocks, ask)
    fits = ask.fits(reading)
    powers = powers_of(fits, reading, sizes, ask, seed)
    decision = decide(powers)
    if decision.verdict == NONE and most != sizes:
        powers = with_largest(powers, fits, reading, most, ask, seed)
        decision = decide(powers)
    law = fits[decision.law]
    return RuleVerdict(
        verdict=decision.verdict,
        confidence=confidence(powers, decision.verdict, resamples, seed),
        reason=decision.reason + ".",
        laws=_scores(fits, powers),
        nearest=decision.law,
        trace_decay=None if law.trace_decay is None else leak * law.trace_decay + 1 - leak,
        feedback=law.feedback,
        noise=sizes,
        blocks=powers.residual.shape[1],
        reading=str(reading),
    )


def _triple(given: dict[str, float] | None, default: float) -> tuple[float, float, float]:
    """Numbers by name as (w_rec, w_in, w_out)."""
    given = given or {}
    return float(given.get("w_rec", default)), float(given.get("w_in", default)), float(given.get("w_out", default))


def _silent(weights: Weights) -> str | None:
    """Why the laws have nothing to say, or None."""
    still = {
        name: np.abs(history - history[:1]).max(initial=0.0) <= STILL * np.abs(history).max(initial=0.0)
        for name, history in zip(("w_rec", "w_in", "w_out"), weights.arrays, strict=True)
    }
    if weights.intervals < 2:
        return "the path has fewer than three records, and no movement can be set beside another."
    if still["w_rec"]:
        return "the recurrent weights do not move."
    if weights.w_in.shape[2] == 0 or weights.w_out.shape[1] == 0:
        missing = [n for n, size in (("w_in", weights.w_in.shape[2]), ("w_out", weights.w_out.shape[1])) if size == 0]
        return (
            f"the laws join the movements of w_rec, w_in and w_out, and {' and '.join(missing)} "
            f"{'are' if len(missing) > 1 else 'is'} not given; {_columns(weights)}"
        )
    if still["w_out"]:
        return f"the laws need the movement of the read-out, and w_out does not move; {_columns(weights)}"
    if still["w_in"] and weights.w_in.shape[2] >= weights.w_rec.shape[1]:
        return "the read-in does not move and has as many channels as units: nothing of the laws can be seen."
    return None


def _columns(weights: Weights) -> str:
    """What the column space of the change alone suggests."""
    change = weights.w_rec - weights.w_rec[0]
    values = np.linalg.svd(np.concatenate(list(change[[len(change) // 2, -1]]), axis=1), compute_uv=False)
    rank, units = int(np.sum(values > 1e-6 * values[0])), len(values)
    outputs = weights.w_out.shape[1]
    if rank == units:
        return f"the columns of the change fill all {units} dimensions, as BPTT's do and RFLO's do not."
    few = f", no more than the {outputs} outputs" if 0 < outputs >= rank else ""
    return (
        f"the columns of the change span {rank} of {units} dimensions{few}: RFLO gives as many as it has outputs, and "
        "so does one-step truncation with a fixed read-out; BPTT from weights of low rank gives few as well."
    )


def _frozen_in(weights: Weights) -> np.ndarray | None:
    """Projector outside the read-in when that does not move, so that its missing movement cannot be felt."""
    if np.abs(weights.w_in - weights.w_in[:1]).max() > STILL * np.abs(weights.w_in).max():
        return None
    basis = np.linalg.qr(weights.w_in[0])[0]
    return np.eye(len(basis)) - basis @ basis.T


def _scores(fits: dict[str, LawFit], powers: Powers) -> dict[str, LawScore]:
    noise = np.sqrt(powers.residual_noise.sum(axis=1) / powers.target.sum(axis=1))
    scores = {
        name: LawScore(fits[name].unexplained, float(floor), fits[name].drift)
        for name, floor in zip(powers.names, noise, strict=True)
    }
    return dict(sorted(scores.items(), key=lambda item: item[1].unexplained))
