"""Kaldi's filter banks as four projects compute them."""

import importlib

import numpy as np

from fastspec.references.importing import import_torch, import_torchaudio, prepare_torch
from fastspec.references.reference import Float32, Transform
from fastspec.spec import FeatureSpec

_WINDOWS = {"povey": "povey", "hamming": "hamming", "hann": "hanning", "rectangular": "rectangular"}
WINDOWS = tuple(_WINDOWS)


def build_kaldi_native_fbank(spec: FeatureSpec) -> Transform:
    """kaldi_native_fbank.OnlineFbank."""
    knf = importlib.import_module("kaldi_native_fbank")
    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.window_type = 0.0, _WINDOWS[spec.window]
    options.mel_opts.num_bins, options.mel_opts.low_freq, options.mel_opts.high_freq = spec.n_mels, spec.fmin, spec.upper_edge_hz

    def transform(samples: Float32) -> Float32:
        fbank = knf.OnlineFbank(options)
        fbank.accept_waveform(spec.sample_rate, samples * np.float32(spec.sample_scale))
        fbank.input_finished()
        return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])

    return transform


def build_asrfront(spec: FeatureSpec) -> Transform:
    """asrfront.sensevoice.fbank_raw."""
    asrfront = importlib.import_module("asrfront")
    return lambda samples: asrfront.sensevoice.fbank_raw(samples, n_mels=spec.n_mels)


def build_torchaudio_kaldi(spec: FeatureSpec) -> Transform:
    """torchaudio.compliance.kaldi.fbank."""
    torch = import_torch()
    import_torchaudio()
    kaldi = importlib.import_module("torchaudio.compliance.kaldi")
    options = {
        "num_mel_bins": spec.n_mels,
        "low_freq": spec.fmin,
        "high_freq": spec.upper_edge_hz,
        "window_type": _WINDOWS[spec.window],
        "sample_frequency": spec.sample_rate,
    }

    def transform(samples: Float32) -> Float32:
        features = kaldi.fbank(torch.from_numpy(samples).unsqueeze(0) * spec.sample_scale, **options)
        if spec.normalize == "fixed":
            features = (features - spec.norm_mean) / spec.norm_std
        return np.asarray(features)

    return transform


def build_lhotse(_spec: FeatureSpec) -> Transform:
    """lhotse.Fbank."""
    prepare_torch()
    fbank = importlib.import_module("lhotse").Fbank()
    return lambda samples: np.asarray(fbank.extract(samples, fbank.config.sampling_rate))
