"""Where the clips of a recording begin and end, once it is known how long it is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio.decode import Extent
from fastspec.spec import ClipPolicy


class Cuts(NamedTuple):
    """Clips of one recording, in its order.

    Attributes:
        start_s: `(clips,)` float64, from the recording's start.
        duration_s: `(clips,)` float64: of a clip's own audio, before it is padded.
    """

    start_s: NDArray[np.float64]
    duration_s: NDArray[np.float64]


def cut_stretch(start_s: float, duration_s: float | None, extent: Extent, policy: ClipPolicy) -> Cuts:
    """The clips of a stretch of a recording, at least one: a stretch that holds none has a clip that says why when it is loaded.

    Seconds are such that rounding their product with the sample rate gives the sample that is meant.

    Args:
        start_s: where the stretch begins.
        duration_s: its length; None is to the recording's end.
        extent: what the recording decodes to.
        policy: with its `clip_s` set.

    >>> extent = Extent(frames=80_000, sample_rate=8000, channels=1)
    >>> cut_stretch(0.0, None, extent, ClipPolicy(clip_s=4.0, hop_s=4.0)).duration_s.tolist()
    [4.0, 4.0, 2.0]
    >>> cut_stretch(0.0, None, extent, ClipPolicy(clip_s=4.0, hop_s=4.0, last="shift")).start_s.tolist()
    [0.0, 4.0, 6.0]
    >>> cut_stretch(0.0, None, extent, ClipPolicy(clip_s=4.0, crop="center")).start_s.tolist()
    [3.0]
    """
    rate, clip_s = extent.sample_rate, policy.clip_s or 0.0
    length, start = round(clip_s * rate), round(start_s * rate)
    stop = extent.frames if duration_s is None else min(extent.frames, start + round(duration_s * rate))
    broken = extent.failed and (duration_s is None or start + round(duration_s * rate) > extent.frames)
    if not length or (start >= stop and not broken):
        return _cuts((start_s, clip_s))
    if policy.hop_s is not None:
        return _windows(start_s, stop, length, extent, policy, broken=broken)
    if broken:  # its end is not known; what reaches beyond where decoding fails, fails
        return _cuts((start_s if policy.crop == "start" else stop / rate, clip_s))
    spare = max(0, stop - start - length)
    begin = start + {"start": 0, "center": spare // 2, "end": spare}[policy.crop]
    return _cuts((begin / rate if spare else start_s, min(stop - begin, length) / rate))


def _windows(start_s: float, stop: int, length: int, extent: Extent, policy: ClipPolicy, *, broken: bool) -> Cuts:
    rate, clip_s, hop_s = extent.sample_rate, policy.clip_s or 0.0, policy.hop_s or 0.0
    # All that can fit, were each start rounded down, and one more.
    most = max(0.0, (stop - length + 0.5) / rate - start_s) / hop_s
    starts_s = start_s + hop_s * np.arange(int(most) + 3, dtype=np.float64)
    starts = np.rint(starts_s * rate).astype(np.int64)
    fitting = int(np.count_nonzero(starts + length <= stop))
    whole = Cuts(starts_s[:fitting], np.full(fitting, clip_s))
    if broken:
        return _append(whole, starts_s[fitting], clip_s)
    rest = stop - int(starts[fitting])
    ends_there = fitting > 0 and starts[fitting - 1] + length == stop
    if rest <= 0 or ends_there:
        return whole
    if not fitting:
        return _cuts((start_s, rest / rate))
    if policy.last == "shift":
        return _append(whole, (stop - length) / rate, clip_s)
    left_out = policy.last == "drop" or rest < round(policy.min_s * rate)
    return whole if left_out else _append(whole, starts_s[fitting], rest / rate)


def _cuts(clip: tuple[float, float]) -> Cuts:
    return Cuts(np.array(clip[:1]), np.array(clip[1:]))


def _append(cuts: Cuts, start_s: float, duration_s: float) -> Cuts:
    return Cuts(np.append(cuts.start_s, start_s), np.append(cuts.duration_s, duration_s))
