"""Whole runs: partitions fed to Dask through a window, committed as they end, resumed where they stopped."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dask
import numpy as np
import soundfile

from fastspec.corpus import Manifest
from fastspec.errors import FastspecError, StoreError
from fastspec.frontend import FrontEnd, kernel_target
from fastspec.pipeline.clip_length import choose_clip_length
from fastspec.pipeline.compute import FeatureBatch, compute_rows, group_clips, working_bytes
from fastspec.spec import Dtype, Recipe, check_dtype
from fastspec.store import FeatureStore, Layout, StoreWriter, open_store
from fastspec.store.files import remove_tree
from fastspec.store.reading import is_finished, is_store
from fastspec.store.writing import sweep_finished

# Tasks that Dask sees at once, for each worker: enough that waiting for the last of a window costs nothing, few whatever the corpus.
WINDOW = 16
STREAM_CLIPS = 128


@dataclass(frozen=True)
class Progress:
    """How far a run is. `clips` counts those of an earlier run that is resumed; `new_clips` and `audio_s` do not."""

    clips: int
    total: int
    new_clips: int
    failed: int
    audio_s: float


def featurize(
    manifest: Manifest,
    output: str | Path,
    *,
    recipe: Recipe,
    workers: int = 2,
    memory_bytes: int = 1 << 30,
    resume: bool = False,
    overwrite: bool = False,
    dtype: Dtype = "float32",
    on_progress: Callable[[Progress], None] | None = None,
) -> FeatureStore:
    """Compute the features of every clip of a manifest into a store.

    A clip's features depend on the clip and the recipe alone. A bad recording costs its rows: NaN and a reason in the ledger. The run
    may be killed at any instant; with `resume` it goes on, and the store's bytes are those of a run that was never stopped.

    Args:
        manifest: what to read.
        output: the store's folder, which must not exist unless `resume` or `overwrite` is given.
        recipe: what to compute. Without a `clip_s` one is chosen (`choose_clip_length`) and frozen in the store.
        workers: threads; 0 computes in the calling one.
        memory_bytes: for what is in flight; it decides how many workers run at once, never what they write.
        resume: go on with an unfinished store, or start a new one.
        overwrite: remove the store that is there first.
        dtype: that features are stored in, after they were computed in float32; "float16" is for logarithmic features only.
        on_progress: called after each group of clips, from the worker's thread.

    Raises:
        StoreError: the output exists, or cannot be resumed.
        SpecError: the recipe cannot be computed, or not be stored in that dtype.
        CorpusError: no recording can be decoded, so there is no clip length.
        FastspecError: the memory is too little for one worker.
    """
    output = Path(output)
    check_output(output, resume=resume, overwrite=overwrite)
    front = FrontEnd(recipe)
    layout = plan_layout(manifest, recipe, output=output if resume else None, workers=workers, dtype=dtype)
    workers = _workers_within(memory_bytes, layout, workers)
    if is_store(output) and not resume:
        remove_tree(output)
    if is_store(output):
        writer = StoreWriter.resume(output, layout)
        if is_finished(output):
            sweep_finished(output)
            return open_store(output)
    else:
        writer = StoreWriter.create(output, layout, manifest=manifest.table)
    tally = _Tally(writer.clips_done(), layout, on_progress)
    work = partial(_write_partition, writer=writer, manifest=manifest, front=front, tally=tally)
    for _ in _compute(work, writer.pending(), workers=workers, tally=tally):
        pass
    return writer.finish()


def stream_features(manifest: Manifest, recipe: Recipe, *, workers: int = 2) -> Iterator[FeatureBatch]:
    """Features of every clip of a manifest, in its order, a batch at a time; memory does not grow with the manifest.

    Raises:
        SpecError: the recipe has no clip length, or cannot be computed.
    """
    front, step = FrontEnd(recipe), min(STREAM_CLIPS, 4 * group_clips(recipe))
    layout = Layout(recipe=recipe, manifest_digest="", n_clips=len(manifest), versions={})
    tally = _Tally(0, layout, None)

    def work(start: int) -> FeatureBatch:
        rows = manifest.rows(start, start + step)
        return compute_rows(rows, start, recordings=manifest.recordings, recipe=recipe, front=front, on_group=tally.add)

    yield from _compute(work, range(0, len(manifest), step), workers=workers, tally=tally, window=2)


def plan_layout(manifest: Manifest, recipe: Recipe, *, output: Path | None = None, workers: int = 2, dtype: Dtype = "float32") -> Layout:
    """The store that a run would write. A recipe without a clip length takes that of the store at `output`, or one for this corpus."""
    check_dtype(recipe.spec, dtype)
    if recipe.clip.clip_s is None:
        known = Layout.read(output).recipe.clip.clip_s if output and is_store(output) else None
        recipe = recipe.replace(clip_s=known or choose_clip_length(manifest, workers=workers))
    return Layout(recipe=recipe, manifest_digest=manifest.digest(), n_clips=len(manifest), versions=current_versions(), dtype=dtype)


def current_versions() -> dict[str, str]:
    """Versions of everything that decides a bit of a feature."""
    names = ("fastspec", "numba", "numpy", "soxr")
    libraries = {"libsndfile": soundfile.__libsndfile_version__, "kernel": kernel_target()}
    return {**{name: version(name) for name in names}, **libraries}


def check_output(output: Path, *, resume: bool, overwrite: bool) -> None:
    """That a run may write to `output`: nothing is there, or a store and leave to go on with it or to remove it.

    Raises:
        StoreError: with how much is done, and the option that says what to do.
    """
    if resume and overwrite:
        raise StoreError("both resume and overwrite are given; resume goes on with a store, overwrite removes it: give one of them")
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not is_store(output):
        raise StoreError(f"{output} exists and is not a feature store, so it is not touched; choose another name")
    if resume or overwrite:
        return
    if is_finished(output):
        raise StoreError(f"{output} exists and is finished; give --overwrite to replace it, or another name")
    writer = StoreWriter(output, Layout.read(output))
    done, total = writer.clips_done(), writer.layout.n_clips
    raise StoreError(f"{output} exists and is unfinished, {done} of {total} clips are done; give --resume to go on, or --overwrite")


class Stopped(Exception):
    """The run was interrupted; a worker ends where it is."""


class _Tally:
    """Progress that workers share; also where they hear that the run is over."""

    def __init__(self, done: int, layout: Layout, on_progress: Callable[[Progress], None] | None) -> None:
        self._done, self._total = done, layout.n_clips
        self._clip_s = layout.recipe.clip.clip_s or 0.0
        self._new = self._failed = 0
        self._on_progress = on_progress
        self._lock = threading.Lock()
        self.stop = threading.Event()

    def add(self, clips: int, failed: int) -> None:
        if self.stop.is_set():
            raise Stopped
        with self._lock:
            self._new += clips
            self._failed += failed
            if self._on_progress:
                audio_s = self._clip_s * (self._new - self._failed)
                self._on_progress(Progress(self._done + self._new, self._total, self._new, self._failed, audio_s))


def _write_partition(partition: int, *, writer: StoreWriter, manifest: Manifest, front: FrontEnd, tally: _Tally) -> None:
    """Compute a partition chunk by chunk, then commit it."""
    hashes, rows, valid = [], [], []
    for _, start, stop in writer.layout.chunks(partition):
        batch = compute_rows(
            manifest.rows(start, stop),
            start,
            recordings=manifest.recordings,
            recipe=writer.layout.recipe,
            front=front,
            on_group=tally.add,
            dtype=writer.layout.dtype,
        )
        hashes.append(writer.write_chunk(start, batch.features))
        rows += batch.rows
        valid.append(batch.valid_frames)
    writer.commit(partition, hashes=hashes, rows=rows, valid_frames=np.concatenate(valid))


def _compute(work: Callable[[int], Any], items: Sequence[int], *, workers: int, tally: _Tally, window: int = WINDOW) -> Iterator[Any]:
    """`work` of each item, in order, through Dask: a window of tasks at a time."""
    with _scheduler(workers, tally) as options:
        for first in range(0, len(items), window * max(1, workers)):
            tasks = [dask.delayed(work, pure=False)(item) for item in items[first : first + window * max(1, workers)]]
            yield from dask.compute(*tasks, **options)


@contextmanager
def _scheduler(workers: int, tally: _Tally) -> Iterator[dict[str, Any]]:
    """Dask's options; however the block is left, no worker is still at work afterwards."""
    if not workers:
        yield {"scheduler": "synchronous"}
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="fastspec") as pool:
        try:
            yield {"scheduler": "threads", "pool": pool}
        finally:
            tally.stop.set()


def _workers_within(memory_bytes: int, layout: Layout, workers: int) -> int:
    """As many of the workers as the memory allows: each holds a chunk, and a group of clips with room for computing it."""
    each = layout.chunk_clips * layout.clip_bytes + working_bytes(layout.recipe, layout.dtype)
    if memory_bytes < each:
        raise FastspecError(
            f"the memory budget is {memory_bytes >> 20} MiB and one worker needs {-(-each >> 20)} MiB; give more, or shorter clips"
        )
    return min(workers, memory_bytes // each)
