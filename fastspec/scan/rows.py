"""Rows of tables against the recordings that they name."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from fastspec.audio import AudioError, measure_frames
from fastspec.corpus import ClipRow, Manifest, RecordingError, RowProblems

_Place = tuple[str, int]


def check_rows(manifest: Manifest, *, workers: int = 2) -> RowProblems | None:
    """Every row of a corpus of tables that cannot give a clip: its file is missing or cannot be decoded, or it starts after the end.

    What counts is what can be decoded, since headers lie: each recording is decoded as far as the last start of its clips. None for a
    corpus that is no table.

    Args:
        manifest: what was read.
        workers: threads; 0 works in the calling one.
    """
    if manifest.problems is None or manifest.origins is None:
        return None
    places = manifest.origins.rows()
    rows = enumerate(manifest.rows(0, len(manifest)))
    recordings = [[(row, places[i]) for i, row in group] for _, group in groupby(rows, key=lambda numbered: numbered[1].path)]
    if not workers:
        return manifest.problems.joined(problem for recording in recordings for problem in _check(manifest, recording))
    with ThreadPoolExecutor(workers) as pool:
        checked = pool.map(lambda recording: list(_check(manifest, recording)), recordings)
        return manifest.problems.joined(problem for found in checked for problem in found)


def _check(manifest: Manifest, clips: list[tuple[ClipRow, _Place]]) -> Iterator[tuple[str, int, str]]:
    """What is wrong with the clips of one recording. A missing file is among the manifest's own problems already."""
    last_s = max(row.start_s for row, _ in clips)
    try:
        frames, sample_rate = measure_frames(manifest.open(clips[0][0].path), limit_s=last_s + 0.1)
    except RecordingError as error:
        if error.reason != "no such file":
            yield from ((*place, f"{row.path!r} is {error.code}: {error.reason}") for row, place in clips)
        return
    except AudioError as error:
        yield from ((*place, f"{row.path!r} is {error.status}: {error.reason}") for row, place in clips)
        return
    end_s = frames / sample_rate
    for row, place in clips:
        if row.start_s >= end_s:
            yield (*place, f"starts at {row.start_s:g} s and {row.path!r} ends at {end_s:.3f} s")
