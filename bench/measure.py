"""How every benchmark measures: one thread, the best of several rounds, implementations taking turns, the machine named."""

import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from fastspec.kernels.simd import host_lanes
from fastspec.references import Reference

# A round shorter than this says more about the clock than about the code.
_SHORTEST_ROUND_S = 0.02


def best_seconds(calls: Sequence[Callable[[], object]], *, repeat: int) -> list[float]:
    """Seconds of one call of each function: the best of `repeat` rounds.

    They take turns (A B C A B C …), so that a noisy neighbour slows all of them. Each has run once before, which compiles what it
    compiles; a short one runs several times a round.
    """
    loops = [max(1, math.ceil(_SHORTEST_ROUND_S / _warm_seconds(call))) for call in calls]
    best = [math.inf] * len(calls)
    for _ in range(repeat):
        best = [min(known, _seconds(call, n)) for known, call, n in zip(best, calls, loops, strict=True)]
    return best


def _warm_seconds(call: Callable[[], object]) -> float:
    call()
    return _seconds(call, 1)


def _seconds(call: Callable[[], object], loops: int) -> float:
    start = time.perf_counter()
    for _ in range(loops):
        call()
    return (time.perf_counter() - start) / loops


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS and OpenMP pools of one thread; our kernels are serial by themselves."""
    with threadpool_limits(1):
        yield


def machine(peers: Sequence[Reference] = ()) -> dict[str, Any]:
    """The CPU, the lanes that the kernels use on it, and the version of everything that was timed: of `peers`, those that are installed."""
    packages = {package: version(package) for package in ("numpy", "numba")}
    for peer in peers:
        if peer.is_installed():
            packages |= peer.versions()
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "lanes": len(host_lanes()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": packages,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown"
