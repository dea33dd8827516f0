"""One look for each learning rule in every figure: its colour, and a marker for when colour alone is not enough."""

from collections.abc import Mapping
from types import MappingProxyType

#: Rule -> colour. Those of Okabe and Ito, which colour-blind readers tell apart; brown and grey for the estimators.
RULE_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "BPTT": "#0072B2",
        "RTRL": "#56B4E9",
        "TruncatedBPTT": "#009E73",
        "RFLO": "#D55E00",
        "EProp": "#CC79A7",
        "SnAp0": "#E69F00",
        "UORO": "#5F6368",
        "KFRTRL": "#7A4A21",
    }
)
#: Rule -> marker.
RULE_MARKERS: Mapping[str, str] = MappingProxyType(
    {
        "BPTT": "o",
        "RTRL": "X",
        "TruncatedBPTT": "s",
        "RFLO": "D",
        "EProp": "^",
        "SnAp0": "v",
        "UORO": "P",
        "KFRTRL": "h",
    }
)
#: How the usual names of rules begin.
_SPOKEN = {"e-prop": "EProp", "tBPTT": "TruncatedBPTT", "SnAp-0": "SnAp0", "KF-RTRL": "KFRTRL"}


def rule_colour(name: str) -> str:
    """Colour of a rule by its class name or usual name, also with settings: "RFLO(1, 0.5)", "e-prop-R", "tBPTT-5"."""
    return RULE_COLOURS[_class(name)]


def rule_marker(name: str) -> str:
    """Marker of a rule by its class name, also with its settings."""
    return RULE_MARKERS[_class(name)]


def _class(name: str) -> str:
    bare = name.split("(")[0].strip()
    spoken = [rule for start, rule in _SPOKEN.items() if bare.startswith(start)]
    bare = spoken[0] if spoken else bare.split("-")[0]
    if bare not in RULE_COLOURS:
        raise ValueError(f"no colour is kept for the rule {name!r}; expected a name that begins with one of "
                         f"{', '.join(RULE_COLOURS)}")  # fmt: skip
    return bare
