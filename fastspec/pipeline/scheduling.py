"""Where the tasks of a run are carried out: in this thread, in threads, in processes, on a cluster. What they write is the same."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, Union, runtime_checkable

from fastspec.corpus import Manifest
from fastspec.errors import WorkerError
from fastspec.pipeline.processes import Children
from fastspec.pipeline.tasks import Helpers, Offered, Task, check_portable, current_versions, pack, single_threaded_pools
from fastspec.pipeline.work import WINDOW, Tally, compute_each
from fastspec.timing import Stopwatch

if TYPE_CHECKING:
    from distributed import Client

Result = TypeVar("Result")
Choice = Union[str, "Client", "Scheduler"]


@runtime_checkable
class Scheduler(Protocol):
    """Carries out tasks, `at_once` of them at most in each process that computes.

    Attributes:
        sharers: processes that compute within one budget of memory.
    """

    sharers: int

    def check(self, manifest: Manifest) -> None:
        """CorpusError where workers could not open the manifest's recordings for a reason that is known before anything starts."""

    def compute_each(
        self, prepare: Callable[[int], Task[Result]], items: Sequence[int], *, tally: Tally, at_once: int, stopwatch: Stopwatch
    ) -> Iterator[Result]:
        """The results of the items' tasks, in order. A task is prepared when its turn comes, and few are there at a time.

        However the iteration ends, no worker is still at work afterwards.
        """


@contextmanager
def open_scheduler(choice: Choice = "threads", *, workers: int = 2) -> Iterator[Scheduler]:
    """The scheduler of a name: "threads", "processes" or the address of a Dask scheduler, `tcp://HOST:PORT`; or of a Dask client.

    `workers` are the threads or processes; 0 of them compute in the calling thread. A cluster has workers of its own.

    Raises:
        WorkerError: another name, no scheduler there, or a package that is not installed.
    """
    if isinstance(choice, str):
        if choice in ("threads", "processes"):
            yield InThreads(workers) if choice == "threads" or not workers else InProcesses(workers)
            return
        _check_address(choice)
    elif isinstance(choice, Scheduler):
        yield choice
        return
    from fastspec.pipeline.cluster import open_cluster

    with open_cluster(choice) as cluster:
        yield cluster


def _check_address(text: str) -> None:
    if not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d+", text):
        raise WorkerError(
            f"the scheduler {text!r} is unknown; give threads, processes, or the address of a Dask scheduler as in tcp://10.0.0.1:8786"
        )


class InThreads:
    """Threads of this process; 0 of them: the calling thread."""

    sharers = 1

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def check(self, manifest: Manifest) -> None:
        """Whatever this process can open, its threads can."""

    def compute_each(
        self, prepare: Callable[[int], Task[Result]], items: Sequence[int], *, tally: Tally, at_once: int, stopwatch: Stopwatch
    ) -> Iterator[Result]:
        """See `Scheduler`. Tasks are prepared in the threads, of which there are as many again for those that have stepped aside."""
        workers = min(self._workers, at_once)
        turns = _Turns(max(1, workers), tally, stopwatch)

        def work(item: int) -> Result:
            with turns.begin() as turn:
                turn.check()
                return prepare(item)(turn)

        with stopwatch.run(workers=max(1, workers)), single_threaded_pools(), turns:
            yield from compute_each(work, items, workers=2 * workers, tally=tally, window=WINDOW // 2)


class _Turns:
    """Turns to compute, so many at a time. Those that nobody waits for are had by helpers, who do what tasks have offered."""

    def __init__(self, workers: int, tally: Tally, stopwatch: Stopwatch) -> None:
        self.tally, self._stopwatch = tally, stopwatch
        self._free, self._waiting, self._changed = workers, 0, threading.Condition()
        self._offers: dict[Helpers, Offered] = {}
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="fastspec-helper")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown()

    def begin(self) -> "_Turn":
        """A turn, when it comes."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._free)
            self._waiting -= 1
            self._free -= 1
        return _Turn(self, self._stopwatch)

    def end(self) -> None:
        """Somebody's turn is over."""
        with self._changed:
            self._free += 1
            self._changed.notify()
            self._help()

    @contextmanager
    def offer(self, work: Offered) -> Iterator[Helpers]:
        """See `Reporter`."""
        helpers = Helpers()
        with self._changed:
            self._offers[helpers] = work
            self._help()
        try:
            yield helpers
        finally:
            with self._changed:
                self._offers.pop(helpers, None)
            wait(helpers.at_work)

    def _help(self) -> None:
        """Have the oldest offer taken up in each turn that nobody waits for."""
        while self._offers and self._free > self._waiting:
            self._free -= 1
            helpers = next(iter(self._offers))
            helpers.at_work.append(self._pool.submit(self._take_up, helpers, self._offers[helpers]))

    def _take_up(self, helpers: Helpers, work: Offered) -> None:
        with self._changed:
            pass  # whoever offered it knows of this helper, before there is anything to wait for
        with _Turn(self, self._stopwatch):
            is_left = False
            try:
                is_left = work(lambda: self._waiting > self._free)
            finally:
                if not is_left:
                    with self._changed:
                        self._offers.pop(helpers, None)


class _Turn:
    """A task's turn to compute, while which its thread is a worker; it ends with the block or before."""

    def __init__(self, turns: _Turns, stopwatch: Stopwatch) -> None:
        self._held = ExitStack()
        self._held.callback(turns.end)
        self._held.enter_context(stopwatch.worker())
        self.add, self.check, self.offer = turns.tally.add, turns.tally.check, turns.offer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.step_aside()

    def step_aside(self) -> None:
        """See `Reporter`."""
        self._held.close()


class InProcesses:
    """Processes of this machine, each looked after by a thread of this one. Progress is told of by whole tasks."""

    def __init__(self, workers: int) -> None:
        self._workers = self.sharers = workers

    def check(self, manifest: Manifest) -> None:
        """CorpusError where a function cannot be sent to another process."""
        check_portable(manifest)

    def compute_each(
        self, prepare: Callable[[int], Task[Result]], items: Sequence[int], *, tally: Tally, at_once: int, stopwatch: Stopwatch
    ) -> Iterator[Result]:
        """See `Scheduler`. Tasks are prepared in the threads, when a process is free."""
        workers, children, versions = min(self._workers, at_once), Children(), current_versions()
        tally.when_stopped(children.kill)

        def work(item: int) -> Result:
            task = prepare(item)
            result: Result = children.carry_out(pack(task), versions, name=str(task)).settle(tally, stopwatch)
            return result

        with stopwatch.run(workers=workers):
            yield from compute_each(work, items, workers=workers, tally=tally)
