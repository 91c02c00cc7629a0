"""Clips out of a recording: the stretch, one channel, the target rate, and what the ledger says about it."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio.channels import find_channel_faults, mix
from fastspec.audio.decode import BLOCK_FRAMES, Recording, why_empty
from fastspec.audio.errors import AudioError
from fastspec.audio.hashing import AudioHash
from fastspec.audio.isolation import Isolated, Reserve
from fastspec.audio.levels import Levels
from fastspec.audio.resample import change_rate
from fastspec.errors import counted
from fastspec.timing import stage


class Span(NamedTuple):
    """A stretch of a recording, in seconds; the duration is at most the recipe's clip length.

    `channel` is the one that is taken, from 0; None leaves it to the policy.
    """

    start_s: float
    duration_s: float
    channel: int | None = None


class ClipInfo(NamedTuple):
    """What the ledger says about one clip. None is not known.

    Attributes:
        status: ok, empty, silent, too-short, unreadable, truncated or nonfinite.
        reason: why it is not ok, or which of its channels are dead or in antiphase, in one line.
        header_frames: frames of the recording, as its header claims.
        decoded_frames: frames decoded from the recording's start to the end of the clip, or of the recording if that comes first.
        sample_rate: of the source, in Hz.
        channels: of the source.
        peak: largest finite magnitude in any channel.
        clipped: share of samples with a magnitude of 0.9999 or more, 0 to 1.
        silent: share of samples that are exactly 0, 0 to 1.
        nonfinite: samples that are NaN or infinite.
        audio_hash: XXH3-128 of the source samples, sample rate and channel count: equal audio has equal hashes in any lossless format.
    """

    status: str
    reason: str | None = None
    header_frames: int | None = None
    decoded_frames: int | None = None
    sample_rate: int | None = None
    channels: int | None = None
    peak: float | None = None
    clipped: float | None = None
    silent: float | None = None
    nonfinite: int | None = None
    audio_hash: str | None = None


class LoadedClip(NamedTuple):
    """One clip at the target rate, not padded.

    Attributes:
        samples: `(valid_samples,)` float32; none unless the clip is usable.
        info: its columns in the ledger.
    """

    samples: NDArray[np.float32]
    info: ClipInfo

    @property
    def usable(self) -> bool:
        """Whether features can be computed: status ok or silent."""
        return self.info.status in ("ok", "silent")


def failed_clip(status: str, reason: str) -> LoadedClip:
    """A clip of which nothing is known but why it could not be had.

    >>> failed_clip("unreadable", "no such file").usable
    False
    """
    return LoadedClip(np.empty(0, np.float32), ClipInfo(status, reason))


# Of a clip's own samples while it is made: what it may take without being asked for.
OWN_BYTES = 8 << 20


def load_clips(
    source: Path | bytes | Isolated,
    spans: Sequence[Span],
    *,
    sample_rate: int,
    channel: str,
    resample: str,
    n_samples: int,
    shortest_s: float = 0.0,
    on_block: Callable[[], None] | None = None,
    reserve: Reserve | None = None,
) -> Iterator[LoadedClip]:
    """The clips of one recording, one for each span in the order given; it is decoded once, and a bad one never raises.

    A clip is the source samples `[round(start_s * sr), + round(duration_s * sr))`, mixed to one channel, resampled alone in one shot
    and cut to `n_samples`. It depends on its span alone, never on the others. Spans sorted by start are yielded as soon as they are
    decoded; those in another order wait for their turn.

    Args:
        source: a file, or a file's bytes; isolated, it may also be "crashed" or "timeout".
        spans: stretches of the recording.
        sample_rate: wanted, in Hz.
        channel: how `mix` gets one channel of those spans that do not say which.
        resample: soxr's quality.
        n_samples: length at most, in samples at `sample_rate`.
        shortest_s: clips with less audio are "too-short".
        on_block: called after each block that is decoded; what it raises ends the work.
        reserve: entered with the bytes that a clip's own samples take above `OWN_BYTES` while it is made, left when only what is yielded
            is there.
    """
    policy = Policy(sample_rate, channel, resample, n_samples, shortest_s)
    if isinstance(source, Isolated):
        yield from _load_isolated(source, spans, policy, on_block, reserve)
        return
    try:
        with stage("open"):
            recording = Recording(source, on_block=on_block)
    except AudioError as error:
        for _ in spans:
            yield failed_clip(error.status, error.reason)
        return
    with recording:
        waiting: dict[int, LoadedClip] = {}
        following = 0
        order = sorted(range(len(spans)), key=lambda i: spans[i].start_s)
        for index, after in zip_longest(order, order[1:]):
            ahead = math.inf if after is None else _first_frame(spans[after], recording)
            size = _source_bytes(recording, spans[index])
            with reserve(size - OWN_BYTES) if reserve and size > OWN_BYTES else nullcontext():
                waiting[index] = _load_clip(recording, spans[index], policy, following=ahead)
            while following in waiting:
                yield waiting.pop(following)
                following += 1


class Policy(NamedTuple):
    """What `load_clips` is told about every clip."""

    sample_rate: int
    channel: str
    resample: str
    n_samples: int
    shortest_s: float


class Origin(NamedTuple):
    """What the ledger says about the recording of a clip."""

    header_frames: int
    decoded_frames: int
    sample_rate: int
    channels: int


def _load_isolated(
    source: Isolated, spans: Sequence[Span], policy: Policy, on_block: Callable[[], None] | None, reserve: Reserve | None
) -> Iterator[LoadedClip]:
    """The clips of a recording in another process; those that were not there when it crashed or hung say so."""
    with closing(source.stream(load_clips, on_block=on_block, reserve=reserve, spans=spans, **policy._asdict())) as clips:
        for given in range(len(spans)):
            try:
                with stage("decode"):
                    clip = next(clips)
            except AudioError as error:
                yield from [failed_clip(error.status, error.reason)] * (len(spans) - given)
                return
            yield clip


def _first_frame(span: Span, recording: Recording) -> int:
    return round(span.start_s * recording.sample_rate)


def _source_bytes(recording: Recording, span: Span) -> int:
    """What a clip's own samples take at most: the blocks, then the clip beside its channels one by one, its levels or its mix."""
    return 3 * 4 * recording.channels * (round(span.duration_s * recording.sample_rate) + BLOCK_FRAMES)


