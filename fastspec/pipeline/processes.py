"""Processes that carry out tasks: started anew, never forked; replaced when they die; gone when the run's process is.

They are no `multiprocessing` ones, which run the user's script again: a script need not guard its main part to be run by them.
"""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, BinaryIO

from fastspec.errors import FastspecError, WorkerError
from fastspec.pipeline.tasks import Answer, carry_out
from fastspec.pipeline.work import Stopped

ATTEMPTS = 2
_PATIENCE_S = 5.0
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from fastspec.pipeline.processes import serve; serve()"


class Children:
    """Processes for any number of threads: each that has a task takes one, or starts it."""

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        self._lock = threading.Lock()
        self._is_over = False

    def carry_out(self, packed: bytes, versions: dict[str, str], *, name: str) -> Answer[Any]:
        """What a process answers. One that dies is replaced, and the task done once more.

        Raises:
            WorkerError: the task has ended two processes.
            Stopped: `kill` was called.
        """
        for _ in range(ATTEMPTS):
            child = self._take()
            try:
                answer: Answer[Any] | BaseException = child.carry_out(packed, versions)
            except _Died as error:
                death = str(error)
                with self._lock:
                    self._all.discard(child)
                continue
            with self._lock:
                self._idle.append(child)
            if isinstance(answer, BaseException):
                raise answer
            return answer
        if self._is_over:
            raise Stopped
        raise WorkerError(describe_deaths(name, f"{ATTEMPTS} processes ended there, the last by {death}"))

    def kill(self) -> None:
        """End them all, whatever they do, and start no more."""
        with self._lock:
            self._is_over = True
            children, self._all = self._all, set()
        for child in children:
            child.kill()

    def _take(self) -> "_Child":
        with self._lock:
            if self._is_over:
                raise Stopped
            if self._idle:
                return self._idle.pop()
            child = _Child()
            self._all.add(child)
            return child


def describe_deaths(name: str, what: str) -> str:
    """A task that ends workers, as one line that says how to go on."""
    return f"{name}: {what}; a recording there may crash the decoder, or memory has run out: go on with --resume and --isolate"


class _Died(Exception):
    """A process has ended before it answered."""


class _Child:
    """One process. It is told of tasks on its standard input."""

    def __init__(self) -> None:
        paths = json.dumps([path for path in sys.path if isinstance(path, str)])
        # Ctrl-C is for the run, which ends its processes: they have a group of their own where there are any.
        group: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
        self._process = subprocess.Popen([sys.executable, "-c", _START, paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **group)

    def carry_out(self, packed: bytes, versions: dict[str, str]) -> Any:
        """The answer, or the exception that came instead of one."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            pickle.dump((packed, versions), self._process.stdin)
            self._process.stdin.flush()
            return pickle.load(self._process.stdout)  # noqa: S301 - from our own process
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise _Died(self._cause_of_death()) from None

    def kill(self) -> None:
        """End it, and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        self._close()

    def _cause_of_death(self) -> str:
        try:
            code = self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._close()
        return f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with suppress(OSError):  # what was not sent yet is for nobody
                    stream.close()


# --- in the process ----------------------------------------------------------------------------------------------------------------


def serve() -> None:
    """Carry out tasks until the run's process closes the standard input, or is no more: even in the middle of one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    tasks: SimpleQueue[tuple[bytes, dict[str, str]]] = SimpleQueue()
    threading.Thread(target=_answer_all, args=(tasks, answers), daemon=True).start()
    try:
        while True:
            tasks.put(pickle.load(sys.stdin.buffer))  # noqa: S301 - from the run's process
    finally:
        os._exit(0)


def _answer_all(tasks: "SimpleQueue[tuple[bytes, dict[str, str]]]", answers: BinaryIO) -> None:
    while True:
        answer: Any
        try:
            answer = carry_out(*tasks.get())
        except BaseException as error:
            if not isinstance(error, FastspecError):
                error.add_note(f"In a worker process:\n{traceback.format_exc()}")
            answer = error
        try:
            data = pickle.dumps(answer)
        except Exception:
            data = pickle.dumps(RuntimeError(f"{answer!r} came of a task and cannot be sent"))
        with suppress(OSError):  # nobody listens: the other thread ends this process
            answers.write(data)
            answers.flush()
