"""All numba policy in one place: the options of every kernel. Where compiled kernels are kept is `compiled.py`'s to know.

Tried and lost: `parallel=True` (aborts under several calling threads), `fastmath=True` (erases NaN tests), `cache=True` (does not see
edits in another file, the lane count, or bounds checks; confuses functions when several processes fill it).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numba
from numba.core.dispatcher import Dispatcher

from fastspec.kernels.compiled import KernelCache

# Kernels only borrow arrays. Counting references cost 5 % of the time, and 70 % where LLVM failed to move the counting out of a loop.
# Without the two wrappers, for Python and for C, that numba gives to each function, compiling takes two thirds of the time.
PIECE: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
# For the scalar code of an entry; vectors say themselves which liberties they take (`simd.py`). Neither `nnan` nor `ninf`: non-finite
# samples are found by testing for them.
FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
ENTRY: dict[str, Any] = PIECE | {"no_cpython_wrapper": False, "fastmath": FAST_MATH}
_entries: list[Dispatcher] = []


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A piece of a kernel: compiled when an `entry` that calls it is. Python cannot call it."""
    return numba.njit(**PIECE)(function)  # type: ignore[no-any-return]


def inline(function: Callable[..., Any]) -> Callable[..., Any]:
    """A piece that LLVM must inline, whatever its cost model says: its arguments are registers."""
    return numba.njit(**PIECE, forceinline=True)(function)  # type: ignore[no-any-return]


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that Python calls: compiled at its first call, or read from the cache of an earlier process.

    Callers pass inputs as read-only C-contiguous arrays and outputs as writable ones, so that each entry has one signature.
    """
    dispatcher = numba.njit(**ENTRY)(function)
    if isinstance(dispatcher, Dispatcher):  # not where the JIT is disabled
        KernelCache(function).attach(dispatcher)
        _entries.append(dispatcher)
    return dispatcher  # type: ignore[no-any-return]


class Compilations(NamedTuple):
    """How this process came by its kernels."""

    compiled: int
    read: int


def compilations() -> Compilations:
    """Kernels that this process has compiled, and those that it has read from the cache."""
    stats = [dispatcher.stats for dispatcher in _entries]
    return Compilations(
        compiled=sum(sum(each.cache_misses.values()) for each in stats),
        read=sum(sum(each.cache_hits.values()) for each in stats),
    )
