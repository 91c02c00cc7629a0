"""What stretches of a recording hold, found in one pass, in memory that grows with neither the recording nor the stretches."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio.channels import ChannelSums
from fastspec.audio.decode import BLOCK_FRAMES, Recording, why_empty
from fastspec.audio.errors import AudioError
from fastspec.audio.hashing import AudioHash
from fastspec.audio.levels import Levels


class Stretch(NamedTuple):
    """A part of a recording, in seconds; a duration of None is to its end. `channel` is the only one that is heard, from 0."""

    start_s: float = 0.0
    duration_s: float | None = None
    channel: int | None = None


class Survey(NamedTuple):
    """What a stretch of a recording holds. None is not known.

    Attributes:
        status: ok, silent, empty, unreadable or truncated.
        reason: why it is not ok, or which of its channels are dead or in antiphase, in one line.
        format: libsndfile's name of the recording's container.
        subtype: likewise of the encoding within it.
        size_bytes: of the recording's file.
        sample_rate: in Hz.
        channels: of the recording.
        header_frames: frames of the recording, as its header claims.
        frames: of the stretch, decoded.
        peak: largest finite magnitude in any channel.
        clipped: share of samples with a magnitude of 0.9999 or more, 0 to 1.
        silent: share of samples that are exactly 0, 0 to 1.
        nonfinite: samples that are NaN or infinite.
        dc: the mean of that channel whose mean is furthest from 0.
        audio_hash: the ledger's, of the whole stretch: equal audio has equal hashes in any lossless format.
    """

    status: str
    reason: str | None = None
    format: str | None = None
    subtype: str | None = None
    size_bytes: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    header_frames: int | None = None
    frames: int | None = None
    peak: float | None = None
    clipped: float | None = None
    silent: float | None = None
    nonfinite: int | None = None
    dc: float | None = None
    audio_hash: str | None = None


def survey(
    source: Path | bytes, stretches: Sequence[Stretch] = (Stretch(),), *, on_block: Callable[[], None] | None = None
) -> list[Survey]:
    """Survey a recording: it is decoded once, to the end of the last stretch, and a bad one never raises.

    Args:
        source: a file, or a file's bytes.
        stretches: in any order; they may overlap.
        on_block: called after each block that is decoded; what it raises ends the work.

    Returns:
        what each stretch holds, in the order given.
    """
    try:
        size = source.stat().st_size if isinstance(source, Path) else len(source)
        with Recording(source, on_block=on_block) as recording:
            sums = [_Sums(recording, stretch) for stretch in stretches]
            failure = _listen(recording, sums)
            return [one.conclude(recording, size, failure) for one in sums]
    except (AudioError, OSError) as error:
        status, reason = (error.status, error.reason) if isinstance(error, AudioError) else ("unreadable", str(error.strerror))
        return [Survey(status, reason)] * len(stretches)


class _Sums:
    """All that is known of a stretch after some blocks."""

    def __init__(self, recording: Recording, stretch: Stretch) -> None:
        rate, self.channel = recording.sample_rate, stretch.channel
        self.start = round(stretch.start_s * rate)
        self.stop = math.inf if stretch.duration_s is None else self.start + round(stretch.duration_s * rate)
        heard = recording.channels if stretch.channel is None else 1
        self.levels, self.sums, self.hash = Levels(), ChannelSums(recording.channels), AudioHash(rate, heard)
        self.frames = 0

    def add(self, block: NDArray[np.float32], position: int) -> None:
        """Take what belongs to the stretch out of a block that begins at a position."""
        part = block[max(0, self.start - position) : int(max(0, min(len(block), self.stop - position)))]
        self.sums.add(part)
        heard = part if self.channel is None else part[:, [self.channel]]
        self.levels = self.levels.joined(Levels.of(heard))
        self.hash.add(heard)
        self.frames += len(part)

    def conclude(self, recording: Recording, size: int, failure: AudioError | None) -> Survey:
        """The survey, when nothing more will come."""
        header = (
            recording.format,
            recording.subtype,
            size,
            recording.sample_rate,
            recording.channels,
            recording.header_frames,
            self.frames,
        )
        if failure is not None and self.stop > recording.decoded_frames:
            return Survey(failure.status, failure.reason, *header)
        if not self.frames:
            return Survey("empty", why_empty(recording, self.start, self.stop), *header)
        levels, faults = self.levels, self.sums.find_faults() if recording.channels > 1 else None
        status, reason = ("ok", faults) if levels.sounding else ("silent", "every sample is 0")
        means = self.sums.means if self.channel is None else self.sums.means[[self.channel]]
        dc = float(means[np.abs(means).argmax()])
        found = (levels.peak, levels.clipped_share, levels.silent_share, levels.nonfinite, dc if math.isfinite(dc) else None)
        return Survey(status, reason, *header, *found, self.hash.hexdigest())


def _listen(recording: Recording, stretches: Sequence[_Sums]) -> AudioError | None:
    """Let each stretch hear its blocks; what decoding fails with, if it does."""
    waiting = sorted(stretches, key=lambda stretch: -stretch.start)
    position, last = waiting[-1].start, max(stretch.stop for stretch in waiting)
    hearing: list[_Sums] = []
    failure: AudioError | None = None
    with np.errstate(over="ignore", invalid="ignore"):
        while position < last and failure is None:
            asked = int(min(last, position + BLOCK_FRAMES))
            try:
                block = recording.read(position, asked)
            except AudioError as error:
                failure = error
                block = recording.read(position, max(position, recording.decoded_frames))  # what came before the failure
            while waiting and waiting[-1].start < asked:
                hearing.append(waiting.pop())
            for stretch in hearing:
                stretch.add(block, position)
            hearing = [stretch for stretch in hearing if stretch.stop > asked]
            if len(block) < asked - position:
                break
            position = asked
    return failure
