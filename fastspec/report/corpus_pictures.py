"""A scan of a corpus as pictures."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import ArrayLike

from fastspec.report import ReportError
from fastspec.report.confusion import shortened
from fastspec.report.picture import new_figure, soften

_BAR = "#4878a8"
_MOST_CLASSES = 60
_BINS = 60


def plot_classes(classes: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """Clips of each class, the largest on top; of very many classes the largest sixty.

    Args:
        classes: rows with label and clips.
        title: above the picture.

    Raises:
        ReportError: no classes.

    >>> figure = plot_classes([{"label": "cat", "clips": 3}, {"label": "dog", "clips": 5}], title="pets")
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['dog', 'cat']
    """
    if not classes:
        raise ReportError("there are no classes to draw; give a corpus with labels")
    rows = sorted(classes, key=lambda row: (-row["clips"], row["label"]))[:_MOST_CLASSES]
    more = f", the largest {len(rows)} of {len(classes)} classes" if len(classes) > len(rows) else ""
    figure = new_figure(6.0, 0.9 + 0.2 * len(rows))
    axes = figure.subplots()
    bars = axes.barh(range(len(rows)), [row["clips"] for row in rows], color=_BAR)
    axes.bar_label(bars, labels=[f"{row['clips']:,}" for row in rows], padding=2, fontsize=7)
    axes.set_yticks(range(len(rows)), [shortened(row["label"]) for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.12)
    axes.set_xlabel("clips", fontsize=9)
    axes.set_title(title + more, fontsize=10, parse_math=False)
    soften(axes)
    return figure


def plot_durations(seconds: ArrayLike, *, title: str) -> Figure:
    """A histogram of how long clips are, on a logarithmic axis where they differ by more than twenty times.

    Args:
        seconds: `(clips,)`, each more than 0.
        title: above the picture.

    Raises:
        ReportError: no clips, or a length that is not more than 0.

    >>> figure = plot_durations([0.5, 1.0, 60.0], title="lengths")
    >>> figure.axes[0].get_xscale()
    'log'
    """
    lengths = np.asarray(seconds, np.float64)
    if not lengths.size or not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ReportError(f"{lengths.size} lengths are given; give one or more, each of more than 0 s")
    low, high = float(lengths.min()), float(lengths.max())
    logarithmic = high > 20 * low
    if low == high:
        low, high = 0.9 * low, 1.1 * high
    edges = np.geomspace(low, high, _BINS + 1) if logarithmic else np.linspace(low, high, _BINS + 1)
    figure = new_figure(6.0, 3.0)
    axes = figure.subplots()
    axes.hist(lengths, bins=edges.tolist(), color=_BAR)
    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(float(np.median(lengths)), color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("seconds (dotted: median)", fontsize=9)
    axes.set_ylabel("clips", fontsize=9)
    axes.set_title(title, fontsize=10, parse_math=False)
    soften(axes)
    return figure
