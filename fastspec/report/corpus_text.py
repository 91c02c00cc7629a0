"""A scan of a corpus as text, within 80 columns."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fastspec.report.tables import seconds, text_table

Row = Mapping[str, Any]

_MOST_CLASSES = 20
_MOST_VALUES = 6
_CHANNELS = {"1": "mono", "2": "stereo"}


def scan_text(scan: Row) -> RenderableType:
    """What is in a corpus, then what surprises, then what would spoil an evaluation.

    Args:
        scan: `ScanReport.to_dict()`.
    """
    parts: list[RenderableType] = [_facts_table(scan)]
    if scan["classes"]:
        parts += [Text(), classes_table(scan["classes"], clips=scan["clips"])]
    if scan["remarks"]:
        parts += [Text(), _remarks_table(scan["remarks"])]
    for heading, spoils, style in (("would spoil an evaluation", True, "bold red"), ("worth knowing", False, "bold")):
        problems = [problem for problem in scan["problems"] if problem["spoils"] is spoils]
        if problems:
            parts += [Text(), Text(heading, style), *(Text(f"- {problem['text']}; {problem['advice']}") for problem in problems)]
    return Group(*parts)


def classes_table(classes: Sequence[Row], *, clips: int) -> Table:
    """One row a class: clips, their share, hours, groups; of many the largest and the smallest.

    Args:
        classes: rows with label, clips, hours and groups.
        clips: of the whole corpus.
    """
    table = text_table(None, **{"class": "left", "clips": "right", "share": "right", "length": "right", "groups": "right"})
    ordered = sorted(classes, key=lambda row: (-row["clips"], row["label"]))
    for i, row in enumerate(ordered):
        if len(ordered) > _MOST_CLASSES and i == _MOST_CLASSES // 2:
            table.add_row(Text(f"… {len(ordered) - _MOST_CLASSES:,} more", "dim"))
        if len(ordered) <= _MOST_CLASSES or not _MOST_CLASSES // 2 <= i < len(ordered) - _MOST_CLASSES // 2:
            length = f"{row['hours']:.2f} h" if row["hours"] >= 0.1 else seconds(row["hours"] * 3600)
            table.add_row(Text(row["label"], "bold"), f"{row['clips']:,}", f"{row['clips'] / clips:.1%}", length, f"{row['groups']:,}")
    return table


def _facts_table(scan: Row) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in scan_facts(scan).items():
        if text:
            table.add_row(Text(name, "dim"), Text(text))
    return table


def scan_facts(scan: Row) -> dict[str, str]:
    """What a scan found, a line a fact; what there is nothing to say about is empty."""
    durations, imbalance, header = scan["durations_s"], scan["imbalance"], scan["header"]
    lengths = [seconds(durations[name]) for name in ("shortest", "median", "longest")] if durations else []
    return {
        "corpus": scan["corpus"],
        "clips": f"{scan['clips']:,} of {scan['recordings']:,} recordings in {scan['groups']:,} groups, {scan['hours']:.2f} h",
        "lengths": f"{lengths[0]} to {lengths[2]}, half of them {lengths[1]} or more" if lengths else "",
        "formats": _listed(scan["formats"]),
        "rates": _listed({f"{rate} Hz": n for rate, n in scan["sample_rates"].items()}),
        "channels": _listed({_CHANNELS.get(str(channels), f"{channels} channels"): n for channels, n in scan["channels"].items()}),
        "statuses": _listed(scan["statuses"]),
        "splits": _listed(scan["splits"]),
        "classes": f"{len(scan['classes'])}, the largest {imbalance:.1f} times the smallest" if imbalance else "",
        "header": _header(header) if header else "",
    }


def _header(header: Row) -> str:
    """How well headers alone predict the label."""
    encoding, whole = (f"{header[k]:.3f} ({header[f'{k}_low']:.3f} to {header[f'{k}_high']:.3f})" for k in ("encoding", "header"))
    return (
        f"predicts labels unheard with an accuracy of {encoding} by format, rate and channels, {whole} with length and size; saying "
        f"the commonest class has {header['majority']:.3f}"
    )


def _listed(counts: Mapping[str, int]) -> str:
    """Values with their counts, the most frequent first.

    >>> _listed({"16000 Hz": 1200, "8000 Hz": 3})
    '1,200 × 16000 Hz, 3 × 8000 Hz'
    """
    shown = ", ".join(f"{n:,} × {value}" for value, n in list(counts.items())[:_MOST_VALUES])
    return shown + (f" and {len(counts) - _MOST_VALUES} others" if len(counts) > _MOST_VALUES else "")


def _remarks_table(remarks: Sequence[Row]) -> Table:
    table = text_table(None, remark="left", clips="right", **{"such as": "left"})
    for row in remarks:
        table.add_row(row["remark"], f"{row['clips']:,}", Text(row["example"], "dim", overflow="fold"))
    return table
