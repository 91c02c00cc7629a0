"""From recordings to features on disk: fastspec with two workers beside others with two processes each, results compared."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from bench.golden import from_tests
from bench.kernel import SPEECH
from bench.output import as_table, describe
from fastspec.audio import Policy, Starts, load_batches
from fastspec.benchmark.kernel import OURS
from fastspec.benchmark.machine import machine
from fastspec.benchmark.measure import resolved
from fastspec.benchmark.peers import Job, Peer, Stretch, load_clip, peers
from fastspec.corpus import Manifest, read_corpus
from fastspec.demo.corpora import fetch
from fastspec.errors import RunFailed
from fastspec.pipeline import featurize
from fastspec.references import differences, tolerance
from fastspec.spec import ClipPolicy, Recipe
from fastspec.store import open_store

ONE_WORKER, DECODING = "fastspec, one worker", "decoding alone"
PEERS = peers(SPEECH)
WORKERS, TWO_WORKERS_AT_LEAST = 2, 1.8
# Share of values that may be more than the tolerance apart, each judged by float64: another definition differs in more than one of 100,000.
MOST_JUDGED = 1e-5
COLUMNS = {
    "case": "case",
    "implementation": "implementation",
    "ms": "ms",
    "x_real_time": "× real time",
    "difference": "difference",
    "faster": "fastspec ×",
    "ceiling": "ceiling",
    "reached": "reached",
    "at_least": "at least",
    "met": "met",
}
# The same for README, where ratios alone stand.
JOBS = {
    "clips": "clips",
    "case": "recordings",
    "implementation": "fastspec, two workers, beside",
    "faster": "× as fast",
    "ceiling": "at most",
    "at_least": "floor",
    "met": "met",
}
Run = Callable[[Path], object]


class Case(NamedTuple):
    """A corpus, and how many times as fast as the best of the others fastspec is to be on it.

    Attributes:
        form: of recordings that are made; None takes the corpus "stamps", whose rates and lengths differ.
    """

    name: str
    recordings: int
    clip_s: float
    floor: float
    form: tuple[str, str] | None = None


CASES = (
    Case("1 s WAV, 16 kHz", 2000, 1.0, 4.0, ("WAV", "PCM_16")),
    Case("30 s FLAC, 16 kHz", 60, 30.0, 1.8, ("FLAC", "PCM_16")),
    Case("60 s MP3, 16 kHz", 30, 60.0, 1.5, ("MP3", "MPEG_LAYER_III")),
    Case("stamps: short Ogg, mixed rates", 7873, 2.0, 1.15),
)


def run_corpus(
    cases: Sequence[Case] = CASES, *, share: float = 1.0, repeat: int = 3, others: Sequence[Peer] = PEERS
) -> list[dict[str, Any]]:
    """Rows for each case: fastspec, each installed peer, one worker, and decoding alone, which bounds what any front end could gain.

    Raises:
        RunFailed: an implementation's features are not fastspec's.
        CorpusUnavailable: the corpus "stamps" cannot be fetched.
    """
    rows = []
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            rows += _run_case(case, Path(folder), share, repeat, [peer for peer in others if peer.is_installed()])
    return rows


def _run_case(case: Case, folder: Path, share: float, repeat: int, others: Sequence[Peer]) -> list[dict[str, Any]]:
    manifest = _recordings(case, folder / "corpus", max(2, round(share * case.recordings)))
    recipe = Recipe(spec=SPEECH, clip=ClipPolicy(clip_s=case.clip_s))
    job = Job([Stretch(Path(manifest.open(path)), 0.0, case.clip_s) for path in manifest.table["path"]], recipe, WORKERS)
    others = [peer for peer in others if peer.resamples or case.form]
    run = partial(featurize, manifest, recipe=recipe)
    runs: dict[str, Run] = {
        OURS: lambda output: run(output / "store.zarr", workers=WORKERS),
        ONE_WORKER: lambda output: run(output / "store.zarr", workers=1),
        DECODING: lambda _output: _decode_all(job),
        **{peer.name: partial(peer.write, job) for peer in others},
    }
    outputs = {name: folder / f"output-{i}" for i, name in enumerate(runs)}
    seconds = _best_seconds(runs, outputs, repeat)
    ours = np.asarray(open_store(outputs[OURS] / "store.zarr").features[:])
    differing = {peer.name: _compare(peer.name, ours, peer.read(job, outputs[peer.name]), job) for peer in others}
    return list(_rows(case, len(manifest), seconds, differing))


def _rows(case: Case, clips: int, seconds: Mapping[str, float], differing: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """The floor and the ceiling stand in the row of the fastest peer."""
    fastest = min(differing, key=seconds.__getitem__, default=None)
    floors = {ONE_WORKER: TWO_WORKERS_AT_LEAST} | ({fastest: case.floor} if fastest else {})
    for name, taken in seconds.items():
        faster, floor = taken / seconds[OURS], floors.get(name)
        yield {
            "case": case.name,
            "implementation": name,
            "clips": clips,
            "ms": taken * 1e3,
            "x_real_time": clips * case.clip_s / taken,
            "difference": differing.get(name),
            "faster": None if name in (OURS, DECODING) else faster,
            "ceiling": taken / seconds[DECODING] if name in differing else None,
            "reached": seconds[DECODING] / seconds[OURS] if name == OURS else None,
            "at_least": floor,
            "met": None if floor is None else faster >= floor,
        }


def host() -> dict[str, Any]:
    """The machine, and the versions of all that takes part."""
    packages = {package: version(package) for peer in PEERS if peer.is_installed() for package in peer.packages}
    here = machine()
    return here | {"workers": WORKERS, "packages": here["packages"] | packages}


def as_jobs(rows: Sequence[Mapping[str, Any]], *, repeat: int) -> str:
    """README's table, of ratios: to the others, and to decoding alone, beside which nothing can be faster."""
    others = [{**row, "implementation": DECODING, "faster": row["reached"]} if row["implementation"] == OURS else row for row in rows]
    table = as_table(JOBS, [row for row in others if row["faster"] is not None])
    return f"{table}\n\nBest of {repeat}, with {'; '.join(describe(host()).splitlines())}."


