"""Frames into lanes: W frames at once are windowed and stored as the points that the FFT starts from.

Frame t covers the samples from `t * hop_length + offset`. Where a block of W frames lies inside the clip it is read in place; at the
edges its frames are first copied into rows of their own, with what stands beyond the clip filled in.
"""

import numpy as np

from fastspec.kernels.jit import inline, kernel
from fastspec.kernels.simd import Lanes, gather, lane_sum, load, load_splat, load_tile, splat, store


@inline
def _reflected(i, n):
    """The index inside a clip of n samples that position i beyond it mirrors, again and again, as `numpy.pad` does."""
    i, period = abs(i), 2 * (n - 1)
    if i > period:  # rare, and a division is slow
        i = i % period if period > 0 else 0
    return min(i, period - i)


@kernel
def copy_row(lanes: Lanes, samples, clip, n_samples, start, reflect, rows, row, length):
    """`rows[row : row + length]` = the samples from `start` of the clip that begins at `clip`, padded beyond its ends."""
    before = min(max(-start, 0), length)
    inside = min(max(n_samples - start, before), length)
    for i in range(before):
        rows[row + i] = samples[clip + _reflected(start + i, n_samples)] if reflect else np.float32(0)
    i = before
    while i + len(lanes) <= inside:
        store(rows, row + i, load(lanes, samples, clip + start + i))
        i += len(lanes)
    for k in range(i, inside):
        rows[row + k] = samples[clip + start + k]
    for i in range(inside, length):
        rows[row + i] = samples[clip + _reflected(start + i, n_samples)] if reflect else np.float32(0)


@inline
def load_points(lanes: Lanes, source, first, stride, plan, points):
    """Window W frames, the first at `first` and each `stride` further, into complex points in the order that the FFT wants.

    When `n_fft` is even, neighbouring samples are the real and imaginary part of one point (`fft.unpack_power`).
    """
    w, length, packed = len(lanes), len(plan.window), plan.packed
    zero = splat(lanes, np.float32(0))
    for p in range(length // 2 if packed else length, len(plan.order)):
        store(points, 2 * w * plan.order[p], zero)
        store(points, 2 * w * plan.order[p] + w, zero)
    for k in range(0, length - 3, 4):
        a, b, c, d = load_tile(lanes, source, first + k, stride)
        _place(lanes, a, k, plan, points, packed)
        _place(lanes, b, k + 1, plan, points, packed)
        _place(lanes, c, k + 2, plan, points, packed)
        _place(lanes, d, k + 3, plan, points, packed)
    for k in range(length // 4 * 4, length):
        _place(lanes, gather(lanes, source, first + k, stride), k, plan, points, packed)


@inline
def _place(lanes, column, k, plan, points, packed):
    w = len(lanes)
    windowed = column * load_splat(lanes, plan.window, k)
    if packed:
        store(points, 2 * w * plan.order[k >> 1] + w * (k & 1), windowed)
    else:
        store(points, 2 * w * plan.order[k], windowed)
        store(points, 2 * w * plan.order[k] + w, splat(lanes, np.float32(0)))


@inline
def all_finite(lanes: Lanes, samples, start, stop):
    """Whether none of `samples[start:stop]` is NaN or infinite: only those are not 0 when multiplied by 0."""
    w = len(lanes)
    zero = splat(lanes, np.float32(0))
    a = b = c = d = zero
    i = start
    while i + 4 * w <= stop:
        a, b = a + load(lanes, samples, i) * zero, b + load(lanes, samples, i + w) * zero
        c, d = c + load(lanes, samples, i + 2 * w) * zero, d + load(lanes, samples, i + 3 * w) * zero
        i += 4 * w
    total = lane_sum((a + b) + (c + d))
    for k in range(i, stop):
        total += samples[k] * np.float32(0)
    return total == 0
