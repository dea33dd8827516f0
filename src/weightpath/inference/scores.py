"""The result of a cross-validation: scores of all models on the same entries, their paired differences, the choice."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weightpath._types import Bool, Float
from weightpath.inference.bits import spike_counts, trial_bits
from weightpath.inference.ceiling import Ceiling, poisson_ceiling, repeat_ceiling, split_halves
from weightpath.inference.held_out import Mask
from weightpath.inference.paired import EntrySums, Paired, entry_sums, paired_difference, paired_ratio
from weightpath.inference.recording import Recording
from weightpath.networks.low_tensor_rank import LowTensorRankRNN

#: A rank counts as level with the best when its mean test R^2 is within the larger of this and the paired SE.
TOLERANCE = 0.002


@dataclass(frozen=True, eq=False)
class Row:
    """One model on one scheme. `kind`: "ltr", "mean" (of the seeds' predictions), "control", "baseline" or "plain"."""

    scheme: str
    label: str
    kind: str
    rank: int
    """0 for plain predictors."""
    errors: Float[np.ndarray, "seed trial"]
    """Sum of squared errors over the test entries of each trial."""
    settled: tuple[bool, ...]
    held: Float[np.ndarray, " entry"]
    """Predicted test entries, the mean over seeds."""

    @property
    def error(self) -> Float[np.ndarray, " trial"]:
        """Errors averaged over seeds, which gives the mean R^2."""
        return self.errors.mean(0)


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """Held-out scores of models, controls and plain predictors, each scheme on the same entries for all.

    `table()` in words, `to_dataset()` labelled, `chosen_rank` and `best` by the rule of the smallest rank whose mean
    test R^2 is within max(paired SE over trials, .002) of the best, on the scheme `deciding`; where the models have a
    likelihood of counts, whose bits per spike are within the paired SE of the best. `verdict()` says what may be said.
    """

    recording: Recording
    masks: dict[str, Mask]
    scored: dict[str, Bool[np.ndarray, "trial time neuron"]]
    """Test entries without silent neurons."""
    rows: tuple[Row, ...]
    models: dict[str, LowTensorRankRNN]
    deciding: str
    seeds: tuple[int, ...]
    notes: tuple[str, ...]

    @cached_property
    def sums(self) -> dict[str, EntrySums]:
        """Sums over the test entries of each trial, by scheme."""
        return {name: entry_sums(self.recording.values, test) for name, test in self.scored.items()}

    @property
    def schemes(self) -> tuple[str, ...]:
        """Names of the schemes, in the order in which they were asked for."""
        return tuple(self.masks)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of everything that was scored, in the order of the table."""
        return tuple(dict.fromkeys(row.label for row in self.rows))

    def row(self, scheme: str, label: str) -> Row:
        """The row of a model on a scheme.

        **Raises:** ValueError when there is none.
        """
        found = [row for row in self.rows if (row.scheme, row.label) == (scheme, label)]
        if not found:
            raise ValueError(f"no {label!r} on scheme {scheme!r}; there are {self.labels} on {self.schemes}.")
        return found[0]

    def has(self, scheme: str, label: str) -> bool:
        """Whether a model was scored on a scheme."""
        return any((row.scheme, row.label) == (scheme, label) for row in self.rows)

    def r2(self, scheme: str, label: str) -> float:
        """Mean R^2 over seeds on the test entries of a scheme."""
        return float(self.r2_seeds(scheme, label).mean())

    def r2_seeds(self, scheme: str, label: str) -> Float[np.ndarray, " seed"]:
        """R^2 of each seed."""
        sums = self.sums[scheme]
        return 1 - self.row(scheme, label).errors.sum(1) / sums.spread(np.ones((1, len(sums.count))))[0]

    def paired(self, scheme: str, first: str, second: str) -> Paired:
        """R^2 of the first model minus that of the second, with a paired bootstrap over test trials."""
        known = self._pairs.get((scheme, first, second))
        if known is None:
            errors = (self.row(scheme, label).error for label in (first, second))
            known = self._pairs[scheme, first, second] = paired_difference(self.sums[scheme], *errors)
        return known

    @cached_property
    def ceilings(self) -> dict[str, Ceiling]:
        """Explainable R^2 of the schemes of whole trials, from repeats of the conditions; the others see the trial."""
        whole = [name for name in self.schemes if self.masks[name].whole_trials]
        halves = split_halves(self.recording) if whole else None
        return {name: repeat_ceiling(self.recording, self.scored[name], halves) for name in whole}

    @cached_property
    def counts(self) -> Float[np.ndarray, "trial time neuron"] | None:
        """Spikes per bin, where the recording holds counts."""
        return spike_counts(self.recording)

    def poisson_ceiling(self, scheme: str) -> float:
        """Largest R^2 of predicted rates if counts are Poisson given them; NaN where the recording holds no counts."""
        if self.counts is None:
            return float("nan")
        return poisson_ceiling(self.recording, self.counts, self.scored[scheme])

    def bits(self, scheme: str, label: str) -> float:
        """Bits per spike of the predictions (mean over seeds) as Poisson rates; NaN where there are no counts."""
        if self.counts is None:
            return float("nan")
        gain, spikes = self._trial_bits(self.counts, scheme, label)
        return float(gain.sum() / spikes.sum()) if spikes.sum() > 0 else float("nan")

    def paired_bits(self, scheme: str, first: str, second: str) -> Paired:
        """Bits per spike of the first model minus those of the second, with a paired bootstrap over test trials.

        **Raises:** ValueError when the recording holds no counts.
        """
        if self.counts is None:
            raise ValueError(f"bits per spike need counts, whole and not negative; {self.recording.name!r} holds none.")
        tested = self.sums[scheme].count > 0
        (gain, spikes), (other, _) = (self._trial_bits(self.counts, scheme, label) for label in (first, second))
        return paired_ratio(gain[tested], other[tested], spikes[tested])

    def _trial_bits(
        self, counts: Float[np.ndarray, "trial time neuron"], scheme: str, label: str
    ) -> tuple[Float[np.ndarray, " trial"], Float[np.ndarray, " trial"]]:
        """Bits gained and spikes in each trial."""
        return trial_bits(counts, self.predicted(scheme, label), self.masks[scheme].train, self.scored[scheme])

    @cached_property
    def _pairs(self) -> dict[tuple[str, str, str], Paired]:
        return {}

    @property
    def measure(self) -> str:
        """What the rank is chosen by: "bits per spike" where a model has a likelihood of counts, else "R^2"."""
        counted = self.counts is not None and any(model.counts for model in self.models.values())
        return "bits per spike" if counted else "R^2"

    def chosen_on(self, scheme: str) -> str:
        """Label of the smallest rank that is level with the best on a scheme."""
        counted = self.measure == "bits per spike"
        score, paired = (self.bits, self.paired_bits) if counted else (self.r2, self.paired)
        least = 0.0 if counted else TOLERANCE
        scores = {label: score(scheme, label) for label in self.models}
        best = max(scores, key=lambda label: scores[label])
        for label in sorted(scores, key=lambda name: (self.models[name].rank, -scores[name])):
            tolerance = least if label == best else max(paired(scheme, best, label).se, least)
            if scores[label] >= scores[best] - tolerance:
                return label
        return best

    @cached_property
    def chosen(self) -> str:
        """Label of the chosen model."""
        return self.chosen_on(self.deciding)

    @property
    def chosen_rank(self) -> int:
        """Rank of the chosen model."""
        return self.best.rank

    @property
    def best(self) -> LowTensorRankRNN:
        """The chosen model, to be fitted to all data."""
        return self.models[self.chosen]

    def opponents(self, scheme: str) -> tuple[Row, ...]:
        """Controls and baselines at the rank of the chosen model, and the plain predictors, on a scheme."""
        kinds, ranks = ("control", "baseline", "plain"), (0, self.chosen_rank)
        return tuple(row for row in self.rows if row.scheme == scheme and row.kind in kinds and row.rank in ranks)

    def predicted(self, scheme: str, label: str) -> Float[np.ndarray, "trial time neuron"]:
        """Predictions at the test entries (mean over seeds) in the original units; NaN elsewhere."""
        values = np.full(self.recording.shape, np.nan)
        values[self.scored[scheme]] = self.row(scheme, label).held
        return self.recording.restored(values)

    def verdict(self) -> str:
        """What the comparison allows to be said."""
        from weightpath.inference.wording import verdict

        return verdict(self)

    def table(self) -> str:
        """All scores as text, whole trials and parts of trials apart, with paired differences to the chosen model."""
        from weightpath.inference.score_table import table

        return table(self)

    def to_dataset(self):
        """All scores as an `xarray.Dataset` with the dims scheme, model, seed and trial."""
        from weightpath.inference.score_table import to_dataset

        return to_dataset(self)

    def __repr__(self) -> str:
        return f"CrossValidation({len(self.rows)} rows on {', '.join(self.schemes)}; chosen rank {self.chosen_rank})"
