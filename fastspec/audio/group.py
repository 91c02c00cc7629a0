"""Many recordings at once: short ones are read into memory and decoded together without the GIL, the rest one by one."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio.claims import claimed_frames
from fastspec.audio.clip import OWN_BYTES, LoadedClip, Origin, Policy, Span, failed_clip, load_clips, make_clip
from fastspec.audio.decode import BLOCK_FRAMES, MAX_SAMPLE_RATE
from fastspec.audio.errors import AudioError
from fastspec.audio.isolation import Isolated, Reserve
from fastspec.audio.levels import CLIPPED_FROM, Levels
from fastspec.kernels import decode, read
from fastspec.timing import stage

GROUP_RECORDINGS = 32
# Of the files of a group, and of their samples: what is longer is decoded alone, where memory for it grows by blocks.
GROUP_BYTES = OWN_BYTES
# The files, samples that the clips in use are views of, and those of the next group.
WORKING_BYTES = 3 * GROUP_BYTES

_CLIPPED = np.float32(CLIPPED_FROM)
_LIMITS = decode.Limits(BLOCK_FRAMES, MAX_SAMPLE_RATE, int(_CLIPPED.view(np.int32)))


class Request(NamedTuple):
    """The clips that are wanted of a recording: a file or a file's bytes, maybe isolated, or why it cannot be had."""

    source: Path | bytes | Isolated | AudioError
    spans: Sequence[Span]


def load_recordings(
    requests: Iterable[Request], policy: Policy, *, on_block: Callable[[], None] | None = None, reserve: Reserve | None = None
) -> Iterator[LoadedClip]:
    """What `load_clips` gives for each request in turn, bit for bit. At most a group of them is taken ahead.

    `on_block` is called after each group that is decoded, and each block of what is decoded alone; what it raises ends the work.
    `reserve` is for the bytes that a recording decoded alone takes above `WORKING_BYTES`, as `load_clips` has it.
    """
    group = _Group(policy, on_block, reserve)
    for request in requests:
        if not group.take(request):
            yield from group.load()
            if not group.take(request):
                yield from group.load_alone(request)
        elif group.full:
            yield from group.load()
    yield from group.load()


def decode_ahead() -> None:
    """Decode a group of nothing, which compiles what reads and decodes groups."""
    nothing = Request(Path(os.devnull), [Span(0.0, 1.0)])
    list(load_recordings([nothing], Policy(8000, "mean", "HQ", 8000, 0.0)))


