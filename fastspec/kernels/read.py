"""Files into memory by the system's own calls, made from compiled code: a group of them in one call that holds no lock.

For each file Python would take the lock back some six times, and wait for it where another worker has it.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from fastspec.kernels.jit import entry, inline

_FUNCTIONS = ("statx", "open", "read", "close")
# Not to wait where a FIFO took the place of a file.
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
# Of Linux's statx, which is laid out alike on every processor: to look from the working folder, for type, time of change and size; where
# type, size, seconds and nanoseconds are, in words of 16, 64, 64 and 32 bits; the bits of the type, and those of a regular file.
_HERE, _WANTED, _MODE, _SIZE, _SECONDS, _NANOSECONDS, _TYPE, _REGULAR = -100, 0x241, 14, 5, 14, 30, 0o170000, 0o100000
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
    """What `read_files` and `look_at_files` work with, in one thread."""
    return np.zeros(_STATE_WORDS, np.int64)


def join_names(names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Names as the system takes them, each ended by a 0, and `(files,)` where each begins. One with a 0 in it becomes the name of no file.

    >>> [array.tolist() for array in join_names(["a", "bc"])]
    [[97, 0, 98, 99, 0], [0, 2]]
    """
    text = "\0".join(names)
    if text.count("\0") >= len(names):
        text = "\0".join("" if "\0" in name else name for name in names)
    joined = np.frombuffer(os.fsencode(text) + b"\0", np.uint8)
    return joined, np.flatnonzero(np.concatenate([[0], joined[:-1]]) == 0)


@inline
def _look(name, state):
    """Whether there is something of that name; what it is is then in `state`."""
    return _statx(_HERE, name, 0, np.uint32(_WANTED), state.ctypes.data) == 0


@inline
def _size_of(name, state):
    """Bytes of a regular file, 0 of anything else: a FIFO would hang and a device need not end, so neither is opened."""
    return state[_SIZE] if _look(name, state) and state.view(np.uint16)[_MODE] & _TYPE == _REGULAR else np.int64(0)


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

    names, places: of `join_names`. state: of `make_state`. data: uint8, written. starts:
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


@entry
def look_at_files(names, places, state, found):
    """The bytes of files, or of whatever is there, and when they were changed last, in nanoseconds; -1 where nothing is.

    names, places: of `join_names`. state: of `make_state`. found: `(files, 2)` int64, written.
    """
    for i in range(len(places)):
        found[i] = -1
        if _look(names.ctypes.data + places[i], state):
            found[i, 0] = state[_SIZE]
            found[i, 1] = state[_SECONDS] * 1_000_000_000 + state.view(np.uint32)[_NANOSECONDS]
