"""What others do between a folder of recordings and features on disk: two processes each, the same definition, float32."""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from fastspec.references import references
from fastspec.references.reference import Transform
from fastspec.spec import FeatureSpec

Float32 = NDArray[np.float32]
PROCESSES = 2
BATCH_CLIPS = 256


class Job(NamedTuple):
    """Recordings of which the first `clip_s` seconds are wanted, padded with zeros."""

    files: list[Path]
    clip_s: float
    spec: FeatureSpec

    @property
    def n_samples(self) -> int:
        """Length of a clip at the rate of the spec."""
        return round(self.clip_s * self.spec.sample_rate)


class Peer(NamedTuple):
    """Another way from files to features.

    Attributes:
        name: of the packages that do it.
        packages: what they are imported as.
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
        return all(find_spec(package) for package in self.packages)


# --- joblib, one .npy for every 256 clips ------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _transform(name: str, spec: FeatureSpec) -> Transform:
    return next(peer for peer in references(spec) if peer.name == name).transform(spec)


def _load_by_librosa(file: Path, job: Job) -> Float32:
    samples, _ = import_module("librosa").load(file, sr=job.spec.sample_rate, mono=True, duration=job.clip_s, res_type="soxr_hq")
    return np.asarray(samples, np.float32)


def _load_by_soundfile(file: Path, job: Job) -> Float32:
    with soundfile.SoundFile(file) as recording:
        source, rate = recording.read(round(job.clip_s * recording.samplerate), dtype="float32", always_2d=True), recording.samplerate
    mono: Float32 = source[:, 0] if source.shape[1] == 1 else source.mean(axis=1)
    return mono if rate == job.spec.sample_rate else np.asarray(soxr.resample(mono, rate, job.spec.sample_rate, "HQ"))


_LOADERS = {"librosa": _load_by_librosa, "torchaudio": _load_by_soundfile}


def _write_batch(name: str, job: Job, output: Path) -> None:
    transform = _transform(name, job.spec)
    np.save(output, np.stack([transform(load_clip(name, job, file)) for file in job.files]))


def load_clip(name: str, job: Job, file: Path) -> Float32:
    """A recording's samples, `(samples,)`, as "librosa" or "torchaudio" users load them."""
    clip = np.zeros(job.n_samples, np.float32)
    samples = _LOADERS[name](file, job)[: job.n_samples]
    clip[: len(samples)] = samples
    return clip


def _batches(job: Job) -> list[Job]:
    """256 clips each; fewer where there would not be two for each process."""
    size = min(BATCH_CLIPS, -(-len(job.files) // (2 * PROCESSES)))
    return [job._replace(files=job.files[first : first + size]) for first in range(0, len(job.files), size)]


def _write_by_joblib(name: str) -> Callable[[Job, Path], None]:
    def write(job: Job, folder: Path) -> None:
        joblib = import_module("joblib")
        tasks = (joblib.delayed(_write_batch)(name, batch, folder / f"{i:05}.npy") for i, batch in enumerate(_batches(job)))
        joblib.Parallel(PROCESSES)(tasks)

    return write


def _read_arrays(_job: Job, folder: Path) -> Float32:
    return np.concatenate([np.load(file) for file in sorted(folder.glob("*.npy"))])


# --- lhotse ------------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"))


@lru_cache(maxsize=1)
def _cuts(files: tuple[Path, ...]) -> Any:
    """Listing files is no part of the job, for nobody."""
    lhotse = import_module("lhotse")
    recordings = lhotse.RecordingSet.from_recordings(lhotse.Recording.from_file(file, recording_id=file.name) for file in files)
    return lhotse.CutSet.from_manifests(recordings=recordings)


def _write_by_lhotse(job: Job, folder: Path) -> None:
    from lhotse import NumpyFilesWriter

    from bench.lhotse_extractor import SpecExtractor

    import_module("torch").set_num_threads(1)
    cuts = _cuts(tuple(job.files)).compute_and_store_features(
        SpecExtractor(job.spec), folder / "arrays", num_jobs=PROCESSES, executor=_processes(), storage_type=NumpyFilesWriter
    )
    cuts.to_file(folder / "cuts.jsonl")


def _read_by_lhotse(_job: Job, folder: Path) -> Float32:
    cuts = sorted(import_module("lhotse").CutSet.from_file(folder / "cuts.jsonl"), key=lambda cut: cut.recording_id)
    return np.stack([cut.load_features() for cut in cuts])


PEERS: Sequence[Peer] = (
    Peer("librosa + joblib", ("librosa", "joblib"), _write_by_joblib("librosa"), _read_arrays),
    Peer("torchaudio + joblib", ("torchaudio", "joblib"), _write_by_joblib("torchaudio"), _read_arrays),
    Peer("lhotse", ("lhotse", "torchaudio"), _write_by_lhotse, _read_by_lhotse, resamples=False),
)
