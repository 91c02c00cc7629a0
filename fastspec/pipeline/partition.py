"""One partition of a store: a task that may be carried out in any process that sees the store."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastspec.corpus import Manifest
from fastspec.corpus.packing import pack_rows, unpack_rows
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget
from fastspec.pipeline.compute import Recordings, compute_into, ledger_columns, load_columns
from fastspec.pipeline.isolating import Isolation
from fastspec.pipeline.tasks import Reporter
from fastspec.store import Layout, StoreWriter
from fastspec.store.ledger import USABLE, Columns, pack_columns
from fastspec.timing import stage

# That are objects at a time, here and where a ledger is written from what was committed: those of a chunk may take as much as it does.
ROWS_TOGETHER = 4096

OnError = Literal["skip", "fail"]


@dataclass(frozen=True, eq=False, repr=False)
class PartitionTask:
    """Compute a partition chunk by chunk, its recordings decoded once; then commit it.

    Sent elsewhere, it takes along its own rows, and what opens their recordings, alone. `packed` are the rows of each of its chunks,
    some in each pack.
    """

    partition: int
    packed: list[list[bytes]]
    isolation: Isolation
    writer: StoreWriter
    front: FrontEnd
    budget: Budget
    on_error: OnError = "skip"

    @classmethod
    def prepare(
        cls,
        partition: int,
        *,
        packed: Sequence[list[bytes]],
        isolation: Isolation,
        writer: StoreWriter,
        front: FrontEnd,
        budget: Budget,
        on_error: OnError = "skip",
    ) -> "PartitionTask":
        """The task of a partition, of the rows of all chunks as `pack_chunks` packs them."""
        own = [packed[chunk] for chunk, _, _ in writer.layout.chunks(partition)]
        return cls(partition, own, isolation, writer, front, budget, on_error)

    def __str__(self) -> str:
        first, last = unpack_rows(self.packed[0][0])["path"][0], unpack_rows(self.packed[-1][-1])["path"][-1]
        return f"partition {self.partition} of {self.writer.path} ({first} to {last})"

    def __reduce__(self) -> tuple[Callable[..., "PartitionTask"], tuple[Any, ...]]:
        isolation = self.isolation.take({path for packed in chain.from_iterable(self.packed) for path in unpack_rows(packed)["path"]})
        return PartitionTask, (self.partition, self.packed, isolation, self.writer, self.front, self.budget, self.on_error)

    def __call__(self, reporter: Reporter) -> None:
        """Do it; where a process died at it before, with each recording isolated. The commit waits for the disk alone, beside other tasks.

        Raises:
            RunFailed: a clip gave no features, and that ends the run.
            StoreError: the store cannot be written.
        """
        begun, timings = perf_counter(), {"compute_ms": 0.0, "write_ms": 0.0}
        with self.writer.underway(self.partition) as died:
            chunks = list(self._write_chunks(self.isolation.recordings(died=died), reporter, timings))
        timings["compute_ms"] = 1e3 * (perf_counter() - begun) - timings["write_ms"]
        reporter.step_aside()
        hashes, ledger, valid = zip(*chunks, strict=True)
        parts = chain.from_iterable(ledger)
        self.writer.commit(self.partition, hashes=hashes, ledger=parts, valid_frames=np.concatenate(valid), timings=timings)

    def _write_chunks(
        self, recordings: Recordings, reporter: Reporter, timings: dict[str, float]
    ) -> Iterator[tuple[str, list[bytes], NDArray[np.int32]]]:
        """Compute and write chunk by chunk: the hash of each, its rows of the ledger and its valid frames. Adds to `timings`."""
        recipe, dtype = self.writer.layout.recipe, self.writer.layout.dtype
        parts = map(unpack_rows, chain.from_iterable(self.packed))  # those of one pack are in memory
        batches = load_columns(parts, recordings=recordings, recipe=recipe, on_block=reporter.check, budget=self.budget)
        for packed, (_, start, stop) in zip(self.packed, self.writer.layout.chunks(self.partition), strict=True):
            features, valid_frames, done = np.empty((stop - start, *recipe.shape), dtype), np.zeros(stop - start, np.int32), 0
            ledger: list[bytes] = []
            for rows in map(unpack_rows, packed):
                some = slice(done, done + len(rows["path"]))
                infos = compute_into(
                    features[some], valid_frames[some], batches=batches, recipe=recipe, front=self.front, on_group=reporter.add
                )
                columns = ledger_columns(start + done, rows, infos)
                if self.on_error == "fail":
                    _refuse_failed(columns)
                ledger.append(pack_columns(columns))
                done = some.stop
            computed = perf_counter()
            with stage("write"):
                digest = self.writer.write_chunk(start, features)
            del features  # before there are those of the next chunk
            timings["write_ms"] += 1e3 * (perf_counter() - computed)
            yield digest, ledger, valid_frames


def pack_chunks(clips: Manifest, layout: Layout) -> list[list[bytes]]:
    """The rows of each chunk of a store in packs, so small that all of them may wait in memory."""
    size = layout.chunk_clips
    chunks = (range(start, min(start + size, len(clips))) for start in range(0, len(clips), size))
    return [[pack_rows(clips, i, min(i + ROWS_TOGETHER, chunk.stop)) for i in chunk[::ROWS_TOGETHER]] for chunk in chunks]


def _refuse_failed(columns: Columns) -> None:
    """RunFailed at the first row that gave no features."""
    for path, status, reason in zip(columns["path"], columns["status"], columns["reason"], strict=True):
        if status not in USABLE:
            raise RunFailed(
                f"{path} is {status}: {reason}; the run ends at errors: mend it and go on with --resume, or let such clips be skipped"
            )
