"""What to compute: `FeatureSpec` (a waveform to features) and `ClipPolicy` (a recording to a waveform), together the `Recipe`.

All three are frozen and validated when they are made, so that a recipe that exists can be computed.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self, get_args

from fastspec.errors import SpecError, choices

Features = Literal["mel", "stft"]
Window = Literal["hann", "hamming", "blackman", "rectangular"]
PadMode = Literal["constant", "reflect"]
MelScale = Literal["slaney", "htk"]
MelNorm = Literal["slaney"]
Log = Literal["none", "ln", "log10", "db"]
LogFloorMode = Literal["clamp", "add"]
Channel = Literal["mean", "left", "right", "loudest"]
Resample = Literal["QQ", "LQ", "MQ", "HQ", "VHQ"]

MAX_N_FFT = 1 << 16


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """How a waveform becomes features of shape `(frames, bands)`. Fields bear librosa's names where librosa has one.

    Attributes:
        sample_rate: of the samples, in Hz.
        n_fft: points of the Fourier transform. Factors 2, 3 and 5 are fast; any other prime p costs O(p) a point.
        win_length: points of the window, centred in `n_fft`; None is `n_fft`.
        hop_length: samples from one frame to the next.
        window: shape of the window.
        periodic: True for the DFT-even window (period `win_length`), False for the symmetric one.
        center: frame t is centred on sample `t * hop_length` (the clip is padded by `n_fft // 2` on both sides); False starts
            frame t there and pads nothing.
        pad_mode: what stands beyond the clip when `center`: zeros, or the clip mirrored as `numpy.pad` does.
        power: 2.0 for power, 1.0 for magnitude.
        features: "mel" for a mel filter bank, "stft" for all `n_fft // 2 + 1` bins.
        n_mels: bands of the mel bank.
        fmin: lowest edge of the bank, in Hz.
        fmax: highest edge of the bank, in Hz; None is `sample_rate / 2`.
        mel_scale: Slaney's (linear below 1 kHz) or HTK's `2595 log10(1 + f / 700)`.
        mel_norm: "slaney" divides each triangle by half its width in Hz; None leaves peaks at 1.
        allow_empty_bands: keep mel bands so narrow that no bin falls into them (they are always zero) instead of refusing the spec.
        log: natural, base 10, `10 log10` ("db"), or none.
        log_floor: the least value that the logarithm sees.
        log_floor_mode: "clamp" is `log(max(x, floor))`, "add" is `log(x + floor)`.
        top_db: lift everything to at least the clip's maximum minus this many dB; None for no such floor. Needs `log="db"`.

    Raises:
        SpecError: a setting that cannot be computed, naming the field, what was given and what is allowed.

    >>> spec = FeatureSpec(sample_rate=16000, n_fft=512, win_length=400, hop_length=160, n_mels=80)
    >>> spec.shape(16000)
    (101, 80)
    >>> FeatureSpec(fmin=9000.0)
    Traceback (most recent call last):
    fastspec.errors.SpecError: fmin is 9000.0 Hz, which is not below fmax, 8000.0 Hz; give 0 <= fmin < fmax <= sample_rate / 2
    """

    sample_rate: int = 16000
    n_fft: int = 512
    win_length: int | None = None
    hop_length: int = 160
    window: Window = "hann"
    periodic: bool = True
    center: bool = True
    pad_mode: PadMode = "reflect"
    power: float = 2.0
    features: Features = "mel"
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float | None = None
    mel_scale: MelScale = "htk"
    mel_norm: MelNorm | None = None
    allow_empty_bands: bool = False
    log: Log = "log10"
    log_floor: float = 1e-10
    log_floor_mode: LogFloorMode = "clamp"
    top_db: float | None = None

    def __post_init__(self) -> None:
        _check_types(self)
        _check_framing(self)
        _check_bank(self)
        _check_log(self)

    @property
    def window_length(self) -> int:
        """Samples under the window: `win_length`, or `n_fft` when that is None."""
        return self.n_fft if self.win_length is None else self.win_length

    @property
    def upper_edge_hz(self) -> float:
        """Highest edge of the bank in Hz: `fmax`, or the Nyquist frequency when that is None."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def n_bands(self) -> int:
        """Size of the last axis of the features."""
        return self.n_mels if self.features == "mel" else self.n_fft // 2 + 1

    def n_frames(self, n_samples: int) -> int:
        """Frames that `n_samples` samples give. The only frame-count formula there is.

        >>> FeatureSpec(n_fft=512, hop_length=160).n_frames(16000), FeatureSpec(n_fft=512, hop_length=160, center=False).n_frames(511)
        (101, 0)
        """
        if n_samples <= 0:
            return 0
        padded = n_samples + 2 * (self.n_fft // 2) if self.center else n_samples
        return max(0, 1 + (padded - self.n_fft) // self.hop_length)

    def shape(self, n_samples: int) -> tuple[int, int]:
        """`(frames, bands)` of the features of `n_samples` samples."""
        return self.n_frames(n_samples), self.n_bands

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields changed, validated anew."""
        _check_names(changes, FeatureSpec)
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class ClipPolicy:
    """How a recording becomes a waveform of fixed length.

    A clip is the source samples `[round(start_s * sr), + round(clip_s * sr))`, mixed to one channel, resampled alone in one shot, then
    cut or padded with zeros to `round(clip_s * sample_rate)` samples.

    Attributes:
        clip_s: length in seconds; None lets `featurize` choose one from the corpus and freeze it in the store.
        channel: mean of all channels, the first, the second (the first of a mono recording), or the one with most energy.
        resample: quality of soxr, from "QQ" (quick) to "VHQ" (very high).

    Raises:
        SpecError: a setting out of range.
    """

    clip_s: float | None = None
    channel: Channel = "mean"
    resample: Resample = "HQ"

    def __post_init__(self) -> None:
        _check_types(self)
        if self.clip_s is not None and not 0 < self.clip_s <= 86400:
            raise SpecError(f"clip_s is {self.clip_s}; give a length in seconds, above 0 and at most 86400 (one day)")

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields changed, validated anew."""
        _check_names(changes, ClipPolicy)
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A `FeatureSpec` with a `ClipPolicy`: all that decides the numbers of a clip's features.

    >>> recipe = Recipe().replace(n_mels=64, clip_s=2.0)
    >>> recipe.shape
    (201, 64)
    >>> Recipe.from_toml(recipe.to_toml()) == recipe
    True
    """

    spec: FeatureSpec = field(default_factory=FeatureSpec)
    clip: ClipPolicy = field(default_factory=ClipPolicy)

    @property
    def n_samples(self) -> int:
        """Samples of a clip at the spec's rate. SpecError while `clip_s` is None."""
        if self.clip.clip_s is None:
            raise SpecError("clip_s is not set, so the clip has no length yet; give one, as in recipe.replace(clip_s=3.0)")
        return max(1, round(self.clip.clip_s * self.spec.sample_rate))

    @property
    def shape(self) -> tuple[int, int]:
        """`(frames, bands)` of one clip's features."""
        return self.spec.shape(self.n_samples)

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields of the spec or of the clip policy changed, validated anew."""
        clip_names = _names(ClipPolicy)
        _check_names(changes, FeatureSpec, ClipPolicy)
        clip = {name: value for name, value in changes.items() if name in clip_names}
        spec = {name: value for name, value in changes.items() if name not in clip_names}
        return replace(self, spec=replace(self.spec, **spec), clip=replace(self.clip, **clip))

    def digest(self) -> str:
        """SHA-256 of the recipe's canonical JSON, in hexadecimal: equal digests give equal features."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def differences(self, other: "Recipe") -> dict[str, tuple[Any, Any]]:
        """Fields in which two recipes differ, with both values.

        >>> Recipe().differences(Recipe().replace(n_mels=64))
        {'n_mels': (80, 64)}
        """
        mine, theirs = _flat(self), _flat(other)
        return {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Plain values under "spec" and "clip"."""
        return {"spec": asdict(self.spec), "clip": asdict(self.clip)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The recipe of `to_dict`'s values; a field left out has its default. SpecError for anything unknown."""
        unknown = set(data) - {"spec", "clip"}
        if unknown:
            raise SpecError(f"unknown table {min(unknown)!r} in a recipe; it has the tables 'spec' and 'clip'")
        spec, clip = data.get("spec", {}), data.get("clip", {})
        for name, table in (("spec", spec), ("clip", clip)):
            if not isinstance(table, Mapping):
                raise SpecError(f"'{name}' in a recipe is {table!r}; it must be a table of fields")
        _check_names(spec, FeatureSpec)
        _check_names(clip, ClipPolicy)
        return cls(spec=FeatureSpec(**spec), clip=ClipPolicy(**clip))

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The recipe of `to_json`'s text."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise SpecError(f"the recipe is not valid JSON: {error}") from None
        if not isinstance(data, Mapping):
            raise SpecError("the recipe is not a JSON object; it has the tables 'spec' and 'clip'")
        return cls.from_dict(data)

    def to_toml(self) -> str:
        """TOML with the tables `[spec]` and `[clip]`; fields that are None are left out, since TOML has no such value."""
        import tomli_w

        tables = self.to_dict().items()
        return tomli_w.dumps({name: {k: v for k, v in table.items() if v is not None} for name, table in tables})

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """The recipe of `to_toml`'s text."""
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"the recipe is not valid TOML: {error}") from None
        return cls.from_dict(data)


def parse_field(name: str, text: str) -> Any:
    """The value that `--set name=text` means: the field's type decides how the text is read, and "none" is None where that is allowed.

    >>> parse_field("n_mels", "64"), parse_field("fmax", "none"), parse_field("center", "false")
    (64, None, False)
    """
    annotations = {f.name: f.type for cls in (FeatureSpec, ClipPolicy) for f in fields(cls)}
    if name not in annotations:
        raise SpecError(f"unknown field {name!r}; {choices(name, annotations)}")
    kinds = _kinds(annotations[name])
    if type(None) in kinds and text.lower() == "none":
        return None
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise SpecError(f"{name} is {text!r}; give true or false")
        return text.lower() == "true"
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                raise SpecError(f"{name} is {text!r}; give {_ARTICLES[kind]}") from None
    return text


_ARTICLES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def _names(*classes: type) -> list[str]:
    return [f.name for cls in classes for f in fields(cls)]


def _flat(recipe: Recipe) -> dict[str, Any]:
    return {**asdict(recipe.spec), **asdict(recipe.clip)}


def _check_names(given: Mapping[str, Any], *classes: type) -> None:
    allowed = _names(*classes)
    for name in given:
        if name not in allowed:
            raise SpecError(f"unknown field {name!r}; {choices(name, allowed)}")


def _kinds(annotation: Any) -> tuple[Any, ...]:
    """The types that a field takes; a Literal stands for its values."""
    return tuple(
        k for part in get_args(annotation) or (annotation,) for k in ((part,) if isinstance(part, type) else get_args(part) or (part,))
    )


def _check_types(thing: Any) -> None:
    """Each field holds a value of its annotation; whole numbers become floats where a float is meant, so that digests agree."""
    for f in fields(thing):
        value, kinds = getattr(thing, f.name), _kinds(f.type)
        words = [k for k in kinds if isinstance(k, str)]
        if value is None and type(None) in kinds:
            continue
        if words:
            if value not in words:
                raise SpecError(f"{f.name} is {value!r}; {choices(str(value), words)}")
        elif float in kinds and isinstance(value, int | float) and not isinstance(value, bool):
            if value != value or value in (float("inf"), float("-inf")):
                raise SpecError(f"{f.name} is {value}; give a finite number")
            object.__setattr__(thing, f.name, float(value))
        elif not any(type(value) is k for k in kinds):
            wanted = " or ".join(_ARTICLES[k] for k in kinds if k in _ARTICLES)
            raise SpecError(f"{f.name} is {value!r}; give {wanted}")


def _check_framing(spec: FeatureSpec) -> None:
    if not 1 <= spec.sample_rate <= 1_000_000:
        raise SpecError(f"sample_rate is {spec.sample_rate} Hz; give 1 to 1000000")
    if not 2 <= spec.n_fft <= MAX_N_FFT:
        raise SpecError(f"n_fft is {spec.n_fft}; give 2 to {MAX_N_FFT}")
    if not 1 <= spec.window_length <= spec.n_fft:
        raise SpecError(f"win_length is {spec.win_length} with n_fft {spec.n_fft}; give 1 <= win_length <= n_fft, or a larger n_fft")
    if spec.hop_length < 1:
        raise SpecError(f"hop_length is {spec.hop_length}; give 1 or more samples")
    if spec.power not in (1.0, 2.0):
        raise SpecError(f"power is {spec.power}; give 1.0 for magnitude or 2.0 for power")


def _check_bank(spec: FeatureSpec) -> None:
    if spec.features == "stft":
        return
    if spec.n_mels < 1:
        raise SpecError(f"n_mels is {spec.n_mels}; give 1 or more bands")
    nyquist = spec.sample_rate / 2
    if spec.upper_edge_hz > nyquist:
        raise SpecError(f"fmax is {spec.fmax} Hz, above half the sample rate, {nyquist} Hz; give at most that, or None")
    if not 0 <= spec.fmin < spec.upper_edge_hz:
        raise SpecError(
            f"fmin is {spec.fmin} Hz, which is not below fmax, {spec.upper_edge_hz} Hz; give 0 <= fmin < fmax <= sample_rate / 2"
        )


def _check_log(spec: FeatureSpec) -> None:
    if spec.log != "none" and not 1e-38 <= spec.log_floor <= 1e30:
        raise SpecError(f"log_floor is {spec.log_floor}; give 1e-38 to 1e30, so that the logarithm stays finite in float32")
    if spec.top_db is not None and spec.log != "db":
        raise SpecError(f"top_db is {spec.top_db} with log {spec.log!r}; top_db needs log 'db'")
    if spec.top_db is not None and spec.top_db < 0:
        raise SpecError(f"top_db is {spec.top_db}; give 0 or more dB, or None")
