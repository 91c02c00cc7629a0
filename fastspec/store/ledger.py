"""The ledger: one row a clip, the only truth about its path, label, group and status."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from fastspec.store.files import writing
from fastspec.store.place import Place

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
    "duplicate_of": pl.Int64,
}


# Clips that have features.
USABLE = ("ok", "silent")


ROW_GROUP = 65_536


Columns = dict[str, list[Any]]


def as_columns(rows: Sequence[Mapping[str, Any]]) -> Columns:
    """Rows of a ledger column by column, without `duplicate_of`, which is not known before all rows are: a third of the text as JSON."""
    return {name: [row[name] for row in rows] for name in SCHEMA if name != "duplicate_of"}


def make_ledger(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """The ledger of rows in the order of clips; `duplicate_of` is the smallest clip with the same audio hash, null for that one.

    >>> rows = [{"clip": i, "audio_hash": h, "status": "ok"} for i, h in enumerate(["a1", "b2", "a1", None, None])]
    >>> make_ledger(rows)["duplicate_of"].to_list()
    [None, None, 0, None, None]
    """
    ledger = pl.DataFrame(list(rows), schema=SCHEMA)
    return ledger.with_columns(_duplicates(ledger["clip"].to_numpy(), Hashes.of(ledger["audio_hash"])))


def write_ledger(path: Place, parts: Callable[[], Iterator[Columns]]) -> None:
    """Write the ledger of rows in parts, which are gone through twice; memory holds a part and 24 bytes a clip. Equal rows, equal bytes."""
    hashes = Hashes.join(Hashes.of(pl.Series(part["audio_hash"], dtype=pl.String)) for part in parts())
    duplicates, unknown = _duplicates(np.arange(len(hashes.high)), hashes), {"duplicate_of": None}

    def read(columns: list[str] | None, *_: object) -> Iterator[pl.DataFrame]:
        for group in _regroup(pl.DataFrame(part | unknown, schema=SCHEMA) for part in parts()):
            first = int(group["clip"][0])
            yield group.with_columns(duplicates[first : first + len(group)]).select(columns or list(SCHEMA))

    schema: dict[str, Any] = dict(SCHEMA)
    with writing(path) as temporary:
        register_io_source(read, schema=schema).sink_parquet(temporary, compression="zstd", statistics=True, row_group_size=ROW_GROUP)


class Hashes(NamedTuple):
    """Audio hashes of clips as numbers: a string would take five times the memory.

    Attributes:
        high: `(clips,)` uint64.
        low: `(clips,)` uint64.
        known: `(clips,)` bool, false where a clip has none.
    """

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: pl.Series) -> Self:
        """Of hexadecimal texts."""
        values = [int(text, 16) if text else 0 for text in texts]
        high, low = (np.array([value >> shift & (1 << 64) - 1 for value in values], np.uint64) for shift in (64, 0))
        return cls(high, low, texts.is_not_null().to_numpy())

    @classmethod
    def join(cls, parts: Iterable[Self]) -> Self:
        """Those of all parts."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


def _duplicates(clips: NDArray[np.int64], hashes: Hashes) -> pl.Series:
    """`duplicate_of`: the first clip with the same hash, null for that one. Sorting is stable, so that clips of a hash stay in order."""
    first = np.arange(len(clips))
    if len(clips):
        order = np.lexsort((hashes.low, hashes.high, hashes.known))
        high, low, known = (column[order] for column in hashes)
        starts = np.concatenate([[True], (high[1:] != high[:-1]) | (low[1:] != low[:-1]) | ~known[:-1]])
        first[order] = order[np.maximum.accumulate(np.where(starts, np.arange(len(clips)), 0))]
    again = first != np.arange(len(clips))
    return pl.select(pl.when(pl.Series(again)).then(pl.Series(clips[first], dtype=pl.Int64)).alias("duplicate_of")).to_series()


def _regroup(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows in row groups, whatever parts they come in."""
    held = pl.DataFrame(schema=SCHEMA)
    for frame in frames:
        held = pl.concat([held, frame])
        while len(held) >= ROW_GROUP:
            yield held[:ROW_GROUP]
            held = held[ROW_GROUP:]
    if len(held):
        yield held
