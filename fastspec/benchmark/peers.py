"""What others do between recordings and features on disk: several processes each, the same definition, float32."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr

from fastspec.benchmark.measure import Float32
from fastspec.references import references
from fastspec.references.reference import Transform
from fastspec.spec import FeatureSpec, Recipe

BATCH_CLIPS = 256


class Stretch(NamedTuple):
    """What is wanted of a recording."""

    file: Path
    start_s: float
    duration_s: float


class Job(NamedTuple):
    """Clips of a recipe's length, padded with zeros, to be computed by so many processes."""

    clips: Sequence[Stretch]
    recipe: Recipe
    processes: int


class Peer(NamedTuple):
    """Another way from files to features.

    Attributes:
        name: of the packages that do it.
        packages: what must be installed, as pip names it, the one that computes first.
        write: the features of a job into a folder.
        read: them from there, `(clips, frames, bands)`.
        resamples: whether it can take recordings of other rates and lengths by the same definition.
    """

    name: str
    packages: tuple[str, ...]
    write: Callable[[Job, Path], None]
    read: Callable[[Job, Path], Float32]
    resamples: bool = True

    def is_installed(self) -> bool:
        """Whether its packages are there."""
        return all(map(_is_installed, self.packages))


def peers(spec: FeatureSpec) -> list[Peer]:
    """Those that compute a spec, installed or not: each reference under joblib, and lhotse where torchaudio is one of them.

    >>> [peer.name for peer in peers(FeatureSpec(win_length=400))]
    ['librosa + joblib', 'torchaudio + joblib', 'lhotse']
    """
    found = {peer.name: (*peer.bare, *peer.packages, "joblib") for peer in references(spec)}
    by_joblib = [Peer(f"{name} + joblib", packages, _write_by_joblib(name), _read_arrays) for name, packages in found.items()]
    by_lhotse = Peer("lhotse", ("lhotse", "torchaudio", "torch"), _write_by_lhotse, _read_by_lhotse, resamples=False)
    return [*by_joblib, by_lhotse] if "torchaudio" in found else by_joblib


def shut_down(processes: int) -> None:
    """End so many processes that peers keep between jobs."""
    _processes(processes).shutdown()
    _processes.cache_clear()
    if loky := sys.modules.get("joblib.externals.loky"):
        loky.get_reusable_executor().shutdown()


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


# --- joblib, one .npy for every 256 clips ------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _transform(name: str, spec: FeatureSpec) -> Transform:
    return next(peer for peer in references(spec) if peer.name == name).transform(spec)


def _load_by_librosa(clip: Stretch, recipe: Recipe) -> Float32:
    samples, _ = import_module("librosa").load(
        clip.file, sr=recipe.spec.sample_rate, mono=True, offset=clip.start_s, duration=clip.duration_s, res_type=_quality(recipe)
    )
    return np.asarray(samples, np.float32)


def _load_by_soundfile(clip: Stretch, recipe: Recipe) -> Float32:
    with soundfile.SoundFile(clip.file) as recording:
        rate = recording.samplerate
        if clip.start_s:
            recording.seek(round(clip.start_s * rate))
        source = recording.read(round(clip.duration_s * rate), dtype="float32", always_2d=True)
    one_channel = source.shape[1] == 1 or recipe.clip.channel == "left"
    mono: Float32 = np.ascontiguousarray(source[:, 0]) if one_channel else source.mean(axis=1)
    if rate == recipe.spec.sample_rate:
        return mono
    return np.asarray(soxr.resample(mono, rate, recipe.spec.sample_rate, recipe.clip.resample))


def _quality(recipe: Recipe) -> str:
    return f"soxr_{recipe.clip.resample.lower()}"


def _write_batch(name: str, job: Job, output: Path) -> None:
    transform = _transform(name, job.recipe.spec)
    np.save(output, np.stack([transform(load_clip(name, stretch, job.recipe)) for stretch in job.clips]))


def load_clip(name: str, stretch: Stretch, recipe: Recipe) -> Float32:
    """A clip's samples, `(samples,)`, as the users of "librosa", or else of torchaudio, load them."""
    load = _load_by_librosa if name == "librosa" and recipe.clip.channel == "mean" else _load_by_soundfile
    clip = np.zeros(recipe.n_samples, np.float32)
    samples = load(stretch, recipe)[: recipe.n_samples]
    clip[: len(samples)] = samples
    return clip


def _batches(job: Job) -> list[Job]:
    """256 clips each; fewer where there would not be two for each process."""
    size = min(BATCH_CLIPS, -(-len(job.clips) // (2 * job.processes)))
    return [job._replace(clips=job.clips[first : first + size]) for first in range(0, len(job.clips), size)]


def _write_by_joblib(name: str) -> Callable[[Job, Path], None]:
    def write(job: Job, folder: Path) -> None:
        joblib = import_module("joblib")
        tasks = (joblib.delayed(_write_batch)(name, batch, folder / f"{i:05}.npy") for i, batch in enumerate(_batches(job)))
        joblib.Parallel(job.processes)(tasks)

    return write


def _read_arrays(_job: Job, folder: Path) -> Float32:
    return np.concatenate([np.load(file) for file in sorted(folder.glob("*.npy"))])


# --- lhotse ------------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _processes(count: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"))


@lru_cache(maxsize=1)
def _cuts(files: tuple[Path, ...]) -> Any:
    """Listing files is no part of the job, for nobody."""
    lhotse = import_module("lhotse")
    recordings = lhotse.RecordingSet.from_recordings(
        lhotse.Recording.from_file(file, recording_id=f"{i:06}") for i, file in enumerate(files)
    )
    return lhotse.CutSet.from_manifests(recordings=recordings)


def _write_by_lhotse(job: Job, folder: Path) -> None:
    from lhotse import NumpyFilesWriter

    from fastspec.benchmark.lhotse_extractor import SpecExtractor

    import_module("torch").set_num_threads(1)
    cuts = _cuts(tuple(clip.file for clip in job.clips)).compute_and_store_features(
        SpecExtractor(job.recipe.spec),
        folder / "arrays",
        num_jobs=job.processes,
        executor=_processes(job.processes),
        storage_type=NumpyFilesWriter,
    )
    cuts.to_file(folder / "cuts.jsonl")


def _read_by_lhotse(_job: Job, folder: Path) -> Float32:
    cuts = sorted(import_module("lhotse").CutSet.from_file(folder / "cuts.jsonl"), key=lambda cut: cut.recording_id)
    return np.stack([cut.load_features() for cut in cuts])
