"""Write a real recording as an NWB file: spike times of the units, and a table of trials with labels and behaviour.

    python tools/make_nwb_recording.py ../shared/data/bci_before_after_hennig2018/analysis_20131218.npz session.nwb
    weightpath fit session.nwb --align go_time --window -0.225,0.9 --bin 0.045 --smooth 0.09

The source holds the number of spikes of each unit in each bin of 45 ms. Within its bin, the k-th of n spikes is put at
(k + 1/2) / n of the width, so that counting the spikes of the file in the same bins gives the source again, exactly.
Trials follow one another with a pause of one second between them.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

PAUSE = 1.0
NO_BIN = 255


def spike_times(counts: np.ndarray, start: float, width: float) -> np.ndarray:
    """Times of the spikes that `counts` (bin,) holds, spread evenly within each bin."""
    bins = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(bins)) - np.repeat(np.cumsum(counts) - counts, counts)
    return start + width * (bins + (nth + 0.5) / counts[bins])


def write(source, target: Path, trials=slice(None), units=slice(None)) -> None:
    """Write the chosen trials and units of the arrays `source` to the NWB file `target`."""
    from pynwb import NWBHDF5IO, NWBFile

    counts, width = source["counts"][trials][:, units], float(source["bin_s"])
    lengths = source["n_bins"][trials]
    starts = np.concatenate([[0.0], np.cumsum(lengths * width + PAUSE)[:-1]])
    stops = starts + lengths * width
    nwb = NWBFile(
        session_description="M1 brain-computer interface, before and after learning (Hennig et al. 2018)",
        identifier="20131218",
        session_start_time=datetime(2013, 12, 18, tzinfo=UTC),
    )
    nwb.add_trial_column(name="go_time", description="end of the freeze period, when the cursor is released")
    nwb.add_trial_column(name="target", description="direction of the target [degrees]")
    nwb.add_trial_column(name="epoch", description="mapping from activity to velocity")
    nwb.add_trial_column(name="mean_speed", description="mean speed of the cursor")
    names = [str(name).split(" (")[0] for name in source["phase_names"]]
    speed = np.linalg.norm(source["vel"][trials].astype(float), axis=1)
    for k, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        nwb.add_trial(
            start_time=float(start),
            stop_time=float(stop),
            go_time=float(start + int(source["freeze_bins"]) * width),
            target=int(source["target_deg"][trials][k]),
            epoch=names[source["phase"][trials][k]],
            mean_speed=float(np.nanmean(speed[k])),
        )
    nwb.add_unit_column(name="mean_count", description="mean number of spikes in a bin")
    for i in range(counts.shape[1]):
        each = [counts[k, i, :n].astype(int) for k, n in enumerate(lengths)]
        nwb.add_unit(
            spike_times=np.concatenate(
                [spike_times(one, start, width) for one, start in zip(each, starts, strict=True)]
            ),
            obs_intervals=np.stack([starts, stops], axis=1),
            mean_count=float(np.concatenate(each).mean()),
        )
    with NWBHDF5IO(path=str(target), mode="w") as io:
        io.write(container=nwb)


def main() -> None:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(description="Write a real recording as an NWB file.")
    parser.add_argument("source", type=Path, help="analysis_20131218.npz")
    parser.add_argument("target", type=Path, help="the NWB file to write")
    args = parser.parse_args()
    with np.load(args.source) as source:
        write(source, args.target)
    print(f"{args.target}: {args.target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
