"""A model card's Markdown as blocks that a template writes: just what `fastspec.learn.card` makes, not all of Markdown."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from fastspec.report.cells import Table

_CODE = re.compile(r"(`` .*? ``|`[^`]*`)")
_RULE = re.compile(r"\|[-:| ]+\|")
_MOST_LINES = 200


class Span(NamedTuple):
    """Some text, or some code."""

    text: str
    code: bool


class Block(NamedTuple):
    """A heading, a paragraph, a list or a table.

    Attributes:
        kind: "heading", "text", "list" or "table".
        lines: of spans, all but those of a table.
        table: that.
    """

    kind: str
    lines: list[list[Span]]
    table: Table | None = None


def card_blocks(markdown: str) -> list[Block]:
    """The blocks of a card, but its first heading.

    >>> [block.kind for block in card_blocks("# model\\n\\n## Data\\n\\n- of `cats`\\n- more\\n")]
    ['heading', 'list']
    """
    return [_block(kind, list(lines)[:_MOST_LINES]) for kind, lines in groupby(_lines(markdown), key=_kind) if kind not in ("title", "")]


def _lines(markdown: str) -> Iterator[str]:
    yield from (line.rstrip() for line in markdown.split("\n"))


def _kind(line: str) -> str:
    for mark, kind in (("# ", "title"), ("## ", "heading"), ("- ", "list"), ("|", "table")):
        if line.startswith(mark):
            return kind
    return "text" if line else ""


def _block(kind: str, lines: list[str]) -> Block:
    if kind == "table":
        head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not _RULE.fullmatch(line)]
        plain = [[" ".join(cell.replace("`", "").split()) for cell in row] for row in rows]
        return Block(kind, [], Table("Held-out scores", head, plain))
    return Block(kind, [_spans(line.removeprefix("## ").removeprefix("- ")) for line in lines])


def _spans(line: str) -> list[Span]:
    parts = [part for part in _CODE.split(line) if part]
    return [Span(part.strip("`").strip(), True) if part.startswith("`") else Span(part, False) for part in parts]
