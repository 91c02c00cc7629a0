"""Windows, mel and chroma banks, cosine transforms: float64 mathematics, banks of bands as float32 tables.

A band of a filter bank is zero outside a short run of bins, so a bank is kept as the first bin, the width and the weights of each
band; the kernel multiplies nothing else.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastspec.errors import SpecError
from fastspec.spec import FeatureSpec, MelScale

Float64 = NDArray[np.float64]

_COSINE_SUMS = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08), "rectangular": (1.0,), "povey": (0.5, 0.5)}
_POVEY_POWER = 0.85  # Kaldi, src/feat/feature-window.cc
_GAUSSIAN_STD = 0.4  # of half the window

# Slaney's Auditory Toolbox: linear up to 1 kHz (15 mels), then a factor of 6.4 in 27 mels.
_SLANEY_HZ_PER_MEL = 200 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27
_A0_HZ = 440 / 16


class BandedBank(NamedTuple):
    """A filter bank without its zeros.

    Attributes:
        first: `(bands,)` int64, the first bin of each band.
        width: `(bands,)` int64, how many bins it covers.
        start: `(bands,)` int64, where its weights begin in `weights`.
        weights: `(sum of widths,)` float32.
    """

    first: NDArray[np.int64]
    width: NDArray[np.int64]
    start: NDArray[np.int64]
    weights: NDArray[np.float32]


def window(name: str, length: int, *, periodic: bool) -> Float64:
    """The window of that name, `(length,)` float64, over one period of `length` samples, or `length - 1` when symmetric.

    All but the Gaussian, exp(-(x / 0.4)^2 / 2) for x from -1 to 1, are sums of cosines; Kaldi's "povey" is Hann's to the power 0.85.

    >>> window("hann", 4, periodic=True).round(15).tolist()
    [0.0, 0.5, 1.0, 0.5]
    """
    if length == 1:
        return np.ones(1)
    position = np.arange(length) / (length if periodic else length - 1)
    if name == "gaussian":
        return np.asarray(np.exp(-0.5 * ((2 * position - 1) / _GAUSSIAN_STD) ** 2))
    total = sum(a * (-1) ** k * np.cos(2 * np.pi * k * position) for k, a in enumerate(_COSINE_SUMS[name]))
    if name == "povey":
        # Rounding leaves the ends just below zero, which has no such power.
        return np.asarray(np.maximum(total, 0.0) ** _POVEY_POWER)
    return np.asarray(total, np.float64)


def hz_to_mel(hz: ArrayLike, scale: MelScale) -> Float64:
    """Frequencies in Hz on the mel scale "slaney" or "htk" (2595 log10(1 + f / 700)).

    >>> hz_to_mel([0.0, 1000.0], "slaney").round(12).tolist()
    [0.0, 15.0]
    """
    f = np.asarray(hz, np.float64)
    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + f / 700))
    logarithmic = _SLANEY_BREAK_MEL + np.log(np.maximum(f, _SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return np.where(f < _SLANEY_BREAK_HZ, f / _SLANEY_HZ_PER_MEL, logarithmic)


def mel_to_hz(mel: ArrayLike, scale: MelScale) -> Float64:
    """The inverse of `hz_to_mel`.

    >>> mel_to_hz(hz_to_mel([440.0, 4000.0], "htk"), "htk").round(6).tolist()
    [440.0, 4000.0]
    """
    m = np.asarray(mel, np.float64)
    if scale == "htk":
        return np.asarray(700 * (10 ** (m / 2595) - 1))
    logarithmic = _SLANEY_BREAK_HZ * np.exp(_SLANEY_LOG_STEP * (np.maximum(m, _SLANEY_BREAK_MEL) - _SLANEY_BREAK_MEL))
    return np.where(m < _SLANEY_BREAK_MEL, m * _SLANEY_HZ_PER_MEL, logarithmic)


def mel_edges_hz(spec: FeatureSpec) -> Float64:
    """The `(bands + 2,)` corner frequencies of a spec's mel triangles in Hz, equally spaced in mel."""
    low, high = hz_to_mel([spec.fmin, spec.upper_edge_hz], spec.mel_scale)
    return mel_to_hz(np.linspace(low, high, spec.n_mels + 2), spec.mel_scale)


