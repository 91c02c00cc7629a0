"""Where the recordings of a table begin, whose clips are adjacent."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

_ROWS = 65_536


def begins_run(paths: pl.Series) -> NDArray[np.bool_]:
    """`(rows,)`: whether a row's path is another than that of the row before.

    >>> begins_run(pl.Series(["a.wav", "a.wav", "b.wav", "a.wav"])).tolist()
    [True, False, True, True]
    """
    begins = np.ones(len(paths), np.bool_)
    # Some rows at a time: shifted by one, the whole column would be copied.
    for first in range(1, len(paths), _ROWS):
        rows = paths[first - 1 : first + _ROWS]
        begins[first : first + _ROWS] = rows[1:].ne_missing(rows[:-1]).to_numpy()
    return begins
