"""Where the time of workers goes: each thread is in one stage at a time, so that stages add up."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, get_args

Stage = Literal["open", "decode", "resample", "features", "write", "other", "idle"]


class Stopwatch:
    """Seconds that the workers of one run spend in each stage.

    >>> watch = Stopwatch()
    >>> with watch.run(workers=1), watch.worker(), stage("decode"):
    ...     time.sleep(0.01)
    >>> watch.seconds()["decode"] >= 0.01
    True
    """

    def __init__(self) -> None:
        self._spent: dict[str, float] = dict.fromkeys(get_args(Stage), 0.0)
        self._available = 0.0
        self._lock = threading.Lock()

    @contextmanager
    def run(self, *, workers: int) -> Iterator[None]:
        """The time in which so many workers are there."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._available += workers * (time.perf_counter() - start)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Measure this thread: "other" but in a `stage`."""
        clock = _thread.clock = _Clock()
        try:
            yield
        finally:
            clock.switch("other")
            _thread.clock = None
            self.add(clock.spent)

    def add(self, seconds: Mapping[str, float]) -> None:
        """What a worker elsewhere has `spent`."""
        with self._lock:
            for name, more in seconds.items():
                self._spent[name] += more

    def spent(self) -> dict[str, float]:
        """Seconds of all workers together in each stage."""
        return dict(self._spent)

    def seconds(self) -> dict[str, float]:
        """What is `spent`; "idle" is all that is left of the time that they were there."""
        busy = sum(self._spent.values()) - self._spent["idle"]
        return self._spent | {"idle": max(0.0, self._available - busy)}


class stage:
    """This thread's time goes to a stage, and not to one around it; where nothing is measured, nothing happens."""

    __slots__ = ("_name", "_outer")

    def __init__(self, name: Stage) -> None:
        self._name: Stage = name

    def __enter__(self) -> None:
        clock = getattr(_thread, "clock", None)
        if clock is not None:
            self._outer = clock.switch(self._name)

    def __exit__(self, *_error: object) -> None:
        clock = getattr(_thread, "clock", None)
        if clock is not None:
            clock.switch(self._outer)


class _Clock:
    """One thread's."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = dict.fromkeys(get_args(Stage), 0.0)
        self._now: Stage = "other"
        self._since = time.perf_counter()

    def switch(self, name: Stage) -> Stage:
        """Go to a stage; answers the one before."""
        instant, before = time.perf_counter(), self._now
        self.spent[before] += instant - self._since
        self._now, self._since = name, instant
        return before


_thread = threading.local()
