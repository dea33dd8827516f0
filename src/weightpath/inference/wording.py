"""What may be said about a comparison of models on held-out data, and in which words."""

from dataclasses import dataclass
from typing import Literal

from weightpath.inference.paired import Paired

#: Standard errors that a difference must reach to be one.
THRESHOLD = 2.0

INDISTINCT = (
    "a model with changing weights predicts as well as models with changing inputs or read-out; these data do not tell "
    "them apart"
)

Relation = Literal["beats", "is level with", "is behind"]


@dataclass(frozen=True)
class Standing:
    """The chosen model against one other on one scheme."""

    scheme: str
    whole_trials: bool
    label: str
    paired: Paired

    @property
    def sign(self) -> int:
        """1: ahead by at least two paired standard errors; -1: behind by as much; 0: neither."""
        if self.paired.difference >= THRESHOLD * self.paired.se and self.paired.difference > 0:
            return 1
        return -1 if self.paired.difference <= -THRESHOLD * self.paired.se and self.paired.difference < 0 else 0


def relation(standings: list[Standing]) -> Relation:
    """One word for several schemes.

    "beats" needs two schemes of whole trials on which it is ahead, and none on which it is not; "is behind" needs one
    scheme of whole trials on which it is behind and none on which it is ahead; all else "is level with".
    """
    signs = [one.sign for one in standings if one.whole_trials]
    if len(signs) >= 2 and all(sign == 1 for sign in signs):
        return "beats"
    if -1 in signs and 1 not in signs:
        return "is behind"
    return "is level with"


def against_best(scores) -> list[Standing]:
    """The chosen model against the best control or plain predictor of every scheme."""
    return _against(scores, lambda row: True)


def verdict(scores) -> str:
    """The sentences that the held-out scores allow, no more.

    A model "beats" another only by two paired standard errors against the best control on two splits into whole trials.
    That weights changed is never said where a control does as well.
    """
    standings = against_best(scores)
    if not standings:
        return "No control was computed; nothing can be said about what changes over learning."
    lines = [_on_whole_trials(scores, standings), *_on_parts(standings)]
    return "\n".join(line for line in lines if line)


def _on_whole_trials(scores, standings: list[Standing]) -> str:
    whole = [one for one in standings if one.whole_trials]
    if not whole:
        return "No whole trials were held out: the scores say nothing about the course over learning."
    word = relation(whole)
    sentences = [
        f"On held-out trials the low-tensor-rank model of rank {scores.chosen_rank} {word} the best control "
        f"({'; '.join(_amount(one) for one in whole)})."
    ]
    if word != "beats":
        if len(whole) == 1 and whole[0].sign == 1:
            sentences.append("It is ahead on one split into whole trials; two are needed to say that it beats it.")
        sentences.append(_what_changes(scores))
    sentences.append(_against_fixed(scores))
    return " ".join(sentence for sentence in sentences if sentence)


def _what_changes(scores) -> str:
    """The sentence on changing inputs or read-out, by how the model stands against those two alone."""
    standings = _against(scores, lambda row: _changes(row) in ("inputs_epoch", "readout_epoch", "inputs_only"))
    if not standings:
        return ""
    word = relation(standings)
    if word == "beats":
        return "It beats models with changing inputs or read-out; a plain predictor without a network does as well."
    if word == "is behind":
        return "Models with changing inputs or read-out predict better; nothing points to changing weights."
    return f"{INDISTINCT[0].upper()}{INDISTINCT[1:]}."


def _against_fixed(scores) -> str:
    standings = [one for one in _against(scores, lambda row: _changes(row) in ("fixed", "full")) if one.whole_trials]
    if not standings:
        return ""
    signs = {one.sign for one in standings}
    text = "It is level with a network in which nothing changes"
    if signs == {1}:
        text = f"It {'beats' if len(standings) > 1 else 'is ahead of'} a network in which nothing changes"
    elif -1 in signs and 1 not in signs:
        text = "It is behind a network in which nothing changes"
    return f"{text} ({'; '.join(_amount(one) for one in standings)})."


def _changes(row) -> str:
    """What may change in a control, by its label "name, rank 3"; "full" is one unconstrained matrix for all trials."""
    return row.label.partition(",")[0]


def _on_parts(standings: list[Standing]) -> list[str]:
    parts = [one for one in standings if not one.whole_trials]
    words = {1: "ahead of", 0: "level with", -1: "behind"}
    return [
        f"Within partly seen trials ({one.scheme}) it is {words[one.sign]} {one.label}, the best control there "
        f"({_number(one)}); this reflects the state of the trial, not learning."
        for one in parts
    ]


def _against(scores, wanted) -> list[Standing]:
    """The chosen model against the best of the `wanted` opponents, on every scheme that has any."""
    standings = []
    for scheme in scores.schemes:
        rows = [row for row in scores.opponents(scheme) if wanted(row)]
        if rows:
            best = max(rows, key=lambda row: scores.r2(scheme, row.label))
            paired = scores.paired(scheme, scores.chosen, best.label)
            standings.append(Standing(scheme, scores.masks[scheme].whole_trials, best.label, paired))
    return standings


def _amount(one: Standing) -> str:
    return f"{one.scheme}: {_number(one)} against {one.label}"


def _number(one: Standing) -> str:
    return f"{one.paired.difference:+.3f} +- {one.paired.se:.3f}"
