"""Memory that workers share: who needs more of it than is left waits for the others."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache


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

    def __reduce__(self) -> tuple[Callable[[int], "Budget"], tuple[int]]:
        return _budget_here, (self._size,)

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


@lru_cache(maxsize=1)
def _budget_here(size: int) -> Budget:
    """The budget of a process that computes for another one, the same for all of its tasks."""
    return Budget(size)
