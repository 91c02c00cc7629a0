"""How well each class is told from the rest, at every threshold."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from fastspec.report import ReportError
from fastspec.report.colours import CLASS_COLOURS
from fastspec.report.confusion import shortened
from fastspec.report.picture import new_figure, soften

Float64 = NDArray[np.float64]

_STYLES = ("-", "--", "-.")
_MOST_CURVES = len(CLASS_COLOURS) * len(_STYLES)


def plot_roc(
    labels: NDArray[np.int64],
    probabilities: Float64,
    classes: Sequence[str],
    *,
    areas: Sequence[Mapping[str, float]],
    title: str,
) -> Figure:
    """The ROC curve of each class against the rest, its area and the area's 95 % interval in the legend.

    Thresholds that several clips share are one point, so that ties count half (Fawcett 2006, An introduction to ROC analysis, 5).

    Args:
        labels: `(clips,)` int64, indices into `classes`.
        probabilities: `(clips, classes)` float64.
        classes: names.
        areas: of each class roc_auc, roc_auc_low and roc_auc_high, NaN where it has none.
        title: above the picture.

    Raises:
        ReportError: no class has clips on both sides, or there are too many classes to tell apart.

    >>> area = {"roc_auc": 1.0, "roc_auc_low": 1.0, "roc_auc_high": 1.0}
    >>> figure = plot_roc(np.array([0, 1]), np.eye(2), ["a", "b"], areas=[area, area], title="two")
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['a  1.000 (1.000–1.000)', 'b  1.000 (1.000–1.000)']
    """
    drawn = [k for k in range(len(classes)) if 0 < np.count_nonzero(labels == k) < len(labels)]
    if not drawn:
        raise ReportError("no class has clips on both sides, its own and the rest; a ROC curve needs two classes")
    if len(drawn) > _MOST_CURVES:
        raise ReportError(f"{len(drawn)} classes are too many for one picture of ROC curves; give at most {_MOST_CURVES}")
    figure = new_figure(4.8 + 0.07 * max(len(shortened(classes[k])) for k in drawn) + 1.6, max(4.2, 0.5 + 0.2 * len(drawn)))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.8", linewidth=1.0)
    for i, k in enumerate(drawn):
        false, true = roc_curve(labels == k, probabilities[:, k])
        colour, style = CLASS_COLOURS[i % len(CLASS_COLOURS)], _STYLES[i // len(CLASS_COLOURS)]
        axes.plot(false, true, linewidth=1.5, label=_legend(classes[k], areas[k]), color=colour, linestyle=style)
    axes.set_aspect("equal")
    axes.set_xlim(-0.01, 1.0)
    axes.set_ylim(0.0, 1.01)
    for axis, name in ((axes.xaxis, "others taken for it (false positive rate)"), (axes.yaxis, "found (true positive rate)")):
        axis.set_major_formatter(PercentFormatter(1.0))
        axis.set_label_text(name, fontsize=9)
    legend = axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1.0), title="area (95 % interval)")
    legend.set_alignment("left")
    legend.get_title().set_fontsize(8)
    for text in legend.get_texts():
        text.set_parse_math(False)
    axes.set_title(title, fontsize=10, parse_math=False)
    soften(axes)
    return figure


def roc_curve(positive: NDArray[np.bool_], scores: Float64) -> tuple[Float64, Float64]:
    """False and true positive rates, from (0, 0) to (1, 1), one point a distinct score.

    >>> [rates.tolist() for rates in roc_curve(np.array([True, False, True]), np.array([0.9, 0.5, 0.5]))]
    [[0.0, 0.0, 1.0], [0.0, 0.5, 1.0]]
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    true, false = np.cumsum(positive[order])[ends], np.cumsum(~positive[order])[ends]
    return np.append(0.0, false / max(1, false[-1])), np.append(0.0, true / max(1, true[-1]))


def _legend(name: str, area: Mapping[str, float]) -> str:
    interval = "one group" if np.isnan(area["roc_auc_low"]) else f"{area['roc_auc_low']:.3f}–{area['roc_auc_high']:.3f}"
    return f"{shortened(name)}  {area['roc_auc']:.3f} ({interval})"
