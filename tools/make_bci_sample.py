"""Make the sample recording that is shipped inside the package.

    python tools/make_bci_sample.py ../shared/data/bci_learning_hennig2021/analysis_20160728.npz

It keeps the arrays that the study `recorded-bci-learning` reads, without change of value or precision, except that
whole numbers are stored in one or two bytes. The result is the same, byte for byte, each time.
"""

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "src/weightpath/data/bci_learning_hennig2021.npz"

KEPT = (
    "latents", "phase", "phase_names", "condition", "trial_id", "n_bins", "target_deg", "target_pos", "cursor_pos",
    "progress_perturbed", "progress_intuitive", "bin_s", "freeze_bins", "trial_start_s",
    "latent_decoder_int_M0", "latent_decoder_int_M1", "latent_decoder_int_M2",
    "latent_decoder_wmp_M0", "latent_decoder_wmp_M1", "latent_decoder_wmp_M2",
)  # fmt: skip


def smallest(array: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest signed integer type that holds them; other arrays as they are."""
    if array.dtype != np.int64:
        return array
    for kind in (np.int8, np.int16, np.int32):
        if np.array_equal(array.astype(kind), array):
            return array.astype(kind)
    return array


def write(arrays: dict[str, np.ndarray], path: Path) -> None:
    """A compressed npz whose bytes depend on the arrays alone (numpy.savez stamps the time)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array, order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue(), compresslevel=9)


def main() -> None:
    """Write the sample from the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="analysis_20160728.npz")
    parser.add_argument("--out", type=Path, default=TARGET)
    args = parser.parse_args()
    with np.load(args.source) as source:
        arrays = {name: smallest(source[name]) for name in KEPT}
    write(arrays, args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, {len(arrays)} arrays")


if __name__ == "__main__":
    main()
