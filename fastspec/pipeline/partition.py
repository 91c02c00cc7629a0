"""One partition of a store: a task that may be carried out in any process that sees the store."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio import Batches, ledger_infos
from fastspec.corpus import Manifest
from fastspec.corpus.packing import RowColumns, pack_rows, unpack_rows
from fastspec.corpus.runs import begins_run
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget
from fastspec.pipeline.compute import ComputedBatch, NamedFiles, Recordings, compute_batches, group_clips, ledger_columns, load_columns
from fastspec.pipeline.isolating import Isolation
from fastspec.pipeline.sharing import compute_shared
from fastspec.pipeline.tasks import Reporter
from fastspec.store import Layout, StoreWriter
from fastspec.store.ledger import USABLE
from fastspec.store.memory import give_back_memory
from fastspec.store.packing import Columns, pack_columns
from fastspec.timing import stage

# That are objects at a time, here and where a ledger is written from what was committed: those of a chunk may take as much as it does.
ROWS_TOGETHER = 4096

# Seldom enough to cost little, often enough that what partitions of a large run leave does not add up.
_GIVEN_BACK_EVERY_S = 0.1

OnError = Literal["skip", "fail"]

WrittenChunk = tuple[str, list[bytes], NDArray[np.int32]]


class PackedChunk(NamedTuple):
    """The rows of a chunk.

    Attributes:
        rows: in packs, so small that those of all chunks may wait in memory.
        alone: each of a recording that no other row is of, here or in a chunk beside this one.
    """

    rows: list[bytes]
    alone: bool


@dataclass(frozen=True, eq=False, repr=False)
class PartitionTask:
    """Compute a partition chunk by chunk, its recordings decoded once; then commit it.

    Sent elsewhere, it takes along its own rows, and what opens their recordings, alone.
    """

    partition: int
    packed: list[PackedChunk]
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
        packed: Sequence[PackedChunk],
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
        first, last = unpack_rows(self.packed[0].rows[0])["path"][0], unpack_rows(self.packed[-1].rows[-1])["path"][-1]
        return f"partition {self.partition} of {self.writer.path} ({first} to {last})"

    def __reduce__(self) -> tuple[Callable[..., "PartitionTask"], tuple[Any, ...]]:
        isolation = self.isolation.take({path for chunk in self.packed for rows in map(unpack_rows, chunk.rows) for path in rows["path"]})
        return PartitionTask, (self.partition, self.packed, isolation, self.writer, self.front, self.budget, self.on_error)

    def __call__(self, reporter: Reporter) -> None:
        """Do it; where a process died at it before, with each recording isolated. The commit waits for the disk alone, beside other tasks.

        Raises:
            RunFailed: a clip gave no features, and that ends the run.
            StoreError: the store cannot be written.
        """
        begun, timings = perf_counter(), {"compute_ms": 0.0, "write_ms": 0.0}
        with self.writer.underway(self.partition) as died:
            hashes, ledger, valid = zip(*self._write_chunks(died, reporter, timings), strict=True)
        timings["compute_ms"] = 1e3 * (perf_counter() - begun) - timings["write_ms"]
        reporter.step_aside()
        parts = chain.from_iterable(ledger)
        self.writer.commit(self.partition, hashes=hashes, ledger=parts, valid_frames=np.concatenate(valid), timings=timings)
        del hashes, ledger, valid, parts
        give_back_memory(self.writer.layout.n_clips, every_s=_GIVEN_BACK_EVERY_S)

    def _write_chunks(self, died: bool, reporter: Reporter, timings: dict[str, float]) -> list[WrittenChunk]:
        """Compute and write all chunks; what decodes is gone afterwards, since a commit may take as long as a partition."""
        recordings = self.isolation.recordings(died=died)
        joined = self._computer(recordings, reporter)
        return [
            self._write_chunk(start, chunk.rows, self._sharer(recordings, reporter) if chunk.alone else joined, timings)
            for chunk, (_, start, _) in zip(self.packed, self.writer.layout.chunks(self.partition), strict=True)
        ]

    def _computer(self, recordings: Recordings, reporter: Reporter) -> Callable[[RowColumns], Generator[ComputedBatch, None, None]]:
        """What computes rows of chunks that share recordings, each of which is decoded once."""
        parts = (unpack_rows(rows) for chunk in self.packed if not chunk.alone for rows in chunk.rows)  # those of one pack are in memory
        clips = self._load(parts, recordings, reporter)
        return lambda rows: self._compute(len(rows["path"]), clips, reporter)

    def _sharer(self, recordings: Recordings, reporter: Reporter) -> Callable[[RowColumns], Generator[ComputedBatch, None, None]]:
        """What computes rows of a chunk that shares no recording, with workers that have nothing else to do.

        Files alone can be had from any thread in any order: a compressed archive is read forwards.
        """
        load = partial(self._load, recordings=recordings, reporter=reporter, alone=True)
        if not isinstance(recordings, NamedFiles):
            return lambda rows: self._compute(len(rows["path"]), load([rows]), reporter)
        compute = partial(self._compute, reporter=reporter)
        # Half of what one call handles, so that nobody waits for long for the last of them.
        size = max(1, group_clips(self.writer.layout.recipe) // 2)
        return lambda rows: compute_shared(rows, size=size, load=load, compute=compute, reporter=reporter)

    def _load(self, parts: Iterable[RowColumns], recordings: Recordings, reporter: Reporter, **options: Any) -> Batches:
        recipe, check = self.writer.layout.recipe, reporter.check
        return load_columns(parts, recordings=recordings, recipe=recipe, on_block=check, budget=self.budget, **options)

    def _compute(self, n_clips: int, clips: Batches, reporter: Reporter) -> Generator[ComputedBatch, None, None]:
        layout = self.writer.layout
        return compute_batches(n_clips, clips, recipe=layout.recipe, front=self.front, on_group=reporter.add, dtype=layout.dtype)

    def _write_chunk(
        self,
        start: int,
        packs: list[bytes],
        compute: Callable[[RowColumns], Generator[ComputedBatch, None, None]],
        timings: dict[str, float],
    ) -> WrittenChunk:
        """Compute and write a chunk: its hash, its rows of the ledger and its valid frames. Adds to `timings`."""
        ledger: list[bytes] = []
        valid_frames: list[NDArray[np.int32]] = []
        first = start
        with self.writer.writing_chunk(start) as chunk:
            for rows in map(unpack_rows, packs):
                found = []
                with closing(compute(rows)) as batches:
                    for batch in batches:
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


def pack_chunks(clips: Manifest, layout: Layout) -> list[PackedChunk]:
    """The rows of each chunk of a store."""
    size, n_clips = layout.chunk_clips, len(clips)
    begins = np.append(begins_run(clips.table["path"]), True)
    chunks = (range(start, min(start + size, n_clips)) for start in range(0, n_clips, size))
    return [
        PackedChunk(
            [pack_rows(clips, i, min(i + ROWS_TOGETHER, chunk.stop)) for i in chunk[::ROWS_TOGETHER]],
            alone=bool(begins[chunk.start : chunk.stop + 1].all()),
        )
        for chunk in chunks
    ]


def _refuse_failed(columns: Columns) -> None:
    """RunFailed at the first row that gave no features."""
    for path, status, reason in zip(columns["path"], columns["status"], columns["reason"], strict=True):
        if status not in USABLE:
            raise RunFailed(
                f"{path} is {status}: {reason}; the run ends at errors: mend it and go on with --resume, or let such clips be skipped"
            )
