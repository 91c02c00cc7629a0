"""Arrays as kernels want them."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)


def frozen(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """A flat read-only view: inputs of one type give kernels one signature."""
    view = np.ascontiguousarray(array).reshape(-1).view()
    view.flags.writeable = False
    return view


def aligned(size: int, boundary: int = 64) -> NDArray[np.float32]:
    """Float32 zeros that start at a cache line, which NumPy does not promise."""
    raw = np.zeros(size + boundary // 4, np.float32)
    first = (-raw.ctypes.data % boundary) // 4
    return raw[first : first + size]
