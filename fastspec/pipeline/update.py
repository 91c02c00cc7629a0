"""A finished store brought up to date with its corpus: only what is new or changed is computed."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import zarr
from numpy.typing import NDArray

from fastspec.corpus import ClipRow, Manifest, fingerprints
from fastspec.errors import StoreError
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import share_memory
from fastspec.pipeline.compute import FeatureBatch, ledger_row, worker_bytes
from fastspec.pipeline.cutting import cut_clips
from fastspec.pipeline.rereading import read_again
from fastspec.pipeline.run import compute_clips
from fastspec.pipeline.tasks import current_versions
from fastspec.pipeline.work import Progress, Tally, compute_each
from fastspec.store import FeatureStore, Layout, StoreWriter, open_store
from fastspec.store.lock import locked
from fastspec.store.packing import SCHEMA, as_columns, pack_columns
from fastspec.store.place import Place, locate_store, open_array, scan_table
from fastspec.store.reading import chunk_file, chunk_hashes, is_finished, is_store, is_updating
from fastspec.store.source import Source, read_source, write_source
from fastspec.store.verifying import read_chunk

# That a worker holds at once: as it was, what is computed of it, and as it will be.
_CHUNKS = 3
_IDENTITY = ("label", "group", "split", "duration_s")
_EXTRA = ("fingerprint", "removed", "stale")


def update(
    store: str | os.PathLike[str],
    corpus: Manifest | str | os.PathLike[str],
    *,
    workers: int = 2,
    memory_bytes: int = 1 << 30,
    on_progress: Callable[[Progress], None] | None = None,
) -> FeatureStore:
    """Bring a finished store up to date with its corpus; the recipe, its clip length too, stays what it is.

    Clips keep their numbers. Recordings that changed (size and time of a file, checksum in a zip; all others are taken for changed) are
    computed again in place, labels and groups are taken over, clips that are gone get the status "removed" and no features, new ones
    come after the last. Killed at any instant, the same call goes on.

    Args:
        store: its folder or URL.
        corpus: what the store was made from, as it is now; a path or URL is read as it was then (`read_again`).
        workers: threads; 0 computes in the calling one.
        memory_bytes: for what is in flight; it decides how many partitions are computed at once.
        on_progress: called after each group of clips, from the worker's thread.

    Raises:
        StoreError: no finished store, one that other versions computed, or it cannot be written.
        CorpusError: the corpus cannot be read.
        FastspecError: the memory is too little for one worker.
    """
    path = locate_store(store)
    manifest = read_again(path, corpus)
    with locked(path):
        if not is_store(path) or not (is_finished(path) or is_updating(path)):
            open_store(path)  # says what is wrong
        Layout.read(path).check_versions(current_versions(), path)
        if is_updating(path):
            _carry_out(StoreWriter.go_on_updating(path), manifest, workers=workers, memory_bytes=memory_bytes, on_progress=on_progress)
        open_store(path)
        if writer := _begin(path, manifest, workers=workers, on_progress=on_progress):
            _carry_out(writer, manifest, workers=workers, memory_bytes=memory_bytes, on_progress=on_progress)
        elif read_source(path).to_json() != Source.of(manifest).to_json():
            write_source(path, Source.of(manifest))
        return open_store(path)


def _begin(path: Place, manifest: Manifest, *, workers: int, on_progress: Callable[[Progress], None] | None) -> StoreWriter | None:
    """A writer for what has to change; None where nothing has."""
    layout = Layout.read(path)
    clips = cut_clips(manifest, layout.recipe, workers=workers, on_progress=on_progress)
    there = scan_table(path / "manifest.parquet").collect()
    table, is_changed = merge_tables(there, clips.table.with_columns(fingerprints(clips)))
    digest = manifest.digest()
    if not is_changed and digest == layout.manifest_digest:
        return None
    layout = replace(layout, manifest_digest=digest, n_clips=len(table), joined=())
    layout = replace(layout, joined=layout.find_joined(table["path"]))
    return StoreWriter.begin_update(path, layout, manifest=table)


def merge_tables(there: pl.DataFrame, here: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """The rows of a store's manifest in their places, as the corpus has them now, then those that are new; and whether anything differs.

    Rows are told apart by recording, start and channel. Both tables have a column `fingerprint`; the result also has `removed` and
    `stale`, what has to be computed.
    """
    if "removed" not in there.columns:
        there = there.with_columns(removed=pl.lit(False))
    key: list[str] = [name for name in ("path", "start_s", "channel") if name in there.columns and name in here.columns]
    there, here = (t.with_columns(copy=pl.int_range(pl.len()).over(key)) for t in (there, here.with_columns(found=pl.lit(True))))
    key.append("copy")
    both = there.join(here, on=key, how="left", suffix="_now", nulls_equal=True, maintain_order="left")
    found = pl.col("found").fill_null(False)
    moved = pl.any_horizontal(pl.col(n).ne_missing(pl.col(f"{n}_now")) for n in ("duration_s", "fingerprint"))
    changed = pl.col("removed") | moved | pl.col("fingerprint").is_null()
    relabelled = found & pl.any_horizontal(pl.col(n).ne_missing(pl.col(f"{n}_now")) for n in _IDENTITY)
    marked = both.with_columns(stale=pl.when(found).then(changed).otherwise(~pl.col("removed")), relabelled=relabelled, removed=~found)
    taken = [pl.when(found).then(f"{n}_now").otherwise(n).alias(n) for n in (*_IDENTITY, "fingerprint")]
    new = here.join(there, on=key, how="anti", nulls_equal=True, maintain_order="left")
    new = new.with_columns(removed=pl.lit(False), stale=pl.lit(True))
    columns = [name for name in there.columns if name not in ("copy", "removed")] + ["removed", "stale"]
    table = pl.concat([marked.with_columns(taken).select(columns), new.select(columns)])
    return table, bool(marked["stale"].any() or marked["relabelled"].any() or len(new))


@dataclass(frozen=True)
class _Before:
    """A store as it was before the update: what clips that stay are taken from."""

    path: Place
    layout: Layout
    features: "zarr.Array[Any]"
    hashes: list[str]
    valid_frames: NDArray[np.int32]
    ledger: pl.DataFrame

    def read(self, chunk: int) -> NDArray[np.floating] | None:
        """The values of a chunk; None where it was not there, was written by this update already, or is damaged."""
        if chunk >= self.layout.n_chunks:
            return None
        start = chunk * self.layout.chunk_clips
        clips = slice(start, min(start + self.layout.chunk_clips, self.layout.n_clips))
        try:
            return read_chunk(chunk_file(self.path, chunk), self.features, clips, self.hashes[chunk])
        except StoreError:
            return None


def _carry_out(
    writer: StoreWriter, manifest: Manifest, *, workers: int, memory_bytes: int, on_progress: Callable[[Progress], None] | None
) -> None:
    path, layout = writer.path, writer.layout
    fitting, budget = share_memory(memory_bytes, worker_bytes(layout, chunks=_CHUNKS), workers=workers)
    if pending := writer.pending():
        table = scan_table(path / "update" / "manifest.parquet").collect()
        clips = manifest.with_table(table.drop(_EXTRA))
        before = _Before(
            path,
            Layout.read(path),
            open_array(path / "features", "r"),
            chunk_hashes(path),
            np.asarray(open_array(path / "valid_frames", "r")[:]),
            scan_table(path / "ledger.parquet").collect(),
        )
        tally = Tally("features", int(table["stale"].sum()), on_progress=on_progress)
        marks = (table["stale"].to_numpy(), table["removed"].to_numpy())
        compute = partial(compute_clips, clips=clips, layout=layout, front=FrontEnd(layout.recipe), tally=tally, budget=budget)
        work = partial(_update_partition, writer=writer, clips=clips, before=before, marks=marks, compute=compute)
        for _ in compute_each(work, pending, workers=min(workers, fitting), tally=tally):
            pass
    writer.finish()
    write_source(path, Source.of(manifest))


def _update_partition(
    partition: int,
    *,
    writer: StoreWriter,
    clips: Manifest,
    before: _Before,
    marks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    compute: Callable[..., FeatureBatch],
) -> None:
    hashes, ledger, valid = [], [], []
    for chunk, start, stop in writer.layout.chunks(partition):
        rows, stale, removed = clips.rows(start, stop), marks[0][start:stop].copy(), marks[1][start:stop]
        if stale.any():
            kept = before.read(chunk)
            if kept is None:
                stale[:] = True
            chosen = np.flatnonzero(stale)
            batch = compute([rows[i] for i in chosen], start, removed=removed[chosen].tolist())
            hashes.append(writer.write_chunk(start, _merge_features(kept, batch.features, chosen, n_clips=len(rows))))
        else:
            batch, chosen = None, np.empty(0, np.intp)
            hashes.append(before.hashes[chunk])
        of_chunk, counts = _merge_rows(rows, start, before=before, batch=batch, chosen=chosen)
        ledger.append(pack_columns(as_columns(of_chunk)))
        valid.append(counts)
    writer.commit(partition, hashes=hashes, ledger=ledger, valid_frames=np.concatenate(valid))


def _merge_features(
    kept: NDArray[np.floating] | None, computed: NDArray[np.floating], chosen: NDArray[np.intp], *, n_clips: int
) -> NDArray[np.floating]:
    """The features of a chunk: those that stay, and in the places that were chosen those just computed."""
    if len(chosen) == n_clips:
        return computed
    features = np.empty((n_clips, *computed.shape[1:]), computed.dtype)
    if kept is not None:
        features[: len(kept)] = kept
    features[chosen] = computed
    return features


def _merge_rows(
    rows: list[ClipRow], start: int, *, before: _Before, batch: FeatureBatch | None, chosen: NDArray[np.intp]
) -> tuple[list[dict[str, Any]], NDArray[np.int32]]:
    """Ledger rows and valid frames of a chunk: those just computed, and those that stay."""
    infos = dict(enumerate(before.ledger[start : start + len(rows)].rows(named=True)))
    valid_frames = np.zeros(len(rows), np.int32)
    kept = before.valid_frames[start : start + len(rows)]
    valid_frames[: len(kept)] = kept
    if batch:
        infos |= dict(zip(chosen.tolist(), batch.rows, strict=True))
        valid_frames[chosen] = batch.valid_frames
    told = list(SCHEMA)[list(SCHEMA).index("status") :]
    return [ledger_row(start + i, row, {name: infos[i][name] for name in told}) for i, row in enumerate(rows)], valid_frames
