"""Commands about the program itself: the list of studies, and the state of this machine."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

from weightpath.cli.arguments import PlainOptions, parse
from weightpath.cli.environment import cache_directory, directory_size, is_writable, working
from weightpath.cli.output import emit, values_text
from weightpath.studies import STUDIES


def list_studies(arguments: Sequence[str]) -> int:
    """`weightpath list`."""
    options = parse(PlainOptions, "list", arguments, "The studies: what each reproduces, and from which paper.")
    studies = [STUDIES[name] for name in STUDIES]
    data = [
        {"name": s.name, "title": s.title, "paper": s.paper, "claim": s.claim, "presets": list(s.presets)}
        for s in studies
    ]
    blocks = [f"{s.name}\n{_wrap(s.title)}\n{_wrap(s.paper)}\n\n{_wrap(s.claim)}" for s in studies]
    blocks.append("`weightpath run STUDY --help` lists the settings of a study.")
    emit(options.output, {"studies": data}, "\n\n".join(blocks))
    return 0


def _wrap(text: str) -> str:
    return textwrap.fill(text, 80, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def doctor(arguments: Sequence[str]) -> int:
    """`weightpath doctor`: exit code 1 when a run would not work here."""
    options = parse(PlainOptions, "doctor", arguments, "Versions, devices, directories: would a run work here?")
    with working():
        state = machine_state()
    problems = [text for text, wrong in (
        ("64-bit numbers are off", not state["x64"]),
        ("the current directory cannot be written to; use --out", not state["results_writable"]),
        ("the cache directory cannot be written to: every run compiles anew", not state["cache_writable"]),
    ) if wrong]  # fmt: skip
    text = "\n\n".join([_state_text(state), values_text(state["versions"]), _verdict(problems)])
    emit(options.output, {**state, "problems": problems}, text)
    return 1 if problems else 0


def _state_text(state: dict) -> str:
    """The state of the machine for a person."""
    ends = {True: "writable", False: "NOT writable"}
    return values_text(
        {
            "devices": ", ".join(state["devices"]),
            "cores": state["cores"],
            "64-bit numbers": state["x64"],
            "compiled programs": f"{state['cache']} ({state['cache_mb']:g} MB, {ends[state['cache_writable']]})",
            "results": f"{state['results']} ({ends[state['results_writable']]})",
        }
    )


def _verdict(problems: Sequence[str]) -> str:
    return "\n".join(problems) or "Everything is in place."


def machine_state() -> dict:
    """Versions, devices, number type, cores, and the directories that runs write to."""
    import jax
    import jax.numpy as jnp

    from weightpath.store.provenance import versions

    cache = cache_directory()
    return {
        "versions": versions(),
        "devices": [f"{device.platform}:{device.id} {device.device_kind}" for device in jax.devices()],
        "x64": jnp.asarray(0.0).dtype == "float64",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cache": str(cache),
        "cache_mb": round(directory_size(cache) / 1e6, 1),
        "cache_writable": is_writable(cache),
        "results": str(Path("results").resolve()),
        "results_writable": os.access(Path.cwd(), os.W_OK),
    }
