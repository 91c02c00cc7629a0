"""`ClipPolicy` and `Recipe`: what decides the numbers of a clip's features, and its text forms."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, Self

from fastspec.display import changed_fields, changed_repr, table_html
from fastspec.errors import SpecError, choices
from fastspec.spec.feature import FeatureSpec
from fastspec.spec.fields import ARTICLES, check_names, check_types, field_kinds, field_names, is_list

Channel = Literal["mean", "left", "right", "loudest", "each"]
Resample = Literal["QQ", "LQ", "MQ", "HQ", "VHQ"]
Last = Literal["pad", "drop", "shift"]
Crop = Literal["start", "center", "end"]
Pad = Literal["zeros", "edge", "reflect", "wrap", "repeat", "frames"]

LONGEST_S = 86_400
SHORTEST_HOP_S = 0.001


@dataclass(frozen=True, kw_only=True, repr=False)
class ClipPolicy:
    """How a recording becomes waveforms of fixed length: one, or with a `hop_s` as many windows as it takes.

    A clip is the source samples `[round(start_s * sr), + round(clip_s * sr))`, mixed to one channel, resampled alone in one shot, then
    cut or padded to `round(clip_s * sample_rate)` samples. Window k of a recording starts at `k * hop_s`; the windows that fit are
    followed by one more where the next would reach beyond the recording's end, unless the last that fits ends there.

    Attributes:
        clip_s: length in seconds; None lets `featurize` choose one from the corpus and freeze it in the store.
        hop_s: from the start of one window to that of the next, in seconds; None for one clip a recording.
        last: the window that does not fit is padded ("pad"), left out ("drop"), or moved back until it ends with the recording
            ("shift"). A recording shorter than one window gives one: padded, or too short when "drop".
        crop: which stretch of a longer recording is the clip: from its "start", in its "center", or up to its "end". Without a `hop_s`.
        pad: what follows a clip that is shorter than `clip_s`: "zeros"; its last sample ("edge"); the clip mirrored without its outermost
            samples ("reflect") or from its start again ("wrap"), over and over until it is full; whole repetitions while they fit, then
            zeros ("repeat"); or nothing, and the frames that are missing are 0 ("frames"): before a "fixed" normalisation, which then
            applies to them too, and after a "per_band" one, which leaves them out of its statistics.
        min_s: clips with less audio are too short and have no features; a padded last window with less is not made.
        channel: mean of all channels, the first, the second (the first of a mono recording), the one with most energy in the clip, or a
            clip of "each".
        resample: quality of soxr, from "QQ" (quick) to "VHQ" (very high).

    Raises:
        SpecError: a setting out of range, or two that exclude each other.

    >>> ClipPolicy(clip_s=3.0, hop_s=1.5, last="shift").needs_lengths
    True
    >>> ClipPolicy(hop_s=1.5)
    Traceback (most recent call last):
    fastspec.errors.SpecError: hop_s is 1.5 without clip_s; give the length of a window too, as in clip_s 3.0
    """

    clip_s: float | None = None
    hop_s: float | None = None
    last: Last = "pad"
    crop: Crop = "start"
    pad: Pad = "zeros"
    min_s: float = 0.0
    channel: Channel = "mean"
    resample: Resample = "HQ"

    __repr__ = changed_repr

    def __post_init__(self) -> None:
        check_types(self)
        if self.clip_s is not None and not 0 < self.clip_s <= LONGEST_S:
            raise SpecError(f"clip_s is {self.clip_s}; give a length in seconds, above 0 and at most {LONGEST_S} (one day)")
        if not 0 <= self.min_s <= (self.clip_s or LONGEST_S):
            raise SpecError(f"min_s is {self.min_s}; give 0 or more seconds, and at most the clip's length")
        if self.hop_s is not None:
            self._check_windows(self.hop_s)

    def _check_windows(self, hop_s: float) -> None:
        if not SHORTEST_HOP_S <= hop_s <= LONGEST_S:
            raise SpecError(f"hop_s is {hop_s}; give {SHORTEST_HOP_S} to {LONGEST_S} seconds, or None for one clip a recording")
        if self.clip_s is None:
            raise SpecError(f"hop_s is {hop_s} without clip_s; give the length of a window too, as in clip_s 3.0")
        if self.crop != "start":
            raise SpecError(f"crop is {self.crop!r} with hop_s {hop_s}; windows take the whole recording: give hop_s None, or crop 'start'")

    @property
    def needs_lengths(self) -> bool:
        """Whether it takes a recording's length or channels to know its clips."""
        return self.hop_s is not None or self.crop != "start" or self.channel == "each"

    @property
    def shortest_s(self) -> float:
        """The least audio that a clip may hold, in seconds; windows of which the last is dropped are whole."""
        whole = self.clip_s if self.hop_s is not None and self.last == "drop" else None
        return whole or self.min_s

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields changed, validated anew."""
        check_names(changes, ClipPolicy)
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True, repr=False)
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

    __repr__ = changed_repr

    def _repr_html_(self) -> str:
        spec, clip = self.spec, self.clip
        length = "not chosen yet" if clip.clip_s is None else f"{clip.clip_s:g} s, {spec.n_frames(self.n_samples):,} frames"
        frame = f"{spec.window_length:,} samples ({spec.window}) every {spec.hop_length:,}, FFT of {spec.n_fft:,}"
        features = f"{' + '.join(spec.parts())}, {spec.n_bands:,} bands, {'linear' if spec.log == 'none' else spec.log}"
        changed = ", ".join(f"{name}={value!r}" for name, value in (changed_fields(spec) | changed_fields(clip)).items())
        rows = {
            "features": features,
            "sample rate": f"{spec.sample_rate:,} Hz",
            "frames": frame,
            "clips": length,
            "not as by default": changed,
        }
        return table_html(f"Recipe {self.digest()[:12]}", rows)

    @property
    def n_samples(self) -> int:
        """Samples of a clip at the spec's rate. SpecError while `clip_s` is None."""
        if self.clip.clip_s is None:
            raise SpecError("clip_s is not set, so the clip has no length yet; give one, as in recipe.replace(clip_s=3.0)")
        return max(1, round(self.clip.clip_s * self.spec.sample_rate))

    @property
    def shape(self) -> tuple[int, int]:
        """`(frames, bands)` of one clip's features. SpecError when the clip is shorter than a frame."""
        shape = self.spec.shape(self.n_samples)
        if not shape[0]:
            raise SpecError(
                f"clip_s is {self.clip.clip_s:g}, {self.n_samples} samples, which hold no frame of {self.spec.frame_length}; "
                "give a longer clip, or center True"
            )
        return shape

    def replace(self, **changes: Any) -> Self:
        """A copy with these fields of the spec or of the clip policy changed, validated anew."""
        clip_names = field_names(ClipPolicy)
        check_names(changes, FeatureSpec, ClipPolicy)
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
        spec = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.spec).items()}
        return {"spec": spec, "clip": asdict(self.clip)}

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
        check_names(spec, FeatureSpec)
        check_names(clip, ClipPolicy)
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
            raise SpecError(f"the recipe is not valid JSON: {error}; write one by Recipe.to_json()") from None
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
            raise SpecError(f"the recipe is not valid TOML: {error}; 'fastspec preset show librosa' prints one that is") from None
        return cls.from_dict(data)


def parse_field(name: str, text: str) -> Any:
    """The value that `--set name=text` means: the field's type decides how the text is read, "none" is None where that is allowed.

    >>> parse_field("n_mels", "64"), parse_field("fmax", "none"), parse_field("center", "false"), parse_field("features", "mel, rms")
    (64, None, False, ('mel', 'rms'))
    """
    annotations = {f.name: f.type for cls in (FeatureSpec, ClipPolicy) for f in fields(cls)}
    if name not in annotations:
        raise SpecError(f"unknown field {name!r}; {choices(name, annotations)}")
    if is_list(annotations[name]):
        return tuple(word.strip() for word in text.split(","))
    kinds = field_kinds(annotations[name])
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
                raise SpecError(f"{name} is {text!r}; give {ARTICLES[kind]}") from None
    return text


def _flat(recipe: Recipe) -> dict[str, Any]:
    return {**asdict(recipe.spec), **asdict(recipe.clip)}
