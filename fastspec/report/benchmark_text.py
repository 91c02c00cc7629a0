"""A benchmark as text: what was measured on what, then a table for each part of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from fastspec.errors import counted
from fastspec.report.tables import power_of_ten, text_table

Row = Mapping[str, Any]

_NOTES = {
    "kernel": "h/s: hours of audio a second; ±: slowest round over the best; × ours: time over fastspec's",
    "stages": "one worker's best round; idle: waiting for work; start, finish: plan, ledger, hashes",
    "job": "from recordings to features on disk, best of {rounds}; × one: as fast as one worker; "
    "× ours: time over fastspec's with as many workers; MiB: most memory of the process",
}


def benchmark_parts(rows: Sequence[Row], *, version: str) -> list[str | Text | Table]:
    """Lines of text and tables, in the order in which they are to be printed.

    Args:
        rows: of `benchmark.run_benchmark`, perhaps with those of `benchmark.compare_runs`.
        version: of fastspec.
    """
    parts: list[str | Text | Table] = [*_head(rows, version=version), "", _start_line(rows)]
    for name, table in (("kernel", _kernel_table(rows)), ("stages", _stages_table(rows)), ("job", _job_table(rows))):
        untimed = (f"{row['implementation']} is not timed: {row['note']}" for row in section(rows, name) if row.get("note"))
        rounds = counted(max((row.get("rounds", 0) for row in section(rows, name)), default=0), "round")
        parts += ["", table, Text(_NOTES[name].format(rounds=rounds), "dim"), *untimed]
    compared = section(rows, "baseline")
    return [*parts, "", _baseline_table(compared)] if compared else parts


def _head(rows: Sequence[Row], *, version: str) -> list[str]:
    """The machine, the sample and what could not be measured, a line each."""
    machine, sample = section(rows, "machine")[0], section(rows, "sample")[0]
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    busy = f"{counted(sample['most_workers'], 'worker')} of {machine['workers']}"
    few = f"the sample has something to do for {busy}: give more recordings, or more --minutes"
    return [
        f"fastspec {version} on {machine['cpu']}, {machine['usable_cores']:g} of {counted(machine['cores'], 'core')}, "
        f"{machine['lanes']} lanes, {machine['system']}; Python {machine['python']}, {packages}",
        _sample_line(sample),
        *([few] if sample["most_workers"] < machine["workers"] else []),
        *([f"nothing is measured with a cold page cache: {sample['not_cold']}"] if sample["not_cold"] else []),
    ]


def _sample_line(sample: Row) -> str:
    total = counted(sample["of_recordings"], "recording")
    if sample["corpus"] is None:
        what = f"{total} made for this"
    elif sample["recordings"] == sample["of_recordings"]:
        what = f"all {total} of {sample['corpus']}"
    else:
        what = f"{sample['recordings']:,} of {total} of {sample['corpus']}, spread evenly"
    without = f" without {sample['left_out']:,} that give no features" if sample["left_out"] else ""
    clips = f"{counted(sample['clips'], 'clip')} of {sample['clip_s']:g} s, {sample['audio_s'] / 60:.1f} minutes of audio"
    return f"{what}{without} ({'; '.join(sample['formats'])}): {clips}; recipe {sample['recipe'][:12]}"


def section(rows: Iterable[Row], name: str) -> list[Row]:
    """The rows of one section."""
    return [row for row in rows if row["section"] == name]


def _start_line(rows: Sequence[Row]) -> str:
    """Seconds before the first features, in one line."""
    taken = {row["step"]: row["seconds"] for row in section(rows, "start")}
    parts = (f"{name} {_seconds(value)}" for name, value in taken.items() if value is not None)
    return f"Before the first features: {', '.join(parts)} (compiled once a machine, then read by each process)"


def _kernel_table(rows: Sequence[Row]) -> Table:
    """The front end beside each reference: time of a frame, hours of audio a second, and how far its features are apart."""
    table = text_table("Features of clips in memory, one thread", implementation="left")
    for heading in ("ns / frame", "h/s", "±", "× ours", "differs", "allowed"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in (row for row in section(rows, "kernel") if not row["note"]):
        numbers = [_dash(row, "ns_per_frame", ",.0f"), _dash(row, "hours_per_s", "#.3g"), _dash(row, "noise", ".0%")]
        numbers += [_dash(row, "faster", "#.3g") if row["implementation"] != "fastspec" else ""]
        numbers += [power_of_ten(row[name]) if row.get(name) is not None else "" for name in ("difference", "allowed")]
        table.add_row(_name(row), *numbers, row.get("unit") or "")
    return table


def _stages_table(rows: Sequence[Row]) -> Table:
    """Where one worker's time goes, with a warm page cache and a cold one."""
    found = section(rows, "stages")
    caches = [name for name in ("warm", "cold") if any(row["cache"] == name for row in found)]
    table = text_table("Where the time goes", stage="left")
    for name in caches:
        for heading in (f"{name}: ms", "share", "h/s"):
            table.add_column(heading, justify="right", no_wrap=True)
    by_place = {(row["stage"], row["cache"]): row for row in found}
    for stage in dict.fromkeys(row["stage"] for row in found):
        cells: list[str] = []
        for name in caches:
            row = by_place[stage, name]
            cells += [f"{1e3 * row['seconds']:,.1f}", f"{row['share']:.1%}", "" if stage == "idle" else _dash(row, "hours_per_s", "#.3g")]
        table.add_row(Text(stage, "bold"), *cells)
    totals = [sum(row["seconds"] for row in found if row["cache"] == name) for name in caches]
    table.add_row(Text("all", "bold"), *(cell for total in totals for cell in (f"{1e3 * total:,.1f}", "100.0%", "")))
    return table


def _job_table(rows: Sequence[Row]) -> Table:
    """Whole jobs by workers and page cache, and beside those of others."""
    table = text_table("The whole job", implementation="left")
    for heading in ("workers", "cache", "s", "±", "h/s", "× one", "× ours", "MiB"):
        table.add_column(heading, justify="left" if heading == "cache" else "right", no_wrap=True)
    for row in (row for row in section(rows, "job") if not row["note"]):
        numbers = [_dash(row, "seconds", "#.3g"), _dash(row, "noise", ".0%"), _dash(row, "hours_per_s", "#.3g")]
        numbers += [f"{row[name]:.2f}" if row[name] else "" for name in ("speedup", "faster")]
        table.add_row(_name(row), str(row["workers"]), row["cache"], *numbers, _dash(row, "peak_mib", ",.0f"))
    return table


def _baseline_table(compared: Sequence[Row]) -> Table:
    """How many times as fast each row is as it was, and the noise that was seen."""
    table = text_table("Against the baseline", row="left")
    for heading in ("× as fast", "± noise", ""):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    styles = {"slower": "bold red", "faster": "green", "same": "dim"}
    for row in compared:
        verdict = Text("within noise" if row["verdict"] == "same" else row["verdict"], styles[row["verdict"]])
        table.add_row(Text(row["name"]), f"{row['ratio']:.2f}", f"{row['noise']:.0%}", verdict)
    return table


def _name(row: Row) -> Text:
    name = Text(row["implementation"], "bold", overflow="fold")
    if row.get("version"):
        name.append(f" {row['version']}", "not bold")
    return name


def _dash(row: Row, name: str, form: str) -> str:
    return "–" if row.get(name) is None else format(row[name], form)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
