"""Whole runs: partitions fed to Dask through a window, committed as they end, resumed where they stopped."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from fastspec.audio import TIMEOUT_S, failed_clip
from fastspec.corpus import ClipRow, Manifest, Sample, fingerprints, read_corpus
from fastspec.corpus.packing import as_columns
from fastspec.corpus.runs import begins_run
from fastspec.errors import RunFailed, StoreError
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import Budget, share_memory
from fastspec.pipeline.clip_length import choose_clip_length
from fastspec.pipeline.compute import FeatureBatch, Recordings, compute_rows, gather, group_clips, load_columns, load_rows, worker_bytes
from fastspec.pipeline.cutting import cut_clips
from fastspec.pipeline.isolating import Isolation
from fastspec.pipeline.partition import OnError, PartitionTask, pack_chunks
from fastspec.pipeline.scheduling import Choice, Scheduler, open_scheduler
from fastspec.pipeline.tasks import current_versions
from fastspec.pipeline.work import Progress, Tally, compute_each
from fastspec.spec import Dtype, Recipe, check_dtype
from fastspec.store import Compression, FeatureStore, Layout, StoreWriter, describe_changes, read_manifest
from fastspec.store.files import remove_tree
from fastspec.store.ledger import USABLE
from fastspec.store.lock import locked, refuse_locked
from fastspec.store.memory import give_back_memory
from fastspec.store.place import Place, is_vacant, locate_store
from fastspec.store.reading import is_finished, is_store, is_updating
from fastspec.store.source import Source
from fastspec.timing import Stopwatch

STREAM_CLIPS = 128

Result = TypeVar("Result")


@dataclass
class Plan:
    """What a run is about to write.

    Attributes:
        layout: of the store.
        clips: a row for each clip of the store.
    """

    layout: Layout
    clips: Manifest

    def give_clips(self) -> Manifest:
        """The clips, which the plan has no more: a table of a million rows takes as much memory as all workers."""
        given = self.clips
        self.clips = replace(given, table=given.table.clear(), origins=None, problems=None, found=None)
        return given


def featurize(
    manifest: Manifest | Plan | str | os.PathLike[str] | Iterable[Sample],
    output: str | os.PathLike[str],
    *,
    recipe: Recipe,
    workers: int = 2,
    scheduler: Choice = "threads",
    memory_bytes: int = 1 << 30,
    resume: bool = False,
    overwrite: bool = False,
    dtype: Dtype = "float32",
    compression: Compression = "none",
    on_error: OnError = "skip",
    max_failed: float = 1.0,
    isolate: bool = False,
    timeout_s: float = TIMEOUT_S,
    on_progress: Callable[[Progress], None] | None = None,
    stopwatch: Stopwatch | None = None,
) -> FeatureStore:
    """Compute the features of every clip of a manifest into a store.

    A clip's features depend on the clip and the recipe alone. A bad recording costs its rows: NaN and a reason in the ledger. The run
    may be killed at any instant; with `resume` it goes on, and the store's bytes are those of a run that was never stopped. Partitions
    that a process died in are then computed with their recordings isolated, so that one that crashes the decoder costs its rows too.

    Args:
        manifest: what to read, or anything that `read_corpus` takes; or what `plan_run` made of it for the same recipe, dtype, compression
            and output, which is then not done again. Such a plan is used up.
        output: the store's folder, or a URL that fsspec can write to; it must not exist unless `resume` or `overwrite` is given.
        recipe: what to compute. Without a `clip_s` one is chosen (`choose_clip_length`) and frozen in the store.
        workers: threads or processes; 0 computes in the calling thread. A cluster has workers of its own.
        scheduler: "threads"; "processes" of this machine; or a cluster whose workers see the corpus and the store where this process does:
            the address of a Dask scheduler, `tcp://HOST:PORT`, or a `distributed.Client`. The bytes are the same.
        memory_bytes: for what is in flight, on a cluster in each worker process; it decides how many partitions are computed at once, never
            what is written.
        resume: go on with an unfinished store, or start a new one.
        overwrite: remove the store that is there first.
        dtype: that features are stored in, after they were computed in float32; "float16" is for logarithmic features only.
        compression: of the store's chunks; "zstd" takes less of the disk and more time.
        on_error: "fail" ends the run at the first clip that gives no features; "skip" keeps a row that says why.
        max_failed: the share of clips that may give no features; more is an error, after the store is written.
        isolate: decode in spawned processes, which are replaced: a recording that crashes its decoder is "crashed", one on which it hangs
            "timeout". Samples that functions make are made there.
        timeout_s: how long an isolated decoder may take to begin, or for a block of 65,536 frames.
        on_progress: called after each recording that is measured and after each group of clips, from the worker's thread; after each
            partition where processes or a cluster compute.
        stopwatch: measures where the workers' time goes.

    Raises:
        StoreError: the output exists, cannot be resumed or written, or another run is writing it.
        SpecError: the recipe cannot be computed, or not be stored in that dtype.
        CorpusError: the corpus cannot be read, or no recording can be decoded, so there is no clip length.
        RunFailed: a clip failed that may not, or too many did.
        WorkerError: the scheduler is unknown, cannot be reached or is lost; a worker has other versions, or dies twice at one place.
        FastspecError: the memory is too little for one worker, the time-out is not positive, or no process can be spawned.
    """
    place = locate_store(output)
    layout, clips = (manifest.layout, manifest.give_clips()) if isinstance(manifest, Plan) else (None, _read(manifest))
    with (
        Isolation(clips.recordings, always=isolate, timeout_s=timeout_s) as isolation,
        locked(place),
        _scheduler_for(place, scheduler, workers=workers, resume=resume, overwrite=overwrite) as pool,
    ):
        pool.check(clips)
        front = FrontEnd(recipe)
        if layout is None:
            planned: dict[str, Any] = {"output": place if resume else None, "dtype": dtype, "compression": compression}
            measured: dict[str, Any] = {"workers": workers, "scheduler": pool, "on_progress": on_progress}
            plan = plan_run(clips, recipe, recordings=isolation.recordings(), **planned, **measured)
            layout, clips = plan.layout, plan.give_clips()
        at_once, budget = share_memory(memory_bytes, worker_bytes(layout), workers=workers, sharers=pool.sharers)
        writer = _open_writer(place, layout, clips, resume=resume)
        if not is_finished(place):
            packed = pack_chunks(clips, layout)
            del clips
            give_back_memory(layout.n_clips)
            prepare = partial(
                PartitionTask.prepare, packed=packed, isolation=isolation, writer=writer, front=front, budget=budget, on_error=on_error
            )
            _compute_pending(prepare, writer, pool=pool, at_once=at_once, on_progress=on_progress, stopwatch=stopwatch or Stopwatch())
            del packed, prepare
            give_back_memory(layout.n_clips)
        store = writer.finish()
    check_failed(store, max_failed=0.0 if on_error == "fail" else max_failed)
    return store


def _read(source: Manifest | str | os.PathLike[str] | Iterable[Sample]) -> Manifest:
    return source if isinstance(source, Manifest) else read_corpus(source)


@contextmanager
def _scheduler_for(output: Place, choice: Choice, *, workers: int, resume: bool, overwrite: bool) -> Iterator[Scheduler]:
    """The scheduler, once it is clear that there is something for it to do."""
    check_output(output, resume=resume, overwrite=overwrite)
    with open_scheduler(choice, workers=workers) as pool:
        yield pool


def _compute_pending(
    prepare: Callable[[int], PartitionTask],
    writer: StoreWriter,
    *,
    pool: Scheduler,
    at_once: int,
    on_progress: Callable[[Progress], None] | None,
    stopwatch: Stopwatch,
) -> None:
    """Compute and commit the partitions that a store has not got yet."""
    layout = writer.layout
    tally = Tally("features", layout.n_clips, done=writer.clips_done(), clip_s=layout.recipe.clip.clip_s, on_progress=on_progress)
    for _ in pool.compute_each(prepare, writer.pending(), tally=tally, at_once=at_once, stopwatch=stopwatch):
        pass


def check_failed(store: FeatureStore, *, max_failed: float) -> None:
    """RunFailed where a larger share of a store's clips gave no features than may."""
    if max_failed >= 1:
        return
    failed = sum(n for status, n in store.status_counts().items() if status not in USABLE)
    if failed > max_failed * len(store):
        shares = f"{failed / len(store):.2%}, more than {max_failed:.2%}" if max_failed else "more than none"
        raise RunFailed(
            f"{failed:,} of {len(store):,} clips of {store.path} gave no features, {shares}; the store is whole, and its ledger says why: "
            f"fastspec store ledger {store.path} --failed"
        )


