"""A benchmark at a glance: the kernel beside others, where the time goes, and how whole jobs grow with the workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastspec.report import ReportError
from fastspec.report.benchmark_text import Row, section
from fastspec.report.picture import new_figure, soften

# Okabe and Ito's colours, which people who do not see all colours tell apart too; they also differ in lightness.
_OURS, _OTHER, _COLD = "#0072b2", "0.6", "#56b4e9"
_STAGES = {
    "open": "#e69f00",
    "decode": "#0072b2",
    "resample": "#56b4e9",
    "features": "#009e73",
    "write": "#d55e00",
    "start, finish": "#cc79a7",
    "other": "0.6",
    "idle": "0.85",
}


def plot_benchmark(rows: Sequence[Row], *, title: str) -> Figure:
    """Three panels: features in memory, one worker's stages, whole jobs by workers.

    Args:
        rows: of `benchmark.run_benchmark`.
        title: above the picture.

    Raises:
        ReportError: no whole job among the rows.
    """
    if not section(rows, "job"):
        raise ReportError("there is no whole job to draw; give the rows of a benchmark")
    figure = new_figure(10.0, 3.6)
    kernel, stages, jobs = figure.subplots(1, 3, width_ratios=(1.0, 0.9, 1.2))
    _draw_kernel(kernel, [row for row in section(rows, "kernel") if row.get("hours_per_s")])
    _draw_stages(stages, section(rows, "stages"))
    _draw_jobs(jobs, [row for row in section(rows, "job") if row.get("hours_per_s")])
    for axes in (kernel, stages, jobs):
        soften(axes)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _draw_kernel(axes: Axes, rows: Sequence[Row]) -> None:
    places, speeds = np.arange(len(rows)), [row["hours_per_s"] for row in rows]
    bars = axes.barh(places, speeds, height=0.62, color=[_OURS if i == 0 else _OTHER for i in places])
    slower = (f"  ({row['faster']:.3g} × slower)" if row["faster"] > 1 else "" for row in rows)
    axes.bar_label(bars, [f"{speed:#.2g}{times}" for speed, times in zip(speeds, slower, strict=True)], padding=3, fontsize=8)
    axes.set_yticks(places, [row["implementation"] for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.22 * max(speeds))
    axes.set_xlabel("hours of audio a second", fontsize=9)
    axes.set_title("features in memory, one thread", fontsize=9)


def _draw_stages(axes: Axes, rows: Sequence[Row]) -> None:
    """One bar a page cache, from the bottom in the order in which a clip passes the stages."""
    caches = [name for name in ("warm", "cold") if any(row["cache"] == name for row in rows)]
    below: Any = np.zeros(len(caches))
    for stage, colour in _STAGES.items():
        taken = np.array([sum(row["seconds"] for row in rows if (row["stage"], row["cache"]) == (stage, name)) for name in caches])
        axes.bar(caches, taken, 0.62, bottom=below, color=colour, label=stage, edgecolor="white", linewidth=0.5)
        below = below + taken
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.set_xlim(-0.6, len(caches) - 0.4)
    axes.set_ylabel("seconds", fontsize=9)
    axes.set_xlabel("page cache", fontsize=9)
    axes.set_title("where one worker's time goes", fontsize=9)


def _draw_jobs(axes: Axes, rows: Sequence[Row]) -> None:
    minutes = max(row["hours_per_s"] for row in rows) < 0.1
    rows = [{**row, "speed": row["hours_per_s"] * (60 if minutes else 1)} for row in rows]
    ours = {cache: [row for row in rows if row["implementation"] == "fastspec" and row["cache"] == cache] for cache in ("warm", "cold")}
    counts, speeds = ([row[name] for row in ours["warm"]] for name in ("workers", "speed"))
    if len(counts) > 1:
        axes.plot(counts, [speeds[0] * n for n in counts], ":", color="0.4", linewidth=1, label="as many times one")
    axes.plot(counts, speeds, "o-", color=_OURS, markersize=5, linewidth=1.6, label="fastspec, warm")
    if cold := sorted(ours["cold"], key=lambda row: row["workers"]):
        places = ([row[name] for row in cold] for name in ("workers", "speed"))
        axes.plot(*places, "s--", color=_COLD, markersize=4.5, label="fastspec, cold")
    others = [row for row in rows if row["implementation"] != "fastspec"]
    for row, marker in zip(others, "^vDXP*<>" * len(others), strict=False):
        axes.plot(row["workers"], row["speed"], marker, color="0.35", markersize=5.5, linestyle="none", label=row["implementation"])
    axes.set_xticks(counts)
    axes.set_xlim(min(counts) - 0.35, max(counts) * 1.08 + 0.15)
    axes.set_ylim(0, None)
    axes.set_xlabel("workers", fontsize=9)
    axes.set_ylabel(f"{'minutes' if minutes else 'hours'} of audio a second", fontsize=9)
    axes.set_title("whole jobs, recordings to disk", fontsize=9)
    axes.legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
