"""Decoding in processes that may crash, hang or be killed: each is replaced, and the recording alone is lost."""

import math
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from functools import lru_cache
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Self

import cloudpickle

from fastspec.audio.errors import AudioError
from fastspec.audio.isolated import BROKEN, DONE, ERROR, FREED, ITEM, NEED, READY
from fastspec.errors import FastspecError

TIMEOUT_S = 60.0
# A process takes about a second to start: seldom enough for that not to count.
FILES_EACH = 4000
ISOLATION_POSSIBLE = os.name == "posix"  # elsewhere a process has no socket for its standard input

Reserve = Callable[[int], AbstractContextManager[None]]

_START_S, _END_S = 120.0, 10.0
_LISTEN_S = 0.1
_MAIN = "import sys; sys.path[:] = {path!r}; from fastspec.audio.isolated import main; main()"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


class Isolated(NamedTuple):
    """A recording that is decoded in another process: a file, its bytes, or a function that gives one of them there."""

    source: Path | bytes | Callable[[], Path | bytes]
    decoders: "Decoders"

    def stream(
        self, function: Callable[..., Any], *, on_block: Callable[[], None] | None, reserve: Reserve | None = None, **options: Any
    ) -> Generator[Any]:
        """What `function(source, on_block=…, **options)` yields there, as soon as it does.

        `on_block` is called here, after some blocks and while nothing comes; what it raises ends the work and the process. `reserve`, if
        given, is given to the function too: what it reserves there is entered here, and left before the next item comes.

        Raises:
            AudioError: what the function raises; "crashed": the process ended; "timeout": nothing came for too long.
        """
        job = cloudpickle.dumps((function, self.source, options, reserve is not None))
        return self.decoders.stream(job, on_block or _nothing, reserve or _without)

    def call(self, function: Callable[..., Any], *, on_block: Callable[[], None] | None, **options: Any) -> Any:
        """What the function returns there; AudioError as `stream` has it."""
        with closing(self.stream(function, on_block=on_block, **options)) as results:
            return next(results)


