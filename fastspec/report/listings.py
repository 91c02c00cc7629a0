"""What there is to choose from, as tables: front ends and classifiers."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from fastspec.report.tables import text_table

if TYPE_CHECKING:
    from fastspec.spec import Recipe


def presets_table(presets: "Mapping[str, Recipe]") -> Table:
    """One row a named front end: its rate, FFT, window and hop in samples, bands and the scale of their values."""
    table = text_table(None, preset="left", Hz="right", FFT="right", window="right", hop="right", bands="left", scale="left")
    for name, recipe in presets.items():
        s = recipe.spec
        bands = ", ".join(f"{part.stop - part.start} {block}" for block, part in s.parts().items())
        numbers = (f"{number:,}" for number in (s.sample_rate, s.n_fft, s.window_length, s.hop_length))
        table.add_row(Text(name, "bold"), *numbers, bands, "linear" if s.log == "none" else s.log)
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
