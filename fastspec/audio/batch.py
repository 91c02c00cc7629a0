"""Clips side by side, and what is known of them as columns: no object is made for a clip of which there is nothing to be said."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.audio.clip import ClipInfo, LoadedClip, Policy, Span
from fastspec.audio.group import GROUP_RECORDINGS, Decoded, Group, Request, Source, Starts, digests_of
from fastspec.audio.isolation import Reserve
from fastspec.audio.levels import CLIPPED_FROM
from fastspec.kernels import decode


@dataclass(frozen=True, eq=False, repr=False)
class ClipBatch:
    """Neighbouring clips at the target rate.

    Attributes:
        samples: `(clips, samples)` float32, each clip's own from the start of its row, zeros behind them.
        lengths: `(clips,)` int64, of each clip's own samples.
        found: `(clips, decode.N_COLUMNS)` int64, of clips that were decoded together.
        told: what the ledger says of the others.
    """

    samples: NDArray[np.float32]
    lengths: NDArray[np.int64]
    found: NDArray[np.int64]
    told: Mapping[int, ClipInfo]

    def __len__(self) -> int:
        return len(self.samples)

    def cut(self, start: int, stop: int) -> "ClipBatch":
        """Clips `start` to `stop` of it."""
        told = {i - start: info for i, info in self.told.items() if start <= i < stop}
        return ClipBatch(self.samples[start:stop], self.lengths[start:stop], self.found[start:stop], told)

    def nonfinite(self) -> list[int]:
        """Clips with a sample that is NaN or infinite."""
        counts = self.found[:, decode.NONFINITE]
        together = np.flatnonzero(counts).tolist() if counts.any() else []
        return [i for i in together if i not in self.told] + [i for i, info in self.told.items() if info.nonfinite]

    def info(self, i: int) -> ClipInfo:
        """What the ledger says of a clip."""
        if i in self.told:
            return self.told[i]
        columns = ledger_infos([(self.found[i : i + 1], {})]).values()
        return ClipInfo(*(column.tolist()[0] if isinstance(column, np.ndarray) else column[0] for column in columns))

    @classmethod
    def of(cls, clips: Sequence[LoadedClip], n_samples: int) -> "ClipBatch":
        """Of clips that are there one by one."""
        samples = np.zeros((len(clips), n_samples), np.float32)
        for row, clip in zip(samples, clips, strict=True):
            row[: len(clip.samples)] = clip.samples
        found = np.zeros((len(clips), decode.N_COLUMNS), np.int64)
        return cls(samples, np.array([len(clip.samples) for clip in clips]), found, {i: clip.info for i, clip in enumerate(clips)})


class Batches:
    """Batches that are taken a number of clips at a time, never more of one than there is room for."""

    def __init__(self, batches: Iterator[ClipBatch]) -> None:
        self._batches = batches
        self._left: ClipBatch | None = None

    @classmethod
    def of(cls, clips: Iterable[LoadedClip], n_samples: int, *, size: int) -> "Batches":
        """Of clips that are there one by one, so many together."""
        return cls(_gather(clips, n_samples, size))

    def are_left(self) -> bool:
        """Whether there are more clips."""
        if self._left is None:
            self._left = next(self._batches, None)
        return self._left is not None

    def take(self, most: int) -> ClipBatch | None:
        """The next clips, `most` at most; None where there are no more, or none are wanted."""
        batch = self._left or (next(self._batches, None) if most else None)
        if batch is None or len(batch) <= most:
            self._left = None
            return batch
        self._left = batch.cut(most, len(batch))
        return batch.cut(0, most)


def _gather(clips: Iterable[LoadedClip], n_samples: int, size: int) -> Iterator[ClipBatch]:
    clips = iter(clips)
    while some := list(islice(clips, size)):
        yield ClipBatch.of(some, n_samples)


def load_batches(
    requests: Iterable[Request | Starts],
    policy: Policy,
    *,
    size: int = GROUP_RECORDINGS,
    look: Callable[[str], Source] = Path,
    on_block: Callable[[], None] | None = None,
    reserve: Reserve | None = None,
) -> Iterator[ClipBatch]:
    """The clips that `load_recordings` gives, `size` together at most. The samples of a batch are there until the next is asked for.

    `look` looks at files of which the name alone is known.
    """
    group = Group(policy, most=min(size, GROUP_RECORDINGS), look=look, on_block=on_block, reserve=reserve, one_arena=True)
    alone: list[LoadedClip] = []
    for part in group.decode_all(requests):
        if isinstance(part, LoadedClip):
            alone.append(part)
        if alone and (len(alone) == size or not isinstance(part, LoadedClip)):
            yield ClipBatch.of(alone, policy.n_samples)
            alone = []
        if not isinstance(part, LoadedClip):
            yield _place(part, group, policy)
    if alone:
        yield ClipBatch.of(alone, policy.n_samples)


def _place(part: Decoded, group: Group, policy: Policy) -> ClipBatch:
    """The clips of a group, beside those of which something is to be said or done, which are made one by one."""
    samples, placed = np.empty((len(part), policy.n_samples), np.float32), np.empty(len(part), np.bool_)
    least = round(policy.shortest_s * policy.sample_rate)
    if side_by_side := decode.place_clips(part.arena, part.found, policy.sample_rate, least, samples, placed):
        samples = part.arena[: samples.size].reshape(samples.shape)
    lengths = np.minimum(part.found[:, decode.FRAMES], policy.n_samples)
    if any(part.channels):
        placed &= [not channel for channel in part.channels]
    elif side_by_side:
        return ClipBatch(samples, lengths, part.found, {})
    told = {}
    for i in np.flatnonzero(~placed).tolist():
        (clip,) = group.make_clips(part, i)
        lengths[i], told[i] = len(clip.samples), clip.info
        samples[i, : lengths[i]], samples[i, lengths[i] :] = clip.samples, 0.0
    return ClipBatch(samples, lengths, part.found, told)


def ledger_infos(parts: Sequence[tuple[NDArray[np.int64], Mapping[int, ClipInfo]]]) -> dict[str, Sequence[Any] | NDArray[Any]]:
    """The fields of `ClipInfo`, each a column over the clips of some batches' `found` and `told`.

    Numbers are in arrays, int64 or float64, but where something is told of a clip: then all is in lists, which may hold None.
    """
    found = np.concatenate([found for found, _ in parts])
    size = np.maximum(1, found[:, decode.FRAMES] * found[:, decode.CHANNELS])
    peak = found[:, decode.PEAK].astype(np.int32).view(np.float32).astype(np.float64)
    clipped = np.where((found[:, decode.NONFINITE] > 0) | (peak >= CLIPPED_FROM), found[:, decode.CLIPPED], 0)
    columns: list[Any] = [
        ["ok"] * len(found),
        [None] * len(found),
        *(found[:, number] for number in (decode.HEADER_FRAMES, decode.DECODED_FRAMES, decode.RATE, decode.CHANNELS)),
        peak,
        clipped / size,
        1 - (size - found[:, decode.SILENT]) / size,
        found[:, decode.NONFINITE],
        digests_of(found),
    ]
    if any(told for _, told in parts):
        columns = [column.tolist() if isinstance(column, np.ndarray) else column for column in columns]
        _write_told(columns, parts)
    return dict(zip(ClipInfo._fields, columns, strict=True))


def _write_told(columns: list[list[Any]], parts: Sequence[tuple[NDArray[np.int64], Mapping[int, ClipInfo]]]) -> None:
    first = 0
    for own, told in parts:
        for i, info in told.items():
            for column, value in zip(columns, info, strict=True):
                column[first + i] = value
        first += len(own)


def decode_ahead() -> None:
    """Decode a group of nothing, which compiles what reads and decodes groups."""
    nothing = Request(os.devnull, [Span(0.0, 1.0)])
    list(load_batches([nothing], Policy(8000, "mean", "HQ", 8000, 0.0)))
