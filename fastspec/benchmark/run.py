"""A whole benchmark: its sample, then start-up, kernel and whole jobs, as rows."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastspec.benchmark.job import measure_jobs
from fastspec.benchmark.machine import machine, usable_cores
from fastspec.benchmark.sample import Sample, audio_seconds, choose_recordings, count_clips, keep_usable, make_corpus, set_clip_length
from fastspec.benchmark.worker import fresh_process, run_job, run_kernel, start_up
from fastspec.corpus import Manifest
from fastspec.references import references
from fastspec.spec import Recipe
from fastspec.store import Layout, open_store

Row = dict[str, Any]
KERNEL_CLIPS, KERNEL_AUDIO_S = 32, 160.0


def run_benchmark(
    manifest: Manifest | None,
    recipe: Recipe,
    *,
    workers: int | None = None,
    repeat: int = 3,
    minutes: float | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
) -> list[Row]:
    """Measure what featurizing takes here; every number is of a result that was compared with the first run's.

    Whole jobs run in processes that are started for it: call it from a module's `if __name__ == "__main__"`.

    Args:
        manifest: recordings of which a sample is measured; None makes some.
        recipe: what is computed.
        workers: at most; None is as many as this process may use cores.
        repeat: rounds, in which all take turns and of which the best counts.
        minutes: of audio in the sample, about; None is as much as gives each worker something to do, up to an hour.
        on_step: told what is being done, for those who wait.

    Returns:
        rows with a `section`: "machine" and "sample" one each; "start" by step; "kernel" by implementation; "stages" by stage and page
        cache; "job" by implementation, workers and page cache.

    Raises:
        CorpusError: no recording gives features.
        RunFailed: features that change from run to run, or with the workers.
    """
    workers = workers or max(1, int(usable_cores()))
    with tempfile.TemporaryDirectory(prefix="fastspec-bench-", ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        on_step("making recordings" if manifest is None else "choosing recordings")
        recipe = set_clip_length(recipe, manifest)
        clips = count_clips(recipe, workers=workers, minutes=minutes)
        corpus = make_corpus(root / "made", recipe, clips=clips) if manifest is None else manifest
        chosen, about = choose_recordings(corpus, recipe, clips=clips)
        about["corpus"] = None if manifest is None else manifest.source
        on_step("compiling the kernels in an empty cache")
        sample, started = _prepare(chosen, recipe, about, root, workers)
        on_step("timing the kernel")
        kernel = _measure_kernel(sample, root / "kernels", repeat)
        jobs, not_cold = measure_jobs(sample, root, root / "kernels", repeat=repeat, on_step=on_step)
    host = machine(references(recipe.spec)) | {"usable_cores": usable_cores(), "workers": workers}
    return [{"section": "machine", **host}, {"section": "sample", **sample.about, "not_cold": not_cold}, *started, *kernel, *jobs]


def _prepare(manifest: Manifest, recipe: Recipe, about: Row, root: Path, workers: int) -> tuple[Sample, list[Row]]:
    """The sample without what cannot be decoded, featurized once; and what the first and the second process took to start."""
    spec, settings, kernels = recipe.to_dict()["spec"], recipe.to_dict(), root / "kernels"
    with ExitStack() as stack:
        first, second = (stack.enter_context(fresh_process(kernels)) for _ in range(2))
        empty, filled = (process.submit(start_up, spec).result() for process in (first, second))
        table = manifest.write(root / "all.parquet")
        outcome = second.submit(run_job, table, settings, root / "all.zarr", workers).result()
        store = open_store(root / "all.zarr")
        usable = keep_usable(manifest, store)
        left_out = about["recordings"] - usable.table["path"].n_unique()
        if left_out:
            table = usable.write(root / "usable.parquet")
            outcome = second.submit(run_job, table, settings, root / "usable.zarr", workers).result()
            store = open_store(root / "usable.zarr")
    about |= {
        "left_out": left_out,
        "clips": len(store),
        "clip_s": recipe.clip.clip_s,
        "audio_s": audio_seconds(store),
        "most_workers": min(workers, Layout.read(store.path).n_partitions),
        "recipe": recipe.digest(),
        "manifest": usable.digest(),
    }
    started = {"import": filled.import_s, "kernels compiled": empty.kernels_s, "kernels read": filled.kernels_s}
    rows = [{"section": "start", "step": step, "seconds": seconds} for step, seconds in started.items()]
    return Sample(usable, table, recipe, store, outcome.digest, about), rows


def _measure_kernel(sample: Sample, kernels: Path, repeat: int) -> list[Row]:
    clips = max(1, min(KERNEL_CLIPS, int(KERNEL_AUDIO_S / (sample.recipe.clip.clip_s or 1.0))))
    with fresh_process(kernels) as process:
        rows = process.submit(run_kernel, sample.store.path, sample.table, clips, repeat).result()
    return [{"section": "kernel", **row} for row in rows]
