"""What one thread of this machine can do at most: arithmetic on vectors in registers, and memory read and written in order."""

from typing import NamedTuple

import numpy as np

from fastspec.benchmark.measure import best_seconds, one_thread
from fastspec.kernels.arithmetic import maximum
from fastspec.kernels.jit import entry
from fastspec.kernels.simd import Lanes, host_lanes, load, splat, store
from fastspec.spec import FeatureSpec

_ROUNDS = 100_000
_CHAINS = 10
_MEMORY_BYTES = 64 << 20


class Peak(NamedTuple):
    """Operations and bytes a second."""

    flops: float
    read: float
    written: float


class Work(NamedTuple):
    """What a stage does to one frame at least: operations, and bytes that come from or go to memory."""

    flops: float = 0.0
    read: float = 0.0
    written: float = 0.0

    def bound_s(self, peak: Peak) -> float:
        """The seconds that the slowest of the three takes at its peak."""
        return max(mine / most for mine, most in zip(self, peak, strict=True))


def measure_peak(*, repeat: int) -> Peak:
    """The best of several rounds, in the vectors that the kernels use here."""
    lanes, memory = host_lanes(), np.ones(_MEMORY_BYTES // 4, np.float32)
    out = np.zeros(len(lanes), np.float32)
    calls = [
        lambda: _multiply_and_add(lanes, _ROUNDS, out),
        lambda: _read(lanes, memory, out),
        lambda: memory.fill(1.0),
    ]
    with one_thread():
        arithmetic, read, written = best_seconds(calls, repeat=repeat)
    return Peak(2 * _CHAINS * len(lanes) * _ROUNDS / arithmetic, memory.nbytes / read, memory.nbytes / written)


def stage_work(spec: FeatureSpec, n_weights: int) -> list[Work]:
    """The work of each stage of a fused log-mel front end of even size, a frame.

    A transform of n complex points counts 5 n log2 n operations, as FFTW's benchmarks count it; unpacking and the power of a bin 11;
    a weight of the bank 2; a logarithm, a polynomial of degree 8, 20.
    """
    points = spec.n_fft // 2
    return [
        Work(flops=spec.window_length, read=4 * spec.hop_length),
        Work(flops=5 * points * np.log2(points)),
        Work(flops=11 * (points + 1)),
        Work(flops=2 * n_weights),
        Work(flops=20 * spec.n_bands),
        Work(written=4 * spec.n_bands),
    ]


@entry
def _multiply_and_add(lanes: Lanes, rounds, out) -> None:
    """Ten chains of x = x * a + b, none of which waits for another."""
    a, b = splat(lanes, np.float32(0.999)), splat(lanes, np.float32(0.001))
    c0 = c1 = c2 = c3 = c4 = c5 = c6 = c7 = c8 = c9 = b
    for _ in range(rounds):
        c0, c1, c2, c3, c4 = c0 * a + b, c1 * a + b, c2 * a + b, c3 * a + b, c4 * a + b
        c5, c6, c7, c8, c9 = c5 * a + b, c6 * a + b, c7 * a + b, c8 * a + b, c9 * a + b
    store(out, 0, c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7 + c8 + c9)


@entry
def _read(lanes: Lanes, x, out) -> None:
    w = len(lanes)
    a = b = c = d = splat(lanes, np.float32(0))
    for i in range(0, len(x) - 4 * w + 1, 4 * w):
        a, b = maximum(load(lanes, x, i), a), maximum(load(lanes, x, i + w), b)
        c, d = maximum(load(lanes, x, i + 2 * w), c), maximum(load(lanes, x, i + 3 * w), d)
    store(out, 0, maximum(maximum(a, b), maximum(c, d)))