def _open_writer(output: Place, layout: Layout, clips: Manifest, *, resume: bool) -> StoreWriter:
    if resume and is_store(output):
        return StoreWriter.resume(output, layout)
    if is_store(output):
        remove_tree(output)
    return StoreWriter.create(output, layout, manifest=clips.table.with_columns(fingerprints(clips)), source=Source.of(clips))


def stream_features(manifest: Manifest, recipe: Recipe, *, workers: int = 2) -> Iterator[FeatureBatch]:
    """Features of every clip of a manifest, in its order, a batch at a time; those of a few recordings are held in memory.

    Raises:
        SpecError: the recipe has no clip length, or cannot be computed.
    """
    return map_features(manifest, recipe, lambda batch: batch, workers=workers)


def map_features(manifest: Manifest, recipe: Recipe, function: Callable[[FeatureBatch], Result], *, workers: int = 2) -> Iterator[Result]:
    """`function` of the features of every clip of a manifest, in its order, a batch at a time.

    It is called in the workers, where a recording is decoded once however long it is: what it returns is kept until its turn comes, and
    the features are not.

    Raises:
        SpecError: the recipe has no clip length, or cannot be computed.
    """
    FrontEnd(recipe)  # refuses what cannot be computed before anything is decoded
    return map_clips(cut_clips(manifest, recipe, workers=workers), recipe, function, workers=workers)


