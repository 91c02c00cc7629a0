"""A clip as people see it: its waveform above its features, on one time axis."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fastspec.filters import hz_to_mel, mel_edges_hz
from fastspec.report import ReportError
from fastspec.report.picture import new_figure, soften
from fastspec.spec import FeatureSpec, Recipe

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_COLOURS = "magma"  # even in lightness, so it survives colour blindness and a grey printer
_RANGE_DB = 80.0
_COLUMNS = 1500
_OCTAVES_HZ: Float64 = np.exp2(np.arange(-4.0, 8.0)) * 1000.0
_NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_HEIGHT_IN = 3.2
_LINE_HEIGHT_IN = 1.0
_DECIBELS = {"none": 0.0, "ln": 10 / np.log(10), "log10": 10.0, "db": 1.0}


def plot_spectrogram(
    samples: Float32, sample_rate: float, features: Float32, recipe: Recipe, *, title: str, importance: Float32 | None = None
) -> Figure:
    """Waveform above log spectrogram: time in seconds, frequency at its true place on the recipe's axis, level in dB of power.

    Mel bands and spectra on any of a recipe's scales are shown in dB, at most 80 dB below the clip's maximum; frames that are NaN are
    grey. Of several blocks each has a picture of its own, a block of one band a line; deltas are left out.

    Args:
        samples: `(samples,)` waveform.
        sample_rate: of `samples`, in Hz.
        features: `(frames, bands)` float32, as the recipe's front end makes them.
        recipe: what made them.
        title: above the picture.
        importance: `(frames, bands)` float32, what each place does to the log-odds of a class; drawn below, red for, blue against.

    Raises:
        ReportError: no samples or frames, or features whose bands are not the recipe's, or importance of another shape.

    >>> from fastspec.presets import preset
    >>> rng = np.random.default_rng(0)
    >>> plot_spectrogram(np.zeros(22050), 22050, rng.normal(size=(44, 128)), preset("librosa"), title="noise").axes[1].get_ylabel()
    'frequency (kHz)'
    """
    _check(samples, features, recipe.spec)
    spec = recipe.spec
    if importance is not None and importance.shape != features.shape:
        raise ReportError(f"features are {features.shape} and their importance {importance.shape}; give one value for each")
    heights = [_HEIGHT_IN if spec.block_size(block) > 1 else _LINE_HEIGHT_IN for block in spec.features]
    heights += [_HEIGHT_IN] * (importance is not None)
    figure = new_figure(7.0, 1.0 + sum(heights))
    above, *panels = figure.subplots(1 + len(heights), 1, sharex=True, height_ratios=[1.0, *heights])
    above.set_title(title, fontsize=10, parse_math=False)
    _draw_waveform(above, np.asarray(samples, np.float64), sample_rate)
    span_s = _draw_blocks(figure, panels[: len(spec.features)], features, spec)
    if importance is not None:
        _draw_importance(figure, panels[-1], span_s, importance, spec)
    panels[-1].set_xlabel("time (s)", fontsize=9)
    above.set_xlim(0.0, max(len(samples) / sample_rate, span_s[1]))
    for axes in (above, *panels):
        soften(axes)
    return figure


def _check(samples: Float32, features: Float32, spec: FeatureSpec) -> None:
    if np.ndim(samples) != 1 or len(samples) == 0:
        raise ReportError(f"samples have the shape {np.shape(samples)}; give one channel, (samples,), with something in it")
    if np.ndim(features) != 2 or len(features) == 0 or features.shape[1] != spec.n_bands:
        raise ReportError(f"features have the shape {np.shape(features)}; this recipe makes (frames, {spec.n_bands})")


def _draw_waveform(axes: Axes, samples: Float64, sample_rate: float) -> None:
    """A line while each sample has room, otherwise the span from least to greatest of each column."""
    if len(samples) <= 2 * _COLUMNS:
        axes.plot(np.arange(len(samples)) / sample_rate, samples, color="0.2", linewidth=0.6)
    else:
        starts = np.linspace(0, len(samples), _COLUMNS, endpoint=False).astype(np.int64)
        least, greatest = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
        axes.fill_between(starts / sample_rate, least, greatest, color="0.2", linewidth=0.3)
    finite = np.abs(samples[np.isfinite(samples)])
    peak = float(finite.max(initial=0.0)) or 1.0
    axes.set_ylim(-1.08 * peak, 1.08 * peak)
    axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=True, steps=[1, 2, 5, 10]))
    axes.set_ylabel("amplitude", fontsize=9)


def _draw_blocks(figure: Figure, panels: Sequence[Axes], features: Float32, spec: FeatureSpec) -> tuple[float, float]:
    """Draw each block where its frames lie in time; returns the left and the right edge of the pictures in seconds."""
    hop_s = spec.hop_length / spec.sample_rate
    first_s = (spec.first_sample + spec.window_length / 2) / spec.sample_rate
    times = np.asarray(first_s + hop_s * np.arange(len(features)), np.float64)
    parts = spec.parts()
    for axes, block in zip(panels, spec.features, strict=True):
        values, alone = features[:, parts[block]], spec.replace(features=block, deltas=0)
        if values.shape[1] == 1:
            _draw_line(axes, times, values[:, 0], alone)
        else:
            _draw_image(figure, axes, (times[0] - hop_s / 2, times[-1] + hop_s / 2), values, alone)
    return float(times[0] - hop_s / 2), float(times[-1] + hop_s / 2)


def _draw_line(axes: Axes, times: Float64, values: Float32, spec: FeatureSpec) -> None:
    """One band over time; frames that are NaN leave a gap."""
    axes.plot(times, values, color="0.2", linewidth=1.0)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_ylabel(label_of(spec)[0], fontsize=9)


def _draw_image(figure: Figure, axes: Axes, span_s: tuple[float, float], values: Float32, spec: FeatureSpec) -> None:
    """Bands over time, with an axis that says what they are."""
    level = decibels(values, spec) if spec.features in (("mel",), ("stft",)) else np.asarray(values, np.float64)
    finite = level[np.isfinite(level)]
    loudest = float(finite.max()) if finite.size else 0.0
    quietest = float(finite.min()) if finite.size else -_RANGE_DB
    if spec.features in (("mel",), ("stft",)):
        quietest = max(quietest, loudest - _RANGE_DB)
    axes.set_facecolor("0.7")
    image = axes.imshow(
        level.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=_COLOURS,
        extent=(*span_s, -0.5, spec.n_bands - 0.5),
        vmin=quietest,
        vmax=loudest if loudest > quietest else quietest + 1.0,
    )
    places, names = band_ticks(spec)
    axes.set_yticks(places, names)
    axis, scale = label_of(spec)
    axes.set_ylabel(axis, fontsize=9)
    bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=22)
    bar.set_label("standard deviations" if spec.normalize == "per_band" else scale, fontsize=9)
    soften(bar.ax)


def _draw_importance(figure: Figure, axes: Axes, span_s: tuple[float, float], importance: Float32, spec: FeatureSpec) -> None:
    """All bands over time, white where they make no difference."""
    most = float(np.abs(importance).max(initial=0.0)) or 1.0
    extent = (*span_s, -0.5, spec.n_bands - 0.5)
    image = axes.imshow(
        importance.T, origin="lower", aspect="auto", interpolation="nearest", cmap="RdBu_r", vmin=-most, vmax=most, extent=extent
    )
    axes.set_ylabel("band", fontsize=9)
    if len(spec.features) == 1 and not spec.deltas:
        axes.set_yticks(*band_ticks(spec))
        axes.set_ylabel(label_of(spec)[0], fontsize=9)
    bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=22)
    bar.set_label("speaks for it (log-odds)", fontsize=9)
    soften(bar.ax)


def label_of(spec: FeatureSpec) -> tuple[str, str]:
    """What the axis of a block's bands shows, and what its values are.

    >>> label_of(FeatureSpec(features="chroma")), label_of(FeatureSpec(features="rolloff"))[0]
    (('pitch class', 'of the largest'), 'rolloff (Hz)')
    """
    (block,) = spec.features
    frequency = f"frequency ({'kHz' if _in_khz(spec) else 'Hz'})"
    if block in ("mel", "stft", "pcen"):
        return frequency, "PCEN" if block == "pcen" else "power (dB)"
    many = {"mfcc": ("coefficient", "cepstrum"), "chroma": ("pitch class", "of the largest")}
    return many.get(block) or (f"{block} (Hz)" if block in ("centroid", "bandwidth", "rolloff") else block, "")


def band_ticks(spec: FeatureSpec) -> tuple[Float64, list[str]]:
    """Places on a block's band axis, and what stands there: frequencies, coefficients from 0, or pitch classes.

    >>> band_ticks(FeatureSpec(features="chroma"))[1]
    ['C', 'D', 'E', 'F', 'G', 'A', 'B']
    """
    if spec.features in (("mel",), ("stft",), ("pcen",)):
        places, hz = frequency_ticks(spec)
        return places, [f"{f / 1000 if _in_khz(spec) else f:g}" for f in hz]
    if spec.features == ("chroma",) and spec.n_chroma % 12 == 0:
        return np.array(list(_NATURALS.values())) * (spec.n_chroma / 12), list(_NATURALS)
    numbers = _round_values(0, spec.n_bands - 1)
    numbers = numbers[(numbers == numbers.round()) & (numbers < spec.n_bands)]
    return numbers, [f"{n:g}" for n in numbers]


def _in_khz(spec: FeatureSpec) -> bool:
    return spec.upper_edge_hz >= 2000


def decibels(features: Float32, spec: FeatureSpec) -> Float64:
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


def frequency_ticks(spec: FeatureSpec) -> tuple[Float64, Float64]:
    """Round frequencies on the axis of mel bands or spectra: their places on it (in bands) and their values in Hz, never crowded.

    >>> frequency_ticks(FeatureSpec(features="stft", n_fft=512))[1].tolist()
    [0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0, 6000.0, 7000.0, 8000.0]
    """
    if spec.features == ("stft",):
        hz = _round_values(0.0, spec.sample_rate / 2)
        return _on_axis(hz * (spec.n_fft / spec.sample_rate), hz, spec)
    edges_hz = mel_edges_hz(spec)
    low, high = hz_to_mel([edges_hz[0], edges_hz[-1]], spec.mel_scale)

    def place(hz: Float64) -> Float64:
        share = (hz_to_mel(hz, spec.mel_scale) - low) / (high - low)
        return np.asarray(share * (spec.n_mels + 1) - 1, np.float64)  # band m peaks at edge m + 1

    places, octaves = _on_axis(place(_OCTAVES_HZ), _OCTAVES_HZ, spec)
    if len(octaves) >= 3:
        return places, octaves
    hz = _round_values(edges_hz[0], edges_hz[-1])
    return _on_axis(place(hz), hz, spec)


def _round_values(low: float, high: float) -> Float64:
    values = np.asarray(MaxNLocator(9, steps=[1, 2, 5, 10]).tick_values(low, high), np.float64)
    return values[values >= 0]


def _on_axis(places: Float64, hz: Float64, spec: FeatureSpec) -> tuple[Float64, Float64]:
    """Those places that lie on the axis, dropping from the top down what stands too close to its upper neighbour."""
    kept: list[int] = []
    for i in np.flatnonzero((places >= -0.5) & (places <= spec.n_bands - 0.5))[::-1]:
        if not kept or places[kept[-1]] - places[i] >= 0.07 * spec.n_bands:
            kept.append(int(i))
    return places[kept[::-1]], hz[kept[::-1]]
