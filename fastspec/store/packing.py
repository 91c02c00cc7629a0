"""Rows of the ledger that wait in commit records: texts as JSON, numbers as they lie in memory."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastspec.corpus.packing import condense, expand

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

_HASH, _HASH_BYTES, _NO_HASH = "audio_hash", 16, "0" * 32
_TEXTS = [name for name, kind in SCHEMA.items() if kind == pl.String and name != _HASH]
_NUMBERS = {name: np.dtype("<f8" if kind == pl.Float64 else "<i8") for name, kind in SCHEMA.items() if kind != pl.String}
# A column that is the same as that of the paths.
_AS_PATH = {"column": "path"}

# Values that may be None in a list, or numbers that are all known in an array.
Columns = dict[str, Sequence[Any] | NDArray[Any]]


def as_columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows column by column."""
    return {name: [row[name] for row in rows] for name in SCHEMA}


def as_lists(columns: Columns) -> dict[str, Sequence[Any]]:
    """The same with Python's own values."""
    return {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in columns.items()}


def pack_columns(columns: Columns) -> bytes:
    """Rows without an object for each value: two lines of JSON, then the numbers of each column in order, then the hashes.

    ValueError: columns of other lengths, numbers that are not finite, or hashes that are none.
    """
    n_rows = len(columns["clip"])
    if short := {name for name, values in columns.items() if len(values) != n_rows}:
        raise ValueError(f"{sorted(short)} have not {n_rows} rows as 'clip' has")
    numbers = {name: columns[name] for name in [*_NUMBERS, _HASH]}
    absent = [name for name, values in numbers.items() if isinstance(values, list) and values.count(None) == n_rows]
    unknown = {name: places for name in numbers.keys() - set(absent) if (places := _find_unknown(numbers[name]))}
    texts = [_NO_HASH if text is None else text for text in numbers.pop(_HASH)]
    hashes = bytes.fromhex("".join(texts))  # skips blanks
    if len(hashes) != _HASH_BYTES * n_rows or any(len(text) != len(_NO_HASH) for text in texts):
        raise ValueError(f"an audio hash has not {len(_NO_HASH)} digits")
    for name in numbers.keys() & {*absent, *unknown}:
        numbers[name] = [value or 0 for value in numbers[name]]
    arrays = [np.asarray(numbers[name], kind) for name, kind in _NUMBERS.items()]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("a number of the ledger is NaN or infinite")
    told = json.dumps({name: _condense_text(name, columns) for name in _TEXTS}).encode()
    head = json.dumps({"rows": n_rows, "absent": absent, "unknown": unknown, "texts": len(told)})
    return b"".join([head.encode(), b"\n", told, *(array.tobytes() for array in arrays), hashes])


def unpack_columns(packed: bytes) -> Columns:
    """Rows that were packed. ValueError: some of them are missing.

    >>> rows = [dict.fromkeys(SCHEMA) | {"clip": i, "path": "é.wav", "peak": peak} for i, peak in enumerate([0.5, None])]
    >>> as_lists(unpack_columns(pack_columns(as_columns(rows)))) == as_columns(rows)
    True
    """
    head, at = _read_head(packed)
    n_rows, columns = head["rows"], Columns()
    for name, condensed in json.loads(packed[at : at + head["texts"]]).items():
        columns[name] = columns["path"] if condensed == _AS_PATH else expand(condensed)
    data, at = packed[at + head["texts"] :], 0
    for name, kind in _NUMBERS.items():
        columns[name] = np.frombuffer(data, kind, n_rows, at)
        at += 8 * n_rows
    digits, size = data[at:].hex(), len(_NO_HASH)
    columns[_HASH] = [digits[i : i + size] for i in range(0, len(digits), size)]
    columns |= {name: [None] * n_rows for name in head["absent"]}
    columns |= {name: _without(columns[name], places) for name, places in head["unknown"].items()}
    return {name: columns[name] for name in SCHEMA}


def unpack_hashes(packed: bytes) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The audio hashes of rows that were packed, `(rows, 2)`, and whether each has one, `(rows,)`; the rest is not looked at.

    ValueError: some of them are missing.
    """
    head, _ = _read_head(packed)
    known = np.full(head["rows"], _HASH not in head["absent"])
    known[head["unknown"].get(_HASH, [])] = False
    return np.frombuffer(packed, ">u8", offset=len(packed) - _HASH_BYTES * len(known)).reshape(-1, 2).astype(np.uint64), known


def _read_head(packed: bytes) -> tuple[dict[str, Any], int]:
    """What `pack_columns` says first, and where that ends."""
    at = packed.index(b"\n") + 1
    head: dict[str, Any] = json.loads(packed[:at])
    if len(packed) != at + head["texts"] + head["rows"] * (8 * len(_NUMBERS) + _HASH_BYTES):
        raise ValueError(f"{len(packed)} bytes are not {head['rows']} rows of the ledger")
    return head, at


def _condense_text(name: str, columns: Columns) -> Any:
    """Most recordings are a group by themselves, which then goes by the path."""
    return _AS_PATH if name == "group" and columns["group"] == columns["path"] else condense(list(columns[name]))


def _find_unknown(values: Sequence[Any] | NDArray[Any]) -> list[int]:
    if isinstance(values, np.ndarray) or None not in values:
        return []
    return [i for i, value in enumerate(values) if value is None]


def _without(values: Sequence[Any] | NDArray[Any], places: list[int]) -> list[Any]:
    known = values.tolist() if isinstance(values, np.ndarray) else list(values)
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
