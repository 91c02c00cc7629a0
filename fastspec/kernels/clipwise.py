"""What needs the whole clip: floors relative to its maximum, and frames that are not numbers."""

import numpy as np

from fastspec.kernels.jit import kernel


@kernel
def lift_to_floor(out, start, stop, depth):
    """`out[start:stop]` raised to its maximum minus `depth`; NaN is left out of the maximum and stays."""
    largest = np.float32(-np.inf)
    for i in range(start, stop):
        if out[i] > largest:
            largest = out[i]
    floor = largest - depth
    for i in range(start, stop):
        if out[i] < floor:
            out[i] = floor


@kernel
def erase_frames(out, start, n_frames, n_bands, covered, first):
    """NaN in each frame t whose `covered[first + t]` is set."""
    for t in range(n_frames):
        if covered[first + t]:
            for i in range(start + t * n_bands, start + (t + 1) * n_bands):
                out[i] = np.nan
