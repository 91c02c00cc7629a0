"""How every benchmark measures: one thread, rounds in which implementations take turns, what their numbers are compared by."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fastspec.references import difference
from fastspec.spec import FeatureSpec

Float32 = NDArray[np.float32]

# A round shorter than this says more about the clock than about the code.
_SHORTEST_ROUND_S = 0.02
_RESOLVED_DB = 40.0
_PER_DB = {"ln": math.log(10) / 10, "log10": 0.1, "db": 1.0}


def best_seconds(calls: Sequence[Callable[[], object]], *, repeat: int) -> list[float]:
    """Seconds of one call of each function: the best of `repeat` rounds."""
    return [min(rounds) for rounds in time_rounds(calls, repeat=repeat)]


def time_rounds(calls: Sequence[Callable[[], object]], *, repeat: int) -> list[list[float]]:
    """Seconds of one call of each function in each of `repeat` rounds.

    They take turns (A B C A B C …), so that a noisy neighbour slows all of them. Each has run once before, which compiles what it
    compiles; a short one runs several times a round.
    """
    loops = [max(1, math.ceil(_SHORTEST_ROUND_S / _warm_seconds(call))) for call in calls]
    rounds = [[_seconds(call, n) for call, n in zip(calls, loops, strict=True)] for _ in range(repeat)]
    return [list(taken) for taken in zip(*rounds, strict=True)]


def _warm_seconds(call: Callable[[], object]) -> float:
    call()
    return _seconds(call, 1)


def _seconds(call: Callable[[], object], loops: int) -> float:
    start = time.perf_counter()
    for _ in range(loops):
        call()
    return (time.perf_counter() - start) / loops


def noise_of(rounds: Sequence[float]) -> float:
    """How much longer the slowest round took than the fastest, as a share of it.

    >>> noise_of([2.0, 2.5, 2.25])
    0.25
    """
    return max(rounds) / min(rounds) - 1


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and OpenMP pools of one thread; our kernels are serial by themselves."""
    with threadpool_limits(1):
        yield


def apart(ours: Float32, theirs: Float32, spec: FeatureSpec) -> float:
    """The largest difference between features where theirs are resolved; infinite between shapes that cannot be compared.

    A last frame that theirs lacks is not compared: some projects leave it out.
    """
    if theirs.shape[:-2] != ours.shape[:-2] or theirs.shape[-1] != ours.shape[-1] or not 0 <= ours.shape[-2] - theirs.shape[-2] <= 1:
        return math.inf
    there = resolved(theirs, spec)
    return difference(ours[..., : theirs.shape[-2], :][there], theirs[there], spec=spec)


def resolved(features: Float32, spec: FeatureSpec) -> NDArray[np.bool_]:
    """Bands at most 40 dB below the largest of their frame, and values that are not numbers; all values of what is no spectrum.

    Among millions of values of noise some are a band of one bin with next to nothing in it, whose logarithm no float32 transform
    resolves: no two implementations agree there.
    """
    if not spec.is_fused or spec.normalize == "per_band":
        return np.ones(features.shape, bool)
    loudest = features.max(axis=-1, keepdims=True)
    if spec.log == "none":
        least = loudest * 10 ** (-_RESOLVED_DB / 10)
    else:
        least = loudest - _RESOLVED_DB * _PER_DB[spec.log] / (spec.norm_std if spec.normalize == "fixed" else 1.0)
    return np.asarray(~(features < least))
