"""The front ends of models, as the projects that publish them compute them."""

import importlib
import os
from typing import Any
from unittest.mock import patch

import numpy as np

from fastspec.references.importing import import_torch, load_file, prepare_torch
from fastspec.references.reference import Float32, Transform
from fastspec.spec import FeatureSpec


def build_whisper(spec: FeatureSpec) -> Transform:
    """transformers.WhisperFeatureExtractor, without its padding to 30 s."""
    extractor = _extractor("whisper", "WhisperFeatureExtractor")(feature_size=spec.n_mels)
    return lambda samples: np.asarray(extractor(samples, sampling_rate=spec.sample_rate, padding="do_not_pad").input_features[0].T)


def build_asrfront_whisper(spec: FeatureSpec) -> Transform:
    """asrfront.whisper.log_mel, without its padding to 30 s."""
    asrfront = importlib.import_module("asrfront")
    return lambda samples: np.asarray(asrfront.whisper.log_mel(samples, n_mels=spec.n_mels, pad_or_trim=False).T)


def build_ast(spec: FeatureSpec) -> Transform:
    """transformers.ASTFeatureExtractor, without its padding to 1024 frames."""
    build = _extractor("audio_spectrogram_transformer", "ASTFeatureExtractor")

    def transform(samples: Float32) -> Float32:
        extractor = build(max_length=spec.n_frames(len(samples)))
        return np.asarray(extractor(samples, sampling_rate=spec.sample_rate).input_values[0])

    return transform


def build_clap(spec: FeatureSpec) -> Transform:
    """transformers.ClapFeatureExtractor, without its padding to 10 s."""
    extractor = _extractor("clap", "ClapFeatureExtractor")(truncation="rand_trunc", frequency_min=spec.fmin)

    def transform(samples: Float32) -> Float32:
        return np.asarray(extractor(samples, sampling_rate=spec.sample_rate, max_length=len(samples)).input_features[0][0])

    return transform


def build_nemo(spec: FeatureSpec) -> Transform:
    """nemo.collections.asr.parts.preprocessing.features.FilterbankFeatures, without the frames that it masks."""
    torch, folder = import_torch(), "nemo.collections.asr.parts.preprocessing"
    packages = tuple(folder.rsplit(".", n)[0] for n in range(5))
    # Its package imports a training stack that the front end never calls.
    path, unused = f"{folder.replace('.', '/')}/features.py", ("nemo.utils", f"{folder}.perturb", f"{folder}.segment")
    features = load_file("nemo_toolkit", path, without=packages + unused)
    front = features.FilterbankFeatures(n_window_size=spec.window_length, nfilt=spec.n_mels).eval()

    def transform(samples: Float32) -> Float32:
        values, lengths = front(torch.from_numpy(samples).unsqueeze(0), torch.tensor([len(samples)]))
        return np.asarray(values[0, :, : lengths[0]].T)

    return transform


def build_speechbrain(spec: FeatureSpec) -> Transform:
    """speechbrain.lobes.features.Fbank."""
    prepare_torch()
    torch = import_torch()
    fbank = importlib.import_module("speechbrain.lobes.features").Fbank(n_mels=spec.n_mels)
    return lambda samples: np.asarray(fbank(torch.from_numpy(samples).unsqueeze(0))[0])


def build_espnet(_spec: FeatureSpec) -> Transform:
    """espnet2.asr.frontend.default.DefaultFrontend."""
    torch = import_torch()
    front = importlib.import_module("espnet2.asr.frontend.default").DefaultFrontend(frontend_conf=None).eval()
    return lambda samples: np.asarray(front(torch.from_numpy(samples).unsqueeze(0), torch.tensor([len(samples)]))[0][0])


def build_torchlibrosa(spec: FeatureSpec) -> Transform:
    """torchlibrosa.stft, as panns_inference's Cnn14 builds it."""
    torch = import_torch()
    stft = importlib.import_module("torchlibrosa.stft")
    spectrogram = stft.Spectrogram(n_fft=spec.n_fft, hop_length=spec.hop_length, win_length=spec.window_length)
    bank = stft.LogmelFilterBank(
        sr=spec.sample_rate, n_fft=spec.n_fft, n_mels=spec.n_mels, fmin=spec.fmin, fmax=spec.upper_edge_hz, top_db=None
    )
    return lambda samples: np.asarray(bank(spectrogram(torch.from_numpy(samples).unsqueeze(0)))[0, 0].detach())


def build_torchvggish(spec: FeatureSpec) -> Transform:
    """torchvggish.mel_features, which is tensorflow/models research/audioset's file, in float64."""
    mel_features = load_file("torchvggish", "torchvggish/mel_features.py")
    options = {
        "audio_sample_rate": spec.sample_rate,
        "log_offset": spec.log_floor,
        "num_mel_bins": spec.n_mels,
        "lower_edge_hertz": spec.fmin,
        "upper_edge_hertz": spec.fmax,
    }
    return lambda samples: np.asarray(mel_features.log_mel_spectrogram(samples.astype(np.float64), **options), np.float32)


def _extractor(folder: str, name: str) -> Any:
    prepare_torch()
    with patch.dict(os.environ, {"TRANSFORMERS_VERBOSITY": "error"}):  # it advises to install what no front end needs
        importlib.import_module("transformers")
    return getattr(importlib.import_module(f"transformers.models.{folder}.feature_extraction_{folder}"), name)
