"""Parquet with encoded audio in its rows, as Hugging Face datasets writes it: a struct of `bytes` and `path`."""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from fastspec.corpus.folder import Files
from fastspec.corpus.manifest import RecordingError
from fastspec.corpus.place import Place, UrlPath, one_line
from fastspec.corpus.portable import fixed

BLOCK_ROWS = 32
# Damage that polars did not foresee makes it panic, which is no ordinary exception.
PARQUET_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)

_KEPT_BLOCKS = 8

_Block = list[tuple[bytes | None, str | None]]


class _BlockReader:
    """Reads blocks of rows and keeps the last few; in a thread of its own, since polars brings threads that workers must not multiply."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._blocks: OrderedDict[tuple[str, int], _Block] = OrderedDict()

    def __reduce__(self) -> tuple[type["_BlockReader"], tuple[()]]:
        return _BlockReader, ()

    def cell(self, place: Place, column: str, row: int) -> tuple[bytes | None, str | None]:
        """The `bytes` and `path` of a row."""
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="fastspec-parquet")
        block, within = divmod(row, BLOCK_ROWS)
        return self._pool.submit(self._read, place, column, block).result()[within]

    def _read(self, place: Place, column: str, block: int) -> _Block:
        key = (str(place), block)
        if key not in self._blocks:
            cell = pl.col(column).struct
            rows = scan(parquet_source(place)).slice(block * BLOCK_ROWS, BLOCK_ROWS).select(cell.field("bytes"), cell.field("path"))
            self._blocks[key] = rows.collect().rows()
        self._blocks.move_to_end(key)
        while len(self._blocks) > _KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        return self._blocks[key]


@dataclass(frozen=True)
class ParquetAudio:
    """Recordings that are cells of Parquet files. Rows are read in blocks of 32, of which the last eight are kept.

    Attributes:
        rows: for each path of the manifest the file, its audio column and the row.
    """

    rows: dict[str, tuple[Place, str, int]]
    _reader: _BlockReader = field(default_factory=_BlockReader)

    @classmethod
    def of(cls, place: Place, column: str, paths: pl.Series, *, several: bool) -> "ParquetAudio":
        """Those of one file. A row is called by its `path`, after its number where paths are missing or not distinct.

        The file's name comes first where there are `several`.
        """
        names = paths.to_list()
        if paths.null_count() or paths.n_unique() < len(paths):
            names = [f"{row}/{name or 'audio'}" for row, name in enumerate(names, start=1)]
        prefix = f"{place.name}/" if several else ""
        return cls({prefix + name: (place, column, row) for row, name in enumerate(names)})

    @classmethod
    def join(cls, parts: Sequence["ParquetAudio"]) -> "ParquetAudio":
        """Those of several files."""
        return cls({name: place for part in parts for name, place in part.rows.items()})

    def open(self, path: str) -> Path | bytes:
        """The cell's bytes, or the file that it names instead."""
        if path not in self.rows:
            raise RecordingError("unreadable", "no such row in the table")
        place, column, row = self.rows[path]
        try:
            data, name = self._reader.cell(place, column, row)
        except (*PARQUET_ERRORS, IndexError) as error:
            raise RecordingError("unreadable", f"damaged in the table: {one_line(error)}") from None
        if data is not None:
            return data
        if name is None:
            raise RecordingError("unreadable", "the row has neither bytes nor a path")
        return Files(place.parent).open(name)

    def take(self, paths: Set[str]) -> "ParquetAudio":
        """Those of some paths alone, from whatever folder."""
        found = {path: self.rows[path] for path in paths if path in self.rows}
        return ParquetAudio({path: (fixed(place), column, row) for path, (place, column, row) in found.items()})


def find_audio_column(schema: Mapping[str, Any], wanted: str) -> str | None:
    """The column of audio structs: the wanted one if it is such, or else the only one when the wanted one is not there.

    >>> import polars as pl
    >>> find_audio_column({"audio": pl.Struct({"bytes": pl.Binary, "path": pl.String}), "n": pl.Int64}, "path")
    'audio'
    """
    structs = [name for name, kind in schema.items() if _holds_audio(kind)]
    if wanted in schema:
        return wanted if wanted in structs else None
    return structs[0] if len(structs) == 1 else None


def _holds_audio(kind: Any) -> bool:
    """Whether a column's type is a struct of bytes and a path, of which one may be null throughout."""
    fields = {field.name: field.dtype for field in kind.fields} if isinstance(kind, pl.Struct) else {}
    return fields.get("bytes") in (pl.Binary, pl.Null) and fields.get("path") in (pl.String, pl.Null)


def read_class_names(source: Any) -> dict[str, list[str]]:
    """Names of the classes of each column of numbers, from what Hugging Face datasets notes in a Parquet file; most files have none."""
    try:
        features = json.loads(pl.read_parquet_metadata(source).get("huggingface", "{}"))["info"]["features"]
        return {name: list(feature["names"]) for name, feature in features.items() if "names" in feature}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def parquet_source(place: Place) -> Path | bytes:
    """What polars reads a Parquet file from; one behind a URL is held in memory. OSError when it cannot be had."""
    return place.read_bytes() if isinstance(place, UrlPath) else place


def scan(source: Path | bytes) -> pl.LazyFrame:
    """A Parquet file, read when it is asked for; its name is taken as it is."""
    return pl.scan_parquet(source, glob=False)
