"""What needs the whole clip: floors relative to its maximum, normalisation, and frames that are not numbers."""

import numpy as np

from fastspec.kernels.arithmetic import maximum, minimum
from fastspec.kernels.jit import entry, inline, kernel
from fastspec.kernels.simd import Lanes, load, splat, store

STD_FLOOR = 1e-5  # NeMo, collections/asr/parts/preprocessing/features.py: CONSTANT


@inline
def note_range(lanes: Lanes, bands, n_bands, largest, least, block):
    """`largest`, W floats, raised to the bands of W frames, and `least[block : block + W]` their minima: while they are in the level-1
    cache, so that what lies above the floor is never fetched again."""
    w = len(lanes)
    most, fewest = load(lanes, largest, 0), load(lanes, bands, 0)
    for m in range(n_bands):
        x = load(lanes, bands, w * m)
        most, fewest = maximum(x, most), minimum(x, fewest)
    store(largest, 0, most)
    store(least, block, fewest)


@kernel
def find_largest(out, start, stop, largest):
    """All of `largest` set to the maximum of `out[start:stop]`, from which NaN is left out."""
    most = np.float32(-np.inf)
    for i in range(start, stop):
        if out[i] > most:
            most = out[i]
    for lane in range(len(largest)):
        largest[lane] = most


@kernel
def lift_to_floor(lanes: Lanes, out, start, n_frames, n_bands, largest, least, depth):
    """`n_frames` frames from `out[start]` raised to the maximum of `largest` minus `depth`; NaN stays.

    Only blocks of frames with a minimum in `least` below that are touched: fetching all of a long clip again took 7 % of a whole 400-point
    front end.
    """
    w, most = len(lanes), largest[0]
    for lane in range(w):
        most = max(most, largest[lane])
    floor = most - depth
    floors = splat(lanes, floor)
    for block in range(0, n_frames, w):
        low = False
        for lane in range(w):
            low |= least[block + lane] < floor
        if low:
            i, stop = start + block * n_bands, start + min(block + w, n_frames) * n_bands
            # A plain loop alone, which LLVM does not turn into vectors because of NaN, took as long as half of the front end.
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
