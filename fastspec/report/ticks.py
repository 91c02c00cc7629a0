"""What the axes of a block of features say: round values at their true places, in the unit that is asked for."""

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fastspec.filters import hz_to_mel, mel_edges_hz, mel_to_hz
from fastspec.report.look import FrequencyUnit
from fastspec.spec import FeatureSpec

Float64 = NDArray[np.float64]

FREQUENCY_BLOCKS = ("mel", "stft", "pcen")
_OCTAVES_HZ: Float64 = np.exp2(np.arange(-4.0, 8.0)) * 1000.0
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_CHORD = "CEGB"  # three or four of twelve apart
_APART = 0.07
_UNITS = {"hz": "Hz", "khz": "kHz", "mel": "mel"}


def label_of(spec: FeatureSpec, unit: FrequencyUnit | None = None) -> tuple[str, str]:
    """What the axis of a block's bands shows, and what its values are.

    >>> label_of(FeatureSpec(features="chroma")), label_of(FeatureSpec(features="rolloff"))[0]
    (('pitch class', 'share of the largest'), 'rolloff (Hz)')
    """
    (block,) = spec.features
    if block in FREQUENCY_BLOCKS:
        return f"frequency ({_UNITS[_unit(spec, unit)]})", "PCEN" if block == "pcen" else "level (dBFS)"
    many = {"mfcc": ("coefficient", "cepstral coefficient"), "chroma": ("pitch class", "share of the largest")}
    return many.get(block) or (f"{block} (Hz)" if block in ("centroid", "bandwidth", "rolloff") else block, "")


def band_ticks(spec: FeatureSpec, unit: FrequencyUnit | None = None, *, apart: float = _APART) -> tuple[Float64, list[str]]:
    """Places on a block's band axis, and what stands there: frequencies, coefficients from 0, or pitch classes.

    Frequencies and pitch classes are at least such a share of the axis `apart`.

    >>> band_ticks(FeatureSpec(features="chroma"))[1]
    ['C', 'D', 'E', 'F', 'G', 'A', 'B']
    """
    if spec.features[0] in FREQUENCY_BLOCKS:
        unit = _unit(spec, unit)
        places, hz = frequency_ticks(spec, unit, apart=apart)
        values = {"hz": hz, "khz": hz / 1000, "mel": hz_to_mel(hz, spec.mel_scale).round(6)}[unit]
        return places, [f"{value:g}" for value in values]
    if spec.features == ("chroma",) and spec.n_chroma % 12 == 0:
        names = [name for name in _NATURALS if apart <= _APART or name in _CHORD]
        return np.array([_NATURALS[name] for name in names]) * (spec.n_chroma / 12), names
    numbers = _round_values(0, spec.n_bands - 1)
    numbers = numbers[(numbers == numbers.round()) & (numbers < spec.n_bands)]
    return numbers, [f"{n:g}" for n in numbers]


def frequency_ticks(spec: FeatureSpec, unit: FrequencyUnit | None = None, *, apart: float = _APART) -> tuple[Float64, Float64]:
    """Frequencies on the axis of mel bands or spectra, round in their unit: their places on it (in bands) and in Hz, never crowded.

    >>> frequency_ticks(FeatureSpec(features="stft", n_fft=512))[1].tolist()
    [0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 8000.0]
    """
    low, high = _edges_hz(spec)
    most = int(1 / apart)
    if unit == "mel":
        mels = _round_values(*hz_to_mel([low, high], spec.mel_scale), most=most)
        return _on_axis(mel_to_hz(mels, spec.mel_scale), spec, apart)
    if spec.features != ("stft",):
        places, octaves = _on_axis(_OCTAVES_HZ, spec, apart)
        if len(octaves) >= 3:
            return places, octaves
    return _on_axis(_round_values(low, high, most=most), spec, apart)


def band_places(hz: Float64, spec: FeatureSpec) -> Float64:
    """Where frequencies lie on the axis of mel bands or spectra, band 0 at 0.

    >>> band_places(np.array([0.0, 8000.0]), FeatureSpec(features="stft", n_fft=512)).tolist()
    [0.0, 256.0]
    """
    if spec.features == ("stft",):
        return hz * (spec.n_fft / spec.sample_rate)
    low, high = hz_to_mel(_edges_hz(spec), spec.mel_scale)
    share = (hz_to_mel(hz, spec.mel_scale) - low) / (high - low)
    return np.asarray(share * (spec.n_mels + 1) - 1, np.float64)  # band m peaks at edge m + 1


def _edges_hz(spec: FeatureSpec) -> tuple[float, float]:
    if spec.features == ("stft",):
        return 0.0, spec.sample_rate / 2
    edges = mel_edges_hz(spec)
    return float(edges[0]), float(edges[-1])


def _unit(spec: FeatureSpec, unit: FrequencyUnit | None) -> FrequencyUnit:
    return unit or ("khz" if _edges_hz(spec)[1] >= 2000 else "hz")


def _round_values(low: float, high: float, *, most: int = 9) -> Float64:
    values = np.asarray(MaxNLocator(min(9, most), steps=[1, 2, 5, 10]).tick_values(low, high), np.float64)
    return values[values >= 0]


def _on_axis(hz: Float64, spec: FeatureSpec, apart: float) -> tuple[Float64, Float64]:
    """Those frequencies that lie on the axis, dropping from the top down what stands too close to its upper neighbour."""
    places, kept = band_places(hz, spec), list[int]()
    for i in np.flatnonzero((places >= -0.5) & (places <= spec.n_bands - 0.5))[::-1]:
        if not kept or places[kept[-1]] - places[i] >= apart * spec.n_bands:
            kept.append(int(i))
    return places[kept[::-1]], hz[kept[::-1]]
