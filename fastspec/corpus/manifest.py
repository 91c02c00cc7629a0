"""The manifest: a table with one row a clip, and the way from a row's path to the recording."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl

from fastspec.corpus.problems import RowProblems
from fastspec.display import table_html
from fastspec.errors import FastspecError, counted

SCHEMA = {
    "path": pl.String,
    "label": pl.String,
    "group": pl.String,
    "split": pl.String,
    "start_s": pl.Float64,
    "duration_s": pl.Float64,
}
# What a scan finds out about each row; see `fastspec.audio.Survey`.
FOUND = {
    "status": pl.String,
    "reason": pl.String,
    "format": pl.String,
    "subtype": pl.String,
    "size_bytes": pl.Int64,
    "sample_rate": pl.Int64,
    "channels": pl.Int64,
    "header_frames": pl.Int64,
    "frames": pl.Int64,
    "peak": pl.Float64,
    "clipped": pl.Float64,
    "silent": pl.Float64,
    "nonfinite": pl.Int64,
    "dc": pl.Float64,
    "audio_hash": pl.String,
    "duplicate_of": pl.Int64,
}
_DIGEST_ROWS = 65_536
_SHOWN_CLASSES = 10


class ClipRow(NamedTuple):
    """One row of a manifest: a stretch of one recording.

    `group` None: the recording is a group by itself. `duration_s` None: to the end, or as long as the recipe's clips are.
    `channel` None: what the recipe says, else the one to take, from 0.
    """

    path: str
    label: str | None
    group: str | None
    split: str | None
    start_s: float
    duration_s: float | None
    channel: int | None = None


class Reading(NamedTuple):
    """How a corpus is read: what `read_corpus` is told beside where it lies."""

    columns: Mapping[str, str] | None = None
    label_from: str | None = None
    group_from: str | None = None


class RecordingError(FastspecError):
    """One recording that cannot be had: costs its rows, not the run. `code` is the ledger's status, `reason` one line."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the recording is {self.code}: {self.reason}"


class Recordings(Protocol):
    """Where a manifest's recordings lie."""

    def open(self, path: str) -> Path | bytes:
        """The file of a row's path, or its bytes. Safe in any thread. RecordingError when it cannot be had."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class Manifest:
    """What to read: one row a clip, the clips of one recording adjacent.

    Attributes:
        table: columns path, label, group, split (String), start_s (Float64, never null), duration_s (Float64); then, if rows are single
            channels, channel (Int64).
        source: what was read, for messages.
        recordings: opens the paths.
        ignored: files of the corpus that are not audio by their extension.
        origins: of the rows of tables, the `table` and the `row` in it, counted as an editor shows it.
        problems: of a corpus of tables the rows whose file is missing, which costs them but not the run.
        unread: of a folder, those of the ignored files that may have been meant: tables, and sound that libsndfile cannot read.
        found: what a scan found, row by row, in the columns of `FOUND`; written and read with the table.
        reading: how it was read, to read it again.
    """

    table: pl.DataFrame
    source: str
    recordings: Recordings
    ignored: int = 0
    origins: pl.DataFrame | None = None
    problems: RowProblems | None = None
    unread: tuple[str, ...] = ()
    found: pl.DataFrame | None = None
    reading: Reading = field(default_factory=Reading)

    def __len__(self) -> int:
        return self.table.height

    def __repr__(self) -> str:
        such = f" ({self.unread[0]!r} is one)" if self.unread else ""
        ignored = f", {counted(self.ignored, 'other file')} ignored{such}" if self.ignored else ""
        n_recordings = self.table["path"].n_unique()
        several = f"{counted(len(self), 'clip')} of " if n_recordings < len(self) else ""
        rows = f"{several}{counted(n_recordings, 'recording')}, {counted(len(self.classes), 'class', 'classes')}"
        return f"<Manifest of {self.source!r}: {rows}{ignored}>"

    def _repr_html_(self) -> str:
        counts = self.table["label"].drop_nulls().value_counts(sort=True)
        shown = ", ".join(f"{label} {n:,}" for label, n in counts.head(_SHOWN_CLASSES).iter_rows())
        more = f" and {len(counts) - _SHOWN_CLASSES:,} more" if len(counts) > _SHOWN_CLASSES else ""
        rows = {"clips": len(self), "recordings": self.table["path"].n_unique(), "classes": len(counts), "clips of each": shown + more}
        return table_html(f"Manifest of {self.source}", rows)

    @property
    def classes(self) -> list[str]:
        """The labels there are, sorted by code points."""
        return sorted(self.table["label"].drop_nulls().unique().to_list())

    @property
    def address(self) -> str | None:
        """Where the corpus can be read again, whatever folder one is in; None for samples in memory."""
        from fastspec.corpus.place import is_url
        from fastspec.corpus.samples import Samples

        if isinstance(self.recordings, Samples):
            return None
        return self.source if is_url(self.source) else str(Path(self.source).absolute())

    def rows(self, start: int, stop: int) -> list[ClipRow]:
        """Rows `start` to `stop`, as a slice takes them."""
        return [ClipRow(*row) for row in self.table[start:stop].rows()]

    def digest(self) -> str:
        """SHA-256 of the rows and their order, in hexadecimal; it does not depend on where the corpus lies."""
        digest = hashlib.sha256(json.dumps(self.table.columns).encode())
        for rows in self.table.iter_slices(_DIGEST_ROWS):
            # The JSON of a list of the columns, one of them in memory.
            for before, column in zip("[" + "," * rows.width, rows, strict=False):
                digest.update(f"{before}{' ' * (before == ',')}{json.dumps(column.to_list())}".encode())
            digest.update(b"]")
        return digest.hexdigest()

    def with_table(self, table: pl.DataFrame) -> "Manifest":
        """The same recordings with another table, of the same rows."""
        return replace(self, table=table)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the rows as a `.parquet`, `.csv` or `.jsonl` that `read_corpus` reads again, whole or not at all.

        Files are named relative to the table's folder; folds stand in a column `fold`. Rows whose recording lies in something else (an
        archive, a table with audio, a folder with names that are not Unicode) have that in a column `read_from`.

        Raises:
            CorpusError: another ending, no place to write to, or samples that lie in memory only.
        """
        from fastspec.corpus.manifest_file import write_manifest

        return write_manifest(self, Path(path))

    def open(self, path: str) -> Path | bytes:
        """The recording of a row's path: a regular file, or the bytes of an archive's member.

        Raises:
            RecordingError: it is missing, not a regular file, damaged or too large.
        """
        return self.recordings.open(path)


def table_of_paths(paths: list[str], labels: list[str | None]) -> pl.DataFrame:
    """A manifest's table with one whole recording a row."""
    n = len(paths)
    columns = {"path": paths, "label": labels, "group": [None] * n, "split": [None] * n, "start_s": [0.0] * n, "duration_s": [None] * n}
    return pl.DataFrame(columns, schema=SCHEMA)
