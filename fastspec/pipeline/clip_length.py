"""The default clip length: long enough for most recordings of this corpus."""

import math
from functools import partial

import dask
import numpy as np

from fastspec.audio import AudioError, measure_frames
from fastspec.corpus import ClipRow, Manifest, RecordingError
from fastspec.errors import CorpusError
from fastspec.pipeline.compute import Recordings
from fastspec.pipeline.work import delay_each

SAMPLED_RECORDINGS = 1000
PERCENTILE = 95
LONGEST_S = 10.0


def choose_clip_length(manifest: Manifest, *, recordings: Recordings | None = None, workers: int = 2) -> float:
    """The 95th percentile of the decoded length of up to 1,000 evenly spaced clips, in seconds: rounded up to 0.1 s, at most 10 s.

    Longer ones count as 10 s, where decoding stops; header lengths are not trusted. `recordings` opens them, else the manifest.

    Raises:
        CorpusError: none of them could be decoded.
    """
    positions = np.unique(np.linspace(0, len(manifest) - 1, SAMPLED_RECORDINGS).round().astype(int))
    rows = [row for position in positions for row in manifest.rows(int(position), int(position) + 1)]
    # Neighbours stay together and in order, since a compressed tar is read forwards.
    step = max(1, -(-len(rows) // 32))
    measure = partial(_measure_some, recordings or manifest.recordings)
    tasks = delay_each(measure, [rows[start : start + step] for start in range(0, len(rows), step)])
    scheduler = {"scheduler": "threads", "num_workers": workers} if workers else {"scheduler": "synchronous"}
    results = [result for part in dask.compute(*tasks, **scheduler) for result in part]
    lengths = [length for length in results if isinstance(length, float)]
    if not lengths:
        reason = next(iter(results), "no clips")
        raise CorpusError(f"none of {len(rows)} sampled recordings of {manifest.source} could be decoded; the first: {reason}")
    # Without the nudge 0.7 s would become 0.8: 0.7 / 0.1 is a little more than 7.
    tenths = math.ceil(round(float(np.percentile(lengths, PERCENTILE)) * 10, 6))
    return min(LONGEST_S, max(1, tenths) / 10)


def _measure_some(recordings: Recordings, rows: list[ClipRow]) -> list[float | str]:
    return [_measure(recordings, row) for row in rows]


def _measure(recordings: Recordings, row: ClipRow) -> float | str:
    """A clip's length in seconds, or why it has none."""
    try:
        source = recordings.open(row.path)
        frames, sample_rate = measure_frames(source, limit_s=row.start_s + LONGEST_S)
    except (RecordingError, AudioError) as error:
        return f"{row.path}: {error.reason}"
    length_s = frames / sample_rate - row.start_s
    if length_s <= 0:
        return f"{row.path}: the clip starts at {row.start_s} s, after the recording's end"
    return float(min(LONGEST_S, length_s, row.duration_s or LONGEST_S))
