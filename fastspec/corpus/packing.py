"""Rows of a manifest that wait for their turn: text, compressed."""

import json
import zlib
from collections.abc import Sequence
from typing import Any

from fastspec.corpus.manifest import ClipRow, Manifest

RowColumns = dict[str, Sequence[Any]]


def pack_rows(manifest: Manifest, start: int, stop: int) -> bytes:
    """Rows `start` to `stop` in little memory. Any thread or process may unpack them."""
    columns = [condense(column.to_list()) for column in manifest.table[start:stop]]
    return zlib.compress(json.dumps(columns).encode(), level=1)


def unpack_rows(packed: bytes) -> RowColumns:
    """Rows that were packed, column by column: the fields of `ClipRow`.

    >>> from fastspec.corpus.manifest import table_of_paths
    >>> manifest = Manifest(table_of_paths(["a.wav", "b.wav"], ["x", None]), "here", recordings=None)
    >>> unpack_rows(pack_rows(manifest, 0, 2)) == as_columns(manifest.rows(0, 2))
    True
    """
    columns = list(map(expand, json.loads(zlib.decompress(packed))))
    return dict(zip(ClipRow._fields, [*columns, [None] * len(columns[0])], strict=False))


def as_columns(rows: Sequence[ClipRow]) -> RowColumns:
    """Rows column by column."""
    return {name: [row[i] for row in rows] for i, name in enumerate(ClipRow._fields)}


def condense(values: list[Any]) -> list[Any] | dict[str, Any]:
    """A column for JSON: of values that are all the same, as in most columns, one and how often. 0.0 and -0.0 are not the same.

    >>> condense(["a", "b"]), condense([None, None, None]), condense([0.0, -0.0])
    (['a', 'b'], {'value': None, 'times': 3}, [0.0, -0.0])
    """
    if not values or values.count(values[0]) < len(values):
        return values
    if not isinstance(values[0], str | None) and len(set(map(repr, values))) > 1:
        return values
    return {"value": values[0], "times": len(values)}


def expand(condensed: list[Any] | dict[str, Any]) -> list[Any]:
    """The column that was condensed.

    >>> expand(condense([0.5, 0.5]))
    [0.5, 0.5]
    """
    return [condensed["value"]] * condensed["times"] if isinstance(condensed, dict) else condensed
