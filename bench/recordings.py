"""What the four recipes start from, made of real recordings that are fetched: class folders, a zip of two, long MP3s, a table."""

import os
import random
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile

from fastspec.audio import AudioError, change_rate, read
from fastspec.demo.corpora import LabelledRecording, corpus_table, fetch, write_table

RATE = 16_000
PAUSE_S = 0.2
SPEECH_S = 60.0
NEW = "czech_big_fish"  # whose speech is the new one
_FEW = 2  # of each class and group, where few are enough


def make_drums(folder: Path, *, few: bool = False) -> None:
    """`drums/CLASS/KIT--FILE`: six drums of ten kits."""
    for row in _rows("drums", few):
        target = folder / "drums" / row.label / _name(row)
        target.parent.mkdir(parents=True, exist_ok=True)
        _link(Path(row.path), target)


def make_fish(folder: Path, *, few: bool = False) -> None:
    """`fish.zip` with `CLASS/LEVEL--FILE`: two actors of a game, in the levels where they speak."""
    with zipfile.ZipFile(folder / "fish.zip", "w") as archive:
        for row in _rows("fish", few):
            archive.write(row.path, f"{row.label}/{_name(row)}")


def make_instruments(folder: Path, *, few: bool = False) -> None:
    """`instruments.csv` with path, label and group, the octave; fifteen instruments, note by note."""
    write_table(_rows("instruments", few), folder / "instruments.csv")


def make_speeches(folder: Path, *, few: bool = False) -> None:
    """`speeches/SPEAKER/N.mp3` of a minute: eight speakers, each prompt or line once, a short pause after it; and `new.mp3` by one of them.

    Four say telephone prompts, each in another language; four are the actors of a game, two in Czech and two in Dutch.
    """
    for speaker, paths in _speakers().items():
        target = folder / "speeches" / speaker
        target.mkdir(parents=True, exist_ok=True)
        random.Random(1).shuffle(paths)
        speeches = _speeches(paths)
        for number, speech in enumerate(islice(speeches, 4 if few else 12), start=1):
            soundfile.write(target / f"{number:02}.mp3", speech, RATE, format="MP3")
        if speaker == NEW:
            soundfile.write(folder / "new.mp3", next(speeches), RATE, format="MP3")


def _rows(corpus: str, few: bool) -> list[LabelledRecording]:
    """The table of a corpus, or a few rows of each class and group."""
    rows, taken = corpus_table(corpus, fetch(corpus)), dict[tuple[str, str], int]()
    if not few:
        return rows
    chosen = []
    for row in rows:
        key = (row.label, row.group)
        taken[key] = taken.get(key, 0) + 1
        chosen += [row] if taken[key] <= _FEW else []
    return chosen


def _name(row: LabelledRecording) -> str:
    """The group and what tells files of equal names apart, before the name."""
    path = Path(row.path)
    return f"{row.group}--{path.parent.name}-{path.name}"


def _link(source: Path, target: Path) -> None:
    """A second name of a file; a copy, where the folders lie on two disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _speakers() -> dict[str, list[Path]]:
    """The files of each speaker. The corpus "languages" has Spanish prompts by the speaker of the English ones, who is not told apart."""
    prompts = [row._replace(label=f"prompts_{row.label}") for row in corpus_table("languages", fetch("languages")) if row.label != "es"]
    casts = [
        row._replace(label=f"{language}_{row.label}")
        for language, corpus in (("czech", "fish"), ("dutch", "fish-nl"))
        for row in corpus_table(corpus, fetch(corpus))
    ]
    speakers: dict[str, list[Path]] = {}
    for row in [*prompts, *casts]:
        speakers.setdefault(row.label, []).append(Path(row.path))
    return speakers


def _speeches(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Recordings joined to `(samples,)` float32 of `SPEECH_S` or a little more; what is left over is too short."""
    parts: list[np.ndarray] = []
    pause = np.zeros(round(PAUSE_S * RATE), np.float32)
    for path in paths:
        try:
            samples, rate = read(path)
        except AudioError:  # two files of the corpus "fish-nl" are empty
            continue
        parts += [change_rate(samples.mean(axis=1), rate, target_hz=RATE, quality="HQ"), pause]
        if sum(map(len, parts)) >= SPEECH_S * RATE:
            yield np.clip(np.concatenate(parts), -1, 1)
            parts = []
