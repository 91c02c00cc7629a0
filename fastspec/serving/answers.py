"""What the endpoint says, as JSON. The names of columns are those of `fastspec predict`."""

from base64 import b64encode

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from fastspec.learn import Bundle, Prediction
from fastspec.serving.hearing import Answer, Picture, Why, decision
from fastspec.serving.limits import Limits

_DECIMALS = 4


class Model(BaseModel):
    """The model that answers, and what it takes."""

    plugin: str
    classes: list[str]
    by: str = Field(description="what it was trained to answer for: recording or clip")
    n_clips: int = Field(description="clips that it learned from")
    sample_rate: int = Field(description="that every sound is brought to, in Hz")
    clip_s: float = Field(description="length of a clip at most, in seconds")
    hop_s: float | None = Field(description="from clip to clip in seconds, where recordings are cut into several")
    thresholds: dict[str, float] = Field(description="by class: the probability from which it is the answer")
    unknown_below: float | None = Field(description='the answer is "unknown" where no probability reaches that')
    versions: dict[str, str]
    upload_bytes: int = Field(description="of a sound at most")
    seconds: float = Field(description="of a sound at most")

    @classmethod
    def of(cls, bundle: Bundle, limits: Limits) -> "Model":
        """The model in a bundle."""
        clip = bundle.recipe.clip
        return cls(
            plugin=bundle.plugin.name,
            classes=bundle.classes,
            by=bundle.by,
            n_clips=bundle.n_clips,
            sample_rate=bundle.recipe.spec.sample_rate,
            clip_s=clip.clip_s or 0.0,
            hop_s=clip.hop_s,
            thresholds=dict(bundle.decisions.thresholds),
            unknown_below=bundle.decisions.unknown_below,
            versions=bundle.versions,
            upload_bytes=limits.upload_bytes,
            seconds=limits.seconds,
        )


class Recording(BaseModel):
    """What was sent."""

    name: str
    format: str = Field(examples=["WAV PCM_16"])
    sample_rate: int
    channels: int
    duration_s: float
    truncated: bool = Field(description="whether decoding fails before the end")
    waveform: list[tuple[float, float]] = Field(description="least and greatest sample in equal stretches of time")


class Row(BaseModel):
    """One row of what `fastspec predict` writes."""

    path: str
    start_s: float
    duration_s: float | None
    channel: int | None
    predicted: str | None
    probabilities: dict[str, float] | None
    status: str
    decision: str | None = Field(description="why the answer is what it is")
    seen: bool = Field(description="whether the model learned from this very sound")


class Clip(BaseModel):
    """One clip by itself."""

    start_s: float
    duration_s: float | None
    channel: int | None
    probabilities: dict[str, float] | None
    status: str
    reason: str | None = Field(description="why it has no probabilities")


class Predicted(BaseModel):
    """The answer for a sound."""

    recording: Recording
    predictions: list[Row] = Field(description="the rows of fastspec predict: one, or one a clip")
    clips: list[Clip]

    @classmethod
    def of(cls, found: Answer, name: str, bundle: Bundle) -> "Predicted":
        """An answer as JSON has it."""
        extent, classes = found.overview.extent, bundle.classes
        recording = Recording(
            name=name,
            format=found.overview.format,
            sample_rate=extent.sample_rate,
            channels=extent.channels,
            duration_s=extent.frames / extent.sample_rate,
            truncated=extent.failed,
            waveform=_rounded(found.overview.waveform),
        )
        rows = [
            Row(
                **(row._asdict() | {"probabilities": _by_class(row, classes)}),
                decision=decision(bundle.decisions, row, classes),
            )
            for row in found.predictions
        ]
        clips = [
            Clip(
                start_s=clip.start_s,
                duration_s=clip.duration_s,
                channel=clip.channel,
                probabilities=_by_class(clip, classes),
                status=clip.status,
                reason=reason,
            )
            for clip, reason in zip(found.clips, found.reasons, strict=True)
        ]
        return cls(recording=recording, predictions=rows, clips=clips)


class Spectrogram(BaseModel):
    """One clip to look at."""

    block: str = Field(description="of the features", examples=["mel"])
    frames: int
    bands: int
    levels: str = Field(description="base64 of frames × bands bytes, frame by frame: 0 not a number, 1 to 255 from low to high")
    low: float
    high: float
    unit: str | None = Field(description="of low and high", examples=["dBFS"])
    bands_hz: list[float] | None = Field(description="frequency in the middle of each band, where bands are frequencies")
    first_s: float = Field(description="middle of frame 0, from the start of the clip")
    hop_s: float
    waveform: list[tuple[float, float]] = Field(description="least and greatest sample in equal stretches of time, of what the model hears")
    duration_s: float

    @classmethod
    def of(cls, picture: Picture) -> "Spectrogram":
        """A picture as JSON has it."""
        frames, bands = picture.levels.shape
        return cls(
            block=picture.block,
            frames=frames,
            bands=bands,
            levels=_packed(picture.levels),
            low=picture.low,
            high=picture.high,
            unit="dBFS" if picture.decibels else None,
            bands_hz=None if picture.bands_hz is None else picture.bands_hz.round(1).tolist(),
            first_s=picture.first_s,
            hop_s=picture.hop_s,
            waveform=_rounded(picture.waveform),
            duration_s=picture.duration_s,
        )


class Explained(BaseModel):
    """What in a clip speaks for a class: by how much its log-odds fall when a place is hidden."""

    target: str
    probability: float
    frames: int
    bands: int
    importance: str = Field(description="base64 of frames × bands signed bytes, frame by frame: 127 is `most`, below 0 speaks against it")
    most: float = Field(description="log-odds of 127")

    @classmethod
    def of(cls, why: Why) -> "Explained":
        """An explanation as JSON has it."""
        most = float(np.abs(why.importance).max(initial=0.0))
        steps = np.round(why.importance * (127 / most)) if most else np.zeros_like(why.importance)
        frames, bands = why.importance.shape
        return cls(
            target=why.target,
            probability=why.probability,
            frames=frames,
            bands=bands,
            importance=_packed(steps.astype(np.int8)),
            most=most,
        )


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="what was given, what is allowed, what to do")
    status: str | None = Field(default=None, description="as in the ledger, where the sound is to blame", examples=["unreadable"])


def _by_class(prediction: Prediction, classes: list[str]) -> dict[str, float] | None:
    told = prediction.probabilities
    return None if told is None else dict(zip(classes, told.tolist(), strict=True))


def _rounded(waveform: NDArray[np.float32]) -> list[tuple[float, float]]:
    rounded = waveform.astype(np.float64).round(_DECIMALS)
    return list(zip(rounded[:, 0].tolist(), rounded[:, 1].tolist(), strict=True))


def _packed(values: NDArray[np.uint8] | NDArray[np.int8]) -> str:
    return b64encode(values.tobytes()).decode("ascii")
