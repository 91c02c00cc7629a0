"""One partition's work: groups of clips are decoded, then computed in one call that holds no lock."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastspec.audio import WORKING_BYTES, AudioError, ClipInfo, Isolated, LoadedClip, Policy, Request, Span, load_recordings
from fastspec.corpus import ClipRow, RecordingError
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget
from fastspec.spec import Dtype, FeatureSpec, Recipe
from fastspec.store import Layout
from fastspec.store.ledger import USABLE, Columns
from fastspec.timing import stage

GROUP_CLIPS = 32
GROUP_BYTES = 16 << 20


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


def group_clips(recipe: Recipe) -> int:
    """How many clips one compiled call handles: about 32, fewer when they are long."""
    return max(1, min(GROUP_CLIPS, GROUP_BYTES // (4 * recipe.n_samples)))


def working_bytes(recipe: Recipe, dtype: Dtype) -> int:
    """Memory for the group in hand: its samples while they are decoded, its features where they are converted, one clip's spectrum where
    blocks are made from it (with the places and heights of its peaks)."""
    group, (frames, bands), n_bins = group_clips(recipe), recipe.shape, recipe.spec.n_fft // 2 + 1
    samples = 3 * 4 * recipe.n_samples * group + WORKING_BYTES
    converted = 0 if dtype == "float32" else 4 * group * frames * bands
    return samples + converted + (0 if recipe.spec.is_fused else (4 + 8 + 8) * frames * n_bins)


def worker_bytes(layout: Layout, *, chunks: int = 1) -> int:
    """Memory for one worker: a chunk, or several, and a group of clips with room for computing it."""
    return chunks * layout.chunk_clips * layout.clip_bytes + working_bytes(layout.recipe, layout.dtype)


def compute_rows(
    rows: Sequence[ClipRow],
    first_clip: int,
    *,
    clips: Iterator[LoadedClip],
    recipe: Recipe,
    front: FrontEnd,
    on_group: Callable[[int, int], None],
    dtype: Dtype = "float32",
) -> FeatureBatch:
    """Features of rows that follow each other in a manifest, the first of which is clip `first_clip`, and no more `clips` than theirs.

    Computed in float32, kept in `dtype`; see `compute_into`.
    """
    features, valid_frames = np.empty((len(rows), *recipe.shape), dtype), np.zeros(len(rows), np.int32)
    infos = compute_into(features, valid_frames, clips=clips, recipe=recipe, front=front, on_group=on_group)
    ledger = [ledger_row(clip, row, info._asdict()) for clip, (row, info) in enumerate(zip(rows, infos, strict=True), first_clip)]
    return FeatureBatch(ledger, features, valid_frames)


def compute_into(
    features: NDArray[np.floating],
    valid_frames: NDArray[np.int32],
    *,
    clips: Iterator[LoadedClip],
    recipe: Recipe,
    front: FrontEnd,
    on_group: Callable[[int, int], None],
) -> list[ClipInfo]:
    """Fill features of the next of `clips`, as many as there is room for; what the ledger says of each is returned.

    Args:
        features: `(clips, frames, bands)` float32 or float16, NaN where a clip failed.
        valid_frames: `(clips,)` int32, 0 where a clip failed.
        clips: at the recipe's rate.
        recipe: of the features.
        front: that computes them.
        on_group: called with the clips of each group and how many of them failed; what it raises ends the work.
    """
    infos: list[ClipInfo] = []
    together = group_clips(recipe)
    while group := list(islice(clips, min(together, len(features) - len(infos)))):
        start, stop = len(infos), len(infos) + len(group)
        computed = features[start:stop] if features.dtype == np.float32 else np.empty((len(group), *features.shape[1:]), np.float32)
        with stage("features"):
            infos += _compute_group(group, recipe, front, computed, valid_frames[start:stop])
        if computed.dtype != features.dtype:
            features[start:stop] = computed
        on_group(len(group), sum(not clip.usable for clip in group))
    return infos


def load_rows(
    rows: Iterable[ClipRow],
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
    spec, clip = recipe.spec, recipe.clip
    policy = Policy(spec.sample_rate, clip.channel, clip.resample, recipe.n_samples, clip.shortest_s)
    requests = _requests(rows, recordings, longest_s=clip.clip_s or 0.0)
    return load_recordings(requests, policy, on_block=on_block, reserve=budget.reserve if budget else None)


def _requests(rows: Iterable[ClipRow], recordings: Recordings, *, longest_s: float) -> Iterator[Request]:
    for path, group in groupby(rows, key=lambda row: row.path):
        spans = [Span(row.start_s, min(longest_s, row.duration_s or longest_s), row.channel) for row in group]
        source: Path | bytes | Isolated | AudioError
        try:
            with stage("open"):
                source = recordings.open(path)
        except RecordingError as error:
            source = AudioError(error.code, error.reason)
        yield Request(source, spans)


def _compute_group(
    group: list[LoadedClip], recipe: Recipe, front: FrontEnd, features: NDArray[np.float32], valid_frames: NDArray[np.int32]
) -> list[ClipInfo]:
    """Fill a group's features and valid frames; what the ledger says is returned."""
    if recipe.clip.pad == "frames":
        _compute_unpadded(group, recipe.spec, front, features)
    else:
        front.batch(_pad(group, recipe), features)
    infos, counts = [], []
    for i, (samples, info) in enumerate(group):
        count = min(features.shape[1], recipe.spec.n_frames(len(samples)))
        if info.nonfinite and info.status in USABLE and np.isnan(features[i, :count]).all():
            info = info._replace(status="nonfinite", reason=f"every frame holds one of {info.nonfinite} NaN or infinite samples")
        if info.status not in USABLE:
            features[i], count = np.nan, 0
        infos.append(info)
        counts.append(count)
    valid_frames[:] = counts
    return infos