class Decoders:
    """Processes for decoding, spawned when they are needed: as many as threads ask at once.

    Each has one recording at a time, and is replaced when it crashed, hung, or decoded many. They end with the block, with this object, or
    with the process that it is in, however that ends.

    Args:
        timeout_s: how long a decoder may take for a block of 65,536 frames, or to begin. The time that this process spends elsewhere, or
            is suspended, does not count.
        files_each: recordings that a process decodes before it is replaced.

    Raises:
        FastspecError: a time-out that is not positive; later: a process cannot be started.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S, files_each: int = FILES_EACH) -> None:
        if not 0 < timeout_s < math.inf:
            raise FastspecError(f"the time-out is {timeout_s:g} s; give the seconds that a decoder may hang, more than 0")
        self._timeout_s, self._files_each = timeout_s, files_each
        self._idle: list[_Decoder] = []
        self._living: set[_Decoder] = set()
        self._end = weakref.finalize(self, _end_all, self._living)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        self._idle.clear()
        self._end()

    def __reduce__(self) -> tuple[Callable[..., "Decoders"], tuple[float, int]]:
        return _decoders, (self._timeout_s, self._files_each)

    def stream(self, job: bytes, on_block: Callable[[], None], reserve: Reserve) -> Generator[Any]:
        """The items of a job, as `Isolated.stream` has it.

        What kills a process that decoded others before may be what they left in it: only a new one tells, to which the job is given again.
        """
        given = 0
        while True:
            with self._borrowed() as decoder:
                is_new = decoder.files == 0
                try:
                    for item in islice(decoder.do(job, on_block, reserve), given, None):
                        given += 1
                        yield item
                    return
                except _DecoderDied as death:
                    if is_new:
                        raise AudioError("crashed", str(death)) from None

    @contextmanager
    def _borrowed(self) -> Iterator["_Decoder"]:
        try:
            decoder = self._idle.pop()
        except IndexError:
            decoder = _Decoder(self._timeout_s)
            self._living.add(decoder)
        try:
            decoder.wait_until_ready()
            yield decoder
        finally:
            if decoder.comes_to_rest() and decoder.files < self._files_each:
                self._idle.append(decoder)
            else:
                self._living.discard(decoder)
                decoder.end()


@lru_cache(maxsize=1)
def _decoders(timeout_s: float, files_each: int) -> Decoders:
    """Those of a worker elsewhere, the same for all of its tasks; they end with it."""
    return Decoders(timeout_s=timeout_s, files_each=files_each)


def _end_all(living: set["_Decoder"]) -> None:
    while living:
        living.pop().end()


def _nothing() -> None:
    pass


def _without(_size: int) -> AbstractContextManager[None]:
    return nullcontext()


class _DecoderDied(Exception):
    """A process has ended, or can no longer be trusted; the message says how."""


class _Decoder:
    """One process.

    Attributes:
        files: that it was given.
        is_at_rest: whether it waits for a job.
    """

    def __init__(self, timeout_s: float) -> None:
        self.files, self.is_at_rest = 0, False
        self._timeout_s = timeout_s
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # In a session of its own it hears no Ctrl-C. What functions print goes to stderr.
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _MAIN.format(path=sys.path)],
                    stdin=theirs.fileno(),
                    stdout=2,
                    start_new_session=True,
                    env=os.environ | _ONE_THREAD,
                )
            except OSError as error:
                ours.close()
                raise FastspecError(f"a process for decoding cannot be started: {error.strerror}; use fewer workers") from None
        self._connection = Connection(ours.detach())

    def wait_until_ready(self) -> None:
        """Return when it waits for a job. Its time-out begins after that."""
        if self.is_at_rest:
            return
        try:
            self._receive(_START_S, _nothing)
        except (TimeoutError, _DecoderDied) as error:
            reason = f"it was not ready after {_START_S:g} s" if isinstance(error, TimeoutError) else str(error)
            raise FastspecError(f"a process for decoding did not start: {reason}; go on with --resume") from None
        self.is_at_rest = True

    def do(self, job: bytes, on_block: Callable[[], None], reserve: Reserve) -> Iterator[Any]:
        """The items of a job."""
        self.files += 1
        self.is_at_rest = False
        self._send(job)
        kind, limit_s = READY, _START_S  # until it is begun: what a function needs may have to be imported first
        with ExitStack() as reserved:
            while kind != DONE:
                try:
                    kind, value = self._receive(limit_s, on_block)
                except TimeoutError:
                    raise AudioError("timeout", f"the decoder gave nothing for {limit_s:g} s and was ended") from None
                limit_s = self._timeout_s
                self.is_at_rest = kind in (DONE, ERROR)
                if kind == ERROR:
                    raise value
                if kind == BROKEN:
                    raise _DecoderDied(value)
                if kind == ITEM:
                    yield value
                elif kind == NEED:
                    reserved.enter_context(reserve(value))
                    self._send(b"")
                elif kind == FREED:
                    reserved.close()
                else:
                    on_block()

    def _send(self, data: bytes) -> None:
        try:
            self._connection.send_bytes(data)
        except OSError:
            raise _DecoderDied(self._how_it_ended()) from None

    def comes_to_rest(self) -> bool:
        """Whether it waits for a job, or is about to: who has all items of a job need not have heard that there are no more."""
        if not self.is_at_rest:
            with suppress(TimeoutError, _DecoderDied):
                self.is_at_rest = self._receive(_LISTEN_S, _nothing)[0] == DONE
        return self.is_at_rest

    def _receive(self, limit_s: float, on_wait: Callable[[], None]) -> tuple[int, Any]:
        # Short waits are counted, not the clock asked: it runs on while this process is suspended, and the other is not to blame.
        step_s = min(_LISTEN_S, limit_s)
        for _ in range(math.ceil(limit_s / step_s)):
            try:
                if self._connection.poll(step_s):
                    message: tuple[int, Any] = self._connection.recv()
                    return message
            except (EOFError, OSError):
                raise _DecoderDied(self._how_it_ended()) from None
            on_wait()
        raise TimeoutError

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(timeout=_END_S)
        except subprocess.TimeoutExpired:  # it closed the socket and lives on
            self._process.kill()
            code = self._process.wait()
        if code >= 0:
            return f"the decoder ended with exit code {code}"
        name = {known.value: known.name for known in signal.Signals}.get(-code, f"signal {-code}")
        return f"the decoder was ended by {name}" + (", as the system does when memory runs out" if name == "SIGKILL" else "")

    def end(self) -> None:
        """End the process, whatever it is at."""
        self._connection.close()
        self._process.kill()
        self._process.wait()
