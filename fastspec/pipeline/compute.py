"""One partition's work: groups of clips are decoded, then computed in one call that holds no lock."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fastspec.audio import (
    WORKING_BYTES,
    AudioError,
    Batches,
    ClipBatch,
    ClipInfo,
    Isolated,
    LoadedClip,
    Policy,
    Request,
    Source,
    Span,
    Starts,
    ledger_infos,
    load_batches,
    load_recordings,
)
from fastspec.corpus import ClipRow, RecordingError
from fastspec.corpus.folder import regular_file
from fastspec.corpus.packing import RowColumns, as_columns
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget
from fastspec.spec import Dtype, FeatureSpec, Recipe
from fastspec.store import Layout
from fastspec.store.ledger import USABLE
from fastspec.store.packing import Columns, as_lists
from fastspec.timing import stage

GROUP_CLIPS = 32
# Of their samples: features of so many are still in the cache when they are written, and blocks of them are shared out evenly.
GROUP_BYTES = 4 << 20


class FeatureBatch(NamedTuple):
    """Features of neighbouring clips.

    Attributes:
        rows: a ledger row for each clip.
        features: `(clips, frames, bands)` float32 or float16, NaN where a clip failed.
        valid_frames: `(clips,)` int32, 0 where a clip failed.
        waveforms: `(valid_samples,)` float32 of each clip at the recipe's rate, where they were asked for.
    """

    rows: list[dict[str, Any]]
    features: NDArray[np.floating]
    valid_frames: NDArray[np.int32]
    waveforms: list[NDArray[np.float32]] | None = None


class Recordings(Protocol):
    """Opens the recordings of a manifest."""

    def open(self, path: str) -> Path | bytes | Isolated:
        """A regular file, or bytes, or either in another process; RecordingError when it cannot be had."""
        ...


@runtime_checkable
class NamedFiles(Protocol):
    """Recordings that are files."""

    def file_names(self, paths: Sequence[str]) -> list[str] | None:
        """What the system calls those of some paths, at none of which anybody has looked; None where they are to be opened."""
        ...


def group_clips(recipe: Recipe) -> int:
    """How many clips one compiled call handles: about 32, fewer when they are long."""
    return max(1, min(GROUP_CLIPS, GROUP_BYTES // (4 * recipe.n_samples)))


def working_bytes(recipe: Recipe, dtype: Dtype) -> int:
    """Memory for the group in hand: its samples while they are decoded, its features, these once more where they are converted, one clip's
    spectrum where blocks are made from it (with the places and heights of its peaks)."""
    group, (frames, bands), n_bins = group_clips(recipe), recipe.shape, recipe.spec.n_fft // 2 + 1
    samples = 3 * 4 * recipe.n_samples * group + WORKING_BYTES
    features = (4 if dtype == "float32" else 4 + np.dtype(dtype).itemsize) * group * frames * bands
    return samples + features + (0 if recipe.spec.is_fused else (4 + 8 + 8) * frames * n_bins)


def worker_bytes(layout: Layout, *, chunks: int = 1) -> int:
    """Memory for one worker: a chunk, or several, and a group of clips with room for computing it."""
    return chunks * layout.chunk_clips * layout.clip_bytes + working_bytes(layout.recipe, layout.dtype)


def compute_rows(
    rows: Sequence[ClipRow],
    first_clip: int,
    *,
    batches: Batches,
    recipe: Recipe,
    front: FrontEnd,
    on_group: Callable[[int, int], None],
    dtype: Dtype = "float32",
    keep_waveforms: bool = False,
) -> FeatureBatch:
    """Features of rows that follow each other in a manifest, the first of which is clip `first_clip`, and no more clips than theirs.

    Computed in float32, kept in `dtype`; see `compute_batches`.
    """
    features, valid_frames = np.empty((len(rows), *recipe.shape), dtype), np.zeros(len(rows), np.int32)
    waveforms: list[NDArray[np.float32]] | None = [] if keep_waveforms else None
    parts, start = [], 0
    for part in compute_batches(len(rows), batches, recipe=recipe, front=front, on_group=on_group, dtype=dtype, waveforms=waveforms):
        stop = start + len(part.features)
        features[start:stop], valid_frames[start:stop] = part.features, part.valid_frames
        parts.append(part.found)
        start = stop
    columns = as_lists(ledger_columns(first_clip, as_columns(rows), ledger_infos(parts)))
    ledger = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return FeatureBatch(ledger, features, valid_frames, waveforms)


class ComputedBatch(NamedTuple):
    """Some clips.

    Attributes:
        features: `(clips, frames, bands)` float32 or float16, NaN where a clip failed; there until the next batch is asked for.
        valid_frames: `(clips,)` int32, 0 where a clip failed.
        found: what `ledger_infos` makes the ledger's columns of.
    """

    features: NDArray[np.floating]
    valid_frames: NDArray[np.int32]
    found: tuple[NDArray[np.int64], dict[int, ClipInfo]]


def compute_batches(
    n_clips: int,
    batches: Batches,
    *,
    recipe: Recipe,
    front: FrontEnd,
    on_group: Callable[[int, int], None],
    dtype: Dtype = "float32",
    waveforms: list[NDArray[np.float32]] | None = None,
) -> Generator[ComputedBatch, None, None]:
    """The next so many clips, a batch at a time, all in one place in memory, which stays in the processor's cache.

    Args:
        n_clips: how many at most.
        batches: of clips at the recipe's rate.
        recipe: of the features.
        front: that computes them.
        on_group: called with the clips of each batch and how many of them failed; what it raises ends the work.
        dtype: that features are kept in, after they were computed in float32.
        waveforms: is given each clip's own samples.
    """
    room = np.empty((min(n_clips, group_clips(recipe)), *recipe.shape), np.float32)
    while batch := batches.take(min(n_clips, len(room))):
        features, valid_frames = room[: len(batch)], np.zeros(len(batch), np.int32)
        with stage("features"):
            told = _compute_batch(batch, recipe, front, features, valid_frames)
            kept = features.astype(dtype, copy=False)
        on_group(len(batch), sum(info.status not in USABLE for info in told.values()))
        if waveforms is not None:
            waveforms += [row[:length].copy() for row, length in zip(batch.samples, batch.lengths.tolist(), strict=True)]
        yield ComputedBatch(kept, valid_frames, (batch.found, told))
        n_clips -= len(batch)


def load_rows(
    rows: Sequence[ClipRow],
    *,
    recordings: Recordings,
    recipe: Recipe,
    on_block: Callable[[], None] | None = None,
    budget: Budget | None = None,
) -> Iterator[LoadedClip]:
    """The waveforms of rows in their order, at the recipe's rate; a recording is decoded once for all its rows. None raises.

    `on_block` is called after each block that is decoded; what it raises ends the work. Samples of long recordings, or of those with high
    rates or many channels, are taken out of the `budget`.

    Raises:
        SpecError: the recipe has no clip length.
    """
    requests = _requests([as_columns(rows)], recordings, longest_s=recipe.clip.clip_s or 0.0)
    return load_recordings(requests, _policy(recipe), look=_look, on_block=on_block, reserve=budget.reserve if budget else None)


def load_columns(
    parts: Iterable[RowColumns],
    *,
    recordings: Recordings,
    recipe: Recipe,
    on_block: Callable[[], None] | None = None,
    budget: Budget | None = None,
    size: int | None = None,
    alone: bool = False,
) -> Batches:
    """What `load_rows` gives of rows in parts, in batches. A part is taken when its turn comes.

    size: clips in a batch at most, unless it is to be as many as one compiled call handles. alone: each row is of a recording of its own,
    also beside the first and the last of a part.
    """
    requests = _requests(parts, recordings, longest_s=recipe.clip.clip_s or 0.0, alone=alone)
    reserve = budget.reserve if budget else None
    return Batches(
        load_batches(requests, _policy(recipe), size=size or group_clips(recipe), look=_look, on_block=on_block, reserve=reserve)
    )


def gather(clips: Iterable[LoadedClip], recipe: Recipe) -> Batches:
    """Clips that are there one by one, in batches."""
    return Batches.of(clips, recipe.n_samples, size=group_clips(recipe))


def _policy(recipe: Recipe) -> Policy:
    clip = recipe.clip
    return Policy(recipe.spec.sample_rate, clip.channel, clip.resample, recipe.n_samples, clip.shortest_s)


def _requests(parts: Iterable[RowColumns], recordings: Recordings, *, longest_s: float, alone: bool = False) -> Iterator[Request | Starts]:
    """What is wanted of each recording; where that is a clip from the start of each of many files, they go by their names."""
    named = recordings if isinstance(recordings, NamedFiles) else None
    pieces = chain.from_iterable(_pieces(rows, named, longest_s, alone) for rows in parts)
    for path, group in groupby(pieces, key=itemgetter(0)):
        if isinstance(path, Starts):
            yield path
        else:
            with stage("open"):
                source = _opened(recordings.open, path)
            yield Request(source, [span for _, span in group if span is not None])


def _pieces(rows: RowColumns, named: NamedFiles | None, longest_s: float, alone: bool) -> Iterator[tuple[str | Starts, Span | None]]:
    """The path and the stretch of each row; one `Starts` in their place where rows are starts of files."""
    paths, starts_s, channels = rows["path"], rows["start_s"], rows["channel"]
    durations_s = [longest_s if duration_s is None else min(longest_s, duration_s) for duration_s in rows["duration_s"]]
    names = named.file_names(paths) if named else None
    first = 0
    for start, stop in [*(_find_starts(paths, starts_s, alone) if names else []), (len(paths), len(paths))]:
        own = slice(first, start)
        yield from zip(paths[own], map(Span, starts_s[own], durations_s[own], channels[own]), strict=True)
        if names and start < stop:
            yield Starts(list(names[start:stop]), durations_s[start:stop], list(channels[start:stop])), None
        first = stop


def _find_starts(paths: Sequence[str], starts_s: Sequence[float], alone: bool) -> list[list[int]]:
    """Stretches of rows that are each the start of a recording, and all that is wanted of it.

    Unless all are `alone`, the first and the last row are in none: their recordings may have more rows in the parts beside this one.
    """
    if alone and not any(starts_s):
        return [[0, len(paths)]]
    change = np.array([alone, *(path != after for path, after in pairwise(paths)), alone], np.bool_)
    single = (change[1:] & change[:-1] & (np.array(starts_s, np.float64) == 0)).astype(np.int8)
    edges: list[list[int]] = np.flatnonzero(np.diff(single, prepend=0, append=0)).reshape(-1, 2).tolist()
    return edges


def _look(name: str) -> Source:
    return _opened(lambda name: regular_file(Path(name)), name)


def _opened(opener: Callable[[str], Path | bytes | Isolated], name: str) -> Source:
    try:
        return opener(name)
    except RecordingError as error:
        return AudioError(error.code, error.reason)


def _compute_batch(
    batch: ClipBatch, recipe: Recipe, front: FrontEnd, features: NDArray[np.float32], valid_frames: NDArray[np.int32]
) -> dict[int, ClipInfo]:
    """Fill a batch's features and valid frames; what the ledger says of clips of which there is something to be said."""
    if recipe.clip.pad == "frames":
        _compute_unpadded(batch, recipe.spec, front, features)
    else:
        front.batch(_pad(batch, recipe.clip.pad), features)
    if batch.lengths.min() == recipe.n_samples:
        valid_frames[:] = features.shape[1]
    else:
        valid_frames[:] = [min(features.shape[1], recipe.spec.n_frames(length)) for length in batch.lengths.tolist()]
    told = dict(batch.told)
    for i in batch.nonfinite():
        info = batch.info(i)
        if info.status in USABLE and np.isnan(features[i, : valid_frames[i]]).all():
            told[i] = info._replace(status="nonfinite", reason=f"every frame holds one of {info.nonfinite} NaN or infinite samples")
    for i, info in told.items():
        if info.status not in USABLE:
            features[i], valid_frames[i] = np.nan, 0
    return told


