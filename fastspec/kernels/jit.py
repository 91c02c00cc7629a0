"""All numba policy in one place: options, and a cache that is never stale and never shared half-written.

Tried and lost: `parallel=True` (aborts under several calling threads), `fastmath=True` (erases NaN tests), `cache=True` (does not see
edits in another file, the lane count, or bounds checks).
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import platformdirs
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.dispatcher import Dispatcher

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
    if isinstance(dispatcher, Dispatcher) and _cache_directory() is not None:
        dispatcher._cache = _KernelCache(function)  # type: ignore[attr-defined]
    return dispatcher  # type: ignore[no-any-return]


@cache
def _cache_directory() -> Path | None:
    """Where compiled kernels are kept, one folder a state of the source; None where nothing is writable."""
    root = os.environ.get("FASTSPEC_CACHE") or platformdirs.user_cache_dir("fastspec", appauthor=False)
    directory = Path(root) / "kernels" / _source_digest()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return directory if os.access(directory, os.W_OK) else None


@cache
def _source_digest() -> str:
    """Digest of everything that numba's own cache key overlooks: all files of this room, its version, its options and its switches."""
    digest = hashlib.sha256(f"{numba.__version__} {sorted(FAST_MATH)} {numba.config.BOUNDSCHECK}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


class _Locator:
    """Tells numba to keep a function in `_cache_directory()`. Its files are replaced atomically, and an entry has one signature a CPU,
    so that processes which compile at once write the same thing."""

    def get_cache_path(self) -> str:
        return str(_cache_directory())

    def ensure_cache_path(self) -> None:
        """The directory was made when the entry was."""

    def get_source_stamp(self) -> str:
        return _source_digest()

    def get_disambiguator(self) -> None:
        return None

    @classmethod
    def from_function(cls, _function: Callable[..., Any], _file: str) -> "_Locator":
        return cls()


class _KernelCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _KernelCache(FunctionCache):  # type: ignore[misc]
    _impl_class = _KernelCacheImpl
