"""Recordings to samples: libsndfile through soundfile, in blocks of a fixed size, never allocating by what a header claims."""

import io
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from fastspec.audio.claims import claimed_frames, read_head
from fastspec.audio.errors import AudioError
from fastspec.audio.identify import identify_unreadable
from fastspec.audio.isolation import Isolated

BLOCK_FRAMES = 65_536
MAX_SAMPLE_RATE = 16_000_000

_SEEKABLE_FORMATS = frozenset({"WAV", "WAVEX", "AIFF", "AU", "CAF", "RF64", "W64"})
_SEEKABLE_SUBTYPES = frozenset({"PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"})
# Of which libsndfile does not tell what the header claims.
_CLAIMING_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "AIFF"})
# soundfile raises TypeError for a .raw name and ValueError for a header's impossible size; the rest is libsndfile's own.
_DECODER_ERRORS = (soundfile.SoundFileError, OSError, MemoryError, RuntimeError, TypeError, ValueError)


class Extent(NamedTuple):
    """What a recording decodes to.

    Attributes:
        frames: decoded from its start to its end, or to where decoding fails.
        sample_rate: in Hz.
        channels: of the source.
        failed: whether decoding fails after those frames.
    """

    frames: int
    sample_rate: int
    channels: int
    failed: bool = False


class Recording:
    """An open recording, read forwards. Uncompressed ones are sought; others are decoded from their start, each block once.

    Args:
        source: a file, or a file's bytes.
        on_block: called after each block that is decoded; what it raises ends the work.

    Attributes:
        sample_rate: of the source, in Hz.
        channels: of the source.
        format: libsndfile's name of the container, such as "WAV" or "OGG".
        subtype: likewise of the encoding within it, such as "PCM_16" or "VORBIS".
        header_frames: frames that the header claims, true or not.
        decoded_frames: how far from the recording's start decoding has come.

    Raises:
        AudioError: "unreadable", with what the file seems to be.
    """

    def __init__(self, source: Path | bytes, *, on_block: Callable[[], None] | None = None) -> None:
        self._file = _open(source)
        self._on_block = on_block
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.format: str = self._file.format
        self.subtype: str = self._file.subtype
        self.decoded_frames = 0
        self._seekable = self._file.format in _SEEKABLE_FORMATS and self._file.subtype in _SEEKABLE_SUBTYPES
        self._frames: int = self._file.frames
        self.header_frames = claimed_frames(read_head(source), self._frames) if self.format in _CLAIMING_FORMATS else self._frames
        self._blocks = self._decode()
        self._kept: deque[tuple[int, NDArray[np.float32]]] = deque()
        self._failure: AudioError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def read(self, start: int, stop: int, *, following: float = 0) -> NDArray[np.float32]:
        """Frames `start` to `stop`, `(samples, channels)` float32, fewer where the recording ends; starts must not decrease.

        Blocks that end before the frame `following`, where the next read starts, are not kept.

        Raises:
            AudioError: decoding fails before `stop`; "unreadable" in the first block, "truncated" after it.
        """
        if self._seekable:
            return self._read_sought(start, stop)
        try:
            return self._read_forward(start, stop)
        finally:
            self._forget(following)

    def read_all(self) -> NDArray[np.float32]:
        """Every frame, `(samples, channels)` float32. Only on a recording of which nothing was read."""
        blocks = list(self._blocks)
        return np.concatenate(blocks) if blocks else self._no_frames()

    def count_frames(self, *, at_least: float = math.inf) -> int:
        """Frames that decoding gives; it stops when there are `at_least` so many. Only on a recording of which nothing was read.

        `decoded_frames` is how many there were, where decoding fails.
        """
        if self._seekable:
            return self._frames
        for block in self._blocks:
            self.decoded_frames += len(block)
            if self.decoded_frames >= at_least:
                break
        return self.decoded_frames

    def _read_sought(self, start: int, stop: int) -> NDArray[np.float32]:
        # libsndfile clips these formats' frame counts to the size of the file, so this one can be believed.
        stop = min(stop, self._frames)
        self.decoded_frames = min(start, stop)
        if start >= stop:
            return self._no_frames()
        try:
            self._file.seek(start)
            samples: NDArray[np.float32] = self._file.read(out=np.empty((stop - start, self.channels), np.float32))
        except _DECODER_ERRORS as error:
            raise AudioError("truncated" if start else "unreadable", _reason(error)) from None
        self.decoded_frames = start + len(samples)
        return samples

    def _read_forward(self, start: int, stop: int) -> NDArray[np.float32]:
        self._forget(start)
        try:
            while self.decoded_frames < stop and (block := next(self._blocks, None)) is not None:
                if self.decoded_frames + len(block) > start:
                    self._kept.append((self.decoded_frames, block))
                self.decoded_frames += len(block)
        except AudioError as error:
            self._failure = error
        if self._failure and self.decoded_frames < stop:
            raise AudioError(self._failure.status, self._failure.reason)
        pieces = [block[max(0, start - origin) : max(0, stop - origin)] for origin, block in self._kept]
        return np.concatenate(pieces) if pieces else self._no_frames()

    def _forget(self, before: float) -> None:
        while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= before:
            self._kept.popleft()

    def _decode(self) -> Iterator[NDArray[np.float32]]:
        """Blocks from the start to the end. Their size is fixed, since some decoders' values depend on it in the last bits."""
        size = max(1, min(BLOCK_FRAMES, self._frames))
        decoded = False
        while True:
            try:
                block = self._file.read(out=np.empty((size, self.channels), np.float32))
            except _DECODER_ERRORS as error:
                raise AudioError("truncated" if decoded else "unreadable", _reason(error)) from None
            if not len(block):
                return
            decoded = True
            if self._on_block:
                self._on_block()
            yield block

    def _no_frames(self) -> NDArray[np.float32]:
        return np.empty((0, self.channels), np.float32)


