"""What the compiled program of a fit is given: its static layout, the maps to trials, the data and the weights."""

from dataclasses import dataclass

import equinox as eqx

from weightpath._types import Array, Bool, Float


@dataclass(frozen=True)
class Layout:
    """What the compiled program depends on besides shapes; all models of `changes` with diag(c) share one."""

    core: bool
    solver: str
    substeps: int
    activity: bool
    likelihood: str = "gaussian"
    orthogonal: bool = False
    ode: tuple[int, int, float] | None = None
    """Bins in which the input networks act, their solver steps per bin, and the size of a step in time constants."""
    dropout: bool = False
    batch: int | None = None
    """Trials per iteration, where fewer than all."""
    noise: bool = False

    @property
    def random(self) -> bool:
        """Whether iterations draw random numbers."""
        return self.dropout or self.noise or self.batch is not None


class Trials(eqx.Module):
    """Linear maps from the tables of parameters to trials (last axis): one program serves every kind of change."""

    level: Float[Array, "levels trial"]
    """One at the trial's epoch (first row for all trials where the level does not change)."""
    deviation: Float[Array, "training trial"]
    """Prior map of the factors; zero where they do not deviate from their level."""
    offset: Float[Array, "basis trial"] | None
    start: Float[Array, "starts trial"]
    """One at the trial's (copy, condition) of the table of initial states."""
    inputs: Float[Array, "tables trial"]
    readout: Float[Array, "copies trial"]
    own_start: Float[Array, "training trial"] | None = None
    """Prior map of the initial states of single trials; zero for held-out trials."""
    own_weights: Float[Array, "training trial"] | None = None
    """Prior map of the directions of single trials; zero for held-out trials."""
    known: Float[Array, "time channel trial"] | None = None
    """Measured inputs, standardised and lagged."""


class Counts(eqx.Module):
    """What the likelihood of counts needs besides the data."""

    centre: Float[Array, "neuron one"]
    """Value before the softplus at which the model's scale is zero."""
    scale: Float[Array, ""]
    constant: Float[Array, ""]
    """Mean of log n! over the training entries."""
    above: Float[Array, "neuron count"] | None
    """Share of all training entries that are of this neuron and greater than 0, 1, 2, ...; negative binomial only."""


class Problem(eqx.Module):
    """The training trials with their data, and the weights of the loss."""

    trials: Trials
    data: Float[Array, "time neuron trial"]
    """Standardised (counts as they are), zero where missing or held out."""
    mask: Bool[Array, "time neuron trial"]
    entries: Float[Array, " trial"]
    """Training entries of each trial."""
    size: Float[Array, ""]
    """Solver step in time constants."""
    input_penalty: Float[Array, " tables"]
    """Per table of inputs; zero for a copy or condition that no training trial uses."""
    decoder_penalty: Float[Array, " copies"]
    activity_penalty: Float[Array, ""]
    counts: Counts | None = None
    dropout: Float[Array, ""] | None = None
    """Share of trials left out of an iteration."""
    noise: Float[Array, ""] | None = None
    """Standard deviation of the noise added in each bin."""
