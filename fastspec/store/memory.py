"""Memory that is free, given back to the system."""

import ctypes
from contextlib import suppress

# What is freed of fewer is not worth the time that the C library takes to look for it.
_FEW_CLIPS = 4096


def give_back_memory(n_clips: int) -> None:
    """Let the system have what was freed of so many clips, also by threads that are gone: Linux's C library would keep it for later."""
    if n_clips > _FEW_CLIPS:
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)
