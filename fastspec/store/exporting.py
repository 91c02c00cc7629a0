"""A store's features in other formats, in memory that does not grow with it."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from fastspec.errors import StoreError, choices
from fastspec.store.reading import FeatureStore

Format = Literal["npy", "parquet"]


def export(store: FeatureStore, output: str | os.PathLike[str], *, format: Format | None = None) -> Path:  # noqa: A002
    """Write a store's features as one file, whole or not at all; row i is row i of the ledger.

    Args:
        store: a finished store.
        output: a file that does not exist.
        format: "npy" is the array `(clips, frames, bands)` in the store's dtype. "parquet" is the ledger with columns `valid_frames` and
            `features`, `(frames, bands)` float32 in each row. None goes by the ending.

    Raises:
        StoreError: an unknown format, a file that exists, or no place to write to.
    """
    output = Path(output)
    kind = format or output.suffix.removeprefix(".")
    writers: dict[str, Callable[[FeatureStore, Path], None]] = {"npy": _write_npy, "parquet": _write_parquet}
    if kind not in writers:
        raise StoreError(f"{output} has no format that a store can be exported to; {choices(kind, writers)}")
    if output.exists():
        raise StoreError(f"{output} exists; choose another name, or remove it")
    temporary = output.with_name(f".{output.name}-{secrets.token_hex(8)}")
    try:
        writers[kind](store, temporary)
        temporary.replace(output)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise StoreError(f"{output} cannot be written: {reason}; choose a folder that exists and has room") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return output


def _write_npy(store: FeatureStore, path: Path) -> None:
    array = np.lib.format.open_memmap(path, "w+", np.dtype(store.dtype), store.features.shape)
    for clips in _chunks(store):
        array[clips] = store.features[clips]
    array.flush()


def _write_parquet(store: FeatureStore, path: Path) -> None:
    kind = pl.Array(pl.Float32, store.features.shape[1:])

    def read(columns: list[str] | None, _predicate: object, n_rows: int | None, _batch: int | None) -> Iterator[pl.DataFrame]:
        for clips in _chunks(store, n_rows):
            values = np.asarray(store.features[clips], np.float32)
            valid = pl.Series("valid_frames", store.valid_frames[clips])
            part = store.ledger[clips].with_columns(valid, pl.Series("features", values, dtype=kind))
            yield part.select(columns) if columns else part

    schema: dict[str, Any] = {**store.ledger.schema, "valid_frames": pl.Int32, "features": kind}
    source = register_io_source(read, schema=schema)
    source.sink_parquet(path, row_group_size=store.features.chunks[0])


def _chunks(store: FeatureStore, n_clips: int | None = None) -> Iterator[slice]:
    step, stop = store.features.chunks[0], len(store) if n_clips is None else n_clips
    for start in range(0, stop, step):
        yield slice(start, min(start + step, stop))
