"""One partition of a store: a task that may be carried out in any process that sees the store."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastspec.audio import ledger_infos
from fastspec.corpus import Manifest
from fastspec.corpus.packing import pack_rows, unpack_rows
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget
from fastspec.pipeline.compute import ComputedBatch, Recordings, compute_batches, ledger_columns, load_columns, worker_bytes
from fastspec.pipeline.isolating import Isolation
from fastspec.pipeline.tasks import Reporter
from fastspec.store import Layout, StoreWriter
from fastspec.store.chunks import gathers_chunks
from fastspec.store.ledger import USABLE
from fastspec.store.packing import Columns, pack_columns
from fastspec.store.place import Place
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
            compute = self._computer(self.isolation.recordings(died=died), reporter)
            chunks = [
                self._write_chunk(start, packed, compute, timings)
                for packed, (_, start, _) in zip(self.packed, self.writer.layout.chunks(self.partition), strict=True)
            ]
        timings["compute_ms"] = 1e3 * (perf_counter() - begun) - timings["write_ms"]
        reporter.step_aside()
        hashes, ledger, valid = zip(*chunks, strict=True)
        parts = chain.from_iterable(ledger)
        self.writer.commit(self.partition, hashes=hashes, ledger=parts, valid_frames=np.concatenate(valid), timings=timings)

    def _computer(self, recordings: Recordings, reporter: Reporter) -> Callable[[int], Iterator[ComputedBatch]]:
        """What computes the next so many clips."""
        layout, parts = self.writer.layout, map(unpack_rows, chain.from_iterable(self.packed))  # those of one pack are in memory
        batches = load_columns(parts, recordings=recordings, recipe=layout.recipe, on_block=reporter.check, budget=self.budget)
        return partial(compute_batches, batches=batches, recipe=layout.recipe, front=self.front, on_group=reporter.add, dtype=layout.dtype)

    def _write_chunk(
        self, start: int, packed: list[bytes], compute: Callable[[int], Iterator[ComputedBatch]], timings: dict[str, float]
    ) -> tuple[str, list[bytes], NDArray[np.int32]]:
        """Compute and write a chunk: its hash, its rows of the ledger and its valid frames. Adds to `timings`."""
        ledger: list[bytes] = []
        valid_frames: list[NDArray[np.int32]] = []
        first = start
        with self.writer.writing_chunk(start) as chunk:
            for rows in map(unpack_rows, packed):
                found = []
                for batch in compute(len(rows["path"])):
                    computed = perf_counter()
                    with stage("write"):
                        chunk.add(batch.features)
                    timings["write_ms"] += 1e3 * (perf_counter() - computed)
                    valid_frames.append(batch.valid_frames)
                    found.append(batch.found)
                columns = ledger_columns(first, rows, ledger_infos(found))
                if self.on_error == "fail":
                    _refuse_failed(columns)
                ledger.append(pack_columns(columns))
                first += len(rows["path"])
        return chunk.digest, ledger, np.concatenate(valid_frames)


def partition_bytes(output: Place, layout: Layout) -> int:
    """Memory for whoever computes a partition of the store at `output`."""
    return worker_bytes(layout, chunks=int(gathers_chunks(output, layout)))


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
