"""Files into memory by the system's own calls, made from compiled code: a group of them in one call that holds no lock.

For each file Python would take the lock back some five times, and wait for it where another worker has it.
"""

import ctypes
import os

import llvmlite.binding
import numba
from numba import types

from fastspec.kernels.jit import entry

_FUNCTIONS = ("open", "lseek", "read", "close")
# Not to wait where a FIFO took the place of a file.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_START, _END = 0, 2  # SEEK_SET, SEEK_END


def _find_functions() -> bool:
    """Tell LLVM where the functions are in the C library that this process runs on."""
    if os.name != "posix":
        return False
    library = ctypes.CDLL(None)
    for name in _FUNCTIONS:
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        llvmlite.binding.add_symbol(f"fastspec_{name}", address)
    return True


_FOUND = _find_functions()


def can_read() -> bool:
    """Whether files can be read here: the JIT is enabled, on a POSIX system."""
    return _FOUND and not numba.config.DISABLE_JIT


# Pointers go as integers.
_open = types.ExternalFunction("fastspec_open", types.int32(types.intp, types.int32))
_lseek = types.ExternalFunction("fastspec_lseek", types.int64(types.int32, types.int64, types.int32))
_read = types.ExternalFunction("fastspec_read", types.int64(types.int32, types.intp, types.int64))
_close = types.ExternalFunction("fastspec_close", types.int32(types.int32))


@entry
def read_files(names, places, flags, first, data, starts) -> int:
    """Files into `data`, from the `first` on while there is room; answers the first that there was none for.

    names: uint8, each ended by a 0. places: `(files,)` int64, where each begins. data: uint8, written. starts: `(files + 1,)` int64,
    written from `first` on: where each file begins in it. One that cannot be read whole, or has no room alone, gets no bytes.
    """
    starts[first] = 0
    for i in range(first, len(places)):
        at = starts[i]
        starts[i + 1] = at
        file = _open(names.ctypes.data + places[i], flags)
        if file < 0:
            continue
        size = _lseek(file, 0, _END)
        fits = 0 < size <= len(data) - at
        if fits and _lseek(file, 0, _START) == 0:
            done, count = 0, 1
            while done < size and count > 0:
                count = _read(file, data.ctypes.data + at + done, size - done)
                done += max(0, count)
            if done == size:
                starts[i + 1] = at + size
        _close(file)
        if size > 0 and not fits and at > 0 and size <= len(data):
            return i
    return len(places)
