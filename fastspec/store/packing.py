"""Rows of the ledger that wait in commit records: texts as JSON, numbers as they lie in memory."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

# What is known of a clip when its partition is committed; the ledger adds `duplicate_of`.
SCHEMA = {
    "clip": pl.Int64,
    "path": pl.String,
    "label": pl.String,
    "group": pl.String,
    "split": pl.String,
    "start_s": pl.Float64,
    "channel": pl.Int64,
    "status": pl.String,
    "reason": pl.String,
    "header_frames": pl.Int64,
    "decoded_frames": pl.Int64,
    "sample_rate": pl.Int64,
    "channels": pl.Int64,
    "peak": pl.Float64,
    "clipped": pl.Float64,
    "silent": pl.Float64,
    "nonfinite": pl.Int64,
    "audio_hash": pl.String,
}

_NUMBERS = {name: np.dtype("<f8" if kind == pl.Float64 else "<i8") for name, kind in SCHEMA.items() if kind != pl.String}

# Values that may be None in a list, or numbers that are all known in an array.
Columns = dict[str, Sequence[Any] | NDArray[Any]]


def as_columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows column by column."""
    return {name: [row[name] for row in rows] for name in SCHEMA}


def as_lists(columns: Columns) -> dict[str, Sequence[Any]]:
    """The same with Python's own values."""
    return {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in columns.items()}


def pack_columns(columns: Columns) -> bytes:
    """Rows in a third of the memory that objects take: a line of JSON, then the numbers of each column in order."""
    n_rows = len(columns["clip"])
    if short := {name for name, values in columns.items() if len(values) != n_rows}:
        raise ValueError(f"{sorted(short)} have not {n_rows} rows as 'clip' has")
    texts = {name: list(columns[name]) for name, kind in SCHEMA.items() if kind == pl.String}
    numbers = {name: columns[name] for name in _NUMBERS}
    unknown = {name: places for name, values in numbers.items() if (places := _find_unknown(values))}
    for name in unknown:
        numbers[name] = [value or 0 for value in numbers[name]]
    arrays = [np.asarray(numbers[name], kind) for name, kind in _NUMBERS.items()]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("a number of the ledger is NaN or infinite")
    head = json.dumps({"rows": n_rows, "texts": texts, "unknown": unknown})
    return b"\n".join([head.encode(), b"".join(array.tobytes() for array in arrays)])


def unpack_columns(packed: bytes) -> Columns:
    """Rows that were packed.

    >>> rows = [dict.fromkeys(SCHEMA) | {"clip": i, "path": "é.wav", "peak": peak} for i, peak in enumerate([0.5, None])]
    >>> as_lists(unpack_columns(pack_columns(as_columns(rows)))) == as_columns(rows)
    True
    """
    line, _, data = packed.partition(b"\n")
    head, at = json.loads(line), 0
    columns: Columns = head["texts"]
    for name, kind in _NUMBERS.items():
        columns[name] = np.frombuffer(data, kind, head["rows"], at)
        at += 8 * head["rows"]
    columns |= {name: _without(columns[name], places) for name, places in head["unknown"].items()}
    return {name: columns[name] for name in SCHEMA}


def _find_unknown(values: Sequence[Any] | NDArray[Any]) -> list[int]:
    return [] if isinstance(values, np.ndarray) else [i for i, value in enumerate(values) if value is None]


def _without(values: Sequence[Any] | NDArray[Any], places: list[int]) -> list[Any]:
    known = list(np.asarray(values).tolist())
    for i in places:
        known[i] = None
    return known


def join_columns(parts: Sequence[Columns]) -> pl.DataFrame:
    """Rows in parts as a table."""
    return pl.DataFrame({name: _join([part[name] for part in parts]) for name in SCHEMA}, schema=SCHEMA)


def _join(parts: list[Sequence[Any] | NDArray[Any]]) -> Sequence[Any] | NDArray[Any]:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return list(chain.from_iterable(part.tolist() if isinstance(part, np.ndarray) else part for part in parts))
