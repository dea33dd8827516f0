"""Handwritten digits as static stimuli: small ones that are always there, and MNIST from a folder of files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weightpath._types import Float, Int
from weightpath.tasks.idx import read_idx
from weightpath.tasks.measures import check_whole
from weightpath.tasks.static import StaticTargets
from weightpath.tasks.streams import Draws, Random


@dataclass(frozen=True)
class Images:
    """Images with labels, some to learn from and the others held out; pixels are between 0 and 1."""

    inputs: Float[np.ndarray, "sample in"]
    """Training images, one a row."""
    labels: Int[np.ndarray, " sample"]
    held_out: StaticTargets
    """The images to test on."""

    def task(self, *, trials: int | None = None, order=None) -> StaticTargets:
        """The training images with cross-entropy loss; `trials` and `order` are those of `wp.StaticTargets`."""
        return StaticTargets(self.inputs, self.labels, trials=trials, order=order)

    def epochs(self, random: Random, trials: int, steps: int) -> Int[np.ndarray, "step trial"]:
        """Numbers of the training images of `steps` updates: shuffled epochs in batches of `trials`.

        Images left at the end of an epoch that fill no batch are dropped there; a stream is asked for one permutation
        an epoch.

        **Raises:** ValueError when there are fewer images than `trials`, or a number is below 1.
        """
        check_whole(trials=(trials, 1), steps=(steps, 1))
        count = self.inputs.shape[0]
        if trials > count:
            raise ValueError(f"a batch of {trials} is larger than the {count} training images.")
        draws, batches = Draws(random), count // trials
        epochs = [draws.permutation(count)[: batches * trials] for _ in range(-(-steps // batches))]
        return np.concatenate(epochs).reshape(-1, trials)[:steps]


def digits(random: Random, *, held_out: int = 360) -> Images:
    """1,797 handwritten digits of 8 x 8 pixels, split at random; they come with scikit-learn.

    The split is the first draw from `random`: of a permutation of all images the last `held_out` are the ones to test
    on. Pixels (0 to 16 in the data) are divided by 16.

    **Raises:** ValueError for a number of held-out images that leaves none on one side.
    Source: Alpaydin and Kaynak (UCI repository 1998), as bundled with scikit-learn.
    """
    from sklearn.datasets import load_digits  # takes a second to import

    pixels, labels = load_digits(return_X_y=True)
    return _split(random, np.asarray(pixels) / 16.0, np.asarray(labels), held_out)


def mnist(
    folder: str | Path, random: Random, *, part: str = "t10k", held_out: int = 2000, dtype: str = "float64"
) -> Images:
    """MNIST's handwritten digits of 28 x 28 pixels from the idx files in `folder`, split at random.

    `part` is how the files' names begin: "t10k" (10,000 images, of which 8,000 are to learn from) or "train" (60,000);
    `PART-images-idx3-ubyte` and `PART-labels-idx1-ubyte`, each packed (.gz) or not. Pixels are divided by 255; `dtype`
    "float32" halves the memory and the work.

    **Raises:** ValueError when the folder or a file is absent, a file is not of the idx format, images and labels do
    not belong together, or a number is out of its range.
    Source: LeCun, Cortes and Burges, the MNIST database.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {folder} with the MNIST files; give the folder that holds {part}-images-idx3-ubyte.gz "
            f"and {part}-labels-idx1-ubyte.gz."
        )
    if dtype not in ("float32", "float64"):
        raise ValueError(f'dtype must be "float32" or "float64"; got {dtype!r}.')
    pixels, labels = (
        read_idx(_either(folder, f"{part}-{name}")) for name in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    if pixels.ndim != 3 or labels.ndim != 1 or pixels.shape[0] != labels.shape[0]:
        raise ValueError(
            f"the files {part}-* in {folder} should be images (sample, row, column) and as many labels; "
            f"got shapes {pixels.shape} and {labels.shape}."
        )
    flat = pixels.reshape(pixels.shape[0], -1).astype(dtype) / np.asarray(255, dtype)
    return _split(random, flat, labels.astype(int), held_out)


def _either(folder: Path, name: str) -> Path:
    """The packed file, or the plain one where that is there alone."""
    plain = folder / name
    return plain if plain.is_file() else folder / f"{name}.gz"


def _split(random: Random, inputs: np.ndarray, labels: np.ndarray, held_out: int) -> Images:
    check_whole(held_out=(held_out, 1))
    count = inputs.shape[0]
    if held_out >= count:
        raise ValueError(f"held_out={held_out} leaves none of the {count} images to learn from.")
    order = Draws(random).permutation(count)
    train, test = order[: count - held_out], order[count - held_out :]
    return Images(inputs[train], labels[train], StaticTargets(inputs[test], labels[test]))
