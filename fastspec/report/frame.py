"""The axes around pictures of clips: matplotlib draws them once, and every clip of a recipe is put into them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from fastspec.report import ReportError
from fastspec.report.canvas import Box, Canvas, Indices, Palette, make_palette
from fastspec.report.levels import Range, check_one_block, fixed_range
from fastspec.report.look import Look, Size
from fastspec.report.picture import new_figure, set_size, soften
from fastspec.report.spectrogram import draw_band_axis, frame_times, span_of
from fastspec.report.ticks import label_of
from fastspec.report.waveform import label_time
from fastspec.spec import FeatureSpec, Recipe

_GREYS = 64
_WIDTH_IN = 7.0
_LEAST_DPI = 72  # letters of 8 points are 8 pixels high
_SMALLEST = (240, 180)


def framed_canvas(recipe: Recipe, *, size: Size, look: Look, relative: bool) -> Canvas:
    """A canvas with axes of time and frequency, a colour bar where one range of levels is that of all clips, and the waveform above.

    The axis of levels counts from a full-scale sine; where each clip has a range of its own, there is none.

    Raises:
        ReportError: a recipe of several blocks, or a size that has no room for axes.
    """
    if size[0] < _SMALLEST[0] or size[1] < _SMALLEST[1]:
        raise ReportError(
            f"the size is {size[0]}x{size[1]}, which has no room for axes; give at least {_SMALLEST[0]}x{_SMALLEST[1]}, or no axes"
        )
    spec = check_one_block(recipe.spec)
    palette = make_palette(look.colormap, greys=_GREYS)
    limits = None if relative else fixed_range(spec, look.range_db)
    shown_s, frames = shown_part(recipe)
    figure, above, main = _draw_axes(spec, palette, limits, shown_s, look, size, relative=relative)
    background, boxes = _render(figure, palette, [main] if above is None else [main, above])
    return Canvas(
        spec=spec,
        palette=palette,
        background=background,
        levels_box=boxes[0],
        frames=frames,
        limits=limits,
        range_db=look.range_db,
        relative=relative,
        waveform_box=None if above is None else boxes[1],
        samples=(shown_s[0] * spec.sample_rate, shown_s[1] * spec.sample_rate),
    )


def shown_part(recipe: Recipe) -> tuple[tuple[float, float], tuple[float, float]]:
    """From when to when a clip's picture goes, in seconds, and in frames from the left edge of the first."""
    spec, (n_frames, _) = recipe.spec, recipe.shape
    left_s, right_s = span_of(frame_times(n_frames, spec), spec)
    first_s, last_s = max(0.0, left_s), min(recipe.n_samples / spec.sample_rate, right_s)
    frames_s = spec.hop_length / spec.sample_rate
    return (first_s, last_s), ((first_s - left_s) / frames_s, min(float(n_frames), (last_s - left_s) / frames_s))


def _draw_axes(
    spec: FeatureSpec, palette: Palette, limits: Range | None, shown_s: tuple[float, float], look: Look, size: Size, *, relative: bool
) -> tuple[Figure, Axes | None, Axes]:
    """Empty axes with everything around them: the figure, those of the waveform if it is wanted, and those of the features."""
    figure = new_figure(min(_WIDTH_IN, size[0] / _LEAST_DPI), _WIDTH_IN)
    set_size(figure, size)
    ratios = [1.0] * look.waveform + [3.2]
    *rest, main = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0].tolist()
    main.set_xlim(*shown_s)
    main.set_ylim(-0.5, spec.n_bands - 0.5)
    draw_band_axis(main, spec, look)
    label_time(main, look.time)
    for axes in rest:
        axes.set_ylim(-1.08, 1.08)
        axes.yaxis.set_major_locator(MaxNLocator(3, symmetric=True, steps=[1, 2, 5, 10]))
        axes.set_ylabel("amplitude\n(peak = 1)" if relative else "amplitude", fontsize=9)
    if limits is not None:
        _add_bar(figure, main, spec, palette, limits)
    for axes in (*rest, main):
        soften(axes)
    figure.align_ylabels([*rest, main])
    return figure, rest[0] if rest else None, main


def _add_bar(figure: Figure, main: Axes, spec: FeatureSpec, palette: Palette, limits: Range) -> None:
    shown = ScalarMappable(Normalize(*limits), ListedColormap(palette.colours[palette.greys :] / 255))
    bar = figure.colorbar(shown, ax=main, pad=0.015, aspect=22)
    bar.set_label(label_of(spec)[1], fontsize=9)
    soften(bar.ax)


def _render(figure: Figure, palette: Palette, panels: list[Axes]) -> tuple[Indices, list[Box]]:
    """The figure in indices of the palette, and where its panels lie; they begin and end with whole pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")
    boxes = [_snap(axes, canvas.get_width_height()) for axes in panels]
    canvas.draw()  # type: ignore[no-untyped-call]
    rgb = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
    return _nearest(rgb, palette), boxes


def _snap(axes: Axes, size: Size) -> Box:
    """Move axes to whole pixels; where they are then."""
    (_, height), found = size, axes.get_window_extent()
    left, right = round(found.x0), round(found.x1)
    bottom, top = round(found.y0), round(found.y1)
    full = axes.get_figure(root=True)
    assert full is not None
    full_width, full_height = full.bbox.size
    axes.set_position((left / full_width, bottom / full_height, (right - left) / full_width, (top - bottom) / full_height))
    return Box(left, height - top, right, height - bottom)


def _nearest(rgb: NDArray[np.uint8], palette: Palette) -> Indices:
    """The palette's nearest colour to each pixel's; of equals the first, so that greys stay greys."""
    packed, where = np.unique(rgb @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    seen = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1)
    apart = ((seen[:, None] - palette.colours.astype(np.int64)) ** 2).sum(axis=2)
    return np.asarray(apart.argmin(axis=1), np.uint8)[where].reshape(rgb.shape[:2])
