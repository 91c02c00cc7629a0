"""All numba policy in one place: the options of every kernel. Where compiled kernels are kept is `compiled.py`'s to know.

Tried and lost: `parallel=True` (aborts under several calling threads), `fastmath=True` (erases NaN tests), `cache=True` (does not see
edits in another file, the lane count, or bounds checks; confuses functions when several processes fill it).
"""

from collections.abc import Callable
from typing import Any

import numba
from numba.core.dispatcher import Dispatcher

from fastspec.kernels.compiled import KernelCache

# Neither `nnan` nor `ninf`: non-finite samples are found by testing for them.
FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FAST_MATH}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A piece of a kernel: compiled when an `entry` that calls it is."""
    return numba.njit(**OPTIONS)(function)  # type: ignore[no-any-return]


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """A piece that LLVM must inline, whatever its cost model says: its arguments are registers."""
    return numba.njit(**OPTIONS, forceinline=True)(function)  # type: ignore[no-any-return]


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that Python calls: compiled at its first call, or read from the cache of an earlier process.

    Callers pass inputs as read-only C-contiguous arrays and outputs as writable ones, so that each entry has one signature.
    """
    dispatcher = numba.njit(**OPTIONS)(function)
    if isinstance(dispatcher, Dispatcher):  # not where the JIT is disabled
        KernelCache(function).attach(dispatcher)
    return dispatcher  # type: ignore[no-any-return]
