"""Which classes a model takes for which others."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike, NDArray

from fastspec.report import ReportError
from fastspec.report.picture import new_figure, soften
from fastspec.report.tables import clips

_COLOURS = "Blues"  # one hue from light to dark: order is in the lightness alone
_MOST_WITH_TEXT = 30
_LONGEST = 24


def plot_confusion(matrix: ArrayLike, classes: Sequence[str], *, title: str) -> Figure:
    """A confusion matrix: the share of each actual class as colour and percentage, the count of clips below it.

    Args:
        matrix: `(actual classes, predicted classes)` counts, or means of counts over repeats.
        classes: names of both axes.
        title: above the picture.

    Raises:
        ReportError: a matrix that is not square over `classes`.

    >>> figure = plot_confusion(np.array([[9, 1], [0, 5]]), ["cat", "dog"], title="pets")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['90%\\n9', '10%\\n1', '100%\\n5']
    """
    counts, n = np.asarray(matrix, np.float64), len(classes)
    if n == 0 or counts.shape != (n, n):
        raise ReportError(f"the confusion matrix has the shape {counts.shape} for {n} classes; give (classes, classes)")
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1.0)
    side = n * min(0.95, max(0.44, 4.5 / n))
    names = [shortened(name) for name in classes]
    tilted = max(map(len, names)) * 0.075 > side / n  # a letter at 8 points is about 0.075 inches wide
    longest_in = 0.065 * max(map(len, names))
    figure = new_figure(side + 1.6 + longest_in, side + 0.9 + (longest_in if tilted else 0.0))
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=_COLOURS, vmin=0.0, vmax=1.0)
    if n <= _MOST_WITH_TEXT:
        _write_cells(axes, counts, shares)
    axes.set_xticks(range(n), names, parse_math=False)
    if tilted:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), names, parse_math=False)
    axes.set_xlabel("predicted", fontsize=10)
    axes.set_ylabel("actual", fontsize=10)
    axes.set_title(title, fontsize=10, parse_math=False)
    soften(axes)
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1.0), fraction=0.046, pad=0.03)
    bar.set_label("share of the actual class", fontsize=9)
    soften(bar.ax)
    return figure


def _write_cells(axes: Axes, counts: NDArray[np.float64], shares: NDArray[np.float64]) -> None:
    """Percentage and count in each cell that has clips; empty cells stay empty, so that mistakes stand out."""
    size = 10.0 if len(counts) <= 5 else max(6.0, 11.0 - 0.4 * len(counts))
    for (i, j), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[i, j] > 0.55 else "black"
            text = f"{_percent(float(shares[i, j]))}\n{clips(float(count))}"
            axes.text(j, i, text, ha="center", va="center", fontsize=size, color=colour, linespacing=1.1)


def shortened(name: str) -> str:
    """A long name without its middle: names of one corpus tend to differ at either end."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[1 - _LONGEST // 2 :]}"


def _percent(share: float) -> str:
    """A whole percentage that says 0% and 100% only when it is exact.

    >>> [_percent(s) for s in (0.004, 0.5, 0.997, 1.0)]
    ['<1%', '50%', '>99%', '100%']
    """
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"
