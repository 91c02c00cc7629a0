"""A diagnosis as text, to be pasted where it is asked for."""

from collections.abc import Iterable
from typing import Protocol

from rich.table import Table
from rich.text import Text

from fastspec.report.tables import text_table


class Finding(Protocol):
    """What is shown of each."""

    @property
    def name(self) -> str:
        """What was looked at."""
        ...

    @property
    def value(self) -> str:
        """What was found."""
        ...

    @property
    def advice(self) -> str | None:
        """What to do; None where nothing is wrong."""
        ...


def doctor_table(findings: Iterable[Finding]) -> Table:
    """One row a finding, with its advice below where it is wrong."""
    table = text_table(None, **{"": "left", "looked at": "left", "found": "left"})
    for finding in findings:
        value = Text(finding.value, overflow="fold")
        if finding.advice:
            value.append(f"\n→ {finding.advice}", "bold")
        table.add_row(Text("WRONG", "bold red") if finding.advice else Text("ok", "green"), Text(finding.name, "bold"), value)
    return table
