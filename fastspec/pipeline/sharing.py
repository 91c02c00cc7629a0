"""Rows that workers share: who has them takes them from the front, whoever has nothing else to do from the back."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator

from fastspec.audio import Batches
from fastspec.corpus.packing import RowColumns
from fastspec.pipeline.compute import ComputedBatch
from fastspec.pipeline.tasks import Reporter
from fastspec.timing import stage


class Blocks:
    """Stretches of rows, each of which is taken once: one from the end, from the front a quarter of what is left.

    >>> blocks = Blocks({"path": ["a", "b", "c", "d", "e"]}, 2)
    >>> blocks.take_last(), blocks.take_first(), blocks.take_first(), blocks.take_first()
    ((2, {'path': ['e']}), {'path': ['a', 'b']}, {'path': ['c', 'd']}, None)
    """

    def __init__(self, rows: RowColumns, size: int) -> None:
        self._rows, self._size = rows, size
        self._first, self._stop = 0, -(-len(rows["path"]) // size)
        self._lock = threading.Lock()

    def are_left(self) -> bool:
        """Whether one could be taken."""
        return self._first < self._stop

    def take_first(self) -> RowColumns | None:
        """The first that are left."""
        with self._lock:
            if not self.are_left():
                return None
            first, self._first = self._first, self._first + -(-(self._stop - self._first) // 4)
            return self._cut(first, self._first)

    def take_last(self) -> tuple[int, RowColumns] | None:
        """The last that is left, and which it is."""
        with self._lock:
            if not self.are_left():
                return None
            self._stop -= 1
            return self._stop, self._cut(self._stop, self._stop + 1)

    def close(self) -> None:
        """None is left."""
        with self._lock:
            self._stop = self._first

    def _cut(self, first: int, stop: int) -> RowColumns:
        own = slice(first * self._size, stop * self._size)
        return {name: values[own] for name, values in self._rows.items()}


def compute_shared(
    rows: RowColumns,
    *,
    size: int,
    load: Callable[..., Batches],
    compute: Callable[[int, Batches], Generator[ComputedBatch, None, None]],
    reporter: Reporter,
) -> Generator[ComputedBatch, None, None]:
    """What `compute` gives of rows, in their order, whoever computes them. To be closed: no helper is at work afterwards.

    Args:
        rows: each of a recording of its own.
        size: of the blocks that workers take.
        load: the clips of blocks, `size` in a batch at most where it is given; called once by each worker.
        compute: features of the next so many clips.
        reporter: knows workers that have nothing to do.
    """
    blocks, held = Blocks(rows, size), dict[int, list[ComputedBatch]]()

    def help_from_the_back(is_wanted: Callable[[], bool]) -> bool:
        taken: deque[tuple[int, int]] = deque()

        def take() -> Iterator[RowColumns]:
            while not is_wanted() and (last := blocks.take_last()):
                block, own = last
                taken.append((block, len(own["path"])))
                yield own

        clips = load(take(), size=size)  # no more of them are taken ahead
        while clips.are_left():
            block, n_clips = taken.popleft()
            held[block] = [batch._replace(features=batch.features.copy()) for batch in compute(n_clips, clips)]
        return blocks.are_left()

    with reporter.offer(help_from_the_back) as helpers:
        try:
            yield from compute(len(rows["path"]), load(iter(blocks.take_first, None)))
            with stage("idle"):
                helpers.wait()
            for block in sorted(held):
                yield from held.pop(block)
        finally:
            blocks.close()
