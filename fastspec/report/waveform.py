"""Waveforms: each sample while it has room, the span from least to greatest where it has not."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from fastspec.report import ReportError
from fastspec.report.look import Look, TimeUnit
from fastspec.report.picture import new_figure, soften

Float32 = NDArray[np.float32]

_COLUMNS = 1500


def plot_waveform(samples: Float32, sample_rate: float, *, title: str, look: Look | None = None, start_s: float = 0.0) -> Figure:
    """One waveform over time.

    Args:
        samples: `(samples,)` waveform.
        sample_rate: in Hz.
        title: above the picture.
        look: unit of time.
        start_s: when the first sample is, in seconds.

    Raises:
        ReportError: no samples.

    >>> axes = plot_waveform(np.zeros(800, np.float32), 8000, title="silence").axes[0]
    >>> axes.get_xlabel()
    'time (s)'
    """
    check_samples(samples)
    figure = new_figure(7.0, 2.2)
    axes = figure.subplots()
    draw_waveform(axes, samples, sample_rate, start_s=start_s)
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set_xlim(start_s, start_s + len(samples) / sample_rate)
    label_time(axes, (look or Look()).time)
    soften(axes)
    return figure


def check_samples(samples: Float32) -> None:
    """ReportError unless there is one channel with something in it."""
    if np.ndim(samples) != 1 or len(samples) == 0:
        raise ReportError(f"samples have the shape {np.shape(samples)}; give one channel, (samples,), with something in it")


def draw_waveform(axes: Axes, samples: Float32, sample_rate: float, *, start_s: float = 0.0) -> None:
    """Draw it into axes that show seconds, as high as its peak."""
    if len(samples) <= 2 * _COLUMNS:
        axes.plot(start_s + np.arange(len(samples)) / sample_rate, samples, color="0.2", linewidth=0.6)
    else:
        starts = np.linspace(0, len(samples), _COLUMNS, endpoint=False).astype(np.int64)
        least, greatest = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
        axes.fill_between(start_s + starts / sample_rate, least, greatest, color="0.2", linewidth=0.3)
    finite = np.abs(samples[np.isfinite(samples)])
    peak = float(finite.max(initial=0.0)) or 1.0
    axes.set_ylim(-1.08 * peak, 1.08 * peak)
    axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=True, steps=[1, 2, 5, 10]))
    axes.set_ylabel("amplitude", fontsize=9)


def label_time(axes: Axes, unit: TimeUnit) -> None:
    """A time axis of data in seconds, in the unit that is asked for."""
    if unit == "ms":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _position: f"{1000 * seconds:.6g}"))
    axes.set_xlabel(f"time ({unit})", fontsize=9)
