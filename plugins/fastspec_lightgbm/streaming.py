"""Features on disk as LightGBM reads them: pooled on the way, some clips at a time."""

import lightgbm
import numpy as np
from numpy.typing import NDArray

from fastspec.learn.pooling import Pooling, clip_blocks, pool_features
from fastspec.learn.stored import StoredFeatures


class PooledClips(lightgbm.Sequence):  # type: ignore[misc]
    """`(clips, columns)` float32 that are computed when they are looked at.

    LightGBM first looks at single rows, in ascending order, to find its bins, and then at all rows in turn. Blocks are read whole, and
    the last one is kept, so that features are read twice and no more.
    """

    def __init__(self, features: StoredFeatures, valid_frames: NDArray[np.int32], *, pool: Pooling) -> None:
        self._features = features
        self._valid_frames = valid_frames
        self._pool: Pooling = pool
        self.batch_size = next(clip_blocks(features)).stop
        self._first = -1
        self._block = np.empty((0, 0), np.float32)

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, index: int | slice) -> NDArray[np.floating]:
        if isinstance(index, slice):
            return pool_features(self._features[index], self._valid_frames[index], how=self._pool)
        first = index // self.batch_size * self.batch_size
        if first != self._first:
            self._first, self._block = first, self[first : first + self.batch_size]
        return np.asarray(self._block[index - first], np.float64)  # as LightGBM samples rows
