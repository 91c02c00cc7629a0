"""How clips are drawn: what a caller may choose, checked before anything is computed."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from fastspec.errors import choices
from fastspec.report import ReportError
from fastspec.report.colours import check_colormap

TimeUnit = Literal["s", "ms"]
FrequencyUnit = Literal["hz", "khz", "mel"]
Size = tuple[int, int]

_MOST_PIXELS = 20_000
_FEWEST_PIXELS = 8


@dataclass(frozen=True, kw_only=True)
class Look:
    """How clips are drawn.

    Attributes:
        colormap: of levels, one of `COLORMAPS`, reversed with "_r" after it.
        range_db: how far below the highest level a colour reaches; what is lower has the lowest colour.
        time: unit of the time axis.
        frequency: unit of a frequency axis; None is kHz, or Hz where nothing lies above 2 kHz. It never bends the axis: the bands do.
        waveform: whether the waveform is drawn above.

    Raises:
        ReportError: an unknown colormap or unit, or a range that is not more than 0.

    >>> Look(colormap="cividis", time="ms").range_db
    80.0
    >>> Look(range_db=0.0)
    Traceback (most recent call last):
    fastspec.report.ReportError: the range is 0 dB; give a number of decibels, more than 0
    """

    colormap: str = "magma"
    range_db: float = 80.0
    time: TimeUnit = "s"
    frequency: FrequencyUnit | None = None
    waveform: bool = True

    def __post_init__(self) -> None:
        check_colormap(self.colormap)
        if not 0 < self.range_db < np.inf:
            raise ReportError(f"the range is {self.range_db:g} dB; give a number of decibels, more than 0")
        for name, value, kind in (("time", self.time, TimeUnit), ("frequency", self.frequency, FrequencyUnit)):
            if value is not None and value not in get_args(kind):
                raise ReportError(f"the unit of {name} is {value!r}; {choices(str(value), get_args(kind))}")


def parse_size(text: str) -> Size:
    """A size such as "900x500" as width and height in pixels.

    Raises:
        ReportError: anything else, or sides that are not 8 to 20,000 pixels.

    >>> parse_size("900x500")
    (900, 500)
    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*[xX×]\s*(\d{1,9})\s*", text)
    if not match:
        raise ReportError(f"the size {text!r} cannot be read; give width and height in pixels, as in 900x500")
    return check_size((int(match[1]), int(match[2])))


def check_size(size: Size) -> Size:
    """A size that a picture can have; ReportError otherwise."""
    if not all(_FEWEST_PIXELS <= side <= _MOST_PIXELS for side in size):
        raise ReportError(f"the size is {size[0]}x{size[1]}; give sides of {_FEWEST_PIXELS} to {_MOST_PIXELS:,} pixels")
    return size
