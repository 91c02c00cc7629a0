"""Whole runs: partitions fed to Dask through a window, committed as they end, resumed where they stopped."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile

from fastspec.corpus import Manifest
from fastspec.errors import FastspecError, StoreError
from fastspec.frontend import FrontEnd, kernel_target
from fastspec.pipeline.clip_length import choose_clip_length
from fastspec.pipeline.compute import FeatureBatch, compute_rows, group_clips, load_rows, working_bytes
from fastspec.pipeline.cutting import cut_clips
from fastspec.pipeline.work import Progress, Tally, compute_each
from fastspec.spec import Dtype, Recipe, check_dtype
from fastspec.store import FeatureStore, Layout, StoreWriter, open_store, read_manifest
from fastspec.store.files import remove_tree
from fastspec.store.reading import is_finished, is_store
from fastspec.store.writing import sweep_finished
from fastspec.timing import Stopwatch, stage

STREAM_CLIPS = 128


@dataclass(frozen=True)
class Plan:
    """What a run is about to write.

    Attributes:
        layout: of the store.
        clips: a row for each clip of the store.
    """

    layout: Layout
    clips: Manifest


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
    plan: Plan | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stopwatch: Stopwatch | None = None,
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
        plan: what `plan_run` made of the same manifest, recipe, dtype and output, which is then not done again.
        on_progress: called after each recording that is measured and after each group of clips, from the worker's thread.
        stopwatch: measures where the workers' time goes.

    Raises:
        StoreError: the output exists, or cannot be resumed.
        SpecError: the recipe cannot be computed, or not be stored in that dtype.
        CorpusError: no recording can be decoded, so there is no clip length.
        FastspecError: the memory is too little for one worker.
    """
    output = Path(output)
    check_output(output, resume=resume, overwrite=overwrite)
    front = FrontEnd(recipe)
    plan = plan or plan_run(manifest, recipe, output=output if resume else None, workers=workers, dtype=dtype, on_progress=on_progress)
    layout, clips = plan.layout, plan.clips
    workers = _workers_within(memory_bytes, layout, workers)
    if is_store(output) and not resume:
        remove_tree(output)
    if is_store(output):
        writer = StoreWriter.resume(output, layout)
        if is_finished(output):
            sweep_finished(output)
            return open_store(output)
    else:
        writer = StoreWriter.create(output, layout, manifest=clips.table)
    tally = Tally("features", len(clips), done=writer.clips_done(), clip_s=layout.recipe.clip.clip_s, on_progress=on_progress)
    stopwatch = stopwatch or Stopwatch()
    work = partial(_write_partition, writer=writer, clips=clips, front=front, tally=tally, stopwatch=stopwatch)
    with stopwatch.run(workers=max(1, workers)):
        for _ in compute_each(work, writer.pending(), workers=workers, tally=tally):
            pass
    return writer.finish()


def stream_features(manifest: Manifest, recipe: Recipe, *, workers: int = 2) -> Iterator[FeatureBatch]:
    """Features of every clip of a manifest, in its order, a batch at a time; memory does not grow with its recordings.

    Raises:
        SpecError: the recipe has no clip length, or cannot be computed.
    """
    front, step = FrontEnd(recipe), min(STREAM_CLIPS, 4 * group_clips(recipe))
    clips = cut_clips(manifest, recipe, workers=workers)
    tally = Tally("features", len(clips))

    def work(start: int) -> FeatureBatch:
        rows = clips.rows(start, start + step)
        loaded = load_rows(rows, recordings=clips.recordings, recipe=recipe, on_block=tally.check)
        return compute_rows(rows, start, clips=loaded, recipe=recipe, front=front, on_group=tally.add)

    yield from compute_each(work, range(0, len(clips), step), workers=workers, tally=tally, window=2)


def plan_run(
    manifest: Manifest,
    recipe: Recipe,
    *,
    output: Path | None = None,
    workers: int = 2,
    dtype: Dtype = "float32",
    on_progress: Callable[[Progress], None] | None = None,
) -> Plan:
    """The clips of a manifest and the store that a run would write.

    A recipe without a clip length is given one for this corpus, and recordings are measured where the recipe's clips depend on how long
    they are. A store at `output` knows both already: it is asked instead.

    Raises:
        SpecError: the recipe cannot be computed.
        StoreError: the store at `output` is of another recipe, manifest or version of what computes it.
    """
    FrontEnd(recipe)  # refuses what cannot be computed before anything is decoded
    check_dtype(recipe.spec, dtype)
    known = Layout.read(output) if output and is_store(output) else None
    if recipe.clip.clip_s is None:
        recipe = recipe.replace(clip_s=known.recipe.clip.clip_s if known else choose_clip_length(manifest, workers=workers))
    layout = Layout(recipe=recipe, manifest_digest=manifest.digest(), n_clips=len(manifest), versions=current_versions(), dtype=dtype)
    if known and output:
        known.check_same(layout, output)
        return Plan(known, replace(manifest, table=read_manifest(output)))
    clips = cut_clips(manifest, recipe, workers=workers, on_progress=on_progress)
    layout = replace(layout, n_clips=len(clips))
    return Plan(replace(layout, joined=layout.find_joined(clips.table["path"].to_list())), clips)


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


def _write_partition(partition: int, *, writer: StoreWriter, clips: Manifest, front: FrontEnd, tally: Tally, stopwatch: Stopwatch) -> None:
    """Compute a partition chunk by chunk, its recordings decoded once; then commit it."""
    with stopwatch.worker():
        _compute_partition(partition, writer, clips, front, tally)


def _compute_partition(partition: int, writer: StoreWriter, clips: Manifest, front: FrontEnd, tally: Tally) -> None:
    recipe, chunks = writer.layout.recipe, [(start, stop) for _, start, stop in writer.layout.chunks(partition)]
    rows = clips.rows(chunks[0][0], chunks[-1][1])
    loaded = load_rows(rows, recordings=clips.recordings, recipe=recipe, on_block=tally.check)
    hashes, ledger, valid = [], [], []
    for start, stop in chunks:
        of_chunk = rows[start - chunks[0][0] : stop - chunks[0][0]]
        batch = compute_rows(of_chunk, start, clips=loaded, recipe=recipe, front=front, on_group=tally.add, dtype=writer.layout.dtype)
        with stage("write"):
            hashes.append(writer.write_chunk(start, batch.features))
        ledger += batch.rows
        valid.append(batch.valid_frames)
    with stage("write"):
        writer.commit(partition, hashes=hashes, rows=ledger, valid_frames=np.concatenate(valid))


def _workers_within(memory_bytes: int, layout: Layout, workers: int) -> int:
    """As many of the workers as the memory allows: each holds a chunk, and a group of clips with room for computing it."""
    each = layout.chunk_clips * layout.clip_bytes + working_bytes(layout.recipe, layout.dtype)
    if memory_bytes < each:
        raise FastspecError(
            f"the memory budget is {memory_bytes >> 20} MiB and one worker needs {-(-each >> 20)} MiB; give more, or shorter clips"
        )
    return min(workers, memory_bytes // each)
