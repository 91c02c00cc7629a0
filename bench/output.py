"""What a benchmark prints: a table for people, or one JSON object for programs."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fastspec

Row = Mapping[str, Any]


def as_json(command: str, machine: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """One object: command, version, machine, rows."""
    return json.dumps({"command": command, "version": fastspec.__version__, "machine": machine, "rows": rows}, indent=2, allow_nan=False)


def as_text(machine: Mapping[str, Any], columns: Mapping[str, str], rows: Sequence[Row]) -> str:
    """The machine, of `measure.machine`, then a table."""
    return f"{describe(machine)}\n\n{as_table(columns, rows)}"


def as_table(columns: Mapping[str, str], rows: Sequence[Row]) -> str:
    """An aligned table in Markdown.

    Args:
        columns: a row's keys to their headings, in order.
        rows: what a row lacks, or has as None, is shown as a dash.
    """
    cells = [list(columns.values()), *([_cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    aligns = [str.rjust if any(isinstance(row.get(key), float) for row in rows) else str.ljust for key in columns]
    rule = ["-" * (width - 1) + (":" if align is str.rjust else "-") for width, align in zip(widths, aligns, strict=True)]
    table = [_line(line, widths, aligns) for line in (cells[0], rule, *cells[1:])]
    return "\n".join(table)


def _line(cells: Sequence[str], widths: Sequence[int], aligns: Sequence[Callable[[str, int], str]]) -> str:
    return f"| {' | '.join(align(cell, width) for cell, width, align in zip(cells, widths, aligns, strict=True))} |"


def describe(machine: Mapping[str, Any]) -> str:
    """The machine and the versions, in two lines."""
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['lanes']} lanes, {machine['system']}"
    threads = f"{machine['workers']} threads" if machine.get("workers", 1) > 1 else "one thread"
    return f"fastspec {fastspec.__version__}, {threads} of {hardware}\nPython {machine['python']}, {packages}"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    if abs(value) >= 0.1 or value == 0:
        return f"{value:,.{0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2}f}"
    return f"{value:.2g}"
