"""From one sample rate to another: soxr, one clip alone, in one shot."""

import numpy as np
import soxr
from numpy.typing import NDArray


def change_rate(samples: NDArray[np.float32], source_hz: int, *, target_hz: int, quality: str) -> NDArray[np.float32]:
    """Resample one channel.

    Args:
        samples: `(samples,)` float32.
        source_hz: its sample rate.
        target_hz: the sample rate wanted; the same one returns `samples` itself.
        quality: soxr's, from "QQ" (quick) to "VHQ" (very high).

    Returns:
        `(samples * target_hz / source_hz,)` float32, halves rounded up.

    >>> change_rate(np.zeros(44100, np.float32), 44100, target_hz=16000, quality="HQ").shape
    (16000,)
    """
    if source_hz == target_hz:
        return samples
    resampled: NDArray[np.float32] = soxr.resample(samples, source_hz, target_hz, quality)
    return resampled
