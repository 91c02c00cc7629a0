"""Frames into lanes: W frames at once are windowed and stored as the points that the FFT starts from.

Frame t covers the samples from `t * hop_length + offset`. Where a block of W frames lies inside the clip it is read in place; at the
edges its frames are first copied into rows of their own, with what stands beyond the clip filled in. Frames that lose their mean or
are pre-emphasised are all copied: that is done along a row, where neighbouring samples are one vector.
"""

import numpy as np

from fastspec.kernels.arithmetic import lane_sum
from fastspec.kernels.jit import entry, inline, kernel
from fastspec.kernels.simd import Lanes, gather, load, load_splat, load_tile, splat, store

FLOAT32_MAX = np.finfo(np.float32).max


@inline
def _mirrored(i, n, edge):
    """The index inside a clip of n samples that position i beyond it mirrors, again and again, as `numpy.pad` does.

    `edge` is 1 where the outermost sample is its own mirror image ("symmetric"), 0 where it stands alone ("reflect").
    """
    i, period = max(i, -i - edge), 2 * (n - 1 + edge)
    if i >= period:  # rare, and a division is slow
        i = i % period if period > 0 else 0
    return min(i, max(period - edge - i, 0))


@kernel
def copy_row(lanes: Lanes, samples, clip, n_samples, start, mirrored, edge, rows, row, length):
    """`rows[row : row + length]` = the samples from `start` of the clip that begins at `clip`, padded beyond its ends."""
    before = min(max(-start, 0), length)
    inside = min(max(n_samples - start, before), length)
    for i in range(before):
        rows[row + i] = samples[clip + _mirrored(start + i, n_samples, edge)] if mirrored else np.float32(0)
    i = before
    while i + len(lanes) <= inside:
        store(rows, row + i, load(lanes, samples, clip + start + i))
        i += len(lanes)
    for k in range(i, inside):
        rows[row + k] = samples[clip + start + k]
    for i in range(inside, length):
        rows[row + i] = samples[clip + _mirrored(start + i, n_samples, edge)] if mirrored else np.float32(0)


@inline
def _row_mean(lanes, rows, row, length, less):
    """The mean of a row from which `less` is subtracted first."""
    w, each, rest = len(lanes), splat(lanes, less), np.float32(0)
    a = b = splat(lanes, np.float32(0))  # two sums, neither of which waits for the other
    for i in range(0, length - 2 * w + 1, 2 * w):
        a, b = a + (load(lanes, rows, row + i) - each), b + (load(lanes, rows, row + i + w) - each)
    for i in range(length // (2 * w) * 2 * w, length):
        rest += rows[row + i] - less
    return (lane_sum(a + b) + rest) / np.float32(length)


@kernel
def condition_row(lanes: Lanes, rows, row, length, remove_mean, preemphasis):
    """A frame without its mean and pre-emphasised, in place: y[i] = x[i] - a x[i - 1], where x[-1] is x[0]."""
    w, kept = len(lanes), np.float32(1) - preemphasis
    mean, shift = np.float32(0), np.float32(0)
    if remove_mean:
        # In two parts: one float32 cannot hold the mean closely enough for a large offset to leave the lowest bins.
        mean = _row_mean(lanes, rows, row, length, np.float32(0))
        shift = _row_mean(lanes, rows, row, length, mean) * kept
    means, shifts, factor = splat(lanes, mean), splat(lanes, shift), splat(lanes, preemphasis)
    i = length  # from the end, so that x[i - 1] is read before it is written
    while i > w:
        i -= w
        x, before = load(lanes, rows, row + i) - means, load(lanes, rows, row + i - 1) - means
        store(rows, row + i, x - before * factor - shifts)
    for k in range(i - 1, 0, -1):
        rows[row + k] = (rows[row + k] - mean) - (rows[row + k - 1] - mean) * preemphasis - shift
    rows[row] = (rows[row] - mean) * kept - shift


@entry
def condition_clips(samples, n_clips, n_samples, remove_mean, preemphasis, out) -> None:
    """Clips without their means and pre-emphasised: y[i] = x[i] - a x[i - 1], and y[0] = x[0].

    samples, out: `(clips * samples,)` float32. Samples that are NaN or infinite stay out of the mean; what is computed from one is NaN.
    """
    for c in range(n_clips):
        at, mean = c * n_samples, np.float32(0)
        if remove_mean:
            total, count = 0.0, 0
            for i in range(at, at + n_samples):
                if samples[i] * np.float32(0) == 0:
                    total += samples[i]
                    count += 1
            mean = np.float32(total / max(count, 1))
        out[at] = samples[at] - mean
        for i in range(at + 1, at + n_samples):
            out[i] = (samples[i] - mean) - preemphasis * (samples[i - 1] - mean)


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
def all_usable(lanes: Lanes, samples, start, stop, limit):
    """Whether none of `samples[start:stop]` is NaN or beyond +-limit.

    Times `FLT_MAX / limit`, those beyond overflow, and only what is not finite is not 0 when multiplied by 0.
    """
    w = len(lanes)
    zero, scale = splat(lanes, np.float32(0)), splat(lanes, FLOAT32_MAX / limit)
    a = b = c = d = zero
    i = start
    while i + 4 * w <= stop:
        a, b = a + load(lanes, samples, i) * scale * zero, b + load(lanes, samples, i + w) * scale * zero
        c, d = c + load(lanes, samples, i + 2 * w) * scale * zero, d + load(lanes, samples, i + 3 * w) * scale * zero
        i += 4 * w
    usable = lane_sum((a + b) + (c + d)) == 0
    for k in range(i, stop):
        usable &= abs(samples[k]) <= limit
    return usable
