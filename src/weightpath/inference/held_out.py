"""Which part of a recording trains a model and which part tests it: never both, and how much is left."""

import warnings
from dataclasses import dataclass

import numpy as np

from weightpath._types import Bool
from weightpath.inference.recording import Recording


@dataclass(frozen=True, eq=False)
class Mask:
    """Training and test entries of a recording, both observed and disjoint.

    `whole_trials`: the test trials have no training entry, so that the score tests the course over learning; other
    masks test prediction *within* partly seen trials. Shares are of the observed entries.
    """

    name: str
    train: Bool[np.ndarray, "trial time neuron"]
    test: Bool[np.ndarray, "trial time neuron"]
    whole_trials: bool
    describe: str
    train_share: float
    test_share: float

    @property
    def shell_share(self) -> float:
        """Share of the observed entries that are in neither part."""
        return max(0.0, 1 - self.train_share - self.test_share)

    @property
    def thin(self) -> bool:
        """Whether less than half of the entries (of the trials, where whole ones are held out) is left to train on."""
        if self.whole_trials:
            return int(self.train.any((1, 2)).sum()) < len(self.train) // 2
        return self.train_share < 0.5

    def remark(self) -> str:
        """What a thin mask has to say for itself."""
        return (
            f"only {self.train_share:.1%} of the observed entries are left to train on and {self.test_share:.1%} to "
            f"test (scheme {self.name!r}); hold out less, of blocks by a smaller `fraction` or `outer`."
        )

    def __repr__(self) -> str:
        return f"Mask({self.name!r}: {self.describe}; train {self.train_share:.1%}, test {self.test_share:.1%})"


def user_mask(recording: Recording, train: np.ndarray, test: np.ndarray, *, name: str = "given") -> Mask:
    """A mask from boolean arrays (trial, time, neuron); missing bins are taken out of both.

    **Raises:** ValueError when shapes differ, when training and test overlap, or when either is empty.
    """
    return make_mask(name, recording, np.asarray(train), np.asarray(test), "entries given by the user")


def make_mask(name: str, recording: Recording, train: np.ndarray, test: np.ndarray, text: str) -> Mask:
    """A mask from boolean arrays, described by `text`; warns when less than half is left to train on.

    **Raises:** ValueError when shapes differ, when training and test overlap, or when either is empty.
    """
    for what, part in (("train", train), ("test", test)):
        if part.shape != recording.shape or part.dtype != bool:
            raise ValueError(
                f"the {what} mask must be boolean, shape {recording.shape}; got {part.dtype} {part.shape}."
            )
    if np.any(train & test):
        raise ValueError(f"{int((train & test).sum())} entries are in both the training and the test mask.")
    observed = recording.observed
    train, test = train & observed, test & observed
    if not train.any() or not test.any():
        raise ValueError(f"scheme {name!r} leaves no observed entry to {'train' if not train.any() else 'test'} on.")
    whole = not np.any(train.any((1, 2)) & test.any((1, 2)))
    total = observed.sum()
    mask = Mask(name, train, test, whole, text, float(train.sum() / total), float(test.sum() / total))
    if mask.thin:
        warnings.warn(mask.remark(), UserWarning, stacklevel=3)
    return mask
