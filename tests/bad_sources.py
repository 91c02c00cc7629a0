"""Recordings that are made by functions, in whatever process decodes them; some of them bring it down."""

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16000
_poisoned = False


def noise(seed: int) -> np.ndarray:
    """A second of it."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, RATE).astype(np.float32)


def told_noise(seed: int, folder: Path) -> np.ndarray:
    """Noise; a file in the folder says which process made it."""
    (folder / f"{seed}-{os.getpid()}").touch()
    return noise(seed)


def unreadable() -> np.ndarray:
    raise ValueError("no sound today")


def segfault() -> np.ndarray:
    os.kill(os.getpid(), signal.SIGSEGV)
    return noise(0)


def abort() -> np.ndarray:
    os.abort()


def exit_at_once() -> np.ndarray:
    os._exit(3)


def exit_politely() -> np.ndarray:
    sys.exit(4)


def killed() -> np.ndarray:
    """As by a system that is out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return noise(0)


def too_much() -> np.ndarray:
    """A limit on memory that what comes after exceeds."""
    samples = np.zeros(50_000_000, np.float32)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 20, resource.RLIM_INFINITY))
    return samples


def much_noise() -> np.ndarray:
    """More memory than a process has that is at its limit."""
    return np.resize(noise(3), 4_000_000)


def hang() -> np.ndarray:
    time.sleep(1_000_000)
    return noise(0)


def poison() -> np.ndarray:
    """Whole itself, but it damages the process for others."""
    global _poisoned
    _poisoned = True
    return noise(1)


def fragile() -> np.ndarray:
    """Whole, unless the process is damaged."""
    return segfault() if _poisoned else noise(2)


# --- what is called with a source, as decoding is -----------------------------------------------------------------------------------


def process_id(_source: object, *, on_block: Callable[[], None]) -> int:
    on_block()
    return os.getpid()


def count_until_crash(_source: object, *, on_block: Callable[[], None]) -> Iterator[Any]:
    on_block()
    yield from range(3)
    os.abort()


def go_on_slowly(_source: object, *, on_block: Callable[[], None]) -> str:
    """Long, but a block after another."""
    for _ in range(20):
        time.sleep(0.2)
        on_block()
    return "done"
