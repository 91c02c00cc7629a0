"""One pass over a whole corpus: what each of its clips holds, before anything is computed."""

from collections.abc import Callable

import numpy as np
import polars as pl

from fastspec.audio import Survey, survey
from fastspec.audio.survey import Stretch
from fastspec.corpus import FOUND, ClipRow, Manifest, RecordingError
from fastspec.corpus.runs import begins_run
from fastspec.pipeline.cutting import MEASURED_TOGETHER, TASKS_EACH
from fastspec.pipeline.work import Progress, Tally, compute_each

_USABLE = ("ok", "silent")


def survey_clips(manifest: Manifest, *, workers: int = 2, on_progress: Callable[[Progress], None] | None = None) -> pl.DataFrame:
    """A row for each of the manifest's, with the columns of `corpus.FOUND`: each recording is decoded once, and a bad one costs its rows.

    Memory does not grow with the recordings. `duplicate_of` is the first row with equal audio, null for that one.

    Args:
        manifest: what to read.
        workers: threads; 0 works in the calling one.
        on_progress: called after each recording, from the worker's thread.
    """
    starts = np.flatnonzero(begins_run(manifest.table["path"]))
    bounds = [*starts.tolist(), len(manifest)]
    together = max(1, min(MEASURED_TOGETHER, len(starts) // (TASKS_EACH * max(1, workers))))
    tally = Tally("scan", len(manifest), on_progress=on_progress)

    def survey_some(first: int) -> list[Survey]:
        found: list[Survey] = []
        for i in range(first, min(first + together, len(starts))):
            found += _survey(manifest, manifest.rows(bounds[i], bounds[i + 1]), tally)
        return found

    parts = compute_each(survey_some, range(0, len(starts), together), workers=workers, tally=tally)
    schema = {name: kind for name, kind in FOUND.items() if name in Survey._fields}
    tables = [pl.DataFrame(part, schema=schema, orient="row") for part in parts]
    return _mark_duplicates(pl.concat(tables) if tables else pl.DataFrame(schema=schema))


def _survey(manifest: Manifest, rows: list[ClipRow], tally: Tally) -> list[Survey]:
    """Of rows of one recording."""
    try:
        source = manifest.open(rows[0].path)
    except RecordingError as error:
        found = [Survey(error.code, error.reason)] * len(rows)
    else:
        found = survey(source, [Stretch(row.start_s, row.duration_s, row.channel) for row in rows], on_block=tally.check)
    tally.add(len(rows), sum(one.status not in _USABLE for one in found))
    return found


def _mark_duplicates(found: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("row").cast(pl.Int64).min().over("audio_hash")
    again = pl.col("audio_hash").is_not_null() & (first < pl.col("row"))
    return found.with_row_index("row").with_columns(pl.when(again).then(first).alias("duplicate_of")).select(list(FOUND))