def _pad(group: Sequence[LoadedClip], recipe: Recipe) -> NDArray[np.float32]:
    """The samples of clips, `(clips, samples)`, as long as the recipe wants them."""
    if all(len(clip.samples) == recipe.n_samples for clip in group):
        return np.concatenate([clip.samples for clip in group]).reshape(len(group), recipe.n_samples)
    samples = np.zeros((len(group), recipe.n_samples), np.float32)
    for row, clip in zip(samples, group, strict=True):
        _fill(row, clip.samples, pad=recipe.clip.pad)
    return samples


def _fill(row: NDArray[np.float32], samples: NDArray[np.float32], *, pad: str) -> None:
    """Put a clip at the start of a row of zeros, and after it what the policy says."""
    row[: len(samples)] = samples
    if len(samples) in (0, len(row)):
        return
    if pad == "repeat":
        copies = len(row) // len(samples)
        row[: copies * len(samples)] = np.tile(samples, copies)
    elif pad in ("edge", "reflect", "wrap"):
        row[:] = np.pad(samples, (0, len(row) - len(samples)), pad)  # type: ignore[call-overload]


def _compute_unpadded(group: list[LoadedClip], spec: FeatureSpec, front: FrontEnd, features: NDArray[np.float32]) -> None:
    """Fill a group's features from each clip's own samples; the frames that are missing are 0, before a fixed normalisation."""
    features[:] = 0.0
    if spec.normalize == "fixed":
        for block in {"mel", "stft"}.intersection(spec.features):
            features[..., spec.parts()[block]] = -spec.norm_mean / spec.norm_std
    for i, clip in enumerate(group):
        if len(clip.samples):
            front.batch(clip.samples[None], features[i : i + 1, : spec.n_frames(len(clip.samples))])


def ledger_columns(first_clip: int, rows: Sequence[ClipRow], infos: Sequence[ClipInfo]) -> Columns:
    """Rows of the ledger column by column, the first of which is clip `first_clip`; as `ledger_row` has each."""
    columns = dict(zip(ClipRow._fields, zip(*rows, strict=True), strict=True))
    columns["group"] = tuple(row.group or row.path for row in rows)
    where = {name: columns[name] for name in ("path", "label", "group", "split", "start_s", "channel")}
    found = dict(zip(ClipInfo._fields, zip(*infos, strict=True), strict=True))
    return {"clip": list(range(first_clip, first_clip + len(rows))), **where, **found}


def ledger_row(clip: int, row: ClipRow, info: dict[str, Any]) -> dict[str, Any]:
    """A row of the ledger; a recording without a group is a group by itself."""
    where = {"clip": clip, "path": row.path, "label": row.label, "group": row.group or row.path, "split": row.split}
    return {**where, "start_s": row.start_s, "channel": row.channel, **info}
