"""What a process of its own measures: its start, then whole jobs. Nothing heavy is imported before it is measured."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fastspec.store.place import Place

from fastspec.errors import RunFailed


class Start(NamedTuple):
    """Seconds that a new process takes until it can compute, and how many kernels it compiled or read from the cache.

    The import's are None where the script that was started had imported the library before.
    """

    import_s: float | None
    kernels_s: float
    compiled: int
    read: int


class Outcome(NamedTuple):
    """One whole job.

    Attributes:
        seconds: from the manifest to the finished store.
        stages: seconds in each, as `Stopwatch` has them, and "start, finish": what lies before and after the workers' time.
        digest: of all features: equal digests are equal bits.
        statuses: clips by status.
        from_disk: bytes that were read from storage; None where the system does not say.
        peak_mib: most memory that the process has held so far; None where the system does not say.
    """

    seconds: float
    stages: dict[str, float]
    digest: str
    statuses: dict[str, int]
    from_disk: int | None
    peak_mib: float | None


@contextmanager
def fresh_process(cache: Path) -> Iterator[ProcessPoolExecutor]:
    """A new process that keeps its compiled kernels in `cache`; it ends with the block. RunFailed where it dies before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_use_cache, initargs=(str(cache),)) as process:
        try:
            yield process
        except BrokenProcessPool:
            raise RunFailed("a process that was measured died; the memory may be too little: give fewer --minutes or --workers") from None


def _use_cache(folder: str) -> None:
    os.environ["FASTSPEC_CACHE"] = folder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the one that started this ends it


def start_up(spec: dict[str, Any]) -> Start:
    """Import what a run needs, then decode nothing and compute a tenth of a second: what compiles the kernels, or reads them."""
    start, imported_before = time.perf_counter(), "numba" in sys.modules
    import numpy as np

    from fastspec.audio import decode_ahead
    from fastspec.frontend import FrontEnd
    from fastspec.kernels.jit import compilations
    from fastspec.pipeline import featurize  # noqa: F401 - its import is measured
    from fastspec.spec import FeatureSpec

    imported = time.perf_counter()
    decode_ahead()
    front = FrontEnd(FeatureSpec(**spec))
    front(np.zeros(front.spec.sample_rate // 10, np.float32))
    return Start(None if imported_before else imported - start, time.perf_counter() - imported, *compilations())


def run_job(manifest: Path, recipe: dict[str, Any], output: Path, workers: int, cold: Sequence[Path] = ()) -> Outcome:
    """Featurize a manifest into a new store; the files `cold` leave the page cache first."""
    from fastspec.benchmark.page_cache import bytes_from_disk, forget
    from fastspec.corpus import read_corpus
    from fastspec.pipeline import featurize
    from fastspec.spec import Recipe
    from fastspec.store.reading import chunk_hashes
    from fastspec.timing import Stopwatch

    corpus, watch, settings = read_corpus(manifest), Stopwatch(), Recipe.from_dict(recipe)
    shutil.rmtree(output, ignore_errors=True)
    forget(cold)
    before, start = bytes_from_disk(), time.perf_counter()
    store = featurize(corpus, output, recipe=settings, workers=workers, stopwatch=watch)
    seconds, after = time.perf_counter() - start, bytes_from_disk()
    stages = watch.seconds()
    stages["start, finish"] = max(0.0, seconds - sum(stages.values()) / max(1, workers))
    from_disk = None if before is None or after is None else after - before
    return Outcome(seconds, stages, " ".join(chunk_hashes(output)), store.status_counts(), from_disk, peak_mib())


def run_kernel(store: "Place", manifest: Path, clips: int, repeat: int) -> list[dict[str, Any]]:
    """`kernel_rows` of the first clips of a manifest, by the recipe of a store."""
    from itertools import islice

    import numpy as np

    from fastspec.benchmark.kernel import kernel_rows
    from fastspec.corpus import read_corpus
    from fastspec.pipeline import load_rows
    from fastspec.store import open_store

    recipe, corpus = open_store(store).recipe, read_corpus(manifest)
    samples = np.zeros((min(clips, len(corpus)), recipe.n_samples), np.float32)
    loaded = load_rows(corpus.rows(0, len(samples)), recordings=corpus.recordings, recipe=recipe)
    for row, clip in zip(samples, islice(loaded, len(samples)), strict=True):
        row[: len(clip.samples)] = clip.samples
    return kernel_rows(recipe.spec, samples, repeat=repeat)


def peak_mib() -> float | None:
    """Most memory that this process has held. The system's own count begins with its parent's, so Linux is asked otherwise."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1 << 10) / (1 << 20)
