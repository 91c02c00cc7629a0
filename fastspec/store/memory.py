"""Memory that is free, given back to the system."""

import ctypes
import time
from contextlib import suppress

# What is freed of fewer is not worth the time that the C library takes to look for it.
_FEW_CLIPS = 4096

_given_back_s = 0.0


def give_back_memory(n_clips: int, *, every_s: float = 0.0) -> None:
    """Let the system have what was freed of so many clips, also by threads that are gone: Linux's C library would keep it for later.

    Nothing happens where it was done less than `every_s` ago.
    """
    global _given_back_s
    if n_clips > _FEW_CLIPS and time.monotonic() - _given_back_s >= every_s:
        _given_back_s = time.monotonic()
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
