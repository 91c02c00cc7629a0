"""A clip as people see it: its waveform above its features, on one time axis."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fastspec.report import ReportError
from fastspec.report.levels import Range, levels, range_of
from fastspec.report.look import Look
from fastspec.report.picture import new_figure, soften
from fastspec.report.ticks import band_ticks, label_of
from fastspec.report.waveform import check_samples, draw_waveform, label_time
from fastspec.spec import FeatureSpec, Recipe

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

_HEIGHT_IN = 3.2
_LINE_HEIGHT_IN = 1.0
_BAR_IN = 0.14
_LOST = "0.7"


def plot_spectrogram(
    samples: Float32,
    sample_rate: float,
    features: Float32,
    recipe: Recipe,
    *,
    title: str,
    importance: Float32 | None = None,
    look: Look | None = None,
    start_s: float = 0.0,
) -> Figure:
    """Waveform above log spectrogram: time in seconds, frequency at its true place on the recipe's axis, level in dBFS.

    Mel bands and spectra on any of a recipe's scales are shown in dB from a full-scale sine, at most 80 dB below the clip's maximum
    unless `look` says otherwise; frames that are NaN are grey. Of several blocks each has a picture of its own, a block of one band a
    line; deltas are left out.

    Args:
        samples: `(samples,)` waveform.
        sample_rate: of `samples`, in Hz.
        features: `(frames, bands)` float32, as the recipe's front end makes them.
        recipe: what made them.
        title: above the picture.
        importance: `(frames, bands)` float32, what each place does to the log-odds of a class; drawn below, red for, blue against.
        look: colours, units, whether there is a waveform.
        start_s: when the first sample is, in seconds.

    Raises:
        ReportError: no samples or frames, or features whose bands are not the recipe's, or importance of another shape.

    >>> from fastspec.presets import preset
    >>> rng = np.random.default_rng(0)
    >>> plot_spectrogram(np.zeros(22050), 22050, rng.normal(size=(44, 128)), preset("librosa"), title="noise").axes[1].get_ylabel()
    'frequency (kHz)'
    """
    spec, look = recipe.spec, look or Look()
    check_samples(samples)
    check_features(features, spec)
    if importance is not None and importance.shape != features.shape:
        raise ReportError(f"features are {features.shape} and their importance {importance.shape}; give one value for each")
    heights = [1.0] * look.waveform + [_HEIGHT_IN if spec.block_size(block) > 1 else _LINE_HEIGHT_IN for block in spec.features]
    heights += [_HEIGHT_IN] * (importance is not None)
    figure = new_figure(7.0, 1.0 + sum(heights) - (not look.waveform) * 0.4)
    every = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0].tolist()
    every[0].set_title(title, fontsize=10, parse_math=False)
    panels = every[look.waveform :]
    if look.waveform:
        draw_waveform(every[0], np.asarray(samples), sample_rate, start_s=start_s)
    times_s = start_s + frame_times(len(features), spec)
    _draw_blocks(figure, panels[: len(spec.features)], times_s, features, spec, look)
    if importance is not None:
        _draw_importance(figure, panels[-1], times_s, importance, spec)
    label_time(panels[-1], look.time)
    every[0].set_xlim(start_s, max(start_s + len(samples) / sample_rate, span_of(times_s, spec)[1]))
    for axes in every:
        soften(axes)
    figure.align_ylabels(every)
    return figure


def check_features(features: Float32, spec: FeatureSpec) -> None:
    """ReportError unless features are those of the spec, with something in them."""
    if np.ndim(features) != 2 or len(features) == 0 or features.shape[1] != spec.n_bands:
        raise ReportError(f"features have the shape {np.shape(features)}; this recipe makes (frames, {spec.n_bands})")


def frame_times(n_frames: int, spec: FeatureSpec) -> Float64:
    """The middle of each frame's window in seconds, `(frames,)`.

    >>> frame_times(3, FeatureSpec(sample_rate=16000, hop_length=160)).tolist()
    [0.0, 0.01, 0.02]
    """
    middle = spec.first_sample + spec.window_length / 2
    return np.asarray((middle + spec.hop_length * np.arange(n_frames)) / spec.sample_rate, np.float64)


def span_of(times_s: Float64, spec: FeatureSpec) -> tuple[float, float]:
    """The left and the right edge of a picture of frames, half a hop beyond the outermost, in seconds."""
    half_s = spec.hop_length / spec.sample_rate / 2
    return float(times_s[0] - half_s), float(times_s[-1] + half_s)


def _draw_blocks(figure: Figure, panels: Sequence[Axes], times_s: Float64, features: Float32, spec: FeatureSpec, look: Look) -> None:
    """Draw each block where its frames lie in time."""
    parts = spec.parts()
    for axes, block in zip(panels, spec.features, strict=True):
        values, alone = features[:, parts[block]], spec.replace(features=block, deltas=0)
        if values.shape[1] == 1:
            _draw_line(axes, times_s, values[:, 0], alone)
        else:
            level = levels(values, alone)
            image = draw_levels(axes, level, span_of(times_s, spec), range_of(level, alone, look.range_db), look)
            draw_band_axis(axes, alone, look)
            add_bar(figure, image, [axes], alone)


def _draw_line(axes: Axes, times_s: Float64, values: Float32, spec: FeatureSpec) -> None:
    """One band over time; frames that are NaN leave a gap."""
    axes.plot(times_s, values, color="0.2", linewidth=1.0)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_ylabel(label_of(spec)[0], fontsize=9)


def draw_levels(axes: Axes, level: Float64, span_s: tuple[float, float], limits: Range, look: Look) -> AxesImage:
    """`(frames, bands)` levels as colours, the lowest band at the bottom; what is NaN is grey."""
    return axes.imshow(
        level.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=matplotlib.colormaps[look.colormap].with_extremes(bad=_LOST),
        extent=(*span_s, -0.5, level.shape[1] - 0.5),
        vmin=limits.low,
        vmax=limits.high,
    )


def draw_band_axis(axes: Axes, spec: FeatureSpec, look: Look, *, apart: float = 0.07) -> None:
    """Say what the bands of a block are, with ticks that are such a share of the axis apart."""
    axes.set_yticks(*band_ticks(spec, look.frequency, apart=apart))
    axes.set_ylabel(label_of(spec, look.frequency)[0], fontsize=9)


def add_bar(figure: Figure, image: AxesImage, beside: Sequence[Axes], spec: FeatureSpec, *, height_in: float = _HEIGHT_IN) -> None:
    """A colour bar that says what the values of a block are, as wide beside one picture as beside many."""
    beyond = "both" if spec.features == ("mfcc",) else "neither"  # coefficient 0 has colours of its own only where it is small
    bar = figure.colorbar(image, ax=list(beside), pad=0.015, aspect=height_in / _BAR_IN, extend=beyond)
    bar.set_label("standard deviations" if spec.normalize == "per_band" else label_of(spec)[1], fontsize=9)
    soften(bar.ax)


def _draw_importance(figure: Figure, axes: Axes, times_s: Float64, importance: Float32, spec: FeatureSpec) -> None:
    """All bands over time, white where they make no difference."""
    most = float(np.abs(importance).max(initial=0.0)) or 1.0
    extent = (*span_of(times_s, spec), -0.5, spec.n_bands - 0.5)
    image = axes.imshow(
        importance.T, origin="lower", aspect="auto", interpolation="nearest", cmap="RdBu_r", vmin=-most, vmax=most, extent=extent
    )
    axes.set_ylabel("band", fontsize=9)
    if len(spec.features) == 1 and not spec.deltas:
        draw_band_axis(axes, spec, Look())
    bar = figure.colorbar(image, ax=axes, pad=0.015, aspect=22)
    bar.set_label("speaks for it (log-odds)", fontsize=9)
    soften(bar.ax)
