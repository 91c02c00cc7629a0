"""Rows of a manifest that wait for their turn: text, compressed."""

import json
import zlib
from collections.abc import Sequence
from typing import Any

from fastspec.corpus.manifest import ClipRow, Manifest

RowColumns = dict[str, Sequence[Any]]


def pack_rows(manifest: Manifest, start: int, stop: int) -> bytes:
    """Rows `start` to `stop` in a tenth of the table's memory. Any thread or process may unpack them."""
    columns = [fold(column.to_list()) for column in manifest.table[start:stop]]
    return zlib.compress(json.dumps(columns).encode(), level=1)


def unpack_rows(packed: bytes) -> RowColumns:
    """Rows that were packed, column by column: the fields of `ClipRow`.

    >>> from fastspec.corpus.manifest import table_of_paths
    >>> manifest = Manifest(table_of_paths(["a.wav", "b.wav"], ["x", None]), "here", recordings=None)
    >>> unpack_rows(pack_rows(manifest, 0, 2)) == as_columns(manifest.rows(0, 2))
    True
    """
    columns = list(map(unfold, json.loads(zlib.decompress(packed))))
    return dict(zip(ClipRow._fields, [*columns, [None] * len(columns[0])], strict=False))


def as_columns(rows: Sequence[ClipRow]) -> RowColumns:
    """Rows column by column."""
    return {name: [row[i] for row in rows] for i, name in enumerate(ClipRow._fields)}


def fold(values: list[Any]) -> list[Any] | dict[str, Any]:
    """A column for JSON: of equal values, as most columns are, one and how often.

    >>> fold(["a", "b"]), fold([None, None, None])
    (['a', 'b'], {'value': None, 'times': 3})
    """
    return {"value": values[0], "times": len(values)} if values and values.count(values[0]) == len(values) else values


def unfold(folded: list[Any] | dict[str, Any]) -> list[Any]:
    """The column that was folded.

    >>> unfold(fold([0.0, 0.0]))
    [0.0, 0.0]
    """
    return [folded["value"]] * folded["times"] if isinstance(folded, dict) else folded
