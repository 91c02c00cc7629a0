"""Several clips side by side, alike in every respect, so that they can be compared."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fastspec.report import ReportError
from fastspec.report.confusion import shortened
from fastspec.report.levels import check_one_block, levels, range_of
from fastspec.report.look import Look
from fastspec.report.picture import new_figure, soften
from fastspec.report.spectrogram import add_bar, check_features, draw_band_axis, draw_levels, frame_times, span_of
from fastspec.report.waveform import label_time
from fastspec.spec import FeatureSpec, Recipe

Float32 = NDArray[np.float32]

_CELL_IN = (1.9, 1.15)
_NARROWEST_IN = 5.5
_APART = 0.2
_FITTING = 75
_BOLD: dict[str, Any] = {"fontsize": 8, "fontweight": "bold", "parse_math": False}
_LETTERS = 13  # of that size along a cell


def plot_grid(
    rows: Mapping[str, Sequence[Float32]], recipe: Recipe, *, title: str, look: Look | None = None, start_s: float = 0.0
) -> Figure:
    """A row of clips for each name: the same colours, frequencies and seconds in every one.

    Three quarters of the clips fit; of longer ones the beginning is shown.

    Args:
        rows: name to the `(frames, bands)` float32 features of its clips; rows and clips may differ in length.
        recipe: what made them, of one block with several bands.
        title: above the picture.
        look: colours and units.
        start_s: when the clips begin, in seconds.

    Raises:
        ReportError: no clips, clips of another recipe, or a recipe of several blocks or of a single band.

    >>> figure = plot_grid({"cat": [np.zeros((9, 80), np.float32)] * 2, "dog": []}, Recipe(), title="pets")
    >>> [axes.get_ylabel() for axes in figure.axes if axes.get_visible()]
    ['cat', '', 'level (dBFS)']
    """
    spec, look, columns = recipe.spec, look or Look(), max(map(len, rows.values()), default=0)
    alone = check_one_block(spec)
    if not columns:
        raise ReportError("there are no clips to draw; give at least one that can be read")
    shown = {name: clips for name, clips in rows.items() if clips}
    every = [clip for clips in shown.values() for clip in clips]
    for clip in every:
        check_features(clip, spec)
    limits = range_of(np.concatenate([levels(clip[:, : alone.n_bands], alone) for clip in every]), alone, look.range_db)
    figure = new_figure(max(_NARROWEST_IN, 1.6 + _CELL_IN[0] * columns), 0.9 + _CELL_IN[1] * len(shown))
    cells = figure.subplots(len(shown), columns, sharex=True, sharey=True, squeeze=False)
    for (name, clips), across in zip(shown.items(), cells, strict=True):
        across[0].set_ylabel(_broken(name), **_BOLD)
        for axes in across[len(clips) :]:
            axes.set_visible(False)
        for axes, clip in zip(across, clips, strict=False):
            times_s = start_s + frame_times(len(clip), spec)
            image = draw_levels(axes, levels(clip[:, : alone.n_bands], alone), span_of(times_s, spec), limits, look)
            soften(axes)
    _label(figure, cells, every, spec=alone, look=look, start_s=start_s)
    add_bar(figure, image, list(cells.ravel()), alone, height_in=_CELL_IN[1] * len(shown))
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _label(figure: Figure, cells: NDArray[np.object_], clips: Sequence[Float32], *, spec: FeatureSpec, look: Look, start_s: float) -> None:
    """Seconds below the lowest cells, frequencies beside the left ones, each named once."""
    length = round(np.percentile([len(clip) for clip in clips], _FITTING))
    right_s = span_of(start_s + frame_times(max(1, length), spec), spec)[1]
    first: Axes = cells[0, 0]
    row_name = first.get_ylabel()
    draw_band_axis(first, spec, look, apart=_APART)
    name = first.get_ylabel()
    first.set_ylabel(row_name, **_BOLD)
    first.set_xlim(start_s, right_s)
    for axes in cells[-1]:
        label_time(axes, look.time)
        axes.set_xlabel("")
    figure.supxlabel(f"time ({look.time})", fontsize=9)
    figure.supylabel(name, fontsize=9)


def _broken(name: str) -> str:
    """A name in as many lines as the height of a cell needs.

    >>> _broken("sabian-crash-18.wav")
    'sabian-\\ncrash-18.wav'
    """
    return textwrap.fill(shortened(name), _LETTERS)
