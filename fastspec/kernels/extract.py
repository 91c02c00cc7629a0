"""The fused loop: blocks of W frames go from samples to bands without leaving the level-1 cache; the spectrogram never exists."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.kernels.clipwise import erase_frames, find_largest, lift_to_floor, note_range
from fastspec.kernels.fft import plain_power, transform, unpack_power
from fastspec.kernels.filterbank import fill_bands, take_roots, write_frames
from fastspec.kernels.framing import all_usable, condition_row, copy_row, load_points
from fastspec.kernels.jit import entry, inline
from fastspec.kernels.simd import Lanes, announce, splat, store

CACHE_LINE_FLOATS = 16


class Plan(NamedTuple):
    """All that a spec means to the kernels. Arrays are read-only and C-contiguous.

    Sizes are data, not types: every spec runs the same compiled code.
    """

    lanes: Lanes
    packed: bool  # n_fft is even: two samples make one complex point
    limit: np.float32  # the largest sample whose features cannot overflow
    hop_length: int
    offset: int  # the first sample under frame 0's window; negative where frames are centred
    mirrored: bool  # the clip stands beyond its ends, reversed; else zeros
    mirrored_edge: int  # 1 where its outermost sample comes twice, else 0
    conditioned: bool  # each frame by itself, by the next two
    frame_mean: bool  # is removed
    preemphasis: np.float32  # of each frame
    window: NDArray[np.float32]  # (window,), times the sample scale, halved when packed
    order: NDArray[np.int64]  # (points,)
    passes: NDArray[np.int64]
    factors: NDArray[np.float32]
    unpacking: NDArray[np.float32]
    magnitude: bool
    first: NDArray[np.int64]  # (bands,)
    width: NDArray[np.int64]  # (bands,)
    start: NDArray[np.int64]  # (bands,)
    weights: NDArray[np.float32]
    logarithmic: bool
    add_floor: bool
    floor: np.float32
    scale: np.float32  # of the base-2 logarithm, or of the bands where there is none
    shift: np.float32  # added after that
    lifted: bool  # to at least the clip's maximum minus depth
    depth: np.float32


class Scratch(NamedTuple):
    """Where one thread computes; nothing in it outlives a call."""

    points: NDArray[np.float32]  # W lanes of the transform, then of the spectrum
    bands: NDArray[np.float32]  # W lanes of each band
    rows: NDArray[np.float32]  # W frames copied out of the clip's edges
    tail: NDArray[np.float32]  # W frames of bands, when fewer are wanted
    spare: NDArray[np.float32]  # one butterfly of a radix without a DFT of its own
    largest: NDArray[np.float32]  # of W lanes, over a clip


def scratch_sizes(plan: Plan) -> tuple[int, ...]:
    """Floats in each array of the `Scratch` that a plan needs."""
    w, n_bands = len(plan.lanes), len(plan.first)
    points = 2 * w * (len(plan.order) + 1)
    return points, w * n_bands, w * len(plan.window), w * n_bands, 2 * w * int(max(plan.passes, default=1)), w


@inline
def _compute_block(plan, scratch, source, first, stride):
    """Bands of the W frames that start at `first` and each `stride` further, into `scratch.bands`."""
    lanes, points = plan.lanes, scratch.points
    load_points(lanes, source, first, stride, plan, points)
    transform(lanes, points, plan.passes, plan.factors, scratch.spare)
    if plan.packed:
        n_bins = len(plan.order) + 1
        unpack_power(lanes, points, len(plan.order), plan.unpacking)
    else:
        n_bins = len(plan.order) // 2 + 1
        plain_power(lanes, points, n_bins)
    if plan.magnitude:
        take_roots(lanes, points, n_bins)
    fill_bands(lanes, points, plan, scratch.bands)


@inline
def _extract_clip(samples, clip, n_samples, n_frames, plan, scratch, least, out, at):
    lanes, w = plan.lanes, len(plan.lanes)
    length, n_bands, hop = len(plan.window), len(plan.first), plan.hop_length
    usable, seen = True, 0
    for t in range(0, n_frames, w):
        start, count = t * hop + plan.offset, min(w, n_frames - t)
        # What is looked through just before it is loaded comes from memory once.
        reach = min(n_samples, start + (w - 1) * hop + length)
        if reach > seen:
            usable &= all_usable(lanes, samples, clip + seen, clip + reach, plan.limit)
            seen = reach
        source, first, stride = samples, clip + start, hop
        for i in range(at + t * n_bands, at + (t + count) * n_bands, CACHE_LINE_FLOATS):
            announce(out, i)
        if plan.conditioned or count < w or start < 0 or start + (w - 1) * hop + length > n_samples:
            for lane in range(w):
                # Lanes past the last frame repeat it: they cost nothing and are dropped below.
                begin, row = start + min(lane, count - 1) * hop, lane * length
                copy_row(lanes, samples, clip, n_samples, begin, plan.mirrored, plan.mirrored_edge, scratch.rows, row, length)
                if plan.conditioned:
                    condition_row(lanes, scratch.rows, row, length, plan.frame_mean, plan.preemphasis)
            source, first, stride = scratch.rows, 0, length
        _compute_block(plan, scratch, source, first, stride)
        if plan.lifted:
            note_range(lanes, scratch.bands, n_bands, scratch.largest, least, t)
        if count == w:
            write_frames(lanes, scratch.bands, n_bands, out, at + t * n_bands)
        else:
            write_frames(lanes, scratch.bands, n_bands, scratch.tail, 0)
            for i in range(count * n_bands):  # assigning a slice here would cost a second of compile time
                out[at + t * n_bands + i] = scratch.tail[i]
    return usable and all_usable(lanes, samples, clip + seen, clip + n_samples, plan.limit)


@entry
def extract(samples, n_clips, n_samples, n_frames, plan, scratch, covered, least, out) -> Any:
    """Features of `n_clips` clips of `n_samples` each. Returns whether all samples are usable: numbers within the plan's limit.

    samples: `(clips * samples,)` float32. out: `(clips * frames * bands,)` float32, written. covered: `(clips * frames,)` uint8, set for
    frames to be NaN, or empty. least: where the plan lifts, scratch for a float32 a frame and W more. Where it returns False, `out` is
    not to be used.
    """
    n_bands, usable = len(plan.first), True
    for c in range(n_clips):
        clip, at = c * n_samples, c * n_frames * n_bands
        store(scratch.largest, 0, splat(plan.lanes, np.float32(-np.inf)))
        usable &= _extract_clip(samples, clip, n_samples, n_frames, plan, scratch, least, out, at)
        if len(covered) > 0:
            erase_frames(out, at, n_frames, n_bands, covered, c * n_frames)
            find_largest(out, at, at + n_frames * n_bands, scratch.largest)
        if plan.lifted:
            lift_to_floor(plan.lanes, out, at, n_frames, n_bands, scratch.largest, least, plan.depth)
    return usable


@entry
def find_covered(nonfinite, n_clips, n_samples, n_frames, plan, row, covered) -> None:
    """Set `covered[c * n_frames + t]` where frame t's window holds a sample whose `nonfinite` (float32, 0 or 1) is set."""
    length = len(plan.window)
    for c in range(n_clips):
        for t in range(n_frames):
            start = t * plan.hop_length + plan.offset
            copy_row(plan.lanes, nonfinite, c * n_samples, n_samples, start, plan.mirrored, plan.mirrored_edge, row, 0, length)
            for i in range(length):
                covered[c * n_frames + t] |= row[i] > 0
