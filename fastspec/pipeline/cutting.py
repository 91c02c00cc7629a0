"""From a manifest's recordings to its clips: how long each recording is, then where its clips begin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastspec.audio import AudioError, Cuts, Extent, cut_stretch, measure_extent
from fastspec.corpus import ClipRow, Manifest, RecordingError, take_recordings
from fastspec.pipeline.compute import Recordings
from fastspec.pipeline.scheduling import Choice, open_scheduler
from fastspec.pipeline.tasks import Reporter
from fastspec.pipeline.work import Progress, Tally
from fastspec.spec import Recipe
from fastspec.timing import Stopwatch

# Short recordings are measured in less time than Dask needs for a task; of long ones each worker wants several tasks.
MEASURED_TOGETHER = 32
TASKS_EACH = 8
_ROWS = 65_536


def cut_clips(
    manifest: Manifest,
    recipe: Recipe,
    *,
    recordings: Recordings | None = None,
    workers: int = 2,
    scheduler: Choice = "threads",
    on_progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """The manifest with one row a clip: windows, crops and single channels as the recipe's clip policy wants them.

    Where that needs lengths, each recording is decoded once to its end, in memory that does not grow with it: headers are not trusted.
    Each row gives at least one clip, so that the ledger accounts for all; a recording that cannot be opened keeps its row.

    Args:
        manifest: what to cut.
        recipe: how.
        recordings: what opens the manifest's, where it is not the manifest itself.
        workers: threads; 0 works in the calling one.
        on_progress: called after each recording that is measured, from the worker's thread.

    Returns:
        a manifest with the same recordings and, where the policy is "each", a column `channel` (Int64, from 0).
    """
    policy = recipe.clip
    if not policy.needs_lengths:
        return manifest
    paths = manifest.table["path"].unique(maintain_order=True).to_list()
    opened = recordings or manifest.recordings
    measured = _measure_all(paths, opened, workers=workers, scheduler=scheduler, on_progress=on_progress)
    extents = dict(zip(paths, measured, strict=True))
    cuts: list[Cuts] = []
    channels: list[int] = []
    for first in range(0, len(manifest), _ROWS):
        for row in manifest.rows(first, first + _ROWS):
            extent = extents[row.path]
            cuts.append(_keep(row) if extent is None else cut_stretch(row.start_s, row.duration_s, extent, policy))
            channels.append(extent.channels if extent and policy.channel == "each" else 0)
    table = _expand(manifest.table, cuts, np.array(channels), each=policy.channel == "each")
    return replace(manifest, table=table, origins=None, found=None)


def _keep(row: ClipRow) -> Cuts:
    duration_s = np.nan if row.duration_s is None else row.duration_s
    return Cuts(np.array([row.start_s]), np.array([duration_s]))


def _expand(table: pl.DataFrame, cuts: Sequence[Cuts], channels: NDArray[np.int64], *, each: bool) -> pl.DataFrame:
    """A row for each clip of each row, and for each of its channels in turn; 0 channels are a row that names none."""
    start_s, duration_s = (np.concatenate(column) for column in zip(*cuts, strict=True))
    rows = np.repeat(np.arange(len(cuts)), [len(cut.start_s) for cut in cuts])
    copies = np.maximum(1, channels[rows])
    clips = np.repeat(np.arange(len(rows)), copies)
    expanded = table[rows[clips]].with_columns(
        pl.Series("start_s", start_s[clips]), pl.Series("duration_s", duration_s[clips]).fill_nan(None)
    )
    if not each:
        return expanded
    within = np.arange(len(clips)) - np.repeat(np.cumsum(copies) - copies, copies)
    known = channels[rows[clips]] > 0
    return expanded.with_columns(pl.Series("channel", np.where(known, within, np.nan)).fill_nan(None).cast(pl.Int64))


def _measure_all(
    paths: Sequence[str], recordings: Recordings, *, workers: int, scheduler: Choice, on_progress: Callable[[Progress], None] | None
) -> list[Extent | None]:
    tally = Tally("lengths", len(paths), on_progress=on_progress)
    together = max(1, min(MEASURED_TOGETHER, len(paths) // (TASKS_EACH * max(1, workers))))

    def prepare(start: int) -> _Measuring:
        return _Measuring(paths[start : start + together], recordings)

    starts = range(0, len(paths), together)
    with open_scheduler(scheduler, workers=workers) as place:
        parts = place.compute_each(prepare, starts, tally=tally, at_once=len(starts), stopwatch=Stopwatch())
        return [extent for part in parts for extent in part]


@dataclass(frozen=True, repr=False)
class _Measuring:
    """The task of measuring some recordings."""

    paths: Sequence[str]
    recordings: Recordings

    def __call__(self, reporter: Reporter) -> list[Extent | None]:
        return [_measure(self.recordings, path, reporter) for path in self.paths]

    def __str__(self) -> str:
        return f"the lengths of {self.paths[0]} to {self.paths[-1]}"

    def __reduce__(self) -> tuple[type["_Measuring"], tuple[Any, ...]]:
        return _Measuring, (self.paths, take_recordings(self.recordings, set(self.paths)))


def _measure(recordings: Recordings, path: str, reporter: Reporter) -> Extent | None:
    """What a recording decodes to; None where it cannot be opened, crashes its decoder or lets it hang."""
    try:
        extent = measure_extent(recordings.open(path), on_block=reporter.check)
    except (RecordingError, AudioError):
        extent = None
    reporter.add(1, int(extent is None))
    return extent
