"""What a scan would say of a store's corpus, as far as its ledger knows: nothing is decoded."""

from pathlib import Path, PurePath

import polars as pl

from fastspec.corpus import FOUND, Manifest, RecordingError
from fastspec.scanning.report import ScanReport, report_of
from fastspec.store import FeatureStore
from fastspec.store.reading import read_manifest
from fastspec.store.source import read_source

REMOVED = "removed"


class _Elsewhere:
    """Recordings that a ledger only tells about."""

    def open(self, path: str) -> Path | bytes:
        raise RecordingError("unreadable", f"{path!r} is known from a ledger alone")


def scan_store(store: FeatureStore) -> ScanReport:
    """A scan's report on the clips of a finished store, without those that an update removed.

    The ledger knows neither formats, whose place file endings take, nor bytes, nor offsets; lengths are those of clips, not of recordings.

    >>> import fastspec, numpy as np, tempfile
    >>> sounds = [(f"{i}.wav", np.full(8000, 0.1 + 0.1 * i, np.float32), 8000, "ab"[i % 2]) for i in range(2)]
    >>> recipe = fastspec.preset("librosa", sample_rate=8000, clip_s=0.5)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = scan_store(fastspec.featurize(fastspec.read_corpus(sounds), f"{folder}/s.zarr", recipe=recipe))
    >>> report.clips, report.durations_s["median"], report.formats, [problem.kind for problem in report.problems]
    (2, 0.5, {'wav': 2}, ['one-group'])
    """
    kept = store.ledger["status"] != REMOVED
    ledger, table = store.ledger.filter(kept), read_manifest(store.path).filter(kept)
    first, clip_s = (pl.col("start_s") * pl.col("sample_rate")).round(), store.recipe.clip.clip_s
    frames = pl.max_horizontal(pl.lit(0), pl.col("decoded_frames") - first).cast(pl.Int64)
    endings = [PurePath(path).suffix.lower().removeprefix(".") or None for path in ledger["path"]]
    known = ledger.with_columns(pl.Series("format", endings, pl.String), pl.lit("").alias("subtype"), frames.alias("frames"))
    missing = [pl.lit(None, kind).alias(name) for name, kind in FOUND.items() if name not in known.columns]
    found = known.with_columns(missing).select(list(FOUND))
    # A clip as long as the recipe wants was cut there, so that its header claims no more than it has.
    cut = found["frames"] >= (found["sample_rate"] * clip_s).round()
    table = table.with_columns(pl.when(cut).then(pl.lit(clip_s)).otherwise("duration_s").alias("duration_s"))
    return report_of(Manifest(table, read_source(store.path).corpus or str(store.path), _Elsewhere()), found)
