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
from fastspec.pipeline import cut_clips
from fastspec.spec import Recipe
from fastspec.store import FeatureStore
from fastspec.store.ledger import USABLE

LONGEST_SAMPLED_S = 10.0  # of recordings whose recipe has no clip length: what it would choose at most
MOST_RECORDINGS = 2000
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
        sources = [self.manifest.open(path) for path in self.manifest.table["path"].unique(maintain_order=True)[:1]]
        if not all(isinstance(source, Path) for source in sources):
            return [Path(self.manifest.source)] if Path(self.manifest.source).is_file() else None
        return [Path(str(self.manifest.open(path))) for path in self.manifest.table["path"].unique(maintain_order=True)]

    def are_alike(self) -> bool:
        """Whether every clip is a whole recording of one channel at the recipe's rate and as long as a clip."""
        ledger, spec = self.store.ledger, self.recipe.spec
        same = (pl.col("sample_rate") == spec.sample_rate) & (pl.col("channels") == 1) & (pl.col("start_s") == 0)
        return bool(ledger.select((same & (pl.col("header_frames") == self.recipe.n_samples)).all()).item())


def choose_recordings(manifest: Manifest, recipe: Recipe, *, minutes: float) -> tuple[Manifest, dict[str, Any]]:
    """As many recordings as hold about so much audio by their headers, at most 2,000, evenly spaced; and what is said of them.

    Raises:
        CorpusError: none of those that were looked at can be opened.
    """
    paths = manifest.table["path"].unique(maintain_order=True)
    heads = [head for path in _spread(paths, _PROBED) if (head := _look(manifest, path, _longest_s(recipe)))]
    if not heads:
        raise CorpusError(f"none of {min(_PROBED, len(paths))} recordings of {manifest.source} can be opened; see 'fastspec scan'")
    mean_s = max(1e-3, float(np.mean([seconds for seconds, _ in heads])))
    chosen = _spread(paths, min(MOST_RECORDINGS, max(1, round(60 * minutes / mean_s))))
    formats = [name for name, _ in Counter(name for _, name in heads).most_common(3)]
    about: dict[str, Any] = {"corpus": manifest.source, "recordings": len(chosen), "of_recordings": len(paths), "formats": formats}
    return manifest.with_table(manifest.table.filter(pl.col("path").is_in(chosen.implode()))), about


def _spread(paths: pl.Series, count: int) -> pl.Series:
    return paths[np.unique(np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int))]


def _longest_s(recipe: Recipe) -> float:
    """How much of a recording is decoded at most: all of it where windows are cut."""
    return float("inf") if recipe.clip.needs_lengths else recipe.clip.clip_s or LONGEST_SAMPLED_S


def _look(manifest: Manifest, path: str, longest_s: float) -> tuple[float, str] | None:
    """The seconds that are decoded of a recording, by its header, and its format; None where it cannot be opened."""
    try:
        with Recording(manifest.open(path)) as recording:
            name = f"{recording.format} {recording.subtype} {recording.sample_rate} Hz"
            return min(longest_s, recording.header_frames / recording.sample_rate), name
    except (AudioError, RecordingError):
        return None


def keep_usable(manifest: Manifest, store: FeatureStore) -> Manifest:
    """The recordings of which every clip has features.

    Raises:
        CorpusError: there are none.
    """
    usable = store.ledger.group_by("path", maintain_order=True).agg(pl.col("status").is_in(USABLE).all())
    paths = manifest.table["path"].unique(maintain_order=True).filter(usable["status"])
    if not len(paths):
        raise CorpusError(f"no recording of {manifest.source} gives features, so there is nothing to time; see 'fastspec scan'")
    return manifest.with_table(manifest.table.filter(pl.col("path").is_in(paths.implode())))


def audio_seconds(store: FeatureStore) -> float:
    """Seconds of audio in the clips of a store, without padding."""
    frames_s = store.recipe.spec.hop_length / store.recipe.spec.sample_rate
    longest_s = store.recipe.clip.clip_s or 0.0
    return float(np.minimum(longest_s, store.valid_frames * frames_s).sum())


def make_corpus(folder: Path, recipe: Recipe, *, minutes: float) -> Manifest:
    """About so many minutes of chords in noise: half of them WAV at 44.1 kHz, half FLAC at the recipe's rate, 16 bits each."""
    seconds = recipe.clip.clip_s or _MADE_S
    count = max(2, round(60 * minutes / seconds))
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
