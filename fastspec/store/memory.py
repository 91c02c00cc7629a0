"""Memory that is free, given back to the system."""

import ctypes
from contextlib import suppress


def give_back_memory() -> None:
    """Let the system have what was freed, also by threads that are gone: the C library of Linux would keep it for what is to come."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
