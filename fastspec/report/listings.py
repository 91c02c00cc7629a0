"""What there is to choose from, as tables: front ends and classifiers."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from fastspec.report.tables import text_table

if TYPE_CHECKING:
    from fastspec.spec import Recipe


def presets_table(presets: "Mapping[str, Recipe]", purposes: Mapping[str, str]) -> Table:
    """One row a named front end: what to choose it for, its sample rate in Hz, its bands, and the milliseconds from frame to frame."""
    table = text_table(None, preset="left", Hz="right", bands="left", **{"every ms": "right", "choose it for": "left"})
    for name, recipe in presets.items():
        s = recipe.spec
        bands = ", ".join(f"{part.stop - part.start} {block}" for block, part in s.parts().items())
        hop_ms = f"{1000 * s.hop_length / s.sample_rate:.3g}"
        table.add_row(Text(name, "bold"), f"{s.sample_rate:,}", bands, hop_ms, purposes[name])
    return table


def plugins_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """One row an installed classifier: its distribution, its class, and in red why it cannot be used.

    Args:
        rows: mappings with name, distribution, version, target and fault.
    """
    table = text_table(None, classifier="left", distribution="left", target="left")
    for row in rows:
        target = Text(row["target"], overflow="fold")
        if row["fault"]:
            target.append(f"\nbroken: {row['fault']}", "bold red")
        table.add_row(Text(row["name"], "bold"), f"{row['distribution']} {row['version']}", target)
    return table
