"""The picture in README: a real recording as a front end sees it. The recording is the MIT-licensed corpus "codecs"."""

from pathlib import Path

import numpy as np

from fastspec.audio import read
from fastspec.demo.corpora import fetch
from fastspec.frontend import features
from fastspec.presets import preset
from fastspec.report import plot_spectrogram, save_picture

PICTURE = Path(__file__).resolve().parent / "pictures" / "spectrogram.png"
SECONDS = 4.0


def draw_picture(path: Path = PICTURE) -> Path:
    """Write the picture; returns where.

    Raises:
        CorpusUnavailable: the recording cannot be fetched.
    """
    recording = next(fetch("codecs").rglob("lena.flac"))
    samples, sample_rate = read(recording)
    mono = np.ascontiguousarray(samples[: round(SECONDS * sample_rate)].mean(axis=1))
    recipe = preset("librosa")
    figure = plot_spectrogram(mono, sample_rate, features(mono, sample_rate, recipe), recipe, title="fastspec, preset librosa")
    figure.set_dpi(110)
    path.parent.mkdir(exist_ok=True)
    return save_picture(figure, path)
