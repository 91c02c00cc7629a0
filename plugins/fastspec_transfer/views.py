"""What a pretrained network is shown of a clip."""

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

_SIDE = 224


def cut_windows(clip: Float32, *, length: int, hop: int, least: float, silence: float | None) -> Float32:
    """Windows `(windows, length, bands)` of `(frames, bands)`, one at least.

    Args:
        clip: its usable frames, possibly none.
        length: of a window, in frames.
        hop: from one window to the next, in frames.
        least: the share of a window that the clip must fill; the first window may be emptier.
        silence: what fills the rest; None is the clip's lowest value.

    >>> cut_windows(np.ones((5, 1), np.float32), length=4, hop=2, least=0.75, silence=0.0)[:, :, 0].tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]]
    """
    starts = range(0, max(1, len(clip) - int(np.ceil(least * length)) + 1), hop)
    lowest = clip.min() if clip.size else 0.0
    padded = np.full((starts[-1] + length, clip.shape[1]), lowest if silence is None else silence, np.float32)
    padded[: len(clip)] = clip[: len(padded)]
    return np.stack([padded[start : start + length] for start in starts])


def paint_picture(clip: Float32) -> Float32:
    """One grey picture `(1, 3, 224, 224)` of `(frames, bands)`: time to the right, low bands below, the clip's range from -1 to 1.

    Pixels are averages of what lies under them where the clip is larger, and lie on straight lines between values where it is smaller.

    >>> paint_picture(np.array([[0.0, 1.0]], np.float32))[0, :, [0, -1], 0].tolist()
    [[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]]
    """
    if not clip.size or clip.max() == clip.min():
        return np.zeros((1, 3, _SIDE, _SIDE), np.float32)
    scaled = (clip - clip.min()) / (clip.max() - clip.min()) * 2 - 1
    picture = _resampling(scaled.shape[1])[::-1] @ scaled.T @ _resampling(len(scaled)).T
    return np.broadcast_to(picture.astype(np.float32), (1, 3, _SIDE, _SIDE)).copy()


def _resampling(size: int) -> Float32:
    """`(224, size)` weights: triangles around each pixel's centre, as wide as a pixel or a value, whichever is wider."""
    centres = (np.arange(_SIDE) + 0.5) * size / _SIDE - 0.5
    distance = np.abs(np.clip(centres, 0, size - 1)[:, None] - np.arange(size)) / max(1.0, size / _SIDE)
    weights = np.maximum(0, 1 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
