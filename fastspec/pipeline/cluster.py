"""Tasks on a Dask cluster: a window of them at a time, as wide as the workers that are there."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar, Union
from uuid import uuid4

import dask

from fastspec.corpus import Manifest
from fastspec.errors import WorkerError, counted
from fastspec.installation import extra_command
from fastspec.pipeline.processes import describe_deaths
from fastspec.pipeline.tasks import Answer, Task, carry_out, check_portable, current_versions, pack
from fastspec.pipeline.work import Tally
from fastspec.timing import Stopwatch

if TYPE_CHECKING:
    from distributed import Client, Future

Result = TypeVar("Result")

CONNECT_S = 10.0
LONGEST_WAIT_S = 60.0
# Tasks for each that a worker carries out at once: the next one is there when it ends.
AHEAD = 2
_TICK_S = 0.5
_END_S = 10.0
# What Dask would say of tasks of some megabytes: that they were better sent once, which rows of a manifest cannot be.
_CONFIG = {"distributed.admin.large-graph-warning-threshold": "1GiB"}


@contextmanager
def open_cluster(choice: Union[str, "Client"]) -> Iterator["Cluster"]:
    """The cluster of a Dask client, or of the scheduler at an address.

    Raises:
        WorkerError: it cannot be reached, or the package `distributed` is not installed.
    """
    try:
        from distributed import Client
    except ImportError:
        raise WorkerError(
            f"a cluster needs the package distributed, which is not installed: {extra_command('cluster')}, here and on all workers"
        ) from None
    if not isinstance(choice, str):
        if not isinstance(choice, Client) or choice.asynchronous:
            raise WorkerError(f"the scheduler is {choice!r}; give threads, processes, an address, or a Client that is not asynchronous")
        yield Cluster(choice)
        return
    with _quiet():
        yield from _connect(choice)


def _connect(address: str) -> Iterator["Cluster"]:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False, name="fastspec")
    except (OSError, ValueError) as error:
        raise WorkerError(
            f"no Dask scheduler answers at {address} ({' '.join(str(error).split())}); "
            f"start one by 'dask scheduler', workers by 'dask worker {address}'"
        ) from None
    try:
        yield Cluster(client)
    finally:
        client.close(timeout=_TICK_S)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let our own client log nothing: what there is to say is in the errors."""
    loggers = [logging.getLogger(f"distributed.{name}") for name in ("client", "utils", "comm")]
    before = [logger.disabled for logger in loggers]
    try:
        for logger in loggers:
            logger.disabled = True
        yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


class Cluster:
    """A Dask cluster. Progress is told of by whole tasks."""

    sharers = 1  # each process of it has the memory that the run is given

    def __init__(self, client: "Client") -> None:
        self._client = client

    def check(self, manifest: Manifest) -> None:
        """CorpusError where a function cannot be sent to another process."""
        check_portable(manifest)

    def compute_each(
        self, prepare: Callable[[int], Task[Result]], items: Sequence[int], *, tally: Tally, at_once: int, stopwatch: Stopwatch
    ) -> Iterator[Result]:
        """See `fastspec.pipeline.scheduling.Scheduler`. Tasks are prepared here, those of the window; `at_once` is for each worker.

        Raises:
            WorkerError: the scheduler is lost, there are no workers, one of them has other versions, or several died at one task.
        """
        run = _Run(self._client, at_once)
        try:
            with stopwatch.run(workers=run.workers()):
                yield from run.compute_each(prepare, items, tally, stopwatch)
        finally:
            tally.stop()
            run.end()


