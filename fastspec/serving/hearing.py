"""One sound as a model hears it: its clips, the answer, a picture and why. The sound lies in memory; nothing is written anywhere."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio import AudioError, Extent, cut_stretch, decode_ahead
from fastspec.audio.decode import BLOCK_FRAMES, Recording
from fastspec.corpus import ClipRow
from fastspec.corpus.packing import as_columns
from fastspec.errors import FastspecError, LearnError, choices
from fastspec.filters import mel_edges_hz
from fastspec.frontend import FrontEnd
from fastspec.learn import Bundle, Prediction
from fastspec.learn.decisions import UNKNOWN, Decisions
from fastspec.learn.explanation import occlude
from fastspec.learn.prediction import Heard, answer, hear_clips, unit_of_answers
from fastspec.pipeline.compute import FeatureBatch, compute_rows, group_clips, load_columns
from fastspec.report.levels import in_decibels, levels, range_of
from fastspec.serving.limits import Deadline, Limits, Turns
from fastspec.spec import ClipPolicy, FeatureSpec

Float32 = NDArray[np.float32]

_COLUMNS = 1200
_FINE_FRAMES = 32
_RANGE_DB = 80.0
_STEPS = 254


class Unheard(FastspecError):
    """A sound that has no answer: `status` as in the ledger, or "too-long"; `reason` in one line."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"the sound is {self.status}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Sound:
    """What a client sent: a file's bytes, and the name it goes by."""

    name: str
    data: bytes

    def open(self, path: str) -> bytes:
        """The bytes, whatever the path."""
        del path
        return self.data


class Overview(NamedTuple):
    """A whole sound, decoded once.

    Attributes:
        extent: what it decodes to.
        format: libsndfile's name of container and encoding.
        waveform: `(columns, 2)` float32: least and greatest sample of all channels in equal stretches of time.
    """

    extent: Extent
    format: str
    waveform: Float32


class Answer(NamedTuple):
    """What is said of a sound.

    Attributes:
        overview: of the sound.
        predictions: as `fastspec predict` gives them: one of the recording, or one a clip.
        clips: of each clip the prediction by itself.
        reasons: why each clip has no features; None where it has.
    """

    overview: Overview
    predictions: list[Prediction]
    clips: list[Prediction]
    reasons: list[str | None]


class Picture(NamedTuple):
    """One clip as people see it.

    Attributes:
        block: which of the recipe's blocks is shown.
        levels: `(frames, bands)` uint8: 0 is not a number, 1 to 255 the range from `low` to `high`.
        low, high: in dB from a full-scale sine where `decibels` is true, else in the block's own unit.
        decibels: whether levels are dB.
        bands_hz: `(bands,)` float64, the frequency in the middle of each band; None where bands are no frequencies.
        first_s, hop_s: the middle of frame 0 from the start of the clip, and from frame to frame, in seconds.
        waveform: `(columns, 2)` float32, of the channel that the model hears.
        duration_s: of the clip's own audio.
    """

    block: str
    levels: NDArray[np.uint8]
    low: float
    high: float
    decibels: bool
    bands_hz: NDArray[np.float64] | None
    first_s: float
    hop_s: float
    waveform: Float32
    duration_s: float


class Why(NamedTuple):
    """What in a clip speaks for a class.

    Attributes:
        target: the class.
        probability: of it, in this clip, calibrated where the model is.
        importance: `(frames, bands)` float32 of the block that `Picture` shows, as `Explanation.importance`.
    """

    target: str
    probability: float
    importance: Float32


