"""What is wrong with the rows of tables: collected, then told all at once."""

from collections.abc import Iterable

from fastspec.errors import brief, counted

_SHOWN = 10


class RowProblems:
    """Problems of rows, each with its table and the row in it as an editor counts it; a message shows the first ten.

    `header` is whether row 1 is the header.

    >>> problems = RowProblems("clips.csv", several=False, header=True)
    >>> problems.extend([("clips.csv", 7, "has no path"), ("clips.csv", 3, "repeats row 2")])
    >>> problems.sentence("to mend")
    'clips.csv has 2 rows to mend: row 3 repeats row 2; row 7 has no path (row 1 is the header)'
    """

    def __init__(self, source: str, *, several: bool, header: bool) -> None:
        self._source, self._several, self.header = source, several, header
        self._found: list[tuple[str, int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def extend(self, found: Iterable[tuple[str, int, str]]) -> None:
        """Add problems: the table's name, the row, and what is wrong."""
        self._found += found

    def sentence(self, what: str) -> str:
        """All of it in one line, sorted by row; `what` says what the rows are."""
        shown = [f"{f'{table} ' if self._several else ''}row {row} {brief(text)}" for table, row, text in sorted(self._found)[:_SHOWN]]
        more = f"; and {len(self) - _SHOWN:,} more" if len(self) > _SHOWN else ""
        header = " (row 1 is the header)" if self.header else ""
        return f"{self._source} has {counted(len(self), 'row')} {what}: {'; '.join(shown)}{more}{header}"
