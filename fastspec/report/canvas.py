"""Clips as palette indices: levels are colours, everything else is a grey. One canvas serves all clips of a recipe, in any thread."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastspec.report.colours import Colours, colours
from fastspec.report.levels import Range, check_one_block, fixed_range, in_decibels, levels, range_of
from fastspec.report.look import Look, Size
from fastspec.spec import FeatureSpec, Recipe

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Indices = NDArray[np.uint8]

_LOST_GREY = 0.7
_INK = 0.2
# Pitch classes and coefficients are no points of a continuum, so nothing lies between two of them.
_SMOOTH, _SHARP = Image.Resampling.BILINEAR, Image.Resampling.BOX


class Palette(NamedTuple):
    """Greys from black to white, then a colormap from its lowest level to its highest; 256 in all.

    Attributes:
        colours: `(256, 3)` uint8.
        greys: how many they are; one alone is that of frames that are NaN.
    """

    colours: Colours
    greys: int

    def grey(self, lightness: Float64 | float) -> Indices:
        """The index of a grey, 0 black to 1 white."""
        return np.asarray(np.round(np.asarray(lightness) * (self.greys - 1)), np.uint8)

    def quantize(self, shares: Float64) -> Indices:
        """The indices of levels, 0 the lowest to 1 the highest; what lies beyond is taken for those."""
        steps = 256 - self.greys
        return np.asarray(np.round(np.clip(shares, 0.0, 1.0) * (steps - 1)), np.uint8)


def make_palette(colormap: str, *, greys: int) -> Palette:
    """The palette of pictures with that many greys.

    >>> make_palette("magma", greys=64).grey(1.0).item()
    63
    """
    ramp = np.full((1, 3), round(255 * _LOST_GREY), np.uint8) if greys == 1 else colours("gray", greys)
    return Palette(np.concatenate([ramp, colours(colormap, 256 - greys)]), greys)


class Box(NamedTuple):
    """Where something stands in a picture, in pixels from its upper left corner."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top

    def of(self, picture: Indices) -> Indices:
        """A view of that part of a picture."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """What all pictures of a recipe have in common, and how a clip is drawn onto it.

    Attributes:
        spec: of the features, whose first block is drawn.
        palette: of the pictures.
        background: `(height, width)` uint8 indices.
        levels_box: where the features stand.
        frames: the first and the last of them there, counted in frames from the left edge of the first.
        limits: what the lowest and the highest colour stand for; None is each clip's own range of `range_db`.
        range_db: of that.
        relative: whether each clip's waveform is as high as its peak; else it is what a full scale of 1 makes it.
        waveform_box: where the waveform stands, if anywhere.
        samples: the first and the last of it there, in samples.
    """

    spec: FeatureSpec
    palette: Palette
    background: Indices
    levels_box: Box
    frames: tuple[float, float]
    limits: Range | None
    range_db: float
    relative: bool
    waveform_box: Box | None = None
    samples: tuple[float, float] = (0.0, 0.0)

    def draw(self, features: Float32, samples: Float32 | None = None) -> Indices:
        """One clip, `(height, width)` uint8 palette indices.

        Args:
            features: `(frames, bands)` float32.
            samples: `(samples,)` float32 at the spec's rate, where there is a box for the waveform.
        """
        level = levels(features[:, : self.spec.n_bands], self.spec)
        picture = self.background.copy()
        self._paste(picture, self.levels_box, self._draw_levels(level))
        if self.waveform_box is not None and samples is not None:
            self._paste(picture, self.waveform_box, self._draw_waveform(samples, self.waveform_box.size))
        return picture

    def _paste(self, picture: Indices, box: Box, drawn: Indices) -> None:
        """Put it where the background is white, or nearly, so that the frame around stays."""
        blank = box.of(self.background) >= self.palette.grey(0.75)
        np.copyto(box.of(picture), drawn, where=blank)

    def _draw_levels(self, level: Float64) -> Indices:
        low, high = self.limits or range_of(level, self.spec, self.range_db)
        lost = np.isnan(level)
        shares = np.where(lost, 0.0, (level - low) / (high - low))
        drawn = self.palette.greys + self._resize(self.palette.quantize(shares), _SMOOTH if in_decibels(self.spec) else _SHARP)
        if lost.any():
            drawn[self._resize(np.asarray(lost, np.uint8), Image.Resampling.NEAREST) > 0] = self.palette.grey(_LOST_GREY)
        return drawn

    def _resize(self, values: Indices, how: Image.Resampling) -> Indices:
        """`(frames, bands)` as pixels, the lowest band at the bottom; smaller pictures hold means of what they leave out."""
        first, last = self.frames
        upright = Image.fromarray(np.ascontiguousarray(values.T[::-1]))
        return np.asarray(upright.resize(self.levels_box.size, how, (first, 0, last, values.shape[1])))

    def _draw_waveform(self, samples: Float32, size: Size) -> Indices:
        """Each column is as dark as the waveform covers it, from its least sample there to its greatest."""
        width, height = size
        low, high = column_extremes(samples, self.samples, width)
        if self.relative:
            peak = max(float(np.abs([low, high]).max()), 1e-9)
            low, high = low / peak, high / peak
        # Amplitudes of -1.08 to 1.08, in pixels from the bottom; a line is at least one pixel thick.
        bottom, top = ((1.08 + np.clip(edge, -1.0, 1.0)) / 2.16 * height for edge in (low, high))
        thin = np.maximum(0.0, 1.0 - (top - bottom)) / 2
        rows = np.arange(height - 1, -1, -1.0)[:, None]
        covered = np.clip(np.minimum(rows + 1, top + thin) - np.maximum(rows, bottom - thin), 0.0, 1.0)
        return self.palette.grey(1.0 - (1.0 - _INK) * covered)


def column_extremes(samples: Float32, span: tuple[float, float], columns: int) -> tuple[Float64, Float64]:
    """The least and the greatest sample of each column, and of the way there from the column before; silence after the last sample.

    >>> [edge.tolist() for edge in column_extremes(np.float32([0, 1, 0.5, -1]), (0, 6), 3)]
    [[0.0, -1.0, -1.0], [1.0, 1.0, 0.0]]
    """
    starts = np.linspace(*span, columns, endpoint=False).astype(np.int64).clip(0)
    padded = np.zeros(max(int(span[1]), len(samples), int(starts[-1]) + 1, 1))
    padded[: len(samples)] = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    padded = padded[: max(int(span[1]), int(starts[-1]) + 1)]
    low, high = np.minimum.reduceat(padded, starts), np.maximum.reduceat(padded, starts)
    before = padded[np.maximum(starts - 1, 0)]
    return np.minimum(low, before), np.maximum(high, before)


def bare_canvas(recipe: Recipe, *, size: Size | None, look: Look, relative: bool) -> Canvas:
    """A canvas with nothing but the features on it; without a size one pixel is a frame and a band.

    All clips have the same range of levels; each has its own where they are `relative`, or where their features have no range in common.
    """
    alone = check_one_block(recipe.spec)
    n_frames = recipe.shape[0]
    width, height = size or (n_frames, alone.n_bands)
    palette = make_palette(look.colormap, greys=1)
    return Canvas(
        spec=alone,
        palette=palette,
        background=np.zeros((height, width), np.uint8),
        levels_box=Box(0, 0, width, height),
        frames=(0.0, float(n_frames)),
        limits=None if relative else fixed_range(alone, look.range_db),
        range_db=look.range_db,
        relative=relative,
    )
