"""Which comparison models are fitted beside a low-tensor-rank model, at which ranks, and on which epochs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weightpath._types import Bool, Float
from weightpath.inference.recording import Recording
from weightpath.inference.ridge_control import ridge_control
from weightpath.inference.scores import CrossValidation
from weightpath.networks.low_tensor_rank import WORDS, LowTensorRankRNN

#: Models that are always fitted beside the low-tensor-rank one at equal rank: what may change over learning.
CONTROLS = ("fixed", "epoch", "inputs_epoch", "readout_epoch")
#: All models that can be asked for as controls; the others than `CONTROLS` are fitted on demand.
COMPARISONS = tuple(name for name in WORDS["changes"] if name != "trial")


@dataclass(frozen=True)
class Asked:
    """What was asked for: names of comparison models, and ranks besides the chosen one."""

    names: tuple[str, ...]
    ranks: tuple[int, ...]
    optional: tuple[str, ...] = ()
    """Those left out, with a note, where a recording or a mask does not allow them."""

    def without(self, name: str) -> "Asked":
        """The same without one name."""
        return replace(self, names=tuple(one for one in self.names if one != name))


def asked(controls: bool | str | Sequence[int | str]) -> Asked:
    """The models behind `controls`: True the four of `CONTROLS`, False none, "all" every one of `COMPARISONS`.

    A name, or a sequence of names and ranks, adds these models and these ranks to the four.

    **Raises:** ValueError for other words, listing the known ones.
    """
    if isinstance(controls, bool):
        return Asked(CONTROLS if controls else (), ())
    if controls == "all":
        return Asked((*CONTROLS, *_others(COMPARISONS)), (), _others(COMPARISONS))
    every = (controls,) if isinstance(controls, str) else tuple(controls)
    names = [one for one in every if isinstance(one, str)]
    if unknown := [name for name in names if name not in COMPARISONS]:
        raise ValueError(
            f"unknown control {', '.join(map(repr, unknown))}; expected some of: {', '.join(COMPARISONS)}, or "
            'controls="all".'
        )
    return Asked((*CONTROLS, *_others(tuple(names))), tuple(one for one in every if not isinstance(one, str)))


def _others(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name not in CONTROLS))


def allowed(wanted: Asked, check: Callable[[str], None]) -> tuple[Asked, tuple[str, ...]]:
    """Those that pass `check` (which raises ValueError), with a note for every optional one that does not.

    **Raises:** the ValueError of one that is not optional.
    """
    notes = []
    for name in wanted.names:
        try:
            check(name)
        except ValueError as error:
            if name not in wanted.optional:
                raise
            wanted = wanted.without(name)
            notes.append(f"control {name} was left out: {error}")
    return wanted, tuple(notes)


def compared_models(scores: CrossValidation, further: tuple[int, ...]) -> list[LowTensorRankRNN]:
    """The models at whose ranks controls are fitted: the chosen one, and the first one of each further rank."""
    models = {scores.chosen_rank: scores.best}
    for model in scores.models.values():
        if model.rank in further:
            models.setdefault(model.rank, model)
    return list(models.values())


def ridge_controls(
    models: Iterable[LowTensorRankRNN], recording: Recording, train: Bool[np.ndarray, "trial time neuron"]
) -> dict[str, Float[np.ndarray, "trial time neuron"]]:
    """Ridge regressions on the measured inputs that any of the models is given, by label: common, and per condition."""
    found = {}
    for known in dict.fromkeys(model.known for model in models if model.known):
        names = ", ".join(dict.fromkeys(str(getattr(one, "covariate", one)) for one in known))
        for words, by_condition in (("", False), (" per condition", True)):
            label = f"smoother + ridge on {names}{words}"
            found[label] = ridge_control(recording, train, known, by_condition=by_condition)
    return found


def with_epochs(recording: Recording) -> tuple[Recording, tuple[str, ...]]:
    """The recording with at least two epochs for the controls, and what is to be said about it."""
    if len(recording.epochs) > 1:
        return recording, ()
    half = recording.shape[0] // 2
    halves = np.where(np.arange(recording.shape[0]) < half, "first half", "second half")
    return recording.with_epoch(halves), (
        f"the recording has one epoch: for the controls it was split at the middle trial ({half})",
    )
