"""One partition of a store: a task that may be carried out in any process that sees the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np

from fastspec.corpus import ClipRow, Manifest
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget
from fastspec.pipeline.compute import Recordings, compute_rows, load_rows
from fastspec.pipeline.isolating import Isolation
from fastspec.pipeline.tasks import Reporter
from fastspec.store import StoreWriter
from fastspec.store.ledger import USABLE
from fastspec.timing import stage

OnError = Literal["skip", "fail"]


@dataclass(frozen=True, eq=False, repr=False)
class PartitionTask:
    """Compute a partition chunk by chunk, its recordings decoded once; then commit it.

    Sent elsewhere, it takes along its own rows, and what opens their recordings, alone.
    """

    partition: int
    rows: list[ClipRow]
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
        clips: Manifest,
        isolation: Isolation,
        writer: StoreWriter,
        front: FrontEnd,
        budget: Budget,
        on_error: OnError = "skip",
    ) -> "PartitionTask":
        """The task of a partition of a manifest's clips."""
        chunks = list(writer.layout.chunks(partition))
        return cls(partition, clips.rows(chunks[0][1], chunks[-1][2]), isolation, writer, front, budget, on_error)

    def __str__(self) -> str:
        return f"partition {self.partition} of {self.writer.path} ({self.rows[0].path} to {self.rows[-1].path})"

    def __reduce__(self) -> tuple[Callable[..., "PartitionTask"], tuple[Any, ...]]:
        isolation = self.isolation.take({row.path for row in self.rows})
        return PartitionTask, (self.partition, self.rows, isolation, self.writer, self.front, self.budget, self.on_error)

    def __call__(self, reporter: Reporter) -> None:
        """Do it; where a process died at it before, with each recording isolated.

        Raises:
            RunFailed: a clip gave no features, and that ends the run.
            StoreError: the store cannot be written.
        """
        with self.writer.underway(self.partition) as died:
            self._compute(self.isolation.recordings(died=died), reporter)

    def _compute(self, recordings: Recordings, reporter: Reporter) -> None:
        writer, chunks = self.writer, list(self.writer.layout.chunks(self.partition))
        recipe, dtype, first = writer.layout.recipe, writer.layout.dtype, chunks[0][1]
        loaded = load_rows(self.rows, recordings=recordings, recipe=recipe, on_block=reporter.check, budget=self.budget)
        hashes, ledger, valid, timings = [], [], [], {"compute_ms": 0.0, "write_ms": 0.0}
        for _, start, stop in chunks:
            begun, rows = perf_counter(), self.rows[start - first : stop - first]
            batch = compute_rows(rows, start, clips=loaded, recipe=recipe, front=self.front, on_group=reporter.add, dtype=dtype)
            if self.on_error == "fail":
                _refuse_failed(batch.rows)
            computed = perf_counter()
            with stage("write"):
                hashes.append(writer.write_chunk(start, batch.features))
            timings["compute_ms"] += 1e3 * (computed - begun)
            timings["write_ms"] += 1e3 * (perf_counter() - computed)
            ledger += batch.rows
            valid.append(batch.valid_frames)
        with stage("write"):
            writer.commit(self.partition, hashes=hashes, rows=ledger, valid_frames=np.concatenate(valid), timings=timings)


def _refuse_failed(rows: Sequence[dict[str, Any]]) -> None:
    """RunFailed at the first row that gave no features."""
    for row in rows:
        if row["status"] not in USABLE:
            raise RunFailed(
                f"{row['path']} is {row['status']}: {row['reason']}; the run ends at errors: mend it and go on with --resume, "
                "or let such clips be skipped"
            )
