"""Features as pictures of a common, small size, and the scale of their bands."""

from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fastspec.learn.pooling import clip_blocks

Float32 = NDArray[np.float32]


class Pictures(NamedTuple):
    """`pixels` `(clips, frames, bands)` float32 and `lengths` `(clips,)` int64: how many frames hold signal, one at least; 0 beyond."""

    pixels: Float32
    lengths: NDArray[np.int64]


class Scale(NamedTuple):
    """Mean and standard deviation of each band, `(bands,)` float32."""

    mean: Float32
    deviation: Float32

    @classmethod
    def fit(cls, pictures: Pictures) -> Self:
        """Those of some pictures' frames with signal."""
        heard = np.arange(pictures.pixels.shape[1]) < pictures.lengths[:, None]
        values = pictures.pixels[heard].astype(np.float64)
        return cls(values.mean(axis=0).astype(np.float32), np.maximum(values.std(axis=0), 1e-6).astype(np.float32))

    def apply(self, pictures: Pictures) -> Pictures:
        """Pictures whose bands have, over all, mean 0 and deviation 1; frames without signal stay 0."""
        heard = np.arange(pictures.pixels.shape[1]) < pictures.lengths[:, None]
        return pictures._replace(pixels=np.where(heard[:, :, None], (pictures.pixels - self.mean) / self.deviation, np.float32(0)))

    def is_sound(self, bands: int) -> bool:
        """Whether arrays from a file are a scale of that many bands."""
        return self.mean.shape == self.deviation.shape == (bands,) and self.mean.dtype == self.deviation.dtype == np.float32


def paint_pictures(features: Float32, valid_frames: NDArray[np.int32], *, frames: int, bands: int) -> Pictures:
    """Pictures of the clips' valid frames; frames that hold NaN are left out.

    Where features have more frames or bands than a picture, each pixel is the mean of what lies under it, parts of values included; the
    same number of frames is one pixel in every clip, so that time runs equally fast in all of them. A clip with nothing to see is one
    frame of zeros.

    >>> clip = np.array([[[1.0, 3.0], [3.0, 5.0], [9.0, 9.0], [9.0, 9.0]]], np.float32)
    >>> pictures = paint_pictures(clip, np.array([2], np.int32), frames=2, bands=1)
    >>> pictures.pixels.tolist(), pictures.lengths.tolist()
    ([[[3.0], [0.0]]], [1])
    """
    clips, n_frames, n_bands = features.shape
    height, width = min(n_frames, frames), min(n_bands, bands)
    pictures = Pictures(np.zeros((clips, height, width), np.float32), np.ones(clips, np.int64))
    over_bands = _averages(n_bands, width)
    for block in clip_blocks(features):
        rows = zip(pictures.pixels[block], pictures.lengths[block, None], features[block], valid_frames[block], strict=True)
        for picture, length, clip, n_valid in rows:
            usable = clip[:n_valid][np.isfinite(clip[:n_valid]).all(axis=1)]
            if len(usable):
                length[0] = max(1, round(len(usable) * height / n_frames))
                picture[: length[0]] = _averages(len(usable), int(length[0])) @ usable @ over_bands.T
    return pictures


@lru_cache(maxsize=4096)
def _averages(size: int, parts: int) -> Float32:
    """`(parts, size)` weights: row i takes the mean over the i-th of that many equal parts of `size` values."""
    if size == parts:
        return np.eye(size, dtype=np.float32)
    edges = np.arange(parts + 1) * (size / parts)
    places = np.arange(size)
    overlap = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return np.asarray(np.maximum(overlap, 0) * (parts / size), np.float32)
