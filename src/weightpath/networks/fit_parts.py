"""Parts of the specification of a low-tensor-rank model: slow offset, measured inputs, and the network of inputs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from weightpath.networks.kernels import AbstractKernel, RationalQuadratic


@dataclass(frozen=True)
class SmoothOffset:
    """An offset added to every neuron that moves smoothly over trials and is the same for all conditions.

    `length` in trials, `sd` in units of the recording's standard deviation, `by_epoch`: it may jump between epochs.
    It takes up slow drift of the recording, which otherwise the weights would have to explain. The defaults did best
    on held-out trials of one recording. With counts it is added before the softplus, in units of the standard
    deviation of the condition means there.
    """

    length: float | int = 100.0
    sd: float | int = 0.3
    by_epoch: bool = True

    def kernel(self) -> AbstractKernel:
        """The kernel over trials of one neuron's offset."""
        return RationalQuadratic(length=self.length, sd=self.sd, by_epoch=self.by_epoch)

    def __post_init__(self):
        self.kernel()


@dataclass(frozen=True)
class KnownInput:
    """A measured input, with a learnt map onto the directions of the state.

    `covariate`: name of a covariate of the recording, (trial, time) or (trial, time, channel). `lags`: bins by which it
    is taken earlier than the activity it helps to predict; bins before the trial count as the mean, and a missing
    entry as the last known one of the trial.
    `behaviour`: True for anything the animal produced. Behaviour is made of the activity (a cursor of the same bin may
    contain it exactly), so its lags are at least one bin; a stimulus set by the experimenter may have lag 0.

    **Raises:** ValueError for lags that are not whole numbers, negative, doubled, or 0 with behaviour.
    """

    covariate: str
    lags: tuple[int, ...] = (1,)
    behaviour: bool = True

    def __post_init__(self):
        if not isinstance(self.covariate, str) or not self.covariate:
            raise ValueError(f"covariate must be the name of a covariate of the recording; got {self.covariate!r}.")
        if not self.lags or len(set(self.lags)) < len(self.lags) or not all(_is_lag(lag) for lag in self.lags):
            raise ValueError(f"lags must be different whole numbers of bins, not negative; got {self.lags!r}.")
        if self.behaviour and 0 in self.lags:
            raise ValueError(
                f"lag 0 of {self.covariate!r} is refused: behaviour of a bin is made of the activity of that bin, so "
                "predicting the activity from it is leakage. Use lags of at least one bin, or behaviour=False if the "
                "experimenter set this input independently of the activity."
            )


@dataclass(frozen=True)
class InputNetwork:
    r"""The autonomous network that produces the inputs of one condition, with `inputs="ode"`.

    $\tau_u \dot h = -h + \mathrm{relu}(5\,\mathrm{MLP}(h))$, $u_r = \tanh(p_r \cdot h / |p_r|)$, with a trained h(0)
    and weights per condition and P shared. `hidden`: size of h; `layers`: sizes of the hidden layers of the MLP;
    `time_constant`: $\tau_u$ in units of the model's; `throughout`: whether the inputs act in all bins, or only in the
    preparatory ones (time < 0).

    Source: Pellegrino et al. 2023 (arXiv 2308.11567).
    **Raises:** ValueError for a size that is not a whole number, or a time constant that is not positive.
    """

    hidden: int = 150
    layers: tuple[int, ...] = (150, 150)
    time_constant: float | int = 2.0
    throughout: bool = False

    def __post_init__(self):
        for size in (self.hidden, *self.layers):
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise ValueError(f"sizes of the input network must be whole numbers, at least 1; got {size!r}.")
        if not (math.isfinite(self.time_constant) and self.time_constant > 0):
            raise ValueError(f"the input network's time_constant must be positive; got {self.time_constant!r}.")


def as_known(known: Iterable[KnownInput | str]) -> tuple[KnownInput, ...]:
    """Measured inputs with the names among them taken as behaviour at a lag of one bin."""
    return tuple(KnownInput(one) if isinstance(one, str) else one for one in known)


def _is_lag(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
