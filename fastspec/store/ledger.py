"""The ledger: one row a clip, the only truth about its path, label, group and status."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from fastspec.store.files import writing
from fastspec.store.memory import give_back_memory
from fastspec.store.packing import SCHEMA as COMMITTED
from fastspec.store.packing import Columns, join_columns, unpack_columns, unpack_hashes
from fastspec.store.place import Place

SCHEMA = COMMITTED | {"duplicate_of": pl.Int64}

# Clips that have features.
USABLE = ("ok", "silent")

# What writes Parquet holds several; four times as many rows take 50 MB more and make the file half as large.
ROW_GROUP = 16_384
# It is given the rows in parts, of which it holds several too; by whole row groups it would take 13 MB more.
_ROWS_GIVEN = 4096
# A sixteenth of all hashes.
_SORTED_SHARE = 1 << 60


def make_ledger(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """The ledger of rows in the order of clips; `duplicate_of` is the smallest clip with the same audio hash, null for that one.

    >>> rows = [{"clip": i, "audio_hash": h, "status": "ok"} for i, h in enumerate(["a1", "b2", "a1", None, None])]
    >>> make_ledger(rows)["duplicate_of"].to_list()
    [None, None, 0, None, None]
    """
    ledger = pl.DataFrame(list(rows), schema=SCHEMA)
    clips, first = ledger["clip"].to_numpy(), Hashes.of(ledger["audio_hash"]).find_first()
    return ledger.with_columns(_duplicates(clips, clips[first]))


def write_ledger(path: Place, parts: Callable[[], Iterator[bytes]], *, n_clips: int) -> None:
    """Write the ledger of so many rows in parts, packed, which are gone through twice; memory holds a few parts and 24 bytes a clip.

    Equal rows give equal bytes.
    """
    first = Hashes.join(map(unpack_hashes, parts()), n_clips).find_first()
    give_back_memory(n_clips)  # that of the hashes, which is as much as all that is to come

    def read(columns: list[str] | None, *_: object) -> Iterator[pl.DataFrame]:
        for table in _regroup(map(unpack_columns, parts())):
            clips = table["clip"].to_numpy()
            yield table.with_columns(_duplicates(clips, first[clips[0] : clips[-1] + 1])).select(columns or list(SCHEMA))

    schema: dict[str, Any] = dict(SCHEMA)
    # To ask a source for rows takes longer than to write as few as it would give at once.
    few = next(read(None), pl.DataFrame(schema=schema)).lazy() if n_clips <= _ROWS_GIVEN else None
    with writing(path) as temporary:
        rows = register_io_source(read, schema=schema) if few is None else few
        rows.sink_parquet(temporary, compression="zstd", statistics=True, row_group_size=ROW_GROUP)


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
        digits = np.frombuffer(bytes.fromhex("".join(("" if text is None else text).zfill(32) for text in texts)), ">u8").astype(np.uint64)
        return cls(digits[::2], digits[1::2], texts.is_not_null().to_numpy())

    @classmethod
    def join(cls, parts: Iterable[tuple[NDArray[np.uint64], NDArray[np.bool_]]], n_clips: int) -> Self:
        """Of parts, as `unpack_hashes` has each."""
        numbers, known, done = np.empty((2, n_clips), np.uint64), np.empty(n_clips, np.bool_), 0
        for own, are_known in parts:
            some = slice(done, done + len(own))
            numbers[:, some], known[some] = own.T, are_known
            done += len(own)
        return cls(numbers[0], numbers[1], known)

    def find_first(self) -> NDArray[np.uint32]:
        """`(clips,)`: the first clip with the same hash; a clip without one is its own.

        A share of the hashes at a time, by their first bits: sorting all of them would take thrice their memory.
        """
        first = np.arange(len(self.known), dtype=np.uint32)
        for least in range(0, 1 << 64, _SORTED_SHARE):
            members = np.flatnonzero(self.known & (self.high >= least) & (self.high <= least + (_SORTED_SHARE - 1)))
            if len(members):
                high, low = self.high[members], self.low[members]
                # Stable, so that clips of a hash stay in order.
                order = np.lexsort((low, high))
                high, low = high[order], low[order]
                starts = np.concatenate([[True], (high[1:] != high[:-1]) | (low[1:] != low[:-1])])
                members = members[order]
                first[members] = members[np.maximum.accumulate(np.where(starts, np.arange(len(members)), 0))]
        return first


def _duplicates(clips: NDArray[np.int64], first: NDArray[np.integer]) -> pl.Series:
    """`duplicate_of`: the first clip with the same hash, null for that one."""
    return pl.select(pl.when(pl.Series(first != clips)).then(pl.Series(first, dtype=pl.Int64)).alias("duplicate_of")).to_series()


def _regroup(parts: Iterable[Columns]) -> Iterator[pl.DataFrame]:
    """The same rows in tables of one size, a row group of several, whatever parts they come in."""
    held: list[Columns] = []
    for part in parts:
        held.append(part)
        if (n_rows := sum(len(one["clip"]) for one in held)) >= _ROWS_GIVEN:
            left = n_rows % _ROWS_GIVEN  # of the last, since those before were too few
            yield from join_columns(held)[: n_rows - left].iter_slices(_ROWS_GIVEN)
            held = [{name: values[len(values) - left :] for name, values in part.items()}]
    if any(len(one["clip"]) for one in held):
        yield join_columns(held)
