"""Command `read`: what a weight history in a file shows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from weightpath.cli.arguments import ReadOptions, parse
from weightpath.cli.environment import working
from weightpath.cli.output import emit, say, table
from weightpath.cli.running import REPORT_FILE, write_page
from weightpath.studies.base import format_value


def read(arguments: Sequence[str]) -> int:
    """`weightpath read FILE`: says what it understood of the file, then what the path of the weights shows."""
    options = parse(ReadOptions, "read", arguments, "Spectra, ranks, alignment, and the rule behind a weight history.")
    with working(brief=True):
        from weightpath.studies.read_history import read_history

        names = ("w_rec", "w_in", "w_out", "time", "trace_decay", "leak", "seed")
        reading, stored = read_history(
            options.file,
            out=options.out,
            say=partial(say, options.output),
            **{name: getattr(options, name) for name in names},
        )
        page = None if stored is None else write_page([stored.directory], stored.directory / REPORT_FILE)
    data = {"file": options.file, **reading.to_dict()}
    lines = [reading_text(data)]
    if stored is not None and page is not None:
        data["figures"] = {name: str(path) for name, path in stored.figures.items()}
        data["report"] = str(page)
        lines += [*(f"figure   {path}" for path in stored.figures.values()), f"report   {page}"]
    emit(options.output, data, "\n".join(lines))
    return 0


def reading_text(data: Mapping[str, Any]) -> str:
    """What a person reads: shapes, movement, spectrum, change, alignment, and the verdict with its laws."""
    change, tensor, rule = data["change"], data["tensor"], data["rule"]
    units = data["units"]
    step, post, pre = tensor["multilinear_rank"]
    few = tensor["directions_of_99_percent"]
    energy = _energy(change["energy"])
    blocks = [
        f"{data['steps']} records; {units} units, inputs {data['inputs']}, outputs {data['outputs']}; learning time "
        f"{data['time'][0]:g} to {data['time'][1]:g}",
        table(
            ("movement", "norm at start", "net change", "path length"),
            [
                (name, format_value(one["norm_at_start"]), _percent(one["net_change"]), _percent(one["path_length"]))
                for name, one in data["movement"].items()
            ],
        ),
        table(
            ("eigenvalues of w_rec", "radius", "outliers", "outermost"),
            [
                (when, f"{data['spectrum']['radius'][k]:.4g}", str(data["spectrum"]["outliers"][k]), _values(values))
                for k, (when, values) in enumerate(
                    (("first record", data["spectrum"]["first"]), ("last record", data["spectrum"]["last"]))
                )
            ],
        )
        + f"\n  radius of the bulk {data['spectrum']['bulk_radius']:.4g}",
        "change of w_rec from the first record to the last\n"
        f"  numerical rank  {change['numerical_rank']} of {units} (singular values above {change['threshold']:.2g})\n"
        f"  effective rank  {change['effective_rank']:.4g}\n"
        f"  energy          {_below(energy, 18)}\n"
        f"  as a tensor     multilinear ranks {step} (steps), {post} (post), {pre} (pre)\n"
        f"                  99 % of its energy in {few[0]}, {few[1]}, {few[2]} directions",
    ]
    if data["alignment"]:
        rows = [(name, _percent(one["share"]), _percent(one["by_chance"])) for name, one in data["alignment"].items()]
        blocks.append(table(("energy of the change", "inside", "by chance"), rows))
    blocks.append(_rule_text(rule))
    return "\n\n".join(blocks) + "\n"


def _rule_text(rule: Mapping[str, Any]) -> str:
    """The verdict, its reason, and the laws."""
    head = f"learning rule: {rule['verdict']}" + (f"   confidence {rule['confidence']:.2f}" if rule["laws"] else "")
    parts = [head, _filled(rule["reason"])]
    if rule["laws"]:
        rows = [
            (name, _percent(law["unexplained"]), _percent(law["noise"]),
             "" if law["drift"] is None else _percent(law["drift"]))
            for name, law in rule["laws"].items()
        ]  # fmt: skip
        parts.append(table(("law", "unexplained", "by noise", "drift"), rows))
        decay = "" if rule["trace_decay"] is None else f"; trace decay {rule['trace_decay']:.3g}"
        parts.append(_filled(f"{rule['blocks']} blocks of equal movement; {rule['reading']}{decay}"))
    return "\n".join(parts)


def _filled(text: str) -> str:
    return textwrap.fill(text, 78, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)


def _values(values: Sequence[complex]) -> str:
    """The outermost eigenvalues; a conjugate pair is one entry."""
    words = []
    for value in values:
        if value.imag < -1e-9 * abs(value):
            continue
        pair = f" ± {value.imag:.2g}i" if value.imag > 1e-9 * abs(value) else ""
        words.append(f"{value.real:.3g}{pair}")
    return ", ".join(words[:2])


def _energy(shares: Mapping[str, float]) -> str:
    """Shares of the energy by number of directions, up to the first that is all but whole."""
    words = []
    for count, share in shares.items():
        words.append(f"{100 * share:.4g} % in {count} direction{'s' * (count != '1')}")
        if share > 1 - 5e-5:
            break
    return ", ".join(words)


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %" if share == 0 or share >= 1e-5 else f"{share:.0e}"


def _below(text: str, indent: int) -> str:
    return textwrap.fill(text, 80 - indent, subsequent_indent=" " * indent)