def read(source: Path | bytes) -> tuple[NDArray[np.float32], int]:
    """A whole recording: `(samples, channels)` float32 and its sample rate in Hz.

    Raises:
        AudioError: it is "unreadable", "truncated" (decoding fails before its end) or "empty".
    """
    with Recording(source) as recording:
        samples = recording.read_all()
        if not len(samples):
            raise AudioError("empty", NO_SAMPLES_REASON)
        return samples, recording.sample_rate


def measure_extent(source: Path | bytes | Isolated, *, on_block: Callable[[], None] | None = None) -> Extent:
    """What a recording decodes to, whatever its header says: it is decoded, unless it is uncompressed, in memory that does not grow.

    Raises:
        AudioError: "unreadable": it cannot be opened; "crashed" or "timeout", of an isolated one.
    """
    if isinstance(source, Isolated):
        extent: Extent = source.call(measure_extent, on_block=on_block)
        return extent
    with Recording(source, on_block=on_block) as recording:
        try:
            frames, failed = recording.count_frames(), False
        except AudioError:
            frames, failed = recording.decoded_frames, True
        return Extent(frames, recording.sample_rate, recording.channels, failed)


def measure_frames(
    source: Path | bytes | Isolated, *, limit_s: float = math.inf, on_block: Callable[[], None] | None = None
) -> tuple[int, int]:
    """Frames that a recording decodes to, whatever its header says, and its sample rate in Hz. Decoding stops after `limit_s` seconds.

    Raises:
        AudioError: as `read` does; "crashed" or "timeout", of an isolated one.
    """
    if isinstance(source, Isolated):
        measured: tuple[int, int] = source.call(measure_frames, limit_s=limit_s, on_block=on_block)
        return measured
    with Recording(source, on_block=on_block) as recording:
        n_frames = recording.count_frames(at_least=limit_s * recording.sample_rate)
        if not n_frames:
            raise AudioError("empty", NO_SAMPLES_REASON)
        return n_frames, recording.sample_rate


NO_SAMPLES_REASON = "the recording holds no samples"


def why_empty(recording: Recording, start: int, stop: float) -> str:
    """Why the stretch from one frame to another, which was read, holds no samples; in one line."""
    if start == stop:
        return f"the clip is shorter than one sample at {recording.sample_rate} Hz"
    if not recording.decoded_frames:
        return NO_SAMPLES_REASON
    length_s, start_s = recording.decoded_frames / recording.sample_rate, start / recording.sample_rate
    return f"the clip starts at {start_s:,.10g} s and the recording ends at {length_s:,.10g} s"


class _ForwardFile(soundfile.SoundFile):  # type: ignore[misc]
    """soundfile seeks a seekable file to where it already is after each read: slow, and it resets the state of decoders."""

    def seekable(self) -> bool:
        return False


def _open(source: Path | bytes) -> Any:
    if isinstance(source, Path) and not source.is_file():
        raise AudioError("unreadable", "no such file, or not a regular file")
    if not (source.stat().st_size if isinstance(source, Path) else len(source)):
        raise AudioError("unreadable", "the file is empty")
    try:
        # The name goes as bytes on POSIX, where it need not be valid Unicode.
        name = os.fsencode(source) if os.name == "posix" and isinstance(source, Path) else source
        file = _ForwardFile(io.BytesIO(_untagged(source)) if isinstance(source, bytes) else name)
    except _DECODER_ERRORS as error:
        raise AudioError("unreadable", _why_refused(source, error)) from None
    refusal = _refusal(file)
    if refusal:
        file.close()
        raise AudioError("unreadable", refusal)
    return file


def _untagged(data: bytes) -> bytes:
    """Without ID3 tags before a WAV, AIFF or AU: libsndfile finds what comes behind them in a file, but misplaces it in memory."""
    start = 0
    while data[start : start + 3] == b"ID3" and len(data) >= start + 10:
        # Seven bits a byte.
        start += 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[start + 6 : start + 10], (21, 14, 7, 0), strict=True))
    return data[start:] if start and data[start : start + 4] in (b"RIFF", b"FORM", b".snd") else data


def _refusal(file: Any) -> str | None:
    # libsndfile takes any bytes named .au, .snd, .vox or .gsm for headerless audio; noise would pass for speech.
    if file.format == "RAW":
        return "headerless audio, whose encoding is not known"
    if not 1 <= file.samplerate <= MAX_SAMPLE_RATE:
        return f"the header gives a sample rate of {file.samplerate} Hz"
    if file.channels < 1:
        return f"the header gives {file.channels} channels"
    return None


def _why_refused(source: Path | bytes, error: BaseException) -> str:
    if not isinstance(error, soundfile.LibsndfileError):
        return _reason(error)
    try:
        return identify_unreadable(source)
    except OSError as failure:
        return failure.strerror or _reason(failure)


def _reason(error: BaseException) -> str:
    text = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error) or type(error).__name__
    return " ".join(text.split()).removesuffix(".")
