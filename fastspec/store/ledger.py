"""The ledger: one row a clip, the only truth about its path, label, group and status."""

import io
from collections.abc import Iterable
from typing import Any

import polars as pl

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


def make_ledger(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """The ledger of rows in the order of clips; `duplicate_of` is the smallest clip with the same audio hash, null for that one.

    >>> rows = [{"clip": i, "audio_hash": h, "status": "ok"} for i, h in enumerate(["a", "b", "a", None, None])]
    >>> make_ledger(rows)["duplicate_of"].to_list()
    [None, None, 0, None, None]
    """
    ledger = pl.DataFrame(list(rows), schema=SCHEMA)
    first = pl.col("clip").min().over("audio_hash")
    again = pl.col("audio_hash").is_not_null() & (first < pl.col("clip"))
    return ledger.with_columns(pl.when(again).then(first).alias("duplicate_of"))


def to_parquet(ledger: pl.DataFrame) -> bytes:
    """The ledger's file: equal ledgers give equal bytes."""
    buffer = io.BytesIO()
    ledger.write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()
