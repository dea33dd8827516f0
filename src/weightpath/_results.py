"""The outcomes of every computation of the library: one enumeration, whose values are messages for the user."""

import equinox as eqx


class RESULTS(eqx.Enumeration):
    """How a computation ended. Inside compiled code a failure is one of these values, never an exception or a NaN."""

    successful = "The computation ended as it should."
    max_steps = "The solver used all its steps before the end; raise `max_steps` or loosen the tolerances."
    not_converged = "The iterations ended before the result settled; give more of them."
    no_fixed_point = "No fixed point was found from the given start."
    unstable = "The network left the stable region, where the stationary loss is infinite; lower the learning rate."
    unstable_recurrence = "The recurrent dynamics are unstable at the given state."
    diverged = "The loss grew without bound; lower the learning rate."
    nonfinite = "A value that is not finite appeared; the last finite state is kept. Lower the learning rate."
    singular = "A linear system was singular to working precision."
    singular_gain = "A unit's gain (slope of its activation) is zero, so that the update is undefined."
    outside_regime = "The theory was asked outside the regime in which it holds."


#: Names in the order of declaration, as they appear in datasets and JSON.
OUTCOME_NAMES = (
    "successful",
    "max_steps",
    "not_converged",
    "no_fixed_point",
    "unstable",
    "unstable_recurrence",
    "diverged",
    "nonfinite",
    "singular",
    "singular_gain",
    "outside_regime",
)


def outcome_name(item) -> str:
    """Name of an outcome (`RESULTS.successful` gives `"successful"`), for storage and messages."""
    for name in OUTCOME_NAMES:
        if bool(item == getattr(RESULTS, name)):
            return name
    raise ValueError(f"{item!r} is not an outcome of weightpath; expected one of {', '.join(OUTCOME_NAMES)}.")
