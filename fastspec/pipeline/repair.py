"""Damaged parts of a finished store, computed anew from its recordings."""

import os
from collections.abc import Callable
from functools import partial

import numpy as np

from fastspec.corpus import Manifest, read_corpus
from fastspec.errors import StoreError
from fastspec.frontend import FrontEnd
from fastspec.pipeline.compute import FeatureBatch
from fastspec.pipeline.run import compute_clips
from fastspec.pipeline.tasks import current_versions
from fastspec.pipeline.work import Progress, Tally, compute_each
from fastspec.store import Damage, Layout, StoreWriter, find_damage, read_manifest
from fastspec.store.hashes import hash_chunk
from fastspec.store.ledger import as_columns, write_ledger
from fastspec.store.lock import locked
from fastspec.store.place import Place, locate_store
from fastspec.store.reading import chunk_hashes, read_removed, read_source
from fastspec.store.writing import write_valid_frames


def repair(
    store: str | os.PathLike[str],
    corpus: Manifest | str | os.PathLike[str] | None = None,
    *,
    workers: int = 2,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Damage]:
    """Find what is damaged in a finished store and compute it again; what is found is returned, mended.

    Damaged chunks are computed from their recordings alone; valid frames and ledger from all of them. What does not come out with the
    hash that it had is not written.

    Args:
        store: its folder or URL.
        corpus: where the recordings are; None is where they were.
        workers: threads; 0 computes in the calling one.
        on_progress: called after each group of clips, from the worker's thread.

    Raises:
        StoreError: no finished store, damage that cannot be mended, or recordings that are not those of the store any more.
        CorpusError: the corpus cannot be read.
    """
    path = locate_store(store)
    with locked(path):
        damage = find_damage(path)
        if damage:
            _mend(path, damage, recordings_of(path, corpus), workers=workers, on_progress=on_progress)
            if left := find_damage(path):
                raise StoreError(f"{path} is still damaged: {left[0].file} ({left[0].reason}); make it again with --overwrite")
    return damage


def recordings_of(path: Place, corpus: Manifest | str | os.PathLike[str] | None) -> Manifest:
    """The rows of the store at a path with the recordings of its corpus; `corpus` None is where that was.

    Raises:
        StoreError: nobody knows where that was.
        CorpusError: it cannot be read.
    """
    if corpus is None and (corpus := read_source(path)) is None:
        raise StoreError(f"{path} does not say where its recordings are; give the corpus")
    manifest = corpus if isinstance(corpus, Manifest) else read_corpus(corpus)
    return manifest.with_table(read_manifest(path))


def _mend(path: Place, damage: list[Damage], clips: Manifest, *, workers: int, on_progress: Callable[[Progress], None] | None) -> None:
    writer = StoreWriter(path, Layout.read(path))
    layout, damaged = writer.layout, {found.chunk for found in damage}
    layout.check_versions(current_versions(), path)
    files = {found.file for found in damage if found.chunk is None}
    chunks = range(layout.n_chunks) if files else sorted(chunk for chunk in damaged if chunk is not None)
    tally = Tally("features", min(layout.n_clips, len(chunks) * layout.chunk_clips), on_progress=on_progress)
    hashes, removed = chunk_hashes(path), read_removed(path)

    def recompute(chunk: int, *, front: FrontEnd) -> FeatureBatch:
        start = chunk * layout.chunk_clips
        stop = min(start + layout.chunk_clips, layout.n_clips)
        batch = compute_clips(
            clips.rows(start, stop), start, removed=removed[start:stop], clips=clips, layout=layout, front=front, tally=tally
        )
        if hash_chunk(batch.features) != hashes[chunk]:
            raise StoreError(
                f"{path} cannot be repaired: the recordings of clips {start} to {stop - 1} give other features than they did; "
                "give the corpus as it was, or bring the store up to date with 'fastspec store update'"
            )
        if chunk in damaged:
            writer.write_chunk(start, batch.features)
        return batch._replace(features=batch.features[:0])

    work = partial(recompute, front=FrontEnd(layout.recipe))
    batches = list(compute_each(work, chunks, workers=workers, tally=tally))
    if "valid_frames" in files:
        write_valid_frames(path, np.concatenate([batch.valid_frames for batch in batches]))
    if "ledger.parquet" in files:
        write_ledger(path / "ledger.parquet", lambda: (as_columns(batch.rows) for batch in batches))