def _load_clip(recording: Recording, span: Span, policy: Policy, *, following: float) -> LoadedClip:
    start = _first_frame(span, recording)
    stop = start + round(span.duration_s * recording.sample_rate)
    try:
        with stage("decode"):
            source = recording.read(start, stop, following=following)
    except AudioError as error:
        return LoadedClip(np.empty(0, np.float32), ClipInfo(error.status, error.reason, *_origin(recording, stop)))
    if not len(source):
        return LoadedClip(np.empty(0, np.float32), ClipInfo("empty", why_empty(recording, start, stop), *_origin(recording, stop)))
    return make_clip(source, span, _origin(recording, stop), policy)


def _origin(recording: Recording, stop: int) -> Origin:
    decoded_frames = min(stop, recording.decoded_frames)
    return Origin(recording.header_frames, decoded_frames, recording.sample_rate, recording.channels)


def make_clip(
    source: NDArray[np.float32],
    span: Span,
    origin: Origin,
    policy: Policy,
    *,
    levels: Levels | None = None,
    digest: str | None = None,
) -> LoadedClip:
    """A clip of decoded samples, `(samples, channels)` float32, at least one; `levels` and the `digest` of all of them where known."""
    if span.channel is not None and span.channel >= origin.channels:
        # A recording that was measured before had it.
        gone = f"channel {span.channel + 1} is wanted of a recording of {counted(origin.channels, 'channel')}"
        return LoadedClip(np.empty(0, np.float32), ClipInfo("empty", gone, *origin))
    if levels and origin.channels == 1 and not span.channel:
        faults, mono = None, source[:, 0]
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            faults = find_channel_faults(source) if origin.channels > 1 else None
            if span.channel is not None:
                source, levels, digest = source[:, [span.channel]], None, None
            levels, mono = levels or Levels.of(source), mix(source, policy.channel)
    status, reason = _judge(mono, levels, origin.sample_rate, policy, mixed=source.shape[1] > 1)
    samples = np.empty(0, np.float32)
    if status in ("ok", "silent"):
        samples = _resample(mono, origin.sample_rate, policy)[: policy.n_samples]
        if not len(samples):
            status, reason = "empty", f"the clip is shorter than one sample at {policy.sample_rate} Hz"
    info = ClipInfo(
        status,
        f"{reason}; {faults}" if reason and faults else reason or faults,
        *origin,
        levels.peak,
        levels.clipped_share,
        levels.silent_share,
        levels.nonfinite,
        digest or AudioHash(origin.sample_rate, source.shape[1]).add(source).hexdigest(),
    )
    return LoadedClip(samples, info)


def _resample(mono: NDArray[np.float32], sample_rate: int, policy: Policy) -> NDArray[np.float32]:
    if sample_rate == policy.sample_rate:
        return mono
    with stage("resample"):
        return change_rate(mono, sample_rate, target_hz=policy.sample_rate, quality=policy.resample)


def _judge(mono: NDArray[np.float32], levels: Levels, sample_rate: int, policy: Policy, *, mixed: bool) -> tuple[str, str | None]:
    if len(mono) < round(policy.shortest_s * sample_rate):
        return "too-short", f"{len(mono) / sample_rate:.3f} s of audio, and a clip needs {policy.shortest_s:g} s"
    if not levels.sounding:
        return "silent", "every sample is 0"
    # A sum of huge finite samples overflows, so the mix is asked too.
    if sample_rate != policy.sample_rate and (levels.nonfinite or levels.peak > 1e30) and not np.isfinite(mono).all():
        return "nonfinite", f"{levels.nonfinite} samples are NaN or infinite, and the clip had to be resampled"
    if mixed and not mono.any():
        return "silent", "every sample of the mixed channel is 0"
    return "ok", None