def _pad(batch: ClipBatch, pad: str) -> NDArray[np.float32]:
    """The samples of clips, `(clips, samples)`, with what the policy says after those that are shorter."""
    if pad != "zeros":
        for row, length in zip(batch.samples, batch.lengths.tolist(), strict=True):
            _fill(row, length, pad=pad)
    return batch.samples


def _fill(row: NDArray[np.float32], length: int, *, pad: str) -> None:
    """Put after a clip, which is so long and at the start of a row of zeros, what the policy says."""
    if length in (0, len(row)):
        return
    if pad == "repeat":
        copies = len(row) // length
        row[: copies * length] = np.tile(row[:length], copies)
    elif pad in ("edge", "reflect", "wrap"):
        row[:] = np.pad(row[:length], (0, len(row) - length), pad)  # type: ignore[call-overload]


def _compute_unpadded(batch: ClipBatch, spec: FeatureSpec, front: FrontEnd, features: NDArray[np.float32]) -> None:
    """Fill a batch's features from each clip's own samples; the frames that are missing are 0, before a fixed normalisation."""
    if batch.lengths.min() == batch.samples.shape[1]:
        front.batch(batch.samples, features)
        return
    features[:] = 0.0
    if spec.normalize == "fixed":
        for block in {"mel", "stft"}.intersection(spec.features):
            features[..., spec.parts()[block]] = -spec.norm_mean / spec.norm_std
    for i, length in enumerate(batch.lengths.tolist()):
        if length:
            front.batch(batch.samples[i : i + 1, :length], features[i : i + 1, : spec.n_frames(length)])


def ledger_columns(first_clip: int, rows: RowColumns, infos: Columns) -> Columns:
    """Rows of the ledger column by column, the first of which is clip `first_clip`; as `ledger_row` has each."""
    where = {name: rows[name] for name in ("path", "label", "group", "split", "start_s", "channel")}
    where["group"] = [group or path for group, path in zip(rows["group"], rows["path"], strict=True)]
    return {"clip": np.arange(first_clip, first_clip + len(rows["path"])), **where, **infos}


def ledger_row(clip: int, row: ClipRow, info: dict[str, Any]) -> dict[str, Any]:
    """A row of the ledger; a recording without a group is a group by itself."""
    where = {"clip": clip, "path": row.path, "label": row.label, "group": row.group or row.path, "split": row.split}
    return {**where, "start_s": row.start_s, "channel": row.channel, **info}
