"""Does a low-tensor-rank network predict whole held-out trials of a recording better than the best tuned smoother?

    python tools/ask_recordings.py ../shared/data --out results/question

Puts the question of docs/low-tensor-rank.md to the recorded session that is shipped and to the set of spike counts in
the given folder: candidates and the strength of the prior are chosen on training trials, the chosen model meets the
tuned smoother once on each split, and where it wins it meets the networks in which something else changes. It takes
about half an hour; every finished fit is kept, and the same command goes on from there.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from weightpath.studies.recorded_question import ASKED, answer, recordings, winner_among_controls


def main() -> None:
    """Ask both recordings and print what was chosen, every duel, and the winner beside the controls."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with both sets of recordings")
    parser.add_argument("--out", type=Path, default=Path("results/question"), help="where finished fits are kept")
    parser.add_argument("--workers", type=int, default=2, help="fits at the same time")
    options = parser.parse_args()
    given = recordings(options.data)
    for name, settings in ASKED.items():
        found = answer({name: given[name]}, out=options.out, workers=options.workers, **settings)[name]
        for duel in found.duels:
            print(f"\n{duel.scheme}: chosen on training trials\n{duel.first}\n{duel.second}")
        if found.beaten:
            model, kept = found.duels[0].model, options.out / name
            scores = winner_among_controls(
                given[name], model, out=kept, schemes=("odd", "runs"), seeds=3, iterations=settings["iterations"],
                baselines=("cp",), workers=options.workers,
            )  # fmt: skip
            print(f"\n{scores.table()}")


if __name__ == "__main__":
    main()
