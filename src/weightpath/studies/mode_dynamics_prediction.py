"""What the theory of single modes says at the settings of the study, in closed form."""

from __future__ import annotations

from typing import Any

#: Start of the predicted ends: read-out, read-in, recurrent weight.
START = (0.3, 0.2, 0.1)


def prediction(config) -> dict[str, Any]:
    """Per rule: the end from `START`, how stable it is and how fast it is reached, and the wait of smaller starts."""
    import numpy as np

    from weightpath.studies.mode_dynamics_manifold import own_rules, teacher
    from weightpath.studies.mode_dynamics_rules import stacked
    from weightpath.theory.mode_end import final_state
    from weightpath.theory.mode_manifold import linearise, max_stable_rate
    from weightpath.theory.mode_saddles import mode_saddle_rate

    names, taught = own_rules(config), teacher(config)
    rules = stacked(names)
    end = np.asarray(final_state(rules, np.tile(START, (len(names), 1)), taught).coords)
    here = linearise(rules, taught, end[:, 0])
    wait = np.log(10) / np.asarray(mode_saddle_rate(rules, taught))
    return {
        "rule": list(names),
        "start": list(START),
        "end_read_out": end[:, 0].tolist(),
        "end_read_in": end[:, 1].tolist(),
        "end_recurrent": end[:, 2].tolist(),
        "kind": [str(kind) for kind in here.names],
        "slow_rate": np.asarray(here.slow_rate).tolist(),
        "largest_stable_learning_rate": np.asarray(max_stable_rate(rules, taught, end[:, 0])).tolist(),
        "delay_per_tenfold_smaller_start": np.where(np.isnan(wait), 0.0, wait).tolist(),
    }