class _Group:
    """Recordings in memory that wait to be decoded in one call."""

    def __init__(self, policy: Policy, on_block: Callable[[], None] | None, reserve: Reserve | None = None) -> None:
        self._policy, self._on_block, self._reserve = policy, on_block, reserve
        self._possible = decode.can_decode()
        self._data = np.empty(GROUP_BYTES, np.uint8)
        self._requests: list[Request] = []
        self._held = 0

    @property
    def full(self) -> bool:
        """Whether it should be decoded now."""
        return len(self._requests) == GROUP_RECORDINGS

    def take(self, request: Request) -> bool:
        """Keep a recording for the next call; not one of which anything but one clip from its start is wanted, nor too many bytes."""
        source, spans = request
        if not self._possible or len(spans) != 1 or spans[0].start_s != 0 or not isinstance(source, Path | bytes):
            return False
        size = len(source) if isinstance(source, bytes) else 0
        if self._held + size > GROUP_BYTES:
            return False
        self._held += size
        self._requests.append(request)
        return True

    def load(self) -> Iterator[LoadedClip]:
        """The clips of what was taken."""
        requests, self._requests, self._held = self._requests, [], 0
        sources = _Sources([request.source for request in requests if isinstance(request.source, Path | bytes)])  # `take` keeps no others
        first = 0
        while first < len(requests):
            with stage("open"):
                following, starts = sources.read(first, self._data)
            yield from self._decode(requests[first:following], starts)
            first = following

    def _decode(self, requests: Sequence[Request], starts: NDArray[np.int64]) -> Iterator[LoadedClip]:
        """The clips of recordings that are in memory, each from where it starts to where the next does."""
        durations_s = np.array([request.spans[0].duration_s for request in requests])
        found = np.zeros((len(requests), decode.N_COLUMNS), np.int64)
        first = 0
        while first < len(requests):
            # A new one each time: the clips are views of it.
            arena = np.empty(GROUP_BYTES // 4, np.float32)
            with stage("decode"):
                following = decode.decode_clips(self._data, starts, durations_s, first, _LIMITS, decode.make_workplace(), arena, found)
            if self._on_block:
                self._on_block()
            peaks = found[first:following, decode.PEAK].astype(np.int32).view(np.float32).tolist()
            heads = [self._data[start:stop].data for start, stop in pairwise(starts[first : following + 1].tolist())]
            for request, row, peak, head in zip(requests[first:following], found[first:following].tolist(), peaks, heads, strict=True):
                if row[decode.OUTCOME] == decode.DECODED:
                    row[decode.HEADER_FRAMES] = claimed_frames(head, row[decode.HEADER_FRAMES])
                    yield _make_clip(arena, row, peak, request.spans[0], self._policy)
                else:
                    yield from self.load_alone(request)
            first = following

    def load_alone(self, request: Request) -> Iterator[LoadedClip]:
        """The clips of one recording, decoded by itself."""
        source, spans = request
        if isinstance(source, AudioError):
            return iter([failed_clip(source.status, source.reason)] * len(spans))
        return load_clips(source, spans, **self._policy._asdict(), on_block=self._on_block, reserve=self._reserve)


class _Sources:
    """Files or files' bytes that are read into memory, as many at a time as fit."""

    def __init__(self, sources: Sequence[Path | bytes | AudioError]) -> None:
        self._sources = sources
        self._names = self._places = None
        if read.can_read() and not any(isinstance(source, bytes) for source in sources):
            names = [str(source) for source in sources]
            text = "\0".join("" if "\0" in name else name for name in names)  # a NUL would end the name of another file
            self._names = np.frombuffer(os.fsencode(text) + b"\0", np.uint8)
            self._places = np.flatnonzero(np.concatenate([[0], self._names[:-1]]) == 0)

    def read(self, first: int, data: NDArray[np.uint8]) -> tuple[int, NDArray[np.int64]]:
        """Those from `first` on into `data`: the first that had no room beside others, and where each starts.

        What cannot be read, or has no room alone, has no bytes: decoding it fails, and it is decoded by itself.
        """
        starts = np.zeros(len(self._sources) + 1, np.int64)
        if self._names is not None:
            following = read.read_files(self._names, self._places, read.FLAGS, first, data, starts)
        else:
            following = self._read_each(first, data, starts)
        return following, starts[first : following + 1]

    def _read_each(self, first: int, data: NDArray[np.uint8], starts: NDArray[np.int64]) -> int:
        for i, source in enumerate(self._sources[first:], first):
            room = data[starts[i] :]
            size = _copy(source, room) if isinstance(source, bytes) else _read_file(source, room)
            if size > len(room):
                if starts[i] > 0 and size <= len(data):
                    return i
                size = 0
            starts[i + 1] = starts[i] + size
        return len(self._sources)


def _copy(source: bytes, room: NDArray[np.uint8]) -> int:
    """How many bytes there are; copied where they have room."""
    if len(source) <= len(room):
        room[: len(source)] = np.frombuffer(source, np.uint8)
    return len(source)


def _read_file(source: Path | AudioError, room: NDArray[np.uint8]) -> int:
    """How many bytes a regular file has, read where they have room; 0 where it is none or cannot be read whole."""
    try:
        # Not to wait where a FIFO took the place of the file.
        descriptor = os.open(str(source), read.FLAGS | getattr(os, "O_BINARY", 0))
        with FileIO(descriptor) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > len(room):
                return status.st_size if stat.S_ISREG(status.st_mode) else 0
            return status.st_size if file.readinto(room.data[: status.st_size]) == status.st_size else 0
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return 0


def _make_clip(arena: NDArray[np.float32], row: list[int], peak: float, span: Span, policy: Policy) -> LoadedClip:
    _, at, frames, rate, channels, header_frames, decoded_frames, _, clipped, silent, nonfinite = row
    size = frames * channels
    source = arena[at : at + size].reshape(frames, channels)
    clipped = clipped if nonfinite or peak >= CLIPPED_FROM else 0
    levels = Levels(peak, clipped, size - silent, nonfinite, size)
    return make_clip(source, span, Origin(header_frames, decoded_frames, rate, channels), policy, levels=levels)
