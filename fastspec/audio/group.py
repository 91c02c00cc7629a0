"""Many recordings at once: short ones are read into memory and decoded together without the GIL, the rest one by one."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio.clip import LoadedClip, Origin, Policy, Reserve, Span, failed_clip, load_clips, make_clip
from fastspec.audio.decode import BLOCK_FRAMES, MAX_SAMPLE_RATE, AudioError
from fastspec.audio.levels import CLIPPED_FROM, Levels
from fastspec.kernels import decode
from fastspec.timing import stage

GROUP_RECORDINGS = 32
# Of the files of a group, and of their samples: what is longer is decoded alone, where memory for it grows by blocks.
GROUP_BYTES = 8 << 20
# The files, samples that the clips in use are views of, and those of the next group.
WORKING_BYTES = 3 * GROUP_BYTES

_CLIPPED = np.float32(CLIPPED_FROM)
_LIMITS = decode.Limits(BLOCK_FRAMES, MAX_SAMPLE_RATE, int(_CLIPPED.view(np.int32)))


class Request(NamedTuple):
    """The clips that are wanted of a recording: a file or a file's bytes, or why it cannot be had."""

    source: Path | bytes | AudioError
    spans: Sequence[Span]


def load_recordings(
    requests: Iterable[Request], policy: Policy, *, on_block: Callable[[], None] | None = None, reserve: Reserve | None = None
) -> Iterator[LoadedClip]:
    """What `load_clips` gives for each request in turn, bit for bit. At most a group of them is taken ahead.

    `on_block` is called after each group that is decoded, and each block of what is decoded alone; what it raises ends the work.
    `reserve` is entered with the bytes that a recording decoded alone takes above `WORKING_BYTES`, as `load_clips` has it.
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
    """Decode a group of nothing, which compiles what decodes groups."""
    nothing = Request(b"", [Span(0.0, 1.0)])
    list(load_recordings([nothing], Policy(8000, "mean", "HQ", 8000, 0.0)))


class _Group:
    """Recordings in memory that wait to be decoded in one call."""

    def __init__(self, policy: Policy, on_block: Callable[[], None] | None, reserve: Reserve | None = None) -> None:
        self._policy, self._on_block, self._reserve = policy, on_block, reserve
        self._possible = decode.can_decode()
        self._data = np.empty(GROUP_BYTES, np.uint8)
        self._requests: list[Request] = []
        self._starts = [0]

    @property
    def full(self) -> bool:
        """Whether it should be decoded now."""
        return len(self._requests) == GROUP_RECORDINGS

    def take(self, request: Request) -> bool:
        """Read a recording into memory; not one that is long, or of which anything but one clip from its start is wanted."""
        source, spans = request
        if not self._possible or len(spans) != 1 or spans[0].start_s != 0 or isinstance(source, AudioError):
            return False
        room = self._data[self._starts[-1] :]
        with stage("open"):
            size = _copy(source, room) if isinstance(source, bytes) else _read_file(source, room)
        if size is None:
            return False
        self._requests.append(request)
        self._starts.append(self._starts[-1] + size)
        return True

    def load(self) -> Iterator[LoadedClip]:
        """The clips of what was taken."""
        requests, starts = self._requests, np.array(self._starts)
        self._requests, self._starts = [], [0]
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
            for request, row in zip(requests[first:following], found[first:following].tolist(), strict=True):
                if row[decode.OUTCOME] == decode.DECODED:
                    yield _make_clip(arena, row, request.spans[0], self._policy)
                else:
                    yield from self.load_alone(request)
            first = following

    def load_alone(self, request: Request) -> Iterator[LoadedClip]:
        """The clips of one recording, decoded by itself."""
        source, spans = request
        if isinstance(source, AudioError):
            return iter([failed_clip(source.status, source.reason)] * len(spans))
        return load_clips(source, spans, **self._policy._asdict(), on_block=self._on_block, reserve=self._reserve_above)

    def _reserve_above(self, size: int) -> AbstractContextManager[None]:
        return self._reserve(size - GROUP_BYTES) if self._reserve and size > GROUP_BYTES else nullcontext()


def _copy(source: bytes, room: NDArray[np.uint8]) -> int | None:
    """Bytes copied; None where there is no room."""
    if len(source) > len(room):
        return None
    room[: len(source)] = np.frombuffer(source, np.uint8)
    return len(source)


def _read_file(source: Path, room: NDArray[np.uint8]) -> int | None:
    """Bytes read of a regular file; None where it is none or cannot be read, or there is no room."""
    try:
        # Not to wait where a FIFO took the place of the file.
        descriptor = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with FileIO(descriptor) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > len(room):
                return None
            return status.st_size if file.readinto(room.data[: status.st_size]) == status.st_size else None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def _make_clip(arena: NDArray[np.float32], row: list[int], span: Span, policy: Policy) -> LoadedClip:
    _, at, frames, rate, channels, header_frames, decoded_frames, peak_bits, clipped, silent, nonfinite = row
    size = frames * channels
    source = arena[at : at + size].reshape(frames, channels)
    peak = float(np.int32(peak_bits).view(np.float32))
    clipped = clipped if nonfinite or peak >= CLIPPED_FROM else 0
    levels = Levels(peak, clipped, size - silent, nonfinite, size)
    return make_clip(source, span, Origin(header_frames, decoded_frames, rate, channels), policy, levels=levels)