def map_clips(
    clips: Manifest,
    recipe: Recipe,
    function: Callable[[FeatureBatch], Result],
    *,
    workers: int = 2,
    waveforms: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Result]:
    """`map_features` of clips that `cut_clips` has cut; with `waveforms` the batches have those too.

    Raises:
        SpecError: the recipe has no clip length, or cannot be computed.
    """
    front, step = FrontEnd(recipe), min(STREAM_CLIPS, 4 * group_clips(recipe))
    tally = Tally("features", len(clips), clip_s=recipe.clip.clip_s, on_progress=on_progress)
    runs = _whole_recordings(clips, step)

    def work(run: int) -> list[Result]:
        start, stop = runs[run]
        rows = clips.rows(start, stop)
        batches = load_columns([as_columns(rows)], recordings=clips.recordings, recipe=recipe, on_block=tally.check)
        results = []
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            batch = compute_rows(
                some, start + first, batches=batches, recipe=recipe, front=front, on_group=tally.add, keep_waveforms=waveforms
            )
            told = [{**info, "duration_s": row.duration_s} for info, row in zip(batch.rows, some, strict=True)]
            results.append(function(batch._replace(rows=told)))
        return results

    for results in compute_each(work, range(len(runs)), workers=workers, tally=tally, window=2):
        yield from results


def _whole_recordings(clips: Manifest, least: int) -> list[tuple[int, int]]:
    """Stretches `(start, stop)` of a manifest that end where a recording does, as soon as they have `least` clips."""
    ends = np.append(np.flatnonzero(begins_run(clips.table["path"])), len(clips))[1:]
    stretches, start = [], 0
    for end in ends.tolist():
        if end - start >= least or end == len(clips):
            stretches.append((start, end))
            start = end
    return stretches


