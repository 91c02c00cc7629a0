"""Files into memory by the system's own calls, made from compiled code: a group of them in one call that holds no lock.

For each file Python would take the lock back some six times, and wait for it where another worker has it.
"""

import ctypes
import os
import sys

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from fastspec.kernels.jit import entry, inline

_FUNCTIONS = ("statx", "open", "read", "close")
# Not to wait where a FIFO took the place of a file.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
# Of Linux's statx, which is laid out alike on every processor: to look from the working folder, for type and size; where they are, in
# words of 16 and of 64 bits; the bits of the type, and those of a regular file.
_HERE, _WANTED, _MODE, _SIZE, _TYPE, _REGULAR = -100, 0x201, 14, 5, 0o170000, 0o100000
_STATE_WORDS = 32


def _find_functions() -> bool:
    """Tell LLVM where the functions are in the C library that this process runs on; false where it lacks one."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not all(hasattr(library, name) for name in _FUNCTIONS):
        return False
    for name in _FUNCTIONS:
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        llvmlite.binding.add_symbol(f"fastspec_{name}", address)
    return True


_FOUND = _find_functions()


def can_read() -> bool:
    """Whether files can be read here: the JIT is enabled, on a Linux whose C library knows `statx`."""
    return _FOUND and not numba.config.DISABLE_JIT


# Pointers go as integers.
_statx = types.ExternalFunction("fastspec_statx", types.int32(types.int32, types.intp, types.int32, types.uint32, types.intp))
_open = types.ExternalFunction("fastspec_open", types.int32(types.intp, types.int32))
_read = types.ExternalFunction("fastspec_read", types.int64(types.int32, types.intp, types.int64))
_close = types.ExternalFunction("fastspec_close", types.int32(types.int32))


def make_state() -> NDArray[np.int64]:
    """What `read_files` works with."""
    return np.zeros(_STATE_WORDS, np.int64)


@inline
def _size_of(name, state):
    """Bytes of a regular file, 0 of anything else: a FIFO would hang and a device need not end, so neither is opened."""
    if _statx(_HERE, name, 0, np.uint32(_WANTED), state.ctypes.data) != 0:
        return np.int64(0)
    return state[_SIZE] if state.view(np.uint16)[_MODE] & _TYPE == _REGULAR else np.int64(0)


@inline
def _read_whole(name, flags, target, size):
    """Whether so many bytes of a file were read to an address."""
    file = _open(name, flags)
    if file < 0:
        return False
    done, count = np.int64(0), np.int64(1)
    while done < size and count > 0:
        count = _read(file, target + done, size - done)
        done += max(np.int64(0), count)
    _close(file)
    return done == size


@entry
def read_files(names, places, flags, first, state, data, starts) -> int:
    """Files into `data`, from the `first` on while there is room; answers the first that there was none for.

    names: uint8, each ended by a 0. places: `(files,)` int64, where each begins. state: of `make_state`. data: uint8, written. starts:
    `(files + 1,)` int64, written from `first` on: where each file begins in it. One that is not regular, cannot be read whole, or has no
    room alone, gets no bytes.
    """
    starts[first] = 0
    for i in range(first, len(places)):
        at, name = starts[i], names.ctypes.data + places[i]
        size = _size_of(name, state)
        if at > 0 and len(data) - at < size <= len(data):
            return i
        fits = 0 < size <= len(data) - at
        starts[i + 1] = at + size if fits and _read_whole(name, flags, data.ctypes.data + at, size) else at
    return len(places)
