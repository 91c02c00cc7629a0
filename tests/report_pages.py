"""A report as it is read by a browser, and corpora of tones to report on."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import soundfile

from fastspec.corpus import read_corpus
from fastspec.learn import Bundle, train
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.store import FeatureStore

RECIPE = preset("librosa", sample_rate=8000, n_fft=256, win_length=256, hop_length=128, n_mels=16, clip_s=0.5)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """The elements of a page; AssertionError where a tag is not closed in its turn."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(self.source)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag, tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += " ".join(data.split()) + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def tone(hz: float, *, seconds: float = 0.5, rate: int = 8000, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.02, round(seconds * rate))
    return (0.4 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate) + noise).astype(np.float32)


def write_corpus(folder: Path, labels: dict[str, float], *, each: int = 6) -> Path:
    """Tones in class folders, the group in each name; every third is hard to tell from the next class's."""
    pitches = list(labels.values())
    for k, (label, hz) in enumerate(labels.items()):
        (folder / label).mkdir(parents=True)
        for i in range(each):
            pitch = pitches[(k + 1) % len(pitches)] if i % 3 == 2 else hz
            soundfile.write(folder / label / f"g{i % 4}-{i}.wav", tone(pitch, seconds=0.3 + 0.05 * i, seed=100 * k + i), 8000)
    return folder


def make_store(corpus: Path, output: Path, *, recipe=RECIPE, group_from: str | None = r"(g\d)-", split: bool = False) -> FeatureStore:
    manifest = read_corpus(corpus, group_from=group_from)
    if split:
        side = pl.when(pl.col("group").is_in(["g0"])).then(pl.lit("test")).otherwise(pl.lit("train"))
        manifest = manifest.with_table(manifest.table.with_columns(side.alias("split")))
    return featurize(manifest, output, recipe=recipe, workers=0)


def make_model(folder: Path) -> tuple[FeatureStore, Bundle]:
    """A store with a split, and a model of its training clips."""
    corpus = write_corpus(folder / "sounds", {"low": 300.0, "mid": 900.0, "high": 2400.0}, each=12)
    store = make_store(corpus, folder / "s.zarr", split=True)
    return store, train(store, "logistic", folds=3)
