"""From features of fixed shape to one row of columns a clip, for models that know neither time nor frequency."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fastspec.learn.stored import StoredFeatures

Pooling = Literal["stats", "shape", "flatten"]

_QUANTILES = (0.1, 0.5, 0.9)
_STATISTICS = 6
_BLOCK_BYTES = 64 << 20


def pool_features(features: NDArray[np.float32], valid_frames: NDArray[np.int32], *, how: Pooling) -> NDArray[np.float32]:
    """One row a clip, which depends on that clip alone.

    "stats" is, for each band over the valid frames: mean, standard deviation, 10, 50 and 90 % quantiles, and mean absolute difference
    between neighbouring frames. "shape" is the same of each frame less its mean over the bands: of logarithmic features that is the colour
    of the sound without its loudness, which neither gain nor distance changes, and a model of it survives other microphones and speakers
    better; what loudness itself tells, as of a decay, is lost. "flatten" is every value in the order `frames, bands`; frames that are not
    valid hold the clip's minimum. Frames that hold NaN are left out of all; a clip without a frame left is zeros.

    Args:
        features: `(clips, frames, bands)` float32; features on disk are read some clips at a time.
        valid_frames: `(clips,)` int32.

    Returns:
        `(clips, columns)` float32; `6 * bands` columns of "stats" or "shape", in the order above, or `frames * bands` of "flatten".

    >>> clip = np.array([[[1.0], [2.0], [3.0], [99.0]]], np.float32)
    >>> pool_features(clip, np.array([3], np.int32), how="stats").round(2).tolist()
    [[2.0, 0.8199999928474426, 1.2000000476837158, 2.0, 2.799999952316284, 1.0]]
    >>> louder = np.array([[[30.0, 34.0]], [[10.0, 14.0]]], np.float32)  # each of one frame and two bands
    >>> pool_features(louder, np.array([1, 1], np.int32), how="shape")[:, :2].tolist()
    [[-2.0, 2.0], [-2.0, 2.0]]
    >>> pool_features(clip, np.array([3], np.int32), how="flatten").tolist()
    [[1.0, 2.0, 3.0, 1.0]]
    """
    clips, frames, bands = features.shape
    pooled = np.zeros((clips, (frames if how == "flatten" else _STATISTICS) * bands), np.float32)
    for block in clip_blocks(features):
        for row, clip, n_valid in zip(pooled[block], features[block], valid_frames[block], strict=True):
            usable = np.isfinite(clip).all(axis=1)
            usable[n_valid:] = False
            if usable.any():
                row[:] = _pool(clip, usable, how).ravel()
    return pooled


def clip_blocks(features: "NDArray[np.float32] | StoredFeatures") -> Iterator[slice]:
    """Slices that walk through the clips, each of about 64 MiB of features."""
    clips, frames, bands = features.shape
    size = max(1, _BLOCK_BYTES // (4 * frames * bands))
    return (slice(first, first + size) for first in range(0, clips, size))


def _pool(clip: NDArray[np.float32], usable: NDArray[np.bool_], how: Pooling) -> NDArray[np.floating]:
    if how == "flatten":
        return _flattened(clip, usable)
    return _statistics(clip if how == "stats" else clip - clip.mean(axis=1, keepdims=True), usable)


def _statistics(clip: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`(statistics, bands)` float64 over the usable frames; bands go first inside, so that sums and sorts run along memory."""
    bands = np.ascontiguousarray(clip[usable].T, np.float64)
    neighbours = usable[1:] & usable[:-1]
    steps = np.abs(np.diff(clip, axis=0)[neighbours]).T.astype(np.float64, order="C")
    ordered = np.sort(bands, axis=1)
    positions = np.array(_QUANTILES) * (bands.shape[1] - 1)
    below = positions.astype(np.int64)
    above = np.minimum(below + 1, bands.shape[1] - 1)
    low = ordered[:, below]
    quantiles = low + (positions - below) * (ordered[:, above] - low)
    movement = steps.mean(axis=1) if steps.shape[1] else np.zeros(len(bands))
    return np.vstack([bands.mean(axis=1), bands.std(axis=1), quantiles.T, movement])


def _flattened(clip: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(usable[:, None], clip, clip[usable].min())
