"""`wp.citation`: the papers behind an object, as BibTeX, found by what its class says of its source."""

import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

#: How far down the parts of an object are followed: a trajectory has a setup, which has a network, a task and a rule.
DEPTH = 3


def citation(obj: Any = None) -> str:
    """BibTeX entries of the papers behind `obj`, and of this software as the last one.

    `obj`: a theory, learning rule, network, task, setup, trajectory, study, model, recording or fit, as an object or as
    a class, or a function of this package; the parts of an object count too. Without any, the software alone. A paper
    is found where the class, its module, or the attribute `reference` or `paper` names it as the source. What is said
    to be derived here has no paper of its own: then cite the software.

    **Raises:** ValueError for an object that is not of this package.
    """
    if obj is not None and not _is_ours(obj):
        raise ValueError(
            f"citation knows what is of weightpath, such as a theory, a rule, a study or a fit; got {_name(obj)}."
        )
    told = "" if obj is None else "\n".join(dict.fromkeys(_told(obj, DEPTH)))
    papers = [entry for entry in references() if names_paper(told, entry)]
    return "\n\n".join([*papers, software()])


def references() -> list[str]:
    """Every entry of the list of papers that is shipped with the package."""
    text = (Path(__file__).parent / "data" / "references.bib").read_text(encoding="utf-8")
    return [entry.strip() for entry in re.split(r"\n(?=@)", text) if entry.strip()]


def names_paper(told: str, entry: str) -> bool:
    """Whether a text names the paper of an entry, by its arXiv number or by its first author and year."""
    number = re.search(r"eprint = \{(.*?)\}", entry)
    if number and number[1] in told:
        return True
    family, year = re.search(r"author = \{(.*?),", entry), re.search(r"year = \{(\d+)\}", entry)
    if not (family and year):
        return False
    return bool(re.search(rf"\b{re.escape(family[1])}\b[^;\d]{{0,60}}\b{year[1]}\b", told))


def software() -> str:
    """The entry of this software, as in CITATION.cff."""
    from weightpath import __version__

    return (
        "@software{weightpath,\n"
        "  author = {{The weightpath developers}},\n"
        "  title = {weightpath: the path of the weights of recurrent neural networks while they learn},\n"
        f"  version = {{{__version__}}},\n"
        "  license = {MIT},\n"
        "}"
    )


def _told(obj: Any, depth: int) -> Iterator[str]:
    """What an object and its parts say of their sources."""
    kind = obj if isinstance(obj, type) or callable(obj) and hasattr(obj, "__qualname__") else type(obj)
    for one in getattr(kind, "__mro__", (kind,)):
        if one.__module__.split(".")[0] == "weightpath":
            yield from (_source(one.__doc__), _source(getattr(sys.modules.get(one.__module__), "__doc__", None)))
    for name in ("reference", "paper", "name"):
        value = getattr(obj, name, None)
        if isinstance(value, str):
            yield value.replace("hennig", " Hennig ")  # recordings bear the names of their files
    if depth and is_dataclass(obj) and not isinstance(obj, type):
        for field in fields(obj):
            part = getattr(obj, field.name, None)
            for one in part if isinstance(part, tuple) else (part,):
                if one is not None and _is_ours(one):
                    yield from _told(one, depth - 1)


def _source(text: str | None) -> str:
    """From the word "Source:" to the end of its paragraph."""
    if not text or "Source:" not in text:
        return ""
    return " ".join(re.split(r"\n\s*\n", text.split("Source:", 1)[1])[0].split())


def _is_ours(obj: Any) -> bool:
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    return str(getattr(kind, "__module__", "")).split(".")[0] == "weightpath"


def _name(obj: Any) -> str:
    return f"{type(obj).__name__} {obj!r}"[:80]
