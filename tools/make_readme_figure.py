"""Draw the figures of README.md from the studies' results.

    python tools/make_readme_figure.py [directory of a finished `weightpath fit`]

docs/images/integrate-white-noise.png and docs/images/damped-oscillator.png are computed here. The third,
docs/images/recorded-bci-learning.png, is drawn when the directory of a fit is given: the one in the README is that of
`weightpath fit` on session 20160728 of Hennig et al. 2021 with ranks 1, 2, 3 and 5.
"""

import sys
import tempfile
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import weightpath as wp  # noqa: E402  (64-bit numbers are chosen before)
from weightpath.plot import figure, integrator, letter, oscillator, recording, save_figure  # noqa: E402
from weightpath.plot.style import legend_below  # noqa: E402

IMAGES = Path(__file__).parents[1] / "docs" / "images"


def studied(out: Path, **settings):
    """Dataset of the first study, without its reference checks at full size."""
    small = {"check_networks": 2, "check_starts": 1, "flow_units": 20, "bulk_units": 400}
    return wp.run_study("integrate-white-noise", out=out, progress=False, **(small | settings)).dataset


def outlier(path: Path) -> Path:
    """Left: the outlier's path in networks and in theory. Right: a spectrum with a bulk that can be seen.

    The gain of the right network is outside the theory's regime, so that its path is drawn from the network alone.
    """
    with tempfile.TemporaryDirectory() as directory:
        paths = studied(Path(directory) / "path", units=100, gain=0.01, decay=0.2, time=3.0, networks=12)
        # An illustration, not evidence: of six seeds the one whose outlier is easiest to follow as it leaves the bulk.
        plane = studied(Path(directory) / "plane", units=200, gain=0.2, decay=0.2, time=3.0, networks=1, seed=3)
    drawn, (left, right) = figure(1, 2, width=8.2, height=3.0, width_ratios=[1.02, 1.25])
    integrator.plot_outlier(paths, ax=left)
    integrator.plot_spectrum(plane, ax=right, whole=True, pace=0.05)
    left.set_title("One eigenvalue learns", loc="left", fontsize=10)
    right.set_title(f"All eigenvalues of a network, N={plane.attrs['units']}", loc="left", fontsize=10)
    letter((left, right))
    return save_figure(drawn, path)


def pair(path: Path) -> Path:
    """Left: loss of networks that learn a damped oscillation. Right: their two outliers in the complex plane."""
    small = {"networks": 3, "check_units": 8, "check_starts": 1}
    with tempfile.TemporaryDirectory() as directory:
        dataset = wp.run_study("damped-oscillator", out=Path(directory) / "pair", progress=False, **small).dataset
    drawn, (left, right) = figure(1, 2, width=8.6, height=3.8, width_ratios=[1.25, 1])
    oscillator.plot_loss(dataset, ax=left)
    oscillator.plot_plane(dataset, ax=right)
    left.get_legend().remove()  # here the panel is too narrow for a legend beside the lines
    legend_below(left, ncols=2)
    left.set_title("A plateau, and when it ends", loc="left", fontsize=10)
    right.set_title("Two outliers become a pair", loc="left", fontsize=10)
    letter((left, right))
    return save_figure(drawn, path)


def recorded(directory: Path, path: Path) -> Path:
    """Left: trial factors against trial number. Right: the fitted model against its controls."""
    from weightpath.studies.result import read_run

    dataset = read_run(directory).dataset
    drawn, (left, right) = figure(1, 2, width=8.6, height=3.2, width_ratios=[1.1, 1])
    recording.trial_factors(left, dataset)
    recording.forest(right, dataset, "runs")
    recording.forest_labels(right, across=0.0)
    right.set_title("Runs of trials held out", loc="left", fontsize=10)
    letter((left, right))
    return save_figure(drawn, path)


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    print(outlier(IMAGES / "integrate-white-noise.png"))
    print(pair(IMAGES / "damped-oscillator.png"))
    for given in sys.argv[1:]:
        print(recorded(Path(given), IMAGES / "recorded-bci-learning.png"))
