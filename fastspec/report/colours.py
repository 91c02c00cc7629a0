"""Colours for levels and for classes that colour-blind people can tell apart, without matplotlib."""

from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import choices
from fastspec.report import ReportError

Colours = NDArray[np.uint8]

# The first four lie in colormaps.npy, `(maps, 256, 3)`: magma, viridis and inferno by S. van der Walt and N. Smith (CC0), cividis by
# J. Nuñez, C. Anderton and R. Renslow. All rise evenly in lightness, so that they survive colour blindness and a grey printer.
COLORMAPS = ("magma", "viridis", "inferno", "cividis", "gray")
# Okabe and Ito 2008, Color Universal Design; their yellow, too light for lines on white, comes last.
CLASS_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442")


def check_colormap(name: str) -> str:
    """The name of a colormap that there is; ReportError otherwise.

    >>> check_colormap("viridis_r")
    'viridis_r'
    """
    if name.removesuffix("_r") not in COLORMAPS:
        raise ReportError(f"unknown colormap {name!r}; {choices(name, COLORMAPS)}; each is reversed with _r after its name")
    return name


def colours(name: str, steps: int = 256) -> Colours:
    """A colormap from its lowest to its highest level, `(steps, 3)` uint8 of red, green and blue.

    Raises:
        ReportError: an unknown name.

    >>> colours("gray_r", 3).tolist()
    [[255, 255, 255], [128, 128, 128], [0, 0, 0]]
    """
    base = check_colormap(name).removesuffix("_r")
    known = np.repeat(np.arange(256)[:, None], 3, axis=1) if base == "gray" else _tables()[COLORMAPS.index(base)]
    if name.endswith("_r"):
        known = known[::-1]
    places = np.linspace(0, 255, steps)
    return np.stack([np.interp(places, np.arange(256), channel) for channel in known.T], axis=1).round().astype(np.uint8)


@lru_cache(1)
def _tables() -> Colours:
    with files("fastspec.report").joinpath("colormaps.npy").open("rb") as file:
        tables: Colours = np.load(file, allow_pickle=False)
    return tables
