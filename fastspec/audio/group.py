"""Many recordings at once: short ones are read into memory and decoded together without the GIL, the rest one by one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio.clip import OWN_BYTES, LoadedClip, Origin, Policy, Span, failed_clip, load_clips, make_clip
from fastspec.audio.decode import BLOCK_FRAMES, MAX_SAMPLE_RATE
from fastspec.audio.errors import AudioError
from fastspec.audio.isolation import Isolated, Reserve
from fastspec.audio.levels import CLIPPED_FROM, Levels
from fastspec.audio.reading import Sources
from fastspec.kernels import decode
from fastspec.timing import stage

GROUP_RECORDINGS = 32
# Of the files of a group, and of their samples: what is longer is decoded alone, where memory for it grows by blocks.
GROUP_BYTES = OWN_BYTES
# The files, samples that the clips in use are views of, and those of the next group.
WORKING_BYTES = 3 * GROUP_BYTES

_CLIPPED = np.float32(CLIPPED_FROM)
_LIMITS = decode.Limits(BLOCK_FRAMES, MAX_SAMPLE_RATE, int(_CLIPPED.view(np.int32)))

Source = Path | bytes | Isolated | AudioError


class Request(NamedTuple):
    """The clips that are wanted of a recording.

    Attributes:
        source: a file or a file's bytes, maybe isolated, or why it cannot be had; or the name of a file at which nobody has looked yet.
        spans: of the clips.
    """

    source: Source | str
    spans: Sequence[Span]


@dataclass(frozen=True)
class Starts:
    """One clip from the start of each of some recordings.

    Attributes:
        sources: files, files' bytes, or names of files at which nobody has looked yet.
        durations_s: of the clips.
        channels: as `Span` has them.
    """

    sources: list[str | Path | bytes] = field(default_factory=list)
    durations_s: list[float] = field(default_factory=list)
    channels: list[int | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.sources)

    def part(self, start: int, stop: int) -> "Starts":
        """Those from `start` to `stop`."""
        return Starts(self.sources[start:stop], self.durations_s[start:stop], self.channels[start:stop])

    def extend(self, more: "Starts") -> None:
        """Put others after them."""
        self.sources.extend(more.sources)
        self.durations_s.extend(more.durations_s)
        self.channels.extend(more.channels)

    def request(self, i: int) -> Request:
        """For one of them."""
        return Request(self.sources[i], [Span(0.0, self.durations_s[i], self.channels[i])])


def load_recordings(
    requests: Iterable[Request | Starts],
    policy: Policy,
    *,
    look: Callable[[str], Source] = Path,
    on_block: Callable[[], None] | None = None,
    reserve: Reserve | None = None,
) -> Iterator[LoadedClip]:
    """What `load_clips` gives for each request in turn, bit for bit. At most a group of them is taken ahead.

    `look` looks at files of which the name alone is known. `on_block` is called after each group that is decoded, and each block of what
    is decoded alone; what it raises ends the work. `reserve` is for the bytes that a recording decoded alone takes above `WORKING_BYTES`,
    as `load_clips` has it.
    """
    group = Group(policy, look=look, on_block=on_block, reserve=reserve)
    for part in group.decode_all(requests):
        if isinstance(part, LoadedClip):
            yield part
        else:
            for i in range(len(part)):
                yield from group.make_clips(part, i)


@dataclass(frozen=True, eq=False, repr=False)
class Decoded:
    """Recordings that were decoded together, or that could not be.

    Attributes:
        wanted: what was wanted of these and of others beside them.
        first: of them.
        found: `(recordings, decode.N_COLUMNS)` int64.
        arena: float32, in which the samples lie.
    """

    wanted: Starts
    first: int
    found: NDArray[np.int64]
    arena: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.found)

    @property
    def channels(self) -> list[int | None]:
        """As `Span` has them."""
        return self.wanted.channels[self.first : self.first + len(self)]

    def request(self, i: int) -> Request:
        """What was wanted of one of them."""
        return self.wanted.request(self.first + i)


class Group:
    """Recordings in memory that wait to be decoded in one call.

    Args:
        policy: of all clips.
        most: recordings in a call.
        look: what looks at a file of which the name alone is known.
        on_block: called after each group, and each block of what is decoded alone; what it raises ends the work.
        reserve: as `load_recordings` has it.
        one_arena: whether samples may be overwritten by those of the next call; the system takes a tenth of the time that decoding a
            short file takes to give memory anew.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        most: int = GROUP_RECORDINGS,
        look: Callable[[str], Source] = Path,
        on_block: Callable[[], None] | None = None,
        reserve: Reserve | None = None,
        one_arena: bool = False,
    ) -> None:
        self._policy, self._most, self._look, self._on_block, self._reserve = policy, most, look, on_block, reserve
        self._possible = decode.can_decode()
        self._data, self._workplace = np.empty(GROUP_BYTES, np.uint8), decode.make_workplace()
        self._arena = _make_arena() if one_arena else None
        self._waiting, self._held = Starts(), 0

    def decode_all(self, requests: Iterable[Request | Starts]) -> Iterator[Decoded | LoadedClip]:
        """What groups of requests decode to, and in their turn the clips of those that are decoded alone."""
        for request in requests:
            if isinstance(request, Starts):
                yield from self._decode_names(request)
            elif not self._take(request):
                yield from self._decode()
                if not self._take(request):
                    yield from self._load_alone(request)
            elif len(self._waiting) == self._most:
                yield from self._decode()
        yield from self._decode()

    def make_clips(self, part: Decoded, i: int) -> Iterator[LoadedClip]:
        """The clip of a group's request; its samples are a view of the arena where nothing had to be done to them."""
        row, request = part.found[i], part.request(i)
        if row[decode.OUTCOME] == decode.DECODED:
            yield _make_clip(part.arena, row, request.spans[0], self._policy)
        else:
            yield from self._load_alone(request)

    def _decode_names(self, starts: Starts) -> Iterator[Decoded | LoadedClip]:
        """Files that go by their names, as soon as a group is full."""
        if not self._possible:
            for i in range(len(starts)):
                yield from self._load_alone(starts.request(i))
            return
        self._waiting.extend(starts)
        yield from self._decode(len(self._waiting) // self._most * self._most)

    def _take(self, request: Request) -> bool:
        """Keep a recording for the next call; not one of which anything but one clip from its start is wanted, nor too many bytes."""
        source, spans = request
        if not self._possible or len(spans) != 1 or spans[0].start_s != 0 or not isinstance(source, str | Path | bytes):
            return False
        size = len(source) if isinstance(source, bytes) else 0
        if self._held + size > GROUP_BYTES:
            return False
        self._held += size
        self._waiting.extend(Starts([source], [spans[0].duration_s], [spans[0].channel]))
        return True

    def _decode(self, count: int | None = None) -> Iterator[Decoded]:
        """The first so many of what was taken, or all of it, in as many calls as memory needs."""
        starts, stop = self._waiting, len(self._waiting) if count is None else count
        self._waiting = starts.part(stop, len(starts))
        self._held = sum(len(source) for source in self._waiting.sources if isinstance(source, bytes))
        sources, first = Sources(starts.sources[:stop]), 0
        durations_s, found = np.array(starts.durations_s), np.zeros((stop, decode.N_COLUMNS), np.int64)
        while first < stop:
            with stage("open"):
                following, places = sources.read(first, min(first + self._most, stop), self._data)
            done, own = 0, slice(first, following)
            while done < following - first:
                arena = _make_arena() if self._arena is None else self._arena
                with stage("decode"):
                    after = decode.decode_clips(self._data, places, durations_s[own], done, _LIMITS, self._workplace, arena, found[own])
                if self._on_block:
                    self._on_block()
                yield Decoded(starts, first + done, found[first + done : first + after], arena)
                done = after
            first = following

    def _load_alone(self, request: Request) -> Iterator[LoadedClip]:
        """The clips of one recording, decoded by itself."""
        source, spans = request
        if isinstance(source, str):
            with stage("open"):
                source = self._look(source)
        if isinstance(source, AudioError):
            return iter([failed_clip(source.status, source.reason)] * len(spans))
        return load_clips(source, spans, **self._policy._asdict(), on_block=self._on_block, reserve=self._reserve)


def _make_arena() -> NDArray[np.float32]:
    return np.empty(GROUP_BYTES // 4 + decode.ENDING_FLOATS, np.float32)


def levels_of(row: NDArray[np.int64]) -> Levels:
    """Of a recording that was decoded, by what was found."""
    size = int(row[decode.FRAMES] * row[decode.CHANNELS])
    peak, nonfinite = float(row[decode.PEAK].astype(np.int32).view(np.float32)), int(row[decode.NONFINITE])
    clipped = int(row[decode.CLIPPED]) if nonfinite or peak >= CLIPPED_FROM else 0
    return Levels(peak, clipped, size - int(row[decode.SILENT]), nonfinite, size)


def _make_clip(arena: NDArray[np.float32], row: NDArray[np.int64], span: Span, policy: Policy) -> LoadedClip:
    _, at, frames, rate, channels, header_frames, decoded_frames, *_ = row.tolist()
    source = arena[at : at + frames * channels].reshape(frames, channels)
    origin = Origin(header_frames, decoded_frames, rate, channels)
    digest = digests_of(row[None])[0] if frames * channels >= decode.LEAST_HASHED else None
    return make_clip(source, span, origin, policy, levels=levels_of(row), digest=digest)


def digests_of(found: NDArray[np.int64]) -> list[str]:
    """The hashes, in hexadecimal, of recordings that have one: rows of `found`."""
    text = found[:, decode.HASH_HIGH : decode.HASH_LOW + 1].astype(">i8").tobytes().hex()
    return [text[i : i + 32] for i in range(0, len(text), 32)]
