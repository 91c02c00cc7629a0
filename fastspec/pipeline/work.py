"""Work on many items through Dask: a window of tasks at a time, progress shared, an end that every worker hears of."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from uuid import uuid4

import dask

# Tasks that Dask sees at once, for each worker: enough that waiting for the last of a window costs nothing, few whatever the corpus.
WINDOW = 16

Stage = Literal["lengths", "features", "scan"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: "lengths" while recordings are measured, then "features"; "scan" by itself.
        clips: done so far, those of an earlier run that is resumed too; recordings in the stage "lengths".
        total: of them.
        new_clips: without those of an earlier run.
        failed: of the new ones, those without features.
        audio_s: seconds of audio in the others.
    """

    stage: Stage
    clips: int
    total: int
    new_clips: int
    failed: int
    audio_s: float


class Stopped(Exception):
    """The run was interrupted; a worker ends where it is."""


class Tally:
    """Progress that workers share; also where they hear that the run is over."""

    def __init__(
        self,
        stage: Stage,
        total: int,
        *,
        done: int = 0,
        clip_s: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._stage, self._total, self._done, self._clip_s = stage, total, done, clip_s or 0.0
        self._new = self._failed = 0
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._at_stop: list[Callable[[], None]] = []

    def add(self, clips: int, failed: int) -> None:
        """So many clips more. Stopped: the run is over."""
        self.check()
        with self._lock:
            self._new += clips
            self._failed += failed
            if self._on_progress:
                audio_s = self._clip_s * (self._new - self._failed)
                self._on_progress(Progress(self._stage, self._done + self._new, self._total, self._new, self._failed, audio_s))

    def check(self) -> None:
        """Stopped: the run is over."""
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """End the run: workers that ask are told."""
        self._stop.set()
        for call in self._at_stop:
            call()

    def when_stopped(self, call: Callable[[], None]) -> None:
        """`call` ends workers that cannot ask."""
        self._at_stop.append(call)


def compute_each(
    work: Callable[[int], Result], items: Sequence[int], *, workers: int, tally: Tally, window: int = WINDOW
) -> Iterator[Result]:
    """`work` of each item, in order, through Dask: `window` tasks a worker at a time; 0 workers compute in the calling thread."""
    with _scheduler(workers, tally) as options:
        for first in range(0, len(items), window * max(1, workers)):
            yield from dask.compute(*delay_each(work, items[first : first + window * max(1, workers)]), **options)


def delay_each(work: Callable[[Any], Result], items: Sequence[Any]) -> list[Any]:
    """A Dask task for each item, begun in their order: a compressed tar is read forwards.

    Dask's scheduler for threads begins independent tasks from the last name to the first.
    """
    task, run = dask.delayed(work, pure=False), uuid4().hex
    return [task(item, dask_key_name=f"{run}-{len(items) - i:09}") for i, item in enumerate(items)]


@contextmanager
def _scheduler(workers: int, tally: Tally) -> Iterator[dict[str, Any]]:
    """Dask's options; however the block is left, no worker is still at work afterwards."""
    if not workers:
        yield {"scheduler": "synchronous"}
        return
    if os.name == "posix":
        # polars has the system go on with what a Ctrl-C interrupts, and this thread would wait for a whole partition before it heard of it.
        signal.siginterrupt(signal.SIGINT, True)
    with ThreadPoolExecutor(workers, thread_name_prefix="fastspec") as pool:
        try:
            yield {"scheduler": "threads", "pool": pool}
        finally:
            tally.stop()
