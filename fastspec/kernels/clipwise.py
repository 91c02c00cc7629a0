"""What needs the whole clip: floors relative to its maximum, normalisation, and frames that are not numbers."""

import numpy as np

from fastspec.kernels.jit import entry, kernel
from fastspec.kernels.simd import Lanes, load, maximum, splat, store

STD_FLOOR = 1e-5  # NeMo, collections/asr/parts/preprocessing/features.py: CONSTANT


@kernel
def lift_to_floor(lanes: Lanes, out, start, stop, depth, spare):
    """`out[start:stop]` raised to its maximum minus `depth`; NaN is left out of the maximum and stays. `spare` holds W floats."""
    w, largest = len(lanes), np.float32(-np.inf)
    # Plain loops, which LLVM does not turn into vectors because of NaN, took as long as all the rest of a 400-point front end.
    a = b = splat(lanes, largest)
    i = start
    while i + 2 * w <= stop:
        a, b = maximum(load(lanes, out, i), a), maximum(load(lanes, out, i + w), b)
        i += 2 * w
    store(spare, 0, maximum(a, b))
    for lane in range(w):
        largest = max(largest, spare[lane])
    for k in range(i, stop):
        if out[k] > largest:
            largest = out[k]
    floor = largest - depth
    floors = splat(lanes, floor)
    i = start
    while i + w <= stop:
        store(out, i, maximum(floors, load(lanes, out, i)))
        i += w
    for k in range(i, stop):
        if out[k] < floor:
            out[k] = floor


@kernel
def erase_frames(out, start, n_frames, n_bands, covered, first):
    """NaN in each frame t whose `covered[first + t]` is set."""
    for t in range(n_frames):
        if covered[first + t]:
            for i in range(start + t * n_bands, start + (t + 1) * n_bands):
                out[i] = np.nan


@entry
def normalize_bands(out, n_clips, n_frames, n_bands, sums) -> None:
    """(x - mean) / (std + 1e-5) in place, for each clip and band over its frames that are not NaN; std is unbiased, 0 of one frame.

    out: `(clips * frames * bands,)` float32. sums: `(2 * bands,)` float64, written.
    """
    for c in range(n_clips):
        start, stop, count = c * n_frames * n_bands, (c + 1) * n_frames * n_bands, 0
        for m in range(2 * n_bands):
            sums[m] = 0.0
        for t in range(start, stop, n_bands):
            if out[t] == out[t]:
                count += 1
                for m in range(n_bands):
                    sums[m] += out[t + m]
        for t in range(start, stop, n_bands):
            if out[t] == out[t]:
                for m in range(n_bands):
                    sums[n_bands + m] += (out[t + m] - sums[m] / count) ** 2
        for m in range(n_bands):
            sums[m] /= max(count, 1)
            sums[n_bands + m] = 1 / (np.sqrt(sums[n_bands + m] / max(count - 1, 1)) + STD_FLOOR)
        for t in range(start, stop, n_bands):
            for m in range(n_bands):
                out[t + m] = (out[t + m] - sums[m]) * sums[n_bands + m]
