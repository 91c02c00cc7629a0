"""Corpora of samples that tests make, and what a run says of them."""

import numpy as np
import soundfile

from fastspec.corpus import read_corpus
from fastspec.pipeline import stream_features
from fastspec.presets import preset

RATE = 8000
RECIPE = preset("torchaudio", sample_rate=RATE, n_fft=256, win_length=256, hop_length=64, n_mels=40, log="db")


def write_corpus(root, **recordings):
    """A corpus of WAVs at 8 kHz: name -> samples."""
    for name, samples in recordings.items():
        (root / "a").mkdir(parents=True, exist_ok=True)
        soundfile.write(root / "a" / f"{name}.wav", samples, RATE, subtype="FLOAT")
    return read_corpus(root)


def noise(frames, channels=1, seed=0):
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)
    return samples[:, 0] if channels == 1 else samples


def ledger_of(manifest, recipe, **options):
    return [row for batch in stream_features(manifest, recipe, **options) for row in batch.rows]
