"""Other projects' front ends, imported only when one is asked for: one table for parity tests and benchmarks.

A reference computes a `FeatureSpec` with its own code on one thread, so that its numbers and its speed can be set beside ours.
"""

import importlib
import importlib.util
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastspec.errors import FastspecError, SpecError, choices
from fastspec.spec import FeatureSpec

Float32 = NDArray[np.float32]
Transform = Callable[[Float32], Float32]

# What noise, hard clipping and real recordings may differ by, after the logarithm.
_TOLERANCES = {"none": 1e-4, "ln": 3e-4, "log10": 1e-4, "db": 1e-3}
# Features without a logarithm are compared through one, from here up.
_LINEAR_FLOOR = 1e-10


class ReferenceUnavailable(FastspecError):
    """A reference that is unknown, not installed, or does not import."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One project's front end.

    Attributes:
        name: of the project.
        packages: what it needs, each importable and installable by that name.
        batched: whether its transform also takes many clips at once.
        build: a spec to its transform.
    """

    name: str
    packages: tuple[str, ...]
    batched: bool
    build: Callable[[FeatureSpec], Transform]

    @property
    def install_command(self) -> str:
        """What installs its packages."""
        return f"pip install {' '.join(self.packages)}"

    def is_installed(self) -> bool:
        """Whether its packages are there; nothing is imported to find out."""
        return all(importlib.util.find_spec(package) is not None for package in self.packages)

    def versions(self) -> dict[str, str]:
        """The version of each package. ReferenceUnavailable when one is missing."""
        self._require()
        return {package: version(package) for package in self.packages}

    def transform(self, spec: FeatureSpec) -> Transform:
        """The project's own computation of a mel spec, on one thread.

        Shape:
            `(samples,)` float32 -> `(frames, bands)` float32; where `batched`, also `(clips, samples)` -> `(clips, frames, bands)`.

        What comes back may be a view with its axes exchanged: putting them in order is not charged to the project.

        Raises:
            ReferenceUnavailable: it is not installed, or does not import.
            SpecError: a spec that is not a mel bank.
        """
        self._require()
        if not spec.is_fused or spec.features != ("mel",):
            parts = " + ".join(spec.parts())
            raise SpecError(f"features is {parts}, for which {self.name} is no reference here; give features 'mel' alone")
        try:
            return self.build(spec)
        except (ImportError, OSError) as error:
            raise ReferenceUnavailable(
                f"{self.name} does not import ({error}); install it again: {self.install_command} --force-reinstall"
            ) from error

    def _require(self) -> None:
        if not self.is_installed():
            raise ReferenceUnavailable(f"{self.name} is not installed; install it: {self.install_command}")


def reference(name: str) -> Reference:
    """The reference of that name.

    Raises:
        ReferenceUnavailable: there is none.

    >>> reference("torchaudio").packages
    ('torch', 'torchaudio')
    >>> reference("librsa")
    Traceback (most recent call last):
    fastspec.references.ReferenceUnavailable: unknown reference 'librsa'; known are: librosa, torchaudio (did you mean 'librosa'?)
    """
    if name not in REFERENCES:
        raise ReferenceUnavailable(f"unknown reference {name!r}; {choices(name, REFERENCES)}")
    return REFERENCES[name]


def installed_references() -> list[Reference]:
    """The references that can be asked for here, in the table's order."""
    return [entry for entry in REFERENCES.values() if entry.is_installed()]


def tolerance(spec: FeatureSpec) -> float:
    """The largest `difference` from a reference that counts as equal on noise, hard clipping and real recordings.

    >>> tolerance(FeatureSpec(log="db"))
    0.001
    """
    return _TOLERANCES[spec.log]


def difference(ours: ArrayLike, theirs: ArrayLike, *, spec: FeatureSpec) -> float:
    """The largest difference between two arrays of a spec's features, in the unit of its logarithm.

    Features without a logarithm are compared in log10, each at least 1e-10. NaN in either array gives NaN.

    Raises:
        ValueError: arrays of different shapes.

    >>> difference([1.0, 0.0], [10.0, 1e-12], spec=FeatureSpec(log="none"))
    1.0
    """
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"features have the shapes {a.shape} and {b.shape}; give two of one shape")
    if spec.log == "none":
        a, b = np.log10(np.maximum(a, _LINEAR_FLOOR)), np.log10(np.maximum(b, _LINEAR_FLOOR))
    return float(np.abs(a - b).max(initial=0.0))


# --- librosa -----------------------------------------------------------------------------------------------------------------------


def _build_librosa(spec: FeatureSpec) -> Transform:
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
        "norm": spec.mel_norm,
    }

    def transform(samples: Float32) -> Float32:
        with _empty_bands_as_allowed(spec):
            mel = librosa.feature.melspectrogram(y=samples, **options)
        return np.asarray(_compress_array(mel, spec, librosa).T, np.float32)

    return transform


def _compress_array(mel: Float32, spec: FeatureSpec, librosa: Any) -> Float32:
    if spec.log == "none":
        return mel
    if spec.log_floor_mode == "add":
        mel += np.float32(spec.log_floor)
    if spec.log == "db":
        return np.asarray(librosa.power_to_db(mel, amin=spec.log_floor, top_db=spec.top_db))
    np.maximum(mel, np.float32(spec.log_floor), out=mel)
    return np.log(mel, out=mel) if spec.log == "ln" else np.log10(mel, out=mel)


# --- torchaudio --------------------------------------------------------------------------------------------------------------------


def _build_torchaudio(spec: FeatureSpec) -> Transform:
    """torchaudio.transforms.MelSpectrogram, then functional.amplitude_to_DB or a plain logarithm."""
    torch, torchaudio = importlib.import_module("torch"), _import_torchaudio()
    torch.set_num_threads(1)  # for the whole process: torch has no narrower switch
    with _empty_bands_as_allowed(spec):
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
    return mel.log_() if spec.log == "ln" else mel.log10_()


def _torch_window(torch: Any, spec: FeatureSpec) -> Callable[[int], Any]:
    if spec.window == "rectangular":
        return lambda length: torch.ones(length)
    function = getattr(torch, f"{spec.window}_window")
    return lambda length: function(length, periodic=spec.periodic)


def _import_torchaudio() -> Any:
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        # Its compiled extension is linked against CUDA and does not load beside a torch built for the CPU. Only alignment and decoding
        # call it; the transforms are plain torch. So the module that loads it is replaced by one that says it is not there.
        extension = types.ModuleType("torchaudio._extension")
        vars(extension).update(_IS_TORCHAUDIO_EXT_AVAILABLE=False, fail_if_no_align=lambda function: function)
        sys.modules[extension.__name__] = extension
        return importlib.import_module("torchaudio")


@contextmanager
def _empty_bands_as_allowed(spec: FeatureSpec) -> Iterator[None]:
    """Silence what references warn of when a spec has empty bands and allows them."""
    with warnings.catch_warnings():
        if spec.allow_empty_bands:
            warnings.filterwarnings("ignore", "Empty filters detected|At least one mel filterbank has all zero values")
        yield


REFERENCES: dict[str, Reference] = {
    entry.name: entry
    for entry in (
        Reference(name="librosa", packages=("librosa",), batched=False, build=_build_librosa),
        Reference(name="torchaudio", packages=("torch", "torchaudio"), batched=True, build=_build_torchaudio),
    )
}
