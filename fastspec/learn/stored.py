"""Features that stay on disk until somebody looks at them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class StoredFeatures:
    """Some clips of a store's features, in place of an array for plugins that declare `out_of_core`.

    Slicing reads; `take` does not. `np.asarray` reads everything.

    Args:
        array: `(clips, frames, bands)`, a Zarr array or anything else that is indexed like one.
        rows: `(clips,)` int64, which clips of it; None is all of them.

    >>> features = StoredFeatures(np.arange(24).reshape(4, 3, 2)).take(np.array([1, 3]))
    >>> features.shape, features[1:][0, 0].tolist()
    ((2, 3, 2), [18.0, 19.0])
    """

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(self, array: Any, rows: NDArray[np.int64] | None = None) -> None:
        self._array = array
        self._rows = np.arange(array.shape[0]) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(clips, frames, bands)`."""
        return (len(self._rows), *self._array.shape[1:])

    @property
    def nbytes(self) -> int:
        """Bytes in memory, were they read."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __getitem__(self, index: slice | NDArray[Any]) -> NDArray[np.float32]:
        """Those clips, read from disk: `(clips, frames, bands)` float32."""
        reader = getattr(self._array, "oindex", self._array)
        return np.asarray(reader[self._rows[index]], np.float32)

    def take(self, rows: NDArray[np.int64]) -> "StoredFeatures":
        """Those clips, still on disk."""
        return StoredFeatures(self._array, self._rows[rows])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)
