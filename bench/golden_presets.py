"""Golden vectors of the presets that are not librosa's or torchaudio's own: `python -m bench.golden_presets [NAME…]`.

Each `tests/golden/NAME.npz` holds, for each signal, the samples and the features that the reference computes from them, and in `about`
(JSON) the reference, the versions and the spec. A front end whose project cannot be installed is computed by `tests/naive.py`, this
project's own float64 definition, and `about` says so: such a file proves the arithmetic, not the definition.
"""

import importlib
import importlib.metadata
import importlib.util
import json
import runpy
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

from fastspec.presets import preset

Transform = Callable[[np.ndarray], np.ndarray]
ROOT = Path(__file__).resolve().parents[1]
SIGNALS = ("noise", "clipping")
SECONDS = 0.5
EXTRA_SAMPLES = 37  # so that no frame ends where the signal does


def write_golden(names: Iterable[str]) -> None:
    """Write the files of these presets. ImportError when a reference is not installed."""
    golden_signals = runpy.run_path(str(ROOT / "tests" / "signals.py"))["golden_signals"]
    for name in names:
        build, packages = REFERENCES[name]
        spec, transform = preset(name).spec, build(name)
        signals = golden_signals(round(SECONDS * spec.sample_rate) + EXTRA_SAMPLES, spec.sample_rate)
        versions = {package: importlib.metadata.version(package) for package in ("numpy", *packages)}
        reference = build.__doc__ or ""
        about = {"reference": reference.rstrip("."), "versions": versions, "spec": preset(name).to_dict()["spec"]}
        arrays = {"about": np.array(json.dumps(about, sort_keys=True))}
        for signal in SIGNALS:
            arrays[f"{signal}_samples"] = signals[signal]
            arrays[f"{signal}_features"] = np.ascontiguousarray(transform(signals[signal]), np.float32)
        np.savez_compressed(ROOT / "tests" / "golden" / f"{name}.npz", **arrays)
        print(f"{name}: {about['reference']}, {versions}")


def _kaldi(_name: str) -> Transform:
    """kaldi_native_fbank.OnlineFbank."""
    knf = importlib.import_module("kaldi_native_fbank")
    options = knf.FbankOptions()
    options.frame_opts.dither, options.mel_opts.num_bins = 0.0, 80

    def transform(samples: np.ndarray) -> np.ndarray:
        fbank = knf.OnlineFbank(options)
        fbank.accept_waveform(16000, (samples * 32768).tolist())
        fbank.input_finished()
        return np.array([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])

    return transform


def _lhotse(_name: str) -> Transform:
    """lhotse.Fbank."""
    _stand_in_for_torchaudio_extension()
    fbank = importlib.import_module("lhotse").Fbank()
    return lambda samples: fbank.extract(samples, 16000)


def _whisper(name: str) -> Transform:
    """transformers.WhisperFeatureExtractor, without its padding to 30 s."""
    extractor = _transformers("whisper", "WhisperFeatureExtractor")(feature_size=preset(name).spec.n_mels)
    return lambda samples: extractor(samples, sampling_rate=16000, padding="do_not_pad").input_features[0].T


def _ast(_name: str) -> Transform:
    """transformers.ASTFeatureExtractor, with its padding to 1024 frames."""
    extractor = _transformers("audio_spectrogram_transformer", "ASTFeatureExtractor")()
    return lambda samples: extractor(samples, sampling_rate=16000).input_values[0]


def _clap(_name: str) -> Transform:
    """transformers.ClapFeatureExtractor, without its padding to 10 s."""
    extractor = _transformers("clap", "ClapFeatureExtractor")(truncation="rand_trunc", frequency_min=50)
    return lambda samples: extractor(samples, sampling_rate=48000, max_length=len(samples)).input_features[0][0]


def _beats(_name: str) -> Transform:
    """torchaudio.compliance.kaldi.fbank, called and normalised as in microsoft/unilm beats/BEATs.py."""
    _stand_in_for_torchaudio_extension()
    torch, kaldi = importlib.import_module("torch"), importlib.import_module("torchaudio.compliance.kaldi")

    def transform(samples: np.ndarray) -> np.ndarray:
        waveform = torch.from_numpy(samples).unsqueeze(0) * 2**15
        fbank = kaldi.fbank(waveform, num_mel_bins=128, sample_frequency=16000, frame_length=25, frame_shift=10)
        return np.asarray((fbank - 15.41663) / (2 * 6.55582))

    return transform


