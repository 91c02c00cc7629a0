"""MFCC as librosa, torchaudio and Kaldi define them."""

import importlib

import numpy as np

from fastspec.references.importing import import_torch, import_torchaudio
from fastspec.references.mel import empty_bands_as_allowed
from fastspec.references.reference import Float32, Transform
from fastspec.spec import FeatureSpec


def build_librosa_mfcc(spec: FeatureSpec) -> Transform:
    """librosa.feature.mfcc."""
    librosa = importlib.import_module("librosa")
    return lambda samples: np.asarray(librosa.feature.mfcc(y=samples, sr=spec.sample_rate, n_mfcc=spec.n_mfcc, lifter=spec.lifter).T)


def build_torchaudio_mfcc(spec: FeatureSpec) -> Transform:
    """torchaudio.transforms.MFCC."""
    torch, torchaudio = import_torch(), import_torchaudio()
    with empty_bands_as_allowed(spec):
        mfcc = torchaudio.transforms.MFCC(sample_rate=spec.sample_rate, n_mfcc=spec.n_mfcc)

    def transform(samples: Float32) -> Float32:
        with torch.inference_mode():
            return np.asarray(mfcc(torch.from_numpy(samples)).T)

    return transform


def build_kaldi_mfcc(spec: FeatureSpec) -> Transform:
    """kaldi_native_fbank.OnlineMfcc."""
    knf = importlib.import_module("kaldi_native_fbank")
    options = knf.MfccOptions()
    options.frame_opts.dither, options.use_energy, options.num_ceps = 0.0, spec.mfcc_energy, spec.n_mfcc

    def transform(samples: Float32) -> Float32:
        mfcc = knf.OnlineMfcc(options)
        mfcc.accept_waveform(spec.sample_rate, samples * np.float32(spec.sample_scale))
        mfcc.input_finished()
        return np.array([mfcc.get_frame(i) for i in range(mfcc.num_frames_ready)])

    return transform
