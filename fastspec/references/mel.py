"""librosa and torchaudio: mel spectrograms with any setting that they have."""

import importlib
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastspec.references.importing import import_torch, import_torchaudio
from fastspec.references.reference import Float32, Transform
from fastspec.spec import FeatureSpec

_DECIBEL = {"ln": math.log(10) / 10, "log10": 0.1, "db": 1.0}


def build_librosa(spec: FeatureSpec) -> Transform:
    """librosa.feature.melspectrogram, then power_to_db or a plain logarithm."""
    librosa = importlib.import_module("librosa")
    shape = "boxcar" if spec.window == "rectangular" else spec.window
    options = {
        "sr": spec.sample_rate,
        "n_fft": spec.n_fft,
        "win_length": spec.window_length,
        "hop_length": spec.hop_length,
        "window": librosa.filters.get_window(shape, spec.window_length, fftbins=spec.periodic),
        "center": spec.center,
        "pad_mode": spec.pad_mode,
        "power": spec.power,
        "n_mels": spec.n_mels,
        "fmin": spec.fmin,
        "fmax": spec.upper_edge_hz,
        "htk": spec.mel_scale == "htk",
        "norm": 1.0 if spec.mel_norm == "sum" else spec.mel_norm,
    }

    def transform(samples: Float32) -> Float32:
        with empty_bands_as_allowed(spec):
            mel = librosa.feature.melspectrogram(y=samples, **options)
        if spec.drop_last_frame:
            mel = mel[:, :-1]
        return np.asarray(_compress_array(mel, spec, librosa).T, np.float32)

    return transform


def _compress_array(mel: Float32, spec: FeatureSpec, librosa: Any) -> Float32:
    if spec.log == "none":
        return mel
    if spec.log_floor_mode == "add":
        mel += np.float32(spec.log_floor)
    if spec.log == "db":
        mel = np.asarray(librosa.power_to_db(mel, amin=spec.log_floor, top_db=spec.top_db))
    else:
        mel = np.maximum(mel, np.float32(spec.log_floor))
        mel = np.log(mel, out=mel) if spec.log == "ln" else np.log10(mel, out=mel)
        if spec.top_db is not None:
            np.maximum(mel, mel.max() - np.float32(spec.top_db * _DECIBEL[spec.log]), out=mel)
    if spec.normalize == "fixed":
        mel -= np.float32(spec.norm_mean)
        mel /= np.float32(spec.norm_std)
    return mel


def build_torchaudio(spec: FeatureSpec) -> Transform:
    """torchaudio.transforms.MelSpectrogram, then functional.amplitude_to_DB or a plain logarithm."""
    torch, torchaudio = import_torch(), import_torchaudio()
    with empty_bands_as_allowed(spec):
        mel_spectrogram = torchaudio.transforms.MelSpectrogram(
            sample_rate=spec.sample_rate,
            n_fft=spec.n_fft,
            win_length=spec.window_length,
            hop_length=spec.hop_length,
            window_fn=_torch_window(torch, spec),
            center=spec.center,
            pad_mode=spec.pad_mode,
            power=spec.power,
            n_mels=spec.n_mels,
            f_min=spec.fmin,
            f_max=spec.upper_edge_hz,
            mel_scale=spec.mel_scale,
            norm=spec.mel_norm,
        )

    def transform(samples: Float32) -> Float32:
        with torch.inference_mode():
            # An axis of one channel: amplitude_to_DB takes its maximum over channels, bands and frames.
            mel = mel_spectrogram(torch.from_numpy(samples).unsqueeze(-2))
            mel = _compress_tensor(mel, spec, torchaudio)
            return np.asarray(mel.squeeze(-3).mT.numpy(), np.float32)

    return transform


def _compress_tensor(mel: Any, spec: FeatureSpec, torchaudio: Any) -> Any:
    if spec.log == "none":
        return mel
    if spec.log_floor_mode == "add":
        mel.add_(spec.log_floor)
    if spec.log == "db":
        return torchaudio.functional.amplitude_to_DB(mel, 10.0, spec.log_floor, 0.0, spec.top_db)
    mel.clamp_(min=spec.log_floor)
    mel = mel.log_() if spec.log == "ln" else mel.log10_()
    if spec.top_db is not None:
        mel = mel.maximum(mel.amax((-2, -1), keepdim=True) - spec.top_db * _DECIBEL[spec.log])
    return mel


def _torch_window(torch: Any, spec: FeatureSpec) -> Callable[[int], Any]:
    if spec.window == "rectangular":
        return lambda length: torch.ones(length)
    function = getattr(torch, f"{spec.window}_window")
    return lambda length: function(length, periodic=spec.periodic)


@contextmanager
def empty_bands_as_allowed(spec: FeatureSpec) -> Iterator[None]:
    """Silence what references warn of when a spec has empty bands and allows them."""
    with warnings.catch_warnings():
        if spec.allow_empty_bands:
            warnings.filterwarnings("ignore", "Empty filters detected|At least one mel filterbank has all zero values")
        yield