def mel_matrix(spec: FeatureSpec) -> Float64:
    """The dense `(bands, bins)` float64 mel bank: band m rises from edge m to edge m + 1 and falls to edge m + 2.

    Its sides are straight over frequency (librosa 0.11 `filters.mel`, torchaudio 2.11 `functional.melscale_fbanks`), over the mel scale
    (torchaudio 2.11 `compliance.kaldi.get_mel_banks`), or over frequency and both as wide as the left one (SpeechBrain 1.1
    `processing.features.Filterbank`). Slaney's norm multiplies by 2 / (edge m + 2 - edge m); the norm "sum" makes a band's
    weights add up to 1. No edge lies beyond the first or the last bin, so they weigh nothing: a bank "without DC" or "without Nyquist"
    is the same bank.
    """
    edges = mel_edges_hz(spec)
    bins: Float64 = np.arange(spec.n_fft // 2 + 1, dtype=np.float64) * (spec.sample_rate / spec.n_fft)
    if spec.mel_triangles == "mel":
        corners, places = hz_to_mel(edges, spec.mel_scale), hz_to_mel(bins, spec.mel_scale)
    else:
        corners, places = edges, bins
    widths = np.diff(corners)[:, None]
    rise, fall = widths[:-1], widths[:-1] if spec.mel_triangles == "symmetric" else widths[1:]
    peaks = corners[1:-1, None]
    matrix: Float64 = np.maximum(0.0, 1 + np.minimum((places - peaks) / rise, (peaks - places) / fall))
    if spec.mel_norm == "slaney":
        matrix *= (2 / (edges[2:] - edges[:-2]))[:, None]
    elif spec.mel_norm == "sum":
        sums = matrix.sum(axis=1, keepdims=True)
        matrix /= np.where(sums > 0, sums, 1)
    return matrix


def bank(spec: FeatureSpec) -> BandedBank:
    """The filter bank of a spec of one block, "mel" or "stft", banded.

    Raises:
        SpecError: a mel band so narrow that no bin of the transform falls into it.

    >>> from fastspec.presets import preset
    >>> int(bank(preset("librosa").spec).width.max())
    53
    """
    if spec.features == ("stft",):
        bins = np.arange(spec.n_fft // 2 + 1)
        return BandedBank(bins, np.ones_like(bins), bins, np.ones(len(bins), np.float32))
    matrix = mel_matrix(spec)
    empty = np.flatnonzero(~matrix.any(axis=1))
    if len(empty) and not spec.allow_empty_bands:
        raise SpecError(
            f"{len(empty)} of {spec.n_mels} mel bands hold no bin of a {spec.n_fft}-point transform (the first is band {empty[0]}); "
            "give fewer n_mels, a larger n_fft, or allow_empty_bands=True to keep bands that are always empty"
        )
    return banded(matrix)


def banded(matrix: Float64) -> BandedBank:
    """A dense `(bands, bins)` bank as runs of bins; a band of zeros has width 0."""
    occupied = matrix != 0
    first = np.argmax(occupied, axis=1)
    width = np.where(occupied.any(axis=1), matrix.shape[1] - np.argmax(occupied[:, ::-1], axis=1) - first, 0)
    weights = np.concatenate([row[f : f + w] for row, f, w in zip(matrix, first, width, strict=True)])
    return BandedBank(first, width, np.cumsum(width) - width, weights.astype(np.float32))


def cepstral_matrix(spec: FeatureSpec) -> Float64:
    """`(n_mfcc, n_mels)` float64: the first rows of the orthonormal DCT-II, each times its lifter.

    Row k is sqrt(2 / n) cos(pi k (m + 1/2) / n), with 1 / n in place of 2 / n for k = 0.

    >>> cepstral_matrix(FeatureSpec(n_mfcc=2, n_mels=4)).round(3).tolist()
    [[0.5, 0.5, 0.5, 0.5], [0.653, 0.271, -0.271, -0.653]]
    """
    k, m = np.arange(spec.n_mfcc)[:, None], np.arange(spec.n_mels)
    matrix = np.sqrt(np.where(k == 0, 1, 2) / spec.n_mels) * np.cos(np.pi * k * (m + 0.5) / spec.n_mels)
    if spec.lifter:
        i = k + 1 if spec.lifter_shape == "librosa" else k
        matrix *= 1 + spec.lifter / 2 * np.sin(np.pi * i / spec.lifter)
    return matrix


def chroma_matrix(spec: FeatureSpec, tuning: float) -> Float64:
    """`(n_chroma, bins)` float64: how much of each bin's power belongs to each pitch class, from C.

    A bin's Gaussian bump is as wide as the bin, at least one class; bins count by a Gaussian of 2 octaves around the fifth octave above
    A0 (librosa 0.11 `filters.chroma`, after D. Ellis). The bump of 0 Hz stands 1.5 octaves below that of bin 1.
    """
    n = spec.n_chroma
    hz = np.arange(1, spec.n_fft) * (spec.sample_rate / spec.n_fft)
    places = n * np.log2(hz / (_A0_HZ * 2 ** (tuning / n)))
    places = np.concatenate([places[:1] - 1.5 * n, places])
    widths = np.append(np.maximum(np.diff(places), 1), 1)
    half = np.round(n / 2)
    distance = (places - np.arange(n)[:, None] + half) % n - half
    bumps = np.exp(-0.5 * (2 * distance / widths) ** 2)
    bumps /= np.sqrt(np.sum(bumps**2, axis=0))
    bumps *= np.exp(-0.5 * ((places / n - 5) / 2) ** 2)
    return np.asarray(np.roll(bumps, -3 * (n // 12), axis=0)[:, : spec.n_fft // 2 + 1])


def delta_weights(spec: FeatureSpec, order: int, width: int) -> Float64:
    """What each frame around one counts for in its slope (order 1) or curvature (order 2) over `width` frames, float64; 0 of too few.

    "savgol" is the derivative of that order of the polynomial of that degree that fits best, which is the same everywhere on it;
    "kaldi" is the regression slope, convolved with itself for the second order (Kaldi, src/feat/feature-functions.cc).
    """
    if width <= order:
        return np.zeros(width)
    x = np.arange(width) - (width - 1) / 2
    slope = x / np.sum(x**2)
    if order == 1:
        return np.asarray(slope)
    if spec.delta_method == "kaldi":
        return np.convolve(slope, slope)
    # Twice the leading coefficient of the parabola: x^2 less its mean is orthogonal to lines.
    bend = x**2 - np.mean(x**2)
    return np.asarray(2 * bend / np.sum(bend**2))
