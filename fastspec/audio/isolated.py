"""The other side of `isolation`: what a process for decoding does until its parent ends it, or ends."""

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from fastspec.audio.errors import AudioError
from fastspec.errors import FastspecError

# Kinds of messages to the parent. After NEED, which says how many bytes, this process waits until it is told to go on. After BROKEN, which
# says what nobody expected, it is not to be trusted with another recording.
READY, BEGUN, ALIVE, ITEM, ERROR, DONE, NEED, FREED, BROKEN = range(9)
_ALIVE_EVERY_S = 0.05


def main() -> None:
    """Do what the parent sends over the socket that is standard input, one job after another."""
    import resource  # which is not everywhere, and this process is only where it is

    parent = Connection(os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # or each bad file would leave a dump of this process
    jobs: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_listen, args=(parent, jobs), daemon=True).start()
    _send(parent, READY)
    while True:
        _work(jobs.get(), parent, wait=jobs.get)


def _listen(parent: Connection, jobs: "SimpleQueue[bytes]") -> None:
    """Take jobs until the parent is gone, however it ended; then this process ends too, whatever it is at."""
    try:
        while True:
            jobs.put(parent.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)


def _send(parent: Connection, kind: int, value: Any = None) -> None:
    try:
        parent.send((kind, value))
    except OSError:
        os._exit(0)


def _work(job: bytes, parent: Connection, *, wait: Callable[[], object]) -> None:
    """Send what a function gives for a recording, item by item where it is an iterator."""
    try:
        function, source, options, asks = pickle.loads(job)  # noqa: S301 - from the parent, over a socket that nobody else has
        _send(parent, BEGUN)
        if asks:
            options["reserve"] = partial(_reserve_there, parent, wait)
        found = function(source() if callable(source) else source, **options, on_block=_make_pulse(parent))
        for item in found if isinstance(found, Iterator) else [found]:
            _send(parent, ITEM, item)
    except FastspecError as error:  # of one recording: a status and a reason
        _send(parent, ERROR, AudioError(*error.args))
    except Exception as error:
        _send(parent, BROKEN, f"decoding raised {type(error).__name__}: {' '.join(str(error).split())}")
    else:
        _send(parent, DONE)


@contextmanager
def _reserve_there(parent: Connection, wait: Callable[[], object], size: int) -> Iterator[None]:
    """Have so many bytes of the parent's memory, as soon as it has them."""
    _send(parent, NEED, size)
    wait()
    try:
        yield
    finally:
        _send(parent, FREED)


def _make_pulse(parent: Connection) -> Callable[[], None]:
    """What is called after each block tells the parent now and then that decoding goes on."""
    told = monotonic()

    def pulse() -> None:
        nonlocal told
        if monotonic() - told > _ALIVE_EVERY_S:
            told = monotonic()
            _send(parent, ALIVE)

    return pulse
