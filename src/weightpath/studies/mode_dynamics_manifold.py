"""The stationary sets of one mode in the study: where they are, how stable, and how fast learning ends on them."""

import numpy as np
import xarray as xr

from weightpath.studies import mode_dynamics_references as reference
from weightpath.studies.mode_dynamics_rules import BPTT, ONE_STEP, TEACHER, eprop, rflo, rule, stacked
from weightpath.theory.mode_manifold import KINDS, hopf_window, linearise
from weightpath.theory.mode_roots import mode_roots
from weightpath.theory.mode_rule import ModeRule

#: Positions along the optimal manifold, both branches, without the neighbourhood of s = 0.
POSITIONS = np.concatenate([np.linspace(-4, -0.05, 159), np.linspace(0.05, 4, 159)])
#: Places of the phase diagrams.
DIAGRAM_POSITIONS = np.concatenate([np.linspace(-6, -0.15, 118), np.linspace(0.15, 6, 118)])
DIAGRAM_FEEDBACK = np.geomspace(1e-4, 10, 201)
#: The recurrent weights of the teacher at which one-step and full BPTT are compared.
WEAK = np.array([0.05, 0.1, 0.2, 0.01])


def own_rules(config) -> tuple[str, ...]:
    """The four rules of the figures, with the feedback and the trace decay of the settings."""
    return BPTT, ONE_STEP, rflo(config.feedback, config.trace_decay), eprop(config.feedback)


def teacher(config) -> tuple[float, float, float]:
    """The mode to be learned: only the product of its read-out and read-in matters."""
    return config.gain, 1.0, config.recurrent


def roots(config) -> xr.Dataset:
    """E1: stationary points found from random starts, and how far they are from the two manifolds."""
    names = own_rules(config)[:3]
    random = np.random.default_rng([config.seed, 1])
    starts = random.uniform(-1, 1, (config.root_starts, 3)) * (1.5, 1.5, 0.9)
    found = [mode_roots(rule(name), teacher(config), starts) for name in names]
    pair = ("root_rule", "root")
    return xr.Dataset(
        {
            "root_coords": ((*pair, "coord"), np.stack([np.asarray(one.coords) for one in found])),
            "root_found": (pair, np.stack([np.asarray(one.found) for one in found])),
            "root_loss": (pair, np.stack([np.asarray(one.loss) for one in found])),
            "root_distance": (pair, np.stack([np.asarray(one.distance) for one in found])),
        },
        {"root_rule": list(names), "coord": ["read_out", "read_in", "recurrent"]},
    )


def curves(config) -> xr.Dataset:
    """E3: eigenvalues along both branches of the optimal manifold; the table of rates; weak recurrence."""
    names, wrong, small = own_rules(config), rflo(1.0, 0.5), rflo(0.016, 0.5)
    here = linearise(stacked(names, 1), teacher(config), POSITIONS)
    fixed = linearise(stacked((*names[:2], wrong, small), 1), TEACHER, POSITIONS)
    table = linearise(stacked(list(reference.RATES), 1), TEACHER, np.array(reference.RATE_POSITIONS))
    weak = linearise(stacked((BPTT, ONE_STEP), 1), np.stack([np.ones(4), np.ones(4), WEAK], axis=-1), np.ones(4))
    full, one = np.asarray(weak.slow_rate)
    slow = np.asarray(fixed.eigenvalues)[3, 0, 0]  # at s = -4
    return xr.Dataset(
        {
            "eigenvalue": (("rule", "position", "branch"), np.real(np.asarray(here.eigenvalues)),
                           {"long_name": "real part of the eigenvalues", "units": "1/learning time"}),
            "oscillates": (("rule", "position"), np.asarray(here.oscillates)),
            "stable": (("rule", "position"), np.asarray(here.stable)),
            "slow_rate": (("rule", "position"), np.asarray(here.slow_rate)),
            "table_rate": (("table_rule", "table_position"), np.asarray(table.slow_rate)),
            "table_expected": (("table_rule", "table_position"), np.array(list(reference.RATES.values()))),
            "wrong_side_stable": bool(np.asarray(fixed.stable)[2, POSITIONS < 0].any()),
            "small_feedback": ("part", [slow.real, slow.imag]),
            "one_step_difference": ("weak_recurrent", (full - one) / full),
        },
        {"rule": list(names), "position": POSITIONS, "branch": ["slow", "fast"], "table_rule": list(reference.RATES),
         "table_position": list(reference.RATE_POSITIONS), "weak_recurrent": WEAK, "part": ["re", "im"]},
    )  # fmt: skip


