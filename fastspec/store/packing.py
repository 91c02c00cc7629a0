"""Rows of the ledger that wait in commit records: texts as JSON, numbers as they lie in memory."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastspec.corpus.packing import fold, unfold

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
    """Rows in a fifth of the memory that objects take: two lines of JSON, then the numbers of each column in order, then the hashes."""
    n_rows = len(columns["clip"])
    if short := {name for name, values in columns.items() if len(values) != n_rows}:
        raise ValueError(f"{sorted(short)} have not {n_rows} rows as 'clip' has")
    numbers = {name: columns[name] for name in [*_NUMBERS, _HASH]}
    unknown = {name: places for name, values in numbers.items() if (places := _find_unknown(values))}
    hashes = bytes.fromhex("".join(text or _NO_HASH for text in numbers.pop(_HASH)))
    for name in numbers.keys() & unknown.keys():
        numbers[name] = [value or 0 for value in numbers[name]]
    arrays = [np.asarray(numbers[name], kind) for name, kind in _NUMBERS.items()]
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("a number of the ledger is NaN or infinite")
    if len(hashes) != _HASH_BYTES * n_rows:
        raise ValueError(f"an audio hash has not {2 * _HASH_BYTES} digits")
    head = json.dumps({"rows": n_rows, "unknown": unknown})
    texts = json.dumps({name: _fold_text(name, columns) for name in _TEXTS})
    return b"\n".join([head.encode(), texts.encode(), b"".join([*(array.tobytes() for array in arrays), hashes])])


def unpack_columns(packed: bytes) -> Columns:
    """Rows that were packed.

    >>> rows = [dict.fromkeys(SCHEMA) | {"clip": i, "path": "é.wav", "peak": peak} for i, peak in enumerate([0.5, None])]
    >>> as_lists(unpack_columns(pack_columns(as_columns(rows)))) == as_columns(rows)
    True
    """
    line, texts, data = packed.split(b"\n", 2)
    head, at = json.loads(line), 0
    columns: Columns = {}
    for name, folded in json.loads(texts).items():
        columns[name] = columns["path"] if folded == _AS_PATH else unfold(folded)
    for name, kind in _NUMBERS.items():
        columns[name] = np.frombuffer(data, kind, head["rows"], at)
        at += 8 * head["rows"]
    digits = data[at:].hex()
    columns[_HASH] = [digits[i : i + 2 * _HASH_BYTES] for i in range(0, len(digits), 2 * _HASH_BYTES)]
    columns |= {name: _without(columns[name], places) for name, places in head["unknown"].items()}
    return {name: columns[name] for name in SCHEMA}


def unpack_hashes(packed: bytes) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The audio hashes of rows that were packed, `(rows, 2)`, and whether each has one, `(rows,)`; the rest is not looked at."""
    head = json.loads(packed[: packed.index(b"\n")])
    known = np.ones(head["rows"], np.bool_)
    unknown = head["unknown"].get(_HASH, [])
    known[slice(None) if unknown == "everywhere" else unknown] = False
    return np.frombuffer(packed, ">u8", offset=len(packed) - _HASH_BYTES * len(known)).reshape(-1, 2).astype(np.uint64), known


def _fold_text(name: str, columns: Columns) -> Any:
    """Most recordings are a group by themselves, which then goes by the path."""
    return _AS_PATH if name == "group" and columns["group"] == columns["path"] else fold(list(columns[name]))


def _find_unknown(values: Sequence[Any] | NDArray[Any]) -> list[int] | Literal["everywhere"]:
    """Where a column has None, or "everywhere"."""
    if isinstance(values, np.ndarray) or None not in values:
        return []
    return "everywhere" if values.count(None) == len(values) else [i for i, value in enumerate(values) if value is None]


def _without(values: Sequence[Any] | NDArray[Any], unknown: list[int] | Literal["everywhere"]) -> list[Any]:
    if unknown == "everywhere":
        return [None] * len(values)
    known = values.tolist() if isinstance(values, np.ndarray) else list(values)
    for i in unknown:
        known[i] = None
    return known


def join_columns(parts: Sequence[Columns]) -> pl.DataFrame:
    """Rows in parts as a table."""
    return pl.DataFrame({name: _join([part[name] for part in parts]) for name in SCHEMA}, schema=SCHEMA)


def _join(parts: list[Sequence[Any] | NDArray[Any]]) -> Sequence[Any] | NDArray[Any]:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return list(chain.from_iterable(part.tolist() if isinstance(part, np.ndarray) else part for part in parts))