def _recordings(case: Case, folder: Path, count: int) -> Manifest:
    """So many recordings: made, or of the corpus that is fetched."""
    if case.form is None:
        manifest = read_corpus(fetch("stamps"))
        return manifest.with_table(manifest.table[:count])
    folder.mkdir()
    form, subtype = case.form
    noise = 0.1 * np.random.default_rng(7).standard_normal(round(case.clip_s * SPEECH.sample_rate) + count)
    for i in range(count):
        samples = noise[i : len(noise) - count + i].astype(np.float32)
        soundfile.write(folder / f"{i:05}.{form.lower()}", samples, SPEECH.sample_rate, format=form, subtype=subtype)
    return read_corpus(folder)


def _decode_all(job: Job) -> None:
    """What two workers take when all that they do is decode."""
    policy = Policy(SPEECH.sample_rate, "mean", job.recipe.clip.resample, job.recipe.n_samples, 0.0)

    def decode(clips: Sequence[Stretch]) -> None:
        starts = Starts([clip.file for clip in clips], [clip.duration_s for clip in clips], [None] * len(clips))
        for _ in load_batches([starts], policy):
            pass

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(decode, (job.clips[i::WORKERS] for i in range(WORKERS))))


def _best_seconds(runs: Mapping[str, Run], outputs: Mapping[str, Path], repeat: int) -> dict[str, float]:
    """The best of several rounds in which all take turns, after one that warms up; each leaves what it wrote last.

    None begins while the system still writes to the disk what another has left in memory.
    """
    best = dict.fromkeys(runs, float("inf"))
    for turn in range(repeat + 1):
        for name, run in runs.items():
            shutil.rmtree(outputs[name], ignore_errors=True)
            outputs[name].mkdir()
            if hasattr(os, "sync"):  # not on Windows
                os.sync()
            start = time.perf_counter()
            run(outputs[name])
            if turn:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def _compare(name: str, ours: np.ndarray, theirs: np.ndarray, job: Job) -> float:
    """The largest difference; RunFailed where it is not the same definition.

    A few values may differ by more than the tolerance, by what the other is away from float64 there: as the tests judge real recordings.
    """
    if theirs.shape[::2] != ours.shape[::2] or not 0 <= ours.shape[1] - theirs.shape[1] <= 1:  # lhotse drops the last frame
        raise RunFailed(f"{name} gives {theirs.shape}, fastspec {ours.shape}")
    largest, judged, bound = 0.0, 0, tolerance(SPEECH)
    for clip, (mine, other) in enumerate(zip(ours[:, : theirs.shape[1]], theirs, strict=True)):
        apart = np.where(resolved(other, SPEECH), differences(mine, other, spec=SPEECH), 0.0)
        largest, beyond = max(largest, float(apart.max())), ~(apart <= bound)
        judged += int(beyond.sum())
        if judged > MOST_JUDGED * ours.size or (beyond.any() and not np.all(apart <= bound + _own_error(other, job, clip))):
            raise RunFailed(f"{name} is {apart.max():.3g} away from fastspec, allowed are {bound:.3g}; two definitions are not timed")
    return largest


def _own_error(theirs: np.ndarray, job: Job, clip: int) -> np.ndarray:
    """How far a clip's features, `(frames, bands)`, are from float64."""
    truth = from_tests("naive_descriptors").features(load_clip("torchaudio", job.clips[clip], job.recipe), SPEECH)
    return differences(theirs, truth[: len(theirs)], spec=SPEECH)
