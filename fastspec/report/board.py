"""Scores of many classifiers at a glance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fastspec.report import ReportError
from fastspec.report.picture import new_figure, soften
from fastspec.report.tables import short_names

_SHOWN = {"log_loss": "log-loss (lower is better)", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC-AUC"}
_COLOUR, _BASELINE = "#1f5a99", "0.55"


def plot_leaderboard(rows: Sequence[Mapping[str, Any]], *, title: str) -> Figure:
    """Each model's scores as points on their 95 % intervals, in the order given from the top; baselines are grey.

    Args:
        rows: leaderboard rows: store, model, log_loss, balanced_accuracy and roc_auc each with `_low` and `_high`.
        title: above the picture.

    Raises:
        ReportError: no rows.

    >>> scores = {name + end: 0.5 for name in _SHOWN for end in ("", "_low", "_high")}
    >>> [axes.get_xlabel() for axes in plot_leaderboard([{"store": "s", "model": "m", **scores}], title="board").axes]
    ['log-loss (lower is better)', 'balanced accuracy', 'ROC-AUC']
    """
    if not rows:
        raise ReportError("the leaderboard is empty; give at least one row")
    names = short_names(rows)
    figure = new_figure(9.0 + 0.06 * max(map(len, names)), 1.3 + 0.3 * len(rows))
    panels = figure.subplots(1, len(_SHOWN), sharey=True)
    places = np.arange(len(rows))
    colours = [_BASELINE if row["model"].startswith("(") else _COLOUR for row in rows]
    for axes, (metric, label) in zip(panels, _SHOWN.items(), strict=True):
        middle, low, high = ([row[metric + end] for row in rows] for end in ("", "_low", "_high"))
        axes.hlines(places, low, high, colors=colours, linewidth=1.6)
        axes.scatter(middle, places, c=colours, s=22, zorder=3)
        axes.set_xlabel(label, fontsize=9)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        soften(axes)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(places, names, parse_math=False)
    panels[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.supxlabel("lines are 95 % intervals over groups, grey are baselines", fontsize=8, color="0.35")
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure
