"""Rules and reference cases of the study of single modes, by name; a mode is (read-out, read-in, recurrent)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weightpath.theory import ModeRule
else:
    ModeRule = Any

#: Teacher of the reference numbers: read-out, read-in and recurrent weight.
TEACHER = (1.0, 1.0, 0.8)
#: Times at which paths are kept: one number for all, since every other would be compiled anew.
POINTS = 4001
BPTT, ONE_STEP = "BPTT", "TruncatedBPTT(1)"

#: Name -> (rule, teacher, start) of the reference trajectories.
CASES = {
    "R1": (BPTT, (1.2, 0.9, 0.7), (0.3, 0.2, 0.1)),
    "R2": (ONE_STEP, (1.2, 0.9, 0.7), (0.3, 0.2, 0.1)),
    "R4": ("RFLO(0.7, 0.5)", (1.2, 0.9, 0.7), (0.3, 0.2, 0.1)),
    "R5": ("EProp(0.7)", (1.2, 0.9, 0.7), (0.3, 0.2, 0.1)),
    "R6": ("RFLO(-0.5, 0.5)", TEACHER, (1.0, 1.0, 0.6)),
    "R7": (BPTT, (-0.8, 1.1, -0.5), (0.1, 0.3, 0.2)),
    "R8": ("RFLO(1.1, -0.2)", (-0.8, 1.1, -0.5), (0.1, 0.3, 0.2)),
    "R9": ("RFLO(1, 0)", TEACHER, (0.05, -0.02, 0.0)),
    "R10": (ONE_STEP, (1.0, 1.0, 0.9), (0.2, 0.2, 0.0)),
    "R11": ("RFLO(1, 0.5)", TEACHER, (1.0, 1.0, 0.6)),
}


def rflo(feedback: float, trace_decay: float) -> str:
    """Name of RFLO with these numbers."""
    return f"RFLO({feedback:g}, {trace_decay:g})"


def eprop(feedback: float) -> str:
    """Name of e-prop with this feedback."""
    return f"EProp({feedback:g})"


def rule(name: str) -> Any:
    """The rule of a name such as "BPTT", "TruncatedBPTT(1)", "RFLO(1, 0.5)" (feedback, trace decay) or "EProp(1)"."""
    import weightpath as wp

    word, _, rest = name.rstrip(")").partition("(")
    numbers = [float(number) for number in rest.split(",")] if rest else []
    if word == "TruncatedBPTT":
        return wp.TruncatedBPTT(int(numbers[0]))
    if word == "RFLO":
        return wp.RFLO([[numbers[0]]], trace_decay=numbers[1])
    return wp.EProp([[numbers[0]]]) if word == "EProp" else wp.BPTT()


def stacked(names: Sequence[str], trailing: int = 0) -> ModeRule:
    """The rules of several names as one, arrays of shape (rule, 1, ..., 1) with `trailing` ones, for one program."""
    import jax
    import jax.numpy as jnp

    from weightpath.theory.mode_rule import mode_rule

    small = [mode_rule(rule(name)) for name in names]
    return jax.tree.map(lambda *parts: jnp.stack(parts).reshape(-1, *[1] * trailing), *small)
