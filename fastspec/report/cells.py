"""What the tables of a page are made of, as plain values; templates/parts.html draws them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastspec.report.tables import clips

LONGEST = 80


class Bar(NamedTuple):
    """A number and a bar, `percent` of the column long."""

    percent: float
    text: str


class Scored(NamedTuple):
    """A score and its 95 % interval."""

    value: str
    interval: str


Content = str | Bar | Scored


class Table(NamedTuple):
    """A table: the first columns are texts, the others numbers, to the right."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Content]]
    texts: int = 1


class Cell(NamedTuple):
    """How many clips of one class were given one answer, and their share of the class in percent."""

    clips: str
    percent: float
    right: bool


class Matrix(NamedTuple):
    """Actual classes (rows) against answers (columns)."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def make_matrix(caption: str, counts: ArrayLike, classes: Sequence[str], answers: Sequence[str]) -> Matrix:
    """The matrix of `(classes, answers)` counts.

    >>> make_matrix("pets", [[3, 1]], ["cat"], ["cat", "dog"]).rows
    [('cat', [Cell(clips='3', percent=75.0, right=True), Cell(clips='1', percent=25.0, right=False)])]
    """
    rows = []
    for name, row in zip(classes, np.asarray(counts, np.float64).tolist(), strict=True):
        total = sum(row) or 1.0
        rows.append((name, [Cell(clips(n), 100 * n / total, name == answer) for n, answer in zip(row, answers, strict=True)]))
    return Matrix(caption, answers, rows)


def scored(row: Mapping[str, Any], name: str) -> Scored:
    """A score by its name, `_low` and `_high`, three decimals each; dashes for what is not known.

    >>> scored({"f1": 0.5, "f1_low": 0.25, "f1_high": None}, "f1")
    Scored(value='0.500', interval='0.250 to –')
    """
    value, low, high = (_number(row.get(f"{name}{end}")) for end in ("", "_low", "_high"))
    return Scored(value, "" if low == high == "–" else f"{low} to {high}")


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"


def clipped(text: object, longest: int = LONGEST) -> str:
    """Any text on one line without control characters; of a long one the two ends, for that is where names differ.

    >>> clipped("a\\nb"), clipped("x" * 500, 9)
    ('a b', 'xxxx…xxxx')
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 4 * longest] + str(text)[4 * longest :][-longest:])
    half = (longest - 1) // 2
    return plain if len(plain) <= longest else f"{plain[:half]}…{plain[-half:]}"


def path_end(path: object, longest: int = LONGEST) -> str:
    """As many of a path's last parts as have room.

    >>> path_end("/data/kits/GMRockKit/Kick-Hard.wav", 26), path_end("a/b.wav"), path_end("x" * 90, 9)
    ('…/GMRockKit/Kick-Hard.wav', 'a/b.wav', '…xxxxxxxx')
    """
    text = clipped(path, 10 * longest)
    if len(text) <= longest:
        return text
    end = text[1 - longest :]
    return f"…{end[max(0, end.find('/')) :]}" if "/" in end[1:] else f"…{end}"