class Listener:
    """Answers for sounds in memory, safe in several threads. The model itself is asked by one at a time.

    Args:
        bundle: the model.
        limits: the longest sound that is taken.
    """

    def __init__(self, bundle: Bundle, limits: Limits) -> None:
        self.bundle = bundle
        self._limits = limits
        self._turns = Turns(bundle)
        self._front = FrontEnd(bundle.recipe)
        self._unit = unit_of_answers(bundle, None, whole=True)

    def answer(self, sound: Sound, deadline: Deadline) -> Answer:
        """What the model says of a sound, the same as `fastspec predict` of the same file.

        Raises:
            Unheard: no clip of it can be heard, or it is too long.
            TooLate: the deadline is over.
        """
        overview = survey(sound.data, limit_s=self._limits.seconds, check=deadline.check)
        bundle = replace(self.bundle, model=self._turns.for_one(deadline))
        rows = clip_rows(sound.name, overview.extent, bundle.recipe.clip)
        heard: list[Heard] = []
        for batch in self._batches(sound, rows, deadline):
            heard += hear_clips(bundle, batch.rows, batch.features, batch.valid_frames)
        if all(clip.probabilities is None for clip in heard):
            raise Unheard(heard[0].row["status"], heard[0].row["reason"])
        reasons = [None if clip.probabilities is not None else clip.row["reason"] for clip in heard]
        return Answer(overview, list(answer(bundle, heard, self._unit)), list(answer(bundle, heard, "clip")), reasons)

    def picture(self, sound: Sound, start_s: float, channel: int | None, deadline: Deadline) -> Picture:
        """The clip that starts there, as people see it.

        Raises:
            Unheard: it has no features.
            TooLate: the deadline is over.
        """
        batch, samples = self._clip(sound, start_s, channel, deadline)
        spec = self.bundle.recipe.spec
        block, part = shown_block(spec)
        alone = spec.replace(features=block, deltas=0)
        level = levels(batch.features[0, : batch.valid_frames[0], part], alone)
        low, high = range_of(level, alone, _RANGE_DB)
        with np.errstate(invalid="ignore"):
            steps = np.clip(np.round((level - low) / (high - low) * _STEPS), 0, _STEPS) + 1
        return Picture(
            block=block,
            levels=np.where(np.isfinite(level), steps, 0).astype(np.uint8),
            low=low,
            high=high,
            decibels=in_decibels(alone),
            bands_hz=bands_hz(alone),
            first_s=(spec.first_sample + spec.window_length / 2) / spec.sample_rate,
            hop_s=spec.hop_length / spec.sample_rate,
            waveform=extremes(samples[:, None], _COLUMNS),
            duration_s=len(samples) / spec.sample_rate,
        )

    def why(self, sound: Sound, start_s: float, channel: int | None, target: str | None, deadline: Deadline) -> Why:
        """What in the clip that starts there speaks for a class; None is the likeliest.

        Raises:
            LearnError: the model knows no such class.
            Unheard: the clip has no features.
            TooLate: the deadline is over.
        """
        classes = self.bundle.classes
        if target is not None and target not in classes:
            raise LearnError(f"the model knows no class {target!r}; {choices(target, classes)}")
        batch, _ = self._clip(sound, start_s, channel, deadline)
        bundle = replace(self.bundle, model=self._turns.for_one(deadline))
        features, valid = np.asarray(batch.features[0], np.float32), int(batch.valid_frames[0])
        told = bundle.model.predict_proba(features[None], np.array([valid], np.int32))
        index = int(told[0].argmax()) if target is None else classes.index(target)
        probability = float(bundle.decisions.calibrate(told)[0, index])
        _, part = shown_block(bundle.recipe.spec)
        return Why(classes[index], probability, occlude(bundle, features, valid, index=index)[:valid, part])

    def warm_up(self) -> None:
        """Compile and load whatever the first sound would wait for."""
        recipe = self.bundle.recipe
        features = self._front.batch(np.zeros((1, recipe.n_samples), np.float32))
        self.bundle.model.predict_proba(features[:, : recipe.shape[0]], np.array([features.shape[1]], np.int32))
        decode_ahead()

    def _batches(self, sound: Sound, rows: Sequence[ClipRow], deadline: Deadline) -> Iterator[FeatureBatch]:
        recipe, step = self.bundle.recipe, 4 * group_clips(self.bundle.recipe)
        batches = load_columns([as_columns(rows)], recordings=sound, recipe=recipe, on_block=deadline.check)
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            batch = compute_rows(some, first, batches=batches, recipe=recipe, front=self._front, on_group=lambda *_: deadline.check())
            yield batch._replace(rows=[{**info, "duration_s": row.duration_s} for info, row in zip(batch.rows, some, strict=True)])

    def _clip(self, sound: Sound, start_s: float, channel: int | None, deadline: Deadline) -> tuple[FeatureBatch, Float32]:
        """Features and waveform of one clip."""
        recipe = self.bundle.recipe
        if recipe.clip.channel == "each":
            recipe = recipe.replace(channel="mean")
        row = ClipRow(sound.name, None, None, None, start_s, None, channel)
        batches = load_columns([as_columns([row])], recordings=sound, recipe=recipe, on_block=deadline.check)
        batch = compute_rows(
            [row], 0, batches=batches, recipe=recipe, front=self._front, on_group=lambda *_: deadline.check(), keep_waveforms=True
        )
        if batch.rows[0]["status"] != "ok":
            raise Unheard(batch.rows[0]["status"], batch.rows[0]["reason"])
        return batch, (batch.waveforms or [])[0]


