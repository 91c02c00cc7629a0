"""The tables of README that are measured: speed and parity, each between two markers, written by `python -m bench readme`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import kernel
from bench.output import as_table, describe
from fastspec.benchmark.machine import machine
from fastspec.errors import RunFailed
from fastspec.presets import PRESETS
from fastspec.references import measure_parity
from fastspec.report.tables import power_of_ten

README = Path(__file__).resolve().parents[1] / "README.md"
RUNS = 3
SPEED = {
    "case": "case",
    "peer": "fastspec beside",
    "lowest": "× as fast, lowest",
    "highest": "highest",
    "at_least": "floor",
    "met": "met by the lowest",
}
PARITY = {
    "preset": "preset",
    "peer": "reference",
    "error": "differs",
    "tolerance": "allowed",
    "reference_error": "its own",
    "unit": "in",
}


def write_readme(*, clips: int, seconds: float, repeat: int, path: Path = README) -> Path:
    """Measure both tables here and put them into README.

    Raises:
        RunFailed: a marker is missing, or a preset misses its reference.
    """
    text = path.read_text(encoding="utf8")
    for name, table in (("speed", _speed(clips, seconds, repeat)), ("parity", _parity())):
        text = replace_between(text, name, table)
    path.write_text(text, encoding="utf8")
    return path


def put_table(name: str, table: str, *, path: Path = README) -> None:
    """Put one table between its markers. RunFailed when a marker is missing."""
    path.write_text(replace_between(path.read_text(encoding="utf8"), name, table), encoding="utf8")


def replace_between(text: str, name: str, table: str) -> str:
    """A text with another table between its markers `<!-- NAME -->` and `<!-- /NAME -->`."""
    text, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", lambda m: f"{m[1]}\n{table}\n\n{m[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise RunFailed(f"README has {count} places between <!-- {name} --> and <!-- /{name} -->; give it one")
    return text


def _speed(clips: int, seconds: float, repeat: int) -> str:
    peers = kernel.peers()
    versions = {peer.name: peer.versions()[peer.project] for peer in peers if peer.is_installed()}
    found: dict[tuple[str, str], list[float]] = {}
    for run in range(RUNS):  # what ran before a case moves its ratios: each run begins with another
        cases = kernel.CASES[run:] + kernel.CASES[:run]
        for row in kernel.run_kernel(cases, clips=clips, seconds=seconds, repeat=repeat):
            if row["faster"] is not None:
                found.setdefault((row["case"], row["implementation"]), []).append(row["faster"])
    rows = [
        {
            "case": case.name,
            "peer": f"{name} {versions[name]}",
            "lowest": min(ratios),
            "highest": max(ratios),
            "at_least": case.floors.get(name),
            "met": min(ratios) >= case.floors[name] if name in case.floors else None,
        }
        for case in kernel.CASES
        for (owner, name), ratios in found.items()
        if owner == case.name
    ]
    return _with_machine(as_table(SPEED, rows), machine(peers))


def _parity() -> str:
    rows = [asdict(measure_parity(name)) for name in PRESETS]
    missed = [row["preset"] for row in rows if not row["passed"]]
    if missed:
        raise RunFailed(f"these presets miss their references: {', '.join(missed)}; see fastspec preset parity")
    numbers = ("error", "tolerance", "reference_error")
    return as_table(PARITY, [row | {"peer": _peer(row), **{name: power_of_ten(row[name]) for name in numbers}} for row in rows])


def _peer(row: Mapping[str, Any]) -> str:
    return f"{row['reference']} {row['version']}{'' if row['live'] else ' (golden vectors)'}"


def _with_machine(table: str, described: Mapping[str, Any]) -> str:
    lines: Sequence[str] = describe(described).splitlines()
    return f"{table}\n\nLowest and highest of {RUNS} runs, with {'; '.join(lines)}."