def draws(config) -> xr.Dataset:
    """E8: who ends faster over random modes; stability with feedback of the right and of the wrong sign."""
    random = np.random.default_rng([config.seed, 8])
    count = config.draws
    kappa, target, decay = random.uniform((0.05, -0.97, -0.97), (2, 0.97, 0.97), (count, 3)).T
    position = np.exp(random.uniform(-2.5, 2.5, count))
    feedback = np.exp(random.uniform(-5, 1.5, count))
    taught = np.stack([kappa, np.ones(count), target], axis=-1)
    none, one = np.zeros(count), np.ones(count)  # arrays throughout: one program for all
    local = ModeRule(none, decay, none, feedback)
    full, right = (linearise(each, taught, position) for each in (ModeRule(one, none, one, none), local))
    wrong, wrong_eprop = (linearise(each, taught, -position) for each in (local, ModeRule(one, none, none, feedback)))
    single = linearise(ModeRule(none, none, one, none), taught, position)
    window = hopf_window(local, taught, -position)
    ratio = np.asarray(right.slow_rate / full.slow_rate)
    predicted, measured = np.asarray(window.stable), np.asarray(wrong.stable)
    reach = target * (target - decay) > 0
    return xr.Dataset(
        {
            "rate_ratio": ("draw", ratio, {"long_name": "slow rate, RFLO over BPTT"}),
            "draw_position": ("draw", position),
            "slower": (ratio < 1).mean(),
            "one_step_slower": np.mean(np.asarray(single.slow_rate < full.slow_rate)),
            "right_sign_stable": np.mean(np.asarray(right.stable)),
            "right_sign_oscillates": np.mean(np.asarray(right.oscillates)),
            "window_disagreements": int((predicted != measured).sum()),
            "in_window": measured.mean(),
            "in_window_outside_reach": int((measured & ~reach).sum()),
            "eprop_wrong_sign_stable": int(np.asarray(wrong_eprop.stable).sum()),
        }
    )


def diagrams(config) -> xr.Dataset:
    """Kinds of points over feedback and position: at these settings, and where the window of stability is wide."""
    cases = {"these settings": (teacher(config), config.trace_decay), "wide window": reference.WINDOW_PROBLEM}
    kinds, edges = [], []
    for taught, decay in cases.values():
        local = ModeRule(0.0, decay, 0.0, DIAGRAM_FEEDBACK[:, None])
        kinds.append(np.asarray(linearise(local, taught, DIAGRAM_POSITIONS).kind))
        unit = hopf_window(ModeRule(0.0, decay, 0.0, 1.0), taught, DIAGRAM_POSITIONS)
        saddle = 1 / np.asarray(unit.size)
        edges.append(np.stack([saddle, np.asarray(unit.hopf) * saddle]))
    (taught, decay), example = reference.WINDOW_PROBLEM, reference.WINDOW_EXAMPLE
    local = ModeRule(0.0, decay, 0.0, example.feedback)
    values = np.asarray(linearise(local, taught, example.position).eigenvalues)
    found = hopf_window(local, taught, example.position)
    names = [f"κ = {t[0] * t[1]:g}, w* = {t[2]:g}, trace decay {d:g}" for t, d in cases.values()]
    return xr.Dataset(
        {
            "kind": (("diagram", "diagram_feedback", "diagram_position"), np.stack(kinds)),
            "edge": (("diagram", "edge_kind", "diagram_position"), np.stack(edges),
                     {"long_name": "feedback at which a point stops being a saddle, and at the Hopf point"}),
            "diagram_name": ("diagram", names),
            "example_eigenvalue": ("eig", np.real(values)),
            "example_imaginary": ("eig", np.imag(values)),
            "example_size": float(found.size),
            "example_hopf": float(found.hopf),
        },
        {"diagram": list(cases), "diagram_feedback": DIAGRAM_FEEDBACK, "diagram_position": DIAGRAM_POSITIONS,
         "edge_kind": ["saddle", "hopf"]},
        attrs={"kinds": ", ".join(KINDS), "example_position": example.position, "example_feedback": example.feedback},
    )  # fmt: skip
