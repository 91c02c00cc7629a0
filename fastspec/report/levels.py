"""What the values of features mean to the eye: decibels, and the range that colours are spread over."""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.frontend import FrontEnd
from fastspec.report import ReportError
from fastspec.spec import FeatureSpec

Float64 = NDArray[np.float64]
Zero = Literal["full-scale", "peak"]

_DECIBELS = {"none": 0.0, "ln": 10 / np.log(10), "log10": 10.0, "db": 1.0}
_TONE_HZ = 997.0


class Range(NamedTuple):
    """The lowest and the highest value that colours tell apart."""

    low: float
    high: float


_SHARES = Range(0.0, 1.0)


def check_one_block(spec: FeatureSpec) -> FeatureSpec:
    """The only block of a spec that makes pictures, without its deltas; ReportError of several, and of one that is a line."""
    alone = spec.replace(deltas=0)
    if len(spec.features) != 1 or alone.n_bands < 2:
        raise ReportError(f"the features are {', '.join(spec.features)}; give one block with several bands, as in --set features=mel")
    return alone


def decibels(features: NDArray[np.floating], spec: FeatureSpec) -> Float64:
    """Mel bands or spectra of any of a spec's scales as dB of power, in their shape; NaN stays NaN, and so does a normalisation by band.

    >>> decibels(np.log(np.float32([[1.0, 0.1]])), FeatureSpec(log="ln", power=1.0)).round(3).tolist()
    [[0.0, -20.0]]
    """
    level = np.asarray(features, np.float64)
    if spec.normalize == "per_band":
        return level
    if spec.normalize == "fixed":
        level = level * spec.norm_std + spec.norm_mean
    scaled = 10 * np.log10(np.maximum(level, 1e-20)) if spec.log == "none" else level * _DECIBELS[spec.log]
    return scaled * (2 / spec.power)


def levels(features: NDArray[np.floating], spec: FeatureSpec) -> Float64:
    """The features of one block as they are drawn: mel bands and spectra in dB from a full-scale sine (dBFS), all else as it is."""
    return decibels(features, spec) - full_scale_db(spec) if in_decibels(spec) else np.asarray(features, np.float64)


def in_decibels(spec: FeatureSpec) -> bool:
    """Whether a spec's only block is drawn in dB.

    >>> in_decibels(FeatureSpec()), in_decibels(FeatureSpec(features="chroma"))
    (True, False)
    """
    return spec.features in (("mel",), ("stft",)) and spec.normalize != "per_band"


def range_of(level: Float64, spec: FeatureSpec, range_db: float) -> Range:
    """The range of levels `(frames, bands)`: from their least to their greatest, of dB at most `range_db` below that, of chroma 0 to 1.

    Of cepstra nine tenths fit, and coefficient 0, the loudness, does not count: the first few are so much greater than the others that
    these would have one colour.

    >>> range_of(np.array([[-120.0, 0.0, np.nan]]), FeatureSpec(), 80.0)
    Range(low=-80.0, high=0.0)
    """
    if spec.features == ("chroma",):
        return _SHARES
    cepstra = spec.features == ("mfcc",)
    shown = level[:, 1:] if cepstra and level.shape[1] > 1 else level
    finite = shown[np.isfinite(shown)]
    if cepstra and finite.size:
        finite = np.percentile(finite, (5, 95))
    high = float(finite.max()) if finite.size else 0.0
    low = float(finite.min()) if finite.size else -range_db
    if in_decibels(spec):
        low = max(low, high - range_db)
    return Range(low, high if high > low else low + 1.0)


def fixed_range(spec: FeatureSpec, range_db: float) -> Range | None:
    """A range that is the same for every clip: of dB down from a full-scale sine, of chroma from 0 to 1; None where there is none."""
    if in_decibels(spec):
        return Range(-range_db, 0.0)
    return _SHARES if spec.features == ("chroma",) else None


@lru_cache(64)
def full_scale_db(spec: FeatureSpec) -> float:
    """The greatest level, in dB as `decibels` has them, of a sine of 997 Hz and amplitude 1 (0 dBFS as AES17 defines it).

    Where 997 Hz lie outside the bands, the sine has the frequency in their middle.

    >>> round(full_scale_db(FeatureSpec(features="stft", n_fft=400, window="rectangular")))  # 10 log10 of (400 / 2)^2
    46
    """
    low, high = (0.0, spec.sample_rate / 2) if spec.features == ("stft",) else (spec.fmin, spec.upper_edge_hz)
    hz = _TONE_HZ if low < _TONE_HZ < high else (low + high) / 2
    plain = spec.replace(normalize="none" if spec.normalize == "per_band" else spec.normalize)
    seconds = np.arange(4 * max(spec.n_fft, spec.window_length)) / spec.sample_rate
    return float(decibels(FrontEnd(plain)(np.sin(2 * np.pi * hz * seconds).astype(np.float32)), plain).max())
