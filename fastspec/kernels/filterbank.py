"""From the spectrum of W frames to their bands: magnitude, a banded bank, compression."""

import numpy as np

from fastspec.kernels.arithmetic import log2, maximum, square_root
from fastspec.kernels.jit import inline
from fastspec.kernels.simd import Lanes, load, load_splat, scatter, splat, store, store_tile


@inline
def take_roots(lanes: Lanes, points, n_bins):
    """Magnitude in place of power; bin k at `2 * W * k`."""
    for k in range(n_bins):
        store(points, 2 * len(lanes) * k, square_root(load(lanes, points, 2 * len(lanes) * k)))


@inline
def _compressed(lanes, x, plan):
    # One return a case. With a variable that holds a vector on several branches, the whole kernel took 3.5 times as long.
    scale, shift = splat(lanes, plan.scale), splat(lanes, plan.shift)
    if not plan.logarithmic:
        return x * scale + shift
    floor = splat(lanes, plan.floor)
    if plan.add_floor:
        return log2(x + floor) * scale + shift
    return log2(maximum(x, floor)) * scale + shift


@inline
def fill_bands(lanes: Lanes, points, plan, bands):
    """The weighted sum of each band's bins, compressed; band m at `W * m` of `bands`."""
    w = len(lanes)
    for m in range(len(plan.first)):
        at, weight = 2 * w * plan.first[m], plan.start[m]
        total = splat(lanes, np.float32(0))
        for k in range(plan.width[m]):
            total = total + load_splat(lanes, plan.weights, weight + k) * load(lanes, points, at + 2 * w * k)
        store(bands, w * m, _compressed(lanes, total, plan))


@inline
def write_frames(lanes: Lanes, bands, n_bands, out, at):
    """Bands by lanes to W rows of `n_bands` in `out`, the first at `at`."""
    w = len(lanes)
    for m in range(0, n_bands - 3, 4):
        a, b = load(lanes, bands, w * m), load(lanes, bands, w * (m + 1))
        c, d = load(lanes, bands, w * (m + 2)), load(lanes, bands, w * (m + 3))
        store_tile(out, at + m, n_bands, a, b, c, d)
    for m in range(n_bands // 4 * 4, n_bands):
        scatter(out, at + m, n_bands, load(lanes, bands, w * m))
