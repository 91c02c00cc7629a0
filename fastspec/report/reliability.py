"""How far probabilities can be believed."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from fastspec.report import ReportError
from fastspec.report.picture import new_figure, soften

Float64 = NDArray[np.float64]

_BINS = 10
_LARGEST = 60.0  # square points
_COLOURS = ("0.55", "#1f5a99", "#b5532a")


def plot_reliability(labels: NDArray[np.int64], probabilities: Mapping[str, Float64], *, title: str) -> Figure:
    """How often the likeliest class was true, against its probability; below, how often each probability is given.

    On the diagonal a model is as often right as it says. Each of ten bins of equal width is a point, the larger the more clips it holds.
    The expected calibration error in the legend is the mean distance from the diagonal, weighted by those numbers (Guo et al. 2017,
    On calibration of modern neural networks, eq. 3).

    Args:
        labels: `(clips,)` int64.
        probabilities: by the name of the curve, `(clips, classes)` float64.
        title: above the picture.

    Raises:
        ReportError: no clips.
    """
    if not len(labels):
        raise ReportError("there are no clips to judge probabilities by")
    figure = new_figure(4.6, 5.6)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.2, 1.0])
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1.0)
    # The grey is for what another curve improves on.
    for (name, told), colour in zip(probabilities.items(), _COLOURS[len(probabilities) == 1 :], strict=False):
        sure, right = told.max(axis=1), told.argmax(axis=1) == labels
        counts, means, shares = bin_confidences(sure, right)
        error = float((counts * np.abs(means - shares)).sum() / counts.sum())
        axes.plot(means, shares, color=colour, linewidth=0.8, zorder=1)
        sizes = _LARGEST * counts / counts.max()
        axes.scatter(means, shares, sizes, color=colour, clip_on=False, zorder=3, label=f"{name}: error {error:.3f}")
        below.hist(sure, bins=_BINS, range=(0.0, 1.0), histtype="step", color=colour, linewidth=1.4)
    axes.set_ylabel("how often it was true", fontsize=9)
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    below.set_xlabel("probability of the likeliest class", fontsize=9)
    below.set_ylabel("number", fontsize=9)
    below.set_xlim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    below.xaxis.set_major_formatter(PercentFormatter(1.0))
    for one in (axes, below):
        soften(one)
    return figure


def bin_confidences(sure: Float64, right: NDArray[np.bool_]) -> tuple[Float64, Float64, Float64]:
    """Of each bin that holds any: how many, their mean confidence, and the share that is right.

    >>> [column.round(2).tolist() for column in bin_confidences(np.array([0.55, 0.57, 0.99]), np.array([True, False, True]))]
    [[2.0, 1.0], [0.56, 0.99], [0.5, 1.0]]
    """
    places = np.minimum((sure * _BINS).astype(np.int64), _BINS - 1)
    counts = np.bincount(places, minlength=_BINS).astype(np.float64)
    held = counts > 0
    means, shares = (np.bincount(places, weights=values, minlength=_BINS)[held] / counts[held] for values in (sure, right))
    return counts[held], means, shares