def plan_run(
    manifest: Manifest,
    recipe: Recipe,
    *,
    output: Place | None = None,
    workers: int = 2,
    scheduler: Choice = "threads",
    dtype: Dtype = "float32",
    compression: Compression = "none",
    recordings: Recordings | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Plan:
    """The clips of a manifest and the store that a run would write.

    A recipe without a clip length is given one for this corpus, and recordings are measured where the recipe's clips depend on how long
    they are: `recordings` opens them, else the manifest. A store at `output` knows both already: it is asked instead.

    Raises:
        SpecError: the recipe cannot be computed.
        StoreError: the store at `output` is of another recipe, manifest or version of what computes it.
    """
    FrontEnd(recipe)  # refuses what cannot be computed before anything is decoded
    check_dtype(recipe.spec, dtype)
    known = Layout.read(output) if output and is_store(output) else None
    if recipe.clip.clip_s is None:
        length_s = known.recipe.clip.clip_s if known else choose_clip_length(manifest, recordings=recordings, workers=workers)
        recipe = recipe.replace(clip_s=length_s)
    layout = Layout(
        recipe=recipe,
        manifest_digest=manifest.digest(),
        n_clips=len(manifest),
        versions=current_versions(),
        dtype=dtype,
        compression=compression,
    )
    if known and output:
        there = read_manifest(output)
        changed = layout.manifest_digest != known.manifest_digest
        known.check_same(layout, output, rows=describe_changes(there, manifest.table) if changed else "")
        return Plan(known, manifest.with_table(there))
    clips = cut_clips(manifest, recipe, recordings=recordings, workers=workers, scheduler=scheduler, on_progress=on_progress)
    layout = replace(layout, n_clips=len(clips))
    return Plan(replace(layout, joined=layout.find_joined(clips.table["path"])), clips)


def check_output(output: Place, *, resume: bool, overwrite: bool, flags: bool = False) -> None:
    """That a run may write to `output`: nothing is there, or a store and leave to go on with it or to remove it.

    `flags` names the options as the command line has them.

    Raises:
        StoreError: with how much is done, and the option that says what to do; or another run is writing it.
    """
    go_on, replace_it = ("--resume", "--overwrite") if flags else ("resume=True", "overwrite=True")
    if resume and overwrite:
        raise StoreError(f"both {go_on} and {replace_it} are given; the first goes on with a store, the other removes it: give one of them")
    if flags:
        refuse_locked(output)
    if is_vacant(output):
        return
    if not is_store(output):
        raise StoreError(f"{output} exists and is not a feature store, so it is not touched; choose another name")
    if overwrite or (resume and not is_updating(output)):
        return
    if is_updating(output):
        raise StoreError(f"{output} is being brought up to date; go on with 'fastspec store update', or give {replace_it}")
    if is_finished(output):
        raise StoreError(f"{output} exists and is finished; give {replace_it} to replace it, or another name")
    writer = StoreWriter(output, Layout.read(output))
    done, total = writer.clips_done(), writer.layout.n_clips
    raise StoreError(f"{output} exists and is unfinished, {done} of {total} clips are done; give {go_on} to go on, or {replace_it}")


def compute_clips(
    rows: Sequence[ClipRow],
    first_clip: int,
    *,
    removed: Sequence[bool],
    clips: Manifest,
    layout: Layout,
    front: FrontEnd,
    tally: Tally,
    budget: Budget,
) -> FeatureBatch:
    """Features of rows of a store, the first of which is clip `first_clip`; those that are removed are not looked for."""
    present = [row for row, is_removed in zip(rows, removed, strict=True) if not is_removed]
    loaded = load_rows(present, recordings=clips.recordings, recipe=layout.recipe, on_block=tally.check, budget=budget)
    all_clips = (failed_clip("removed", "no longer in the corpus") if is_removed else next(loaded) for is_removed in removed)
    batches = gather(all_clips, layout.recipe)
    return compute_rows(rows, first_clip, batches=batches, recipe=layout.recipe, front=front, on_group=tally.add, dtype=layout.dtype)
