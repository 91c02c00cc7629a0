"""Memory that workers share: as many of them as it has room for, and who needs more of it than is left waits for the others."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from uuid import uuid4

from fastspec.errors import FastspecError

_REMEMBERED = 64


class Budget:
    """So many bytes for what a run cannot know before it opens a recording: samples at its own rate, in all its channels.

    >>> budget = Budget(100)
    >>> with budget.reserve(70):
    ...     budget.left
    30
    >>> budget.left
    100
    """

    def __init__(self, size: int) -> None:
        self._size = self.left = size
        self._freed = threading.Condition()
        self._name = uuid4().hex

    def __reduce__(self) -> tuple[Callable[[str, int], "Budget"], tuple[str, int]]:
        return _budget_here, (self._name, self._size)

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Have so many bytes, as soon as they are left. More than there are altogether is all of them: what is so large goes alone.

        A thread that has some asks for no more: so nobody waits for ever.
        """
        size = min(size, self._size)
        with self._freed:
            self._freed.wait_for(lambda: self.left >= size)
            self.left -= size
        try:
            yield
        finally:
            with self._freed:
                self.left += size
                self._freed.notify_all()


@lru_cache(_REMEMBERED)
def _budget_here(_name: str, size: int) -> Budget:
    """The budget of a process that computes for another one, the same for all of that one's tasks."""
    return Budget(size)


def fitting_workers(memory_bytes: int, worker_bytes: int) -> int:
    """How many workers the memory has room for. FastspecError: none."""
    if memory_bytes < worker_bytes:
        raise FastspecError(
            f"the memory budget is {memory_bytes >> 20} MiB and one worker needs {-(-worker_bytes >> 20)} MiB; give more, or shorter clips"
        )
    return memory_bytes // worker_bytes


def share_memory(memory_bytes: int, worker_bytes: int, *, workers: int, sharers: int = 1) -> tuple[int, Budget]:
    """How many workers the memory has room for, and a budget of what it has left beside those that there are.

    That is for recordings that take more, whose size is not known before they are opened; `sharers` processes have equal parts of it.

    Raises:
        FastspecError: the memory is too little for one worker.

    >>> fitting, spare = share_memory(1000, 200, workers=3)
    >>> fitting, spare.left
    (5, 400)
    """
    fitting = fitting_workers(memory_bytes, worker_bytes)
    at_once = min(max(1, workers), fitting)
    return fitting, Budget(max(1, memory_bytes - at_once * worker_bytes) // sharers)