def survey(data: bytes, *, limit_s: float, check: Callable[[], None]) -> Overview:
    """What a sound decodes to, in memory that grows with its length by a few bytes a stretch; `check` is called for every block.

    Raises:
        Unheard: it cannot be opened, or it is longer than `limit_s` seconds.
    """
    pieces: list[Float32] = []
    frames, failed = 0, False
    try:
        with Recording(data) as recording:
            while True:
                check()
                try:
                    block = recording.read(frames, frames + BLOCK_FRAMES)
                except AudioError:
                    frames, failed = recording.decoded_frames, True
                    break
                if not len(block):
                    break
                frames += len(block)
                if frames > limit_s * recording.sample_rate:
                    raise Unheard("too-long", f"it is longer than {limit_s:g} s, which is the most that is taken here; cut it")
                pieces.append(extremes(block, -(-len(block) // _FINE_FRAMES)))
            extent = Extent(frames, recording.sample_rate, recording.channels, failed)
            return Overview(extent, f"{recording.format} {recording.subtype}", _coarser(pieces))
    except AudioError as error:
        raise Unheard(error.status, error.reason) from None


def clip_rows(name: str, extent: Extent, policy: ClipPolicy) -> list[ClipRow]:
    """The clips of a whole recording, as `fastspec.pipeline.cut_clips` cuts them."""
    if not policy.needs_lengths:
        return [ClipRow(name, None, None, None, 0.0, None)]
    cuts = cut_stretch(0.0, None, extent, policy)
    channels: Sequence[int | None] = range(extent.channels) if policy.channel == "each" else [None]
    stretches = zip(cuts.start_s.tolist(), cuts.duration_s.tolist(), strict=True)
    return [ClipRow(name, None, None, None, start_s, duration_s, k) for start_s, duration_s in stretches for k in channels]


def extremes(samples: Float32, columns: int) -> Float32:
    """Least and greatest of `(samples, channels)` in at most so many stretches, `(columns, 2)`; what is not finite counts as 0.

    >>> extremes(np.float32([[1], [-2], [3], [4]]), 2).tolist()
    [[-2.0, 1.0], [3.0, 4.0]]
    """
    finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    starts = np.unique(np.linspace(0, len(finite), min(columns, len(finite)), endpoint=False).astype(np.int64))
    least = np.minimum.reduceat(finite.min(axis=1), starts)
    return np.stack([least, np.maximum.reduceat(finite.max(axis=1), starts)], axis=1)


def shown_block(spec: FeatureSpec) -> tuple[str, slice]:
    """The block of a spec that makes a picture, or its first one; and where it stands on the band axis."""
    block = next((name for name in spec.features if spec.block_size(name) > 1), spec.features[0])
    return block, spec.parts()[block]


def bands_hz(spec: FeatureSpec) -> NDArray[np.float64] | None:
    """The frequency in the middle of each band of a spec's only block, `(bands,)`; None where bands are no frequencies."""
    if spec.features == ("stft",):
        return np.arange(spec.n_bands, dtype=np.float64) * (spec.sample_rate / spec.n_fft)
    return mel_edges_hz(spec)[1:-1] if spec.features in (("mel",), ("pcen",)) else None


def decision(decisions: Decisions, prediction: Prediction, classes: Sequence[str]) -> str | None:
    """Why the answer is what it is, in a few words; None where there is none."""
    if prediction.probabilities is None or prediction.predicted is None:
        return None
    likeliest = classes[int(prediction.probabilities.argmax())]
    if prediction.predicted == UNKNOWN and decisions.unknown_below is not None:
        return f"no class reaches {decisions.unknown_below:.1%}"
    if prediction.predicted in decisions.thresholds:
        limit = decisions.thresholds[prediction.predicted]
        reached = prediction.probabilities[list(classes).index(prediction.predicted)] >= limit
        return (
            f"reaches its threshold of {limit:.1%}" if reached else f"no class reaches its threshold, and it is nearest to its {limit:.1%}"
        )
    if prediction.predicted == likeliest:
        return "the likeliest class"
    if decisions.costs:
        return f"costs least, though {likeliest} is likelier"
    return f"{likeliest} is likelier, but stays below its threshold of {decisions.thresholds[likeliest]:.1%}"


def _coarser(pieces: Sequence[Float32]) -> Float32:
    """Stretches that follow each other, joined to at most `_COLUMNS`."""
    return extremes(np.concatenate(pieces), _COLUMNS) if pieces else np.zeros((0, 2), np.float32)