class _Run:
    """One run's tasks on a cluster."""

    def __init__(self, client: "Client", at_once: int) -> None:
        self._client, self._at_once = client, at_once
        self._name = f"fastspec-{uuid4().hex}"
        self._finished: SimpleQueue[Future[Answer[Any]]] = SimpleQueue()
        self._under_way: dict[str, tuple[int, str, Future[Answer[Any]]]] = {}
        self._workers, self._seen_at, self._counted_at = 0, time.monotonic(), 0.0

    def compute_each(
        self, prepare: Callable[[int], Task[Result]], items: Sequence[int], tally: Tally, stopwatch: Stopwatch
    ) -> Iterator[Result]:
        """The results in order; those that come early are kept until it is their turn."""
        versions, begun, given = current_versions(), 0, 0
        early: dict[int, Result] = {}
        while given < len(items):
            while begun < len(items) and len(self._under_way) < AHEAD * max(1, self._workers):
                self._submit(begun, prepare(items[begun]), versions)
                begun += 1
            for position, answer in self._wait():
                early[position] = answer.settle(tally, stopwatch)
            while given in early:
                yield early.pop(given)
                given += 1

    def workers(self) -> int:
        """Count how many tasks the workers that are there now carry out at once.

        Raises:
            WorkerError: the scheduler is lost, or there have been no workers for long.
        """
        if self._client.status != "running":
            raise self._lost("the connection has ended")
        try:
            threads = self._client.nthreads()
        except (OSError, TimeoutError) as error:
            raise self._lost(error) from None
        self._workers, self._counted_at = sum(min(n, self._at_once) for n in threads.values()), time.monotonic()
        if self._workers:
            self._seen_at = self._counted_at
        elif self._counted_at > self._seen_at + LONGEST_WAIT_S:
            address = self._client.scheduler.address
            raise WorkerError(
                f"the cluster at {address} has had no workers for {LONGEST_WAIT_S:g} s; start some by 'dask worker {address}', "
                "then go on with --resume"
            )
        return self._workers

    def end(self) -> None:
        """Have what is under way dropped, and wait until no worker is at it: the store may be somebody else's then."""
        if not self._under_way:
            return
        # A scheduler that is gone has nothing under way; workers that it left see for themselves when the store is another's.
        with suppress(Exception):
            self._client.cancel([future for _, _, future in self._under_way.values()], force=True)
            deadline = time.monotonic() + _END_S
            while self._client.status == "running" and time.monotonic() < deadline:
                if not sum(self._client.run(_end_run, self._name, on_error="ignore").values()):
                    break
                time.sleep(_TICK_S / 10)

    def _submit(self, position: int, task: Task[Any], versions: dict[str, str]) -> None:
        packed, key = pack(task), f"{self._name}-{position}"
        try:
            with dask.config.set(_CONFIG):
                future = self._client.submit(
                    _carry_out, packed, versions, self._name, self._at_once, key=key, priority=-position, pure=False
                )
        except Exception as error:  # Dask raises nothing more exact on a connection that has ended
            if self._client.status == "running":
                raise
            raise self._lost(error) from None
        self._under_way[key] = position, str(task), future
        future.add_done_callback(self._finished.put)

    def _wait(self) -> Iterator[tuple[int, Answer[Any]]]:
        """What has come within a moment; then the workers are counted anew."""
        with suppress(Empty):
            future = self._finished.get(timeout=_TICK_S)
            while True:
                position, name, _ = self._under_way[future.key]
                answer = self._answer(future, name)
                del self._under_way[future.key]
                yield position, answer
                future = self._finished.get_nowait()
        if time.monotonic() > self._counted_at + _TICK_S:
            self.workers()

    def _answer(self, future: "Future[Answer[Any]]", name: str) -> Answer[Any]:
        from distributed import CancelledError, KilledWorker
        from distributed.comm import CommClosedError

        try:
            answer: Answer[Any] = future.result()
        except KilledWorker as error:
            raise WorkerError(describe_deaths(name, f"{counted(error.allowed_failures + 1, 'worker')} ended that had it")) from None
        except (CancelledError, OSError, TimeoutError) as error:
            # No task raises that a connection was closed; the client may not know yet.
            if isinstance(error, CancelledError | CommClosedError) or self._client.status != "running":
                raise self._lost(error) from None
            raise
        except ImportError as error:
            raise WorkerError(f"a worker cannot import what computes here ({error}); install the same fastspec on all workers") from None
        return answer

    def _lost(self, reason: Exception | str) -> WorkerError:
        return WorkerError(
            f"the Dask scheduler is lost ({' '.join(str(reason).split())[:200]}); "
            "what is committed is kept: start it again and go on with --resume"
        )


# --- in the workers ----------------------------------------------------------------------------------------------------------------


class _RunHere:
    """A run, as a worker knows it."""

    def __init__(self, at_once: int) -> None:
        self.room = threading.Semaphore(at_once)
        self.at_work = 0
        self.is_over = False


_runs: dict[str, _RunHere] = {}
_runs_lock = threading.Lock()


def _carry_out(packed: bytes, versions: dict[str, str], run: str, at_once: int) -> Answer[Any]:
    """A task of a run, when this process has room for it."""
    with _runs_lock:
        here = _runs.setdefault(run, _RunHere(at_once))
        here.at_work += 1
    try:
        with here.room:
            return carry_out(packed, versions, lambda: here.is_over)
    finally:
        with _runs_lock:
            here.at_work -= 1


def _end_run(run: str) -> int:
    """Tell this process that a run is over; how many of its tasks are still here."""
    with _runs_lock:
        here = _runs.setdefault(run, _RunHere(1))
        here.is_over = True
        return here.at_work
