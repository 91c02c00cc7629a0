"""A task that travels: packed where the run is, carried out by a worker that is checked first, answered with what the run has to know."""

import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import cloudpickle
import soundfile
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fastspec.corpus import Manifest
from fastspec.corpus.samples import Samples
from fastspec.errors import CorpusError, WorkerError
from fastspec.frontend import kernel_target
from fastspec.pipeline.work import Stopped, Tally
from fastspec.timing import Stopwatch

Result = TypeVar("Result")
Offered = Callable[[Callable[[], bool]], bool]
Result_co = TypeVar("Result_co", covariant=True)


class Helpers:
    """Workers that are at what a task has offered, or were."""

    def __init__(self) -> None:
        self.at_work: list[Future[None]] = []

    def wait(self) -> None:
        """Until all of them are done. What one of them raised is raised."""
        for helper in self.at_work:
            helper.result()


class Reporter(Protocol):
    """What a task is given: it tells of each group of clips, and hears there that the run is over."""

    def step_aside(self) -> None:
        """From here on it waits for a disk: another task may compute."""

    def offer(self, work: Offered, /) -> AbstractContextManager[Helpers]:
        """Some of the task's work, which other workers do when they have nothing else to do; none of them is at it after the block.

        `work` does what is left, and is given what tells whether its worker is wanted elsewhere: then it ends. It answers whether
        something is left.
        """

    def add(self, clips: int, failed: int) -> None:
        """So many clips more, told of by any of the workers. Stopped: the run is over."""

    def check(self) -> None:
        """Stopped: the run is over."""


class Task(Protocol[Result_co]):
    """One item's work. `str()` of it says in an error which it was."""

    def __call__(self, reporter: Reporter) -> Result_co:
        """Do it."""


class Counts:
    """The clips of one task, counted where it is carried out."""

    def __init__(self, is_over: Callable[[], bool]) -> None:
        self.clips = self.failed = 0
        self._is_over = is_over

    def step_aside(self) -> None:
        """The next task is sent when this one has answered."""

    @contextmanager
    def offer(self, work: Offered, /) -> Iterator[Helpers]:  # noqa: ARG002 - nobody is there to take it up
        """A process has one worker."""
        yield Helpers()

    def add(self, clips: int, failed: int) -> None:
        """So many clips more. Stopped: the run is over."""
        self.check()
        self.clips += clips
        self.failed += failed

    def check(self) -> None:
        """Stopped: the run is over."""
        if self._is_over():
            raise Stopped


class Answer(NamedTuple, Generic[Result]):
    """What a worker sends back.

    Attributes:
        result: of the task.
        clips: that it told of.
        failed: those of them without features.
        seconds: that it spent in each stage.
    """

    result: Result
    clips: int
    failed: int
    seconds: dict[str, float]

    def settle(self, tally: Tally, stopwatch: Stopwatch) -> Result:
        """Tell the run; what was its result."""
        tally.add(self.clips, self.failed)
        stopwatch.add(self.seconds)
        return self.result


def current_versions() -> dict[str, str]:
    """Versions of everything that decides a bit of a feature."""
    names = ("fastspec", "numba", "numpy", "soxr")
    libraries = {"libsndfile": soundfile.__libsndfile_version__, "kernel": kernel_target()}
    return {**{name: _installed(name) for name in names}, **libraries}


@cache
def _installed(name: str) -> str:
    return version(name)


def pack(task: Task[Any]) -> bytes:
    """A task as bytes.

    Raises:
        CorpusError: it holds a function that cannot leave this process.
    """
    try:
        packed: bytes = cloudpickle.dumps(task)
    except Exception as error:  # pickling calls what objects say that reproduces them: it may raise anything
        raise CorpusError(_not_portable(str(task), error)) from None
    return packed


def check_portable(manifest: Manifest) -> None:
    """CorpusError where a function that gives samples cannot be sent to another process."""
    if isinstance(manifest.recordings, Samples):
        for name, (source, _) in manifest.recordings.sources.items():
            if callable(source):
                try:
                    cloudpickle.dumps(source)
                except Exception as error:
                    raise CorpusError(_not_portable(f"the function of {name!r}", error)) from None


def _not_portable(what: str, error: Exception) -> str:
    return (
        f"{what} cannot be sent to another process: {' '.join(str(error).split())}; "
        "give arrays, or functions that hold nothing but data, or compute in threads"
    )


def carry_out(packed: bytes, versions: dict[str, str], is_over: Callable[[], bool] = lambda: False) -> Answer[Any]:
    """What `pack` packed, done here: what computes is compared before anything is unpacked.

    Raises:
        WorkerError: other versions compute here than those of the run, or something that the task needs is not here.
    """
    _refuse_others(versions)
    try:
        task = pickle.loads(packed)  # noqa: S301 - from the run that this worker belongs to
    except (ImportError, AttributeError, OSError) as error:
        raise WorkerError(
            f"{_here()} cannot take up its task: {' '.join(str(error).split())}; workers need to find the same modules and files as the run"
        ) from None
    counts, stopwatch = Counts(is_over), Stopwatch()
    with single_threaded_pools(), stopwatch.worker():
        result = task(counts)
    return Answer(result, counts.clips, counts.failed, stopwatch.spent())


def _refuse_others(versions: dict[str, str]) -> None:
    here = current_versions()
    differences = [f"{name} {here.get(name)} instead of {versions[name]}" for name in versions if here.get(name) != versions[name]]
    if differences:
        raise WorkerError(
            f"{_here()} would give other bits, it has {', '.join(differences)}; "
            "give all workers the versions and the kind of processor that the run has, then go on with --resume"
        )


def _here() -> str:
    return f"the worker on {socket.gethostname()} (process {os.getpid()})"


_pools_lock = threading.Lock()
_pools_users = 0
_pools_limit: Any = None


@contextmanager
def single_threaded_pools() -> Iterator[None]:
    """BLAS and OpenMP compute in the thread that calls them, as long as anybody in this process is here: parallelism comes from tasks."""
    global _pools_users, _pools_limit
    with _pools_lock:
        if not _pools_users:
            _pools_limit = threadpool_limits(1)
        _pools_users += 1
    try:
        yield
    finally:
        with _pools_lock:
            _pools_users -= 1
            if not _pools_users:
                _pools_limit.restore_original_limits()
