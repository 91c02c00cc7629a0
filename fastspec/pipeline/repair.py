"""Damaged parts of a finished store, computed anew from its recordings."""

import os
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fastspec.corpus import Manifest
from fastspec.errors import StoreError
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import share_memory
from fastspec.pipeline.compute import worker_bytes
from fastspec.pipeline.rereading import recordings_of
from fastspec.pipeline.run import compute_clips
from fastspec.pipeline.tasks import current_versions
from fastspec.pipeline.work import Progress, Tally, compute_each
from fastspec.store import Damage, Layout, StoreWriter, find_damage
from fastspec.store.hashes import hash_chunk
from fastspec.store.ledger import write_ledger
from fastspec.store.lock import locked
from fastspec.store.packing import as_columns, pack_columns
from fastspec.store.place import Place, locate_store
from fastspec.store.reading import chunk_hashes, read_removed
from fastspec.store.writing import write_valid_frames


def repair(
    store: str | os.PathLike[str],
    corpus: Manifest | str | os.PathLike[str] | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    workers: int = 2,
    memory_bytes: int = 1 << 30,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Damage]:
    """Find what is damaged in a finished store and compute it again; what is found is returned, mended.

    Damaged chunks are computed from their recordings alone; valid frames and ledger from all of them. What does not come out with the
    hash that it had is not written.

    Args:
        store: its folder or URL.
        corpus: where the recordings are; None is where they were.
        columns: what its table calls its columns, where that is not as it was.
        workers: threads; 0 computes in the calling one.
        memory_bytes: for what is in flight; it decides how many chunks are computed at once.
        on_progress: called after each group of clips, from the worker's thread.

    Raises:
        StoreError: no finished store, damage that cannot be mended, or recordings that are not those of the store any more.
        CorpusError: the corpus cannot be read.
        FastspecError: the memory is too little for one worker.
    """
    path = locate_store(store)
    with locked(path):
        damage = find_damage(path)
        if damage:
            clips = recordings_of(path, corpus, columns=columns)
            _mend(path, damage, clips, workers=workers, memory_bytes=memory_bytes, on_progress=on_progress)
            if left := find_damage(path):
                raise StoreError(f"{path} is still damaged: {left[0].file} ({left[0].reason}); make it again with --overwrite")
    return damage


def _mend(
    path: Place,
    damage: list[Damage],
    clips: Manifest,
    *,
    workers: int,
    memory_bytes: int,
    on_progress: Callable[[Progress], None] | None,
) -> None:
    writer = StoreWriter(path, Layout.read(path))
    layout, damaged = writer.layout, {found.chunk for found in damage}
    layout.check_versions(current_versions(), path)
    files = {found.file for found in damage if found.chunk is None}
    chunks = range(layout.n_chunks) if files else sorted(chunk for chunk in damaged if chunk is not None)
    tally = Tally("features", min(layout.n_clips, len(chunks) * layout.chunk_clips), on_progress=on_progress)
    hashes, removed, front = chunk_hashes(path), read_removed(path), FrontEnd(layout.recipe)
    fitting, budget = share_memory(memory_bytes, worker_bytes(layout), workers=workers)

    def recompute(chunk: int) -> tuple[NDArray[np.int32], bytes]:
        """A chunk's valid frames and rows of the ledger."""
        start = chunk * layout.chunk_clips
        stop = min(start + layout.chunk_clips, layout.n_clips)
        rows, gone = clips.rows(start, stop), removed[start:stop]
        batch = compute_clips(rows, start, removed=gone, clips=clips, layout=layout, front=front, tally=tally, budget=budget)
        if hash_chunk(batch.features) != hashes[chunk]:
            raise StoreError(
                f"{path} cannot be repaired: the recordings of clips {start} to {stop - 1} give other features than they did; "
                "give the corpus as it was, or bring the store up to date with 'fastspec store update'"
            )
        if chunk in damaged:
            writer.write_chunk(start, batch.features)
            writer.sync([chunk])
        return batch.valid_frames, pack_columns(as_columns(batch.rows)) if files else b""

    told = list(compute_each(recompute, chunks, workers=min(workers, fitting), tally=tally))
    if "valid_frames" in files:
        write_valid_frames(path, np.concatenate([valid_frames for valid_frames, _ in told]))
    if "ledger.parquet" in files:
        write_ledger(path / "ledger.parquet", lambda: (packed for _, packed in told), n_clips=layout.n_clips)
