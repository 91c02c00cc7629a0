"""The named reference front ends, as data: each is the exact definition of another project's features."""

from typing import Any

from fastspec.errors import SpecError, choices
from fastspec.spec import ClipPolicy, FeatureSpec, Recipe

PRESETS: dict[str, Recipe] = {
    # librosa.power_to_db(librosa.feature.melspectrogram(y, sr=22050)), librosa/feature/spectral.py and core/spectrum.py
    "librosa": Recipe(
        spec=FeatureSpec(
            sample_rate=22050,
            n_fft=2048,
            win_length=2048,
            hop_length=512,
            pad_mode="constant",
            n_mels=128,
            fmin=0.0,
            mel_scale="slaney",
            mel_norm="slaney",
            log="db",
            log_floor=1e-10,
            top_db=80.0,
        ),
        clip=ClipPolicy(channel="mean", resample="HQ"),
    ),
    # torchaudio.transforms.MelSpectrogram(), transforms/_transforms.py: the hop is win_length // 2; log="db" adds AmplitudeToDB()
    "torchaudio": Recipe(
        spec=FeatureSpec(
            sample_rate=16000,
            n_fft=400,
            win_length=400,
            hop_length=200,
            pad_mode="reflect",
            n_mels=128,
            mel_scale="htk",
            mel_norm=None,
            allow_empty_bands=True,  # bands 0, 3, 6 and 13 are empty in torchaudio's own default, which warns
            log="none",
        ),
        clip=ClipPolicy(channel="mean", resample="HQ"),
    ),
}


def preset(name: str, **changes: Any) -> Recipe:
    """The recipe of a named front end, with fields of its spec or clip policy overridden.

    Raises:
        SpecError: an unknown preset or field, or a setting that cannot be computed.

    >>> preset("librosa", n_mels=64, clip_s=3.0).shape
    (130, 64)
    >>> preset("librozza")
    Traceback (most recent call last):
    fastspec.errors.SpecError: unknown preset 'librozza'; known are: librosa, torchaudio (did you mean 'librosa'?)
    """
    if name not in PRESETS:
        raise SpecError(f"unknown preset {name!r}; {choices(name, PRESETS)}")
    return PRESETS[name].replace(**changes)