def _nemo(_name: str) -> Transform:
    """nemo.collections.asr.parts.preprocessing.features.FilterbankFeatures, without the frames that it masks."""
    torch = importlib.import_module("torch")
    front = _nemo_features().FilterbankFeatures(n_window_size=400, nfilt=80).eval()

    def transform(samples: np.ndarray) -> np.ndarray:
        features, lengths = front(torch.from_numpy(samples).unsqueeze(0), torch.tensor([len(samples)]))
        return np.asarray(features[0, :, : lengths[0]].T)

    return transform


def _speechbrain(_name: str) -> Transform:
    """speechbrain.lobes.features.Fbank."""
    _stand_in_for_torchaudio_extension()
    torch, lobes = importlib.import_module("torch"), importlib.import_module("speechbrain.lobes.features")
    fbank = lobes.Fbank(n_mels=80)
    return lambda samples: np.asarray(fbank(torch.from_numpy(samples).unsqueeze(0))[0])


def _espnet(_name: str) -> Transform:
    """espnet2.asr.frontend.default.DefaultFrontend."""
    torch, default = importlib.import_module("torch"), importlib.import_module("espnet2.asr.frontend.default")
    front = default.DefaultFrontend(frontend_conf=None).eval()
    return lambda samples: np.asarray(front(torch.from_numpy(samples).unsqueeze(0), torch.tensor([len(samples)]))[0][0])


def _panns(_name: str) -> Transform:
    """torchlibrosa.stft, as panns_inference's Cnn14 builds it."""
    torch, stft = importlib.import_module("torch"), importlib.import_module("torchlibrosa.stft")
    spectrogram = stft.Spectrogram(n_fft=1024, hop_length=320, win_length=1024)
    bank = stft.LogmelFilterBank(sr=32000, n_fft=1024, n_mels=64, fmin=50, fmax=14000, top_db=None)
    return lambda samples: bank(spectrogram(torch.from_numpy(samples).unsqueeze(0)))[0, 0].detach().numpy()


def _definition(name: str) -> Transform:
    """this project's own float64 definition (tests/naive.py) of tensorflow/models research/audioset."""
    sys.path.insert(0, str(ROOT / "tests"))
    naive = importlib.import_module("naive")
    return lambda samples: naive.features(samples, preset(name).spec)


def _transformers(folder: str, name: str) -> Any:
    _stand_in_for_torchaudio_extension()
    transformers = importlib.import_module("transformers")
    transformers.logging.set_verbosity_error()
    return getattr(importlib.import_module(f"transformers.models.{folder}.feature_extraction_{folder}"), name)


def _stand_in_for_torchaudio_extension() -> None:
    # Linked against CUDA, it does not load beside a torch built for the CPU; nothing here calls it.
    extension = types.ModuleType("torchaudio._extension")
    vars(extension).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function)
    sys.modules.setdefault(extension.__name__, extension)


def _nemo_features() -> Any:
    """NeMo's file of front ends by itself: its package imports a training stack that the front end never calls."""
    asr = "nemo.collections.asr.parts.preprocessing"
    for name in ("nemo", "nemo.utils", "nemo.collections", f"{asr}.perturb", f"{asr}.segment"):
        sys.modules.setdefault(name, MagicMock(__path__=[]))
    for parts in (3, 4, 5):
        sys.modules.setdefault(".".join(asr.split(".")[:parts]), MagicMock(__path__=[]))
    path = importlib.metadata.distribution("nemo_toolkit").locate_file(f"{asr.replace('.', '/')}/features.py")
    spec = importlib.util.spec_from_file_location("nemo_features", str(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_TORCH = ("torch", "torchaudio")
REFERENCES: dict[str, tuple[Callable[[str], Transform], tuple[str, ...]]] = {
    "kaldi": (_kaldi, ("kaldi_native_fbank",)),
    "lhotse": (_lhotse, ("lhotse", *_TORCH)),
    "whisper": (_whisper, ("transformers", "torch")),
    "whisper-v3": (_whisper, ("transformers", "torch")),
    "ast": (_ast, ("transformers", *_TORCH)),
    "clap": (_clap, ("transformers",)),
    "beats": (_beats, _TORCH),
    "nemo": (_nemo, ("nemo_toolkit", "librosa", "torch")),
    "speechbrain": (_speechbrain, ("speechbrain", "torch")),
    "espnet": (_espnet, ("espnet", "librosa", "torch")),
    "panns": (_panns, ("torchlibrosa", "librosa", "torch")),
    "vggish": (_definition, ()),
    "yamnet": (_definition, ()),
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    write_golden(sys.argv[1:] or REFERENCES)
