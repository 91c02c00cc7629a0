"""What is measured: some recordings of a corpus, spread evenly over it, or recordings that are made."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import soundfile

from fastspec.audio import AudioError
from fastspec.audio.decode import Recording
from fastspec.benchmark.peers import Stretch
from fastspec.corpus import Manifest, RecordingError, read_corpus
from fastspec.errors import CorpusError
from fastspec.pipeline import choose_clip_length, cut_clips
from fastspec.spec import Recipe
from fastspec.store import FeatureStore, Layout
from fastspec.store.ledger import USABLE

_LONGEST_S = 3600.0
_MOST_RECORDINGS = 10_000
_PROBED = 64
_MADE_S = 5.0


@dataclass(frozen=True)
class Sample:
    """Recordings of which each can be decoded, and what they decode to.

    Attributes:
        manifest: of them.
        table: the file that it is written to, which other processes read.
        recipe: with its clip length.
        store: their features.
        digest: of these.
        about: what is said of them: corpus, recordings, clips, seconds of audio, bytes, formats.
    """

    manifest: Manifest
    table: Path
    recipe: Recipe
    store: FeatureStore
    digest: str
    about: dict[str, Any]

    @property
    def audio_s(self) -> float:
        """Seconds of audio in all clips together, without padding."""
        return float(self.about["audio_s"])

    def stretches(self) -> list[Stretch] | None:
        """The clips as stretches of files; None where they are not files."""
        clips = cut_clips(self.manifest, self.recipe)
        found = []
        for row in clips.rows(0, len(clips)):
            source, longest_s = self.manifest.open(row.path), self.recipe.clip.clip_s or 0.0
            if not isinstance(source, Path):
                return None
            found.append(Stretch(source, row.start_s, min(longest_s, row.duration_s or longest_s)))
        return found

    def files(self) -> list[Path] | None:
        """The files that hold the recordings: their own, or what they lie in; None where that is no file."""
        files = []
        for path in _paths(self.manifest):
            source = self.manifest.open(path)
            if not isinstance(source, Path):
                return [Path(self.manifest.source)] if Path(self.manifest.source).is_file() else None
            files.append(source)
        return files

    def are_alike(self) -> bool:
        """Whether every clip is a whole recording of one channel at the recipe's rate and as long as a clip."""
        ledger, spec = self.store.ledger, self.recipe.spec
        same = (pl.col("sample_rate") == spec.sample_rate) & (pl.col("channels") == 1) & (pl.col("start_s") == 0)
        return bool(ledger.select((same & (pl.col("header_frames") == self.recipe.n_samples)).all()).item())


def set_clip_length(recipe: Recipe, manifest: Manifest | None) -> Recipe:
    """A recipe with a clip length: its own, or one that suits some recordings of the corpus; 5 s for recordings that are made."""
    if recipe.clip.clip_s is not None:
        return recipe
    return recipe.replace(clip_s=_MADE_S if manifest is None else choose_clip_length(_keep(manifest, _spread(_paths(manifest), _PROBED))))


def count_clips(recipe: Recipe, *, workers: int, minutes: float | None) -> int:
    """How many clips a sample should have: so many minutes, or one chunk of the store for each worker, up to an hour.

    A worker's task is a whole chunk: fewer chunks leave workers idle, and one that is not full leaves some idle at the end.
    """
    clip_s = recipe.clip.clip_s or _MADE_S
    if minutes is not None:
        return max(1, round(60 * minutes / clip_s))
    chunk = Layout(recipe=recipe, manifest_digest="", n_clips=1, versions={}).chunk_clips
    return chunk * max(1, min(workers, int(_LONGEST_S / (chunk * clip_s))))


def choose_recordings(manifest: Manifest, recipe: Recipe, *, clips: int) -> tuple[Manifest, dict[str, Any]]:
    """As many recordings as give about so many clips by their headers, at most 10,000, evenly spaced; and what is said of them.

    Raises:
        CorpusError: none of those that were looked at can be opened.
    """
    paths = _paths(manifest)
    heads = [head for path in _spread(paths, _PROBED) if (head := _look(manifest, path))]
    if not heads:
        raise CorpusError(f"none of {min(_PROBED, len(paths))} recordings of {manifest.source} can be opened; see 'fastspec scan'")
    mean_s, hop_s = float(np.mean([seconds for seconds, _ in heads])), recipe.clip.hop_s
    each = 1.0 if hop_s is None else max(1.0, mean_s / hop_s)
    chosen = _spread(paths, min(_MOST_RECORDINGS, max(1, round(clips / each))))
    formats = [name for name, _ in Counter(name for _, name in heads).most_common(3)]
    about = {"corpus": manifest.source, "recordings": len(chosen), "of_recordings": len(paths), "formats": formats}
    return _keep(manifest, chosen), about


def _paths(manifest: Manifest) -> pl.Series:
    return manifest.table["path"].unique(maintain_order=True)


def _spread(paths: pl.Series, count: int) -> pl.Series:
    return paths[np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int))]


def _keep(manifest: Manifest, paths: pl.Series) -> Manifest:
    return manifest.with_table(manifest.table.filter(pl.col("path").is_in(paths.implode())))


def _look(manifest: Manifest, path: str) -> tuple[float, str] | None:
    """The seconds of a recording, by its header, and its format; None where it cannot be opened."""
    try:
        with Recording(manifest.open(path)) as recording:
            name = f"{recording.format} {recording.subtype} {recording.sample_rate} Hz"
            return recording.header_frames / recording.sample_rate, name
    except (AudioError, RecordingError):
        return None


def keep_usable(manifest: Manifest, store: FeatureStore) -> Manifest:
    """The recordings of which every clip has features.

    Raises:
        CorpusError: there are none.
    """
    usable = store.ledger.group_by("path", maintain_order=True).agg(pl.col("status").is_in(USABLE).all())
    paths = _paths(manifest).filter(usable["status"])
    if not len(paths):
        raise CorpusError(f"no recording of {manifest.source} gives features, so there is nothing to time; see 'fastspec scan'")
    return _keep(manifest, paths)


def audio_seconds(store: FeatureStore) -> float:
    """Seconds of audio in the clips of a store, without padding."""
    frames_s = store.recipe.spec.hop_length / store.recipe.spec.sample_rate
    longest_s = store.recipe.clip.clip_s or 0.0
    return float(np.minimum(longest_s, store.valid_frames * frames_s).sum())


def make_corpus(folder: Path, recipe: Recipe, *, clips: int) -> Manifest:
    """So many recordings as long as a clip, chords in noise: half of them WAV at 44.1 kHz, half FLAC at the recipe's rate, 16 bits each."""
    seconds, count = recipe.clip.clip_s or _MADE_S, max(2, clips)
    folder.mkdir()
    for ending, rate, which in (("wav", 44_100, range(0, count, 2)), ("flac", recipe.spec.sample_rate, range(1, count, 2))):
        length = round(seconds * rate)
        chords = _chords(length + count, rate)
        for i in which:
            soundfile.write(folder / f"{i:05}.{ending}", chords[i : i + length], rate, subtype="PCM_16")
    return read_corpus(folder)


def _chords(length: int, rate: int) -> np.ndarray:
    t = np.arange(length) / rate
    swells = (0.1 * np.sin(2 * np.pi * hz * t) * (1 + np.sin(2 * np.pi * hz / 1000 * t)) for hz in (220, 330, 550, 880))
    return np.asarray(sum(swells) + 0.02 * np.random.default_rng(7).standard_normal(length), np.float32)
