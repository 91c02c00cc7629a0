"""Clips of a store as a page shows them: picture, waveform and sound, within a budget of bytes."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastspec.audio import LoadedClip
from fastspec.corpus import Manifest
from fastspec.errors import FastspecError
from fastspec.pipeline import load_rows, recordings_of
from fastspec.report.canvas import Canvas, bare_canvas, column_extremes
from fastspec.report.frame import shown_part
from fastspec.report.levels import in_decibels, levels, range_of
from fastspec.report.look import Look, Size
from fastspec.report.png import encode_png
from fastspec.report.sound import MIME, can_encode, encode_sound
from fastspec.report.ticks import band_ticks, label_of
from fastspec.spec import Recipe
from fastspec.store import FeatureStore
from fastspec.store.ledger import USABLE
from fastspec.store.source import read_source

Float32 = NDArray[np.float32]

PICTURE: Size = (320, 128)
COLUMNS = 200
WAVE_HEIGHT = 40
_TICKS_APART = 0.24
_MOST_TIMES = 4


class Tick(NamedTuple):
    """A mark of an axis: how far along it stands, in percent, and what it says."""

    place: float
    text: str


@dataclass(frozen=True, kw_only=True)
class ClipView:
    """One clip of a store.

    Attributes:
        row: of the ledger.
        picture: the features as the address of a PNG; None where they make none, or the budget is spent.
        wave: its waveform as the path of an SVG, `COLUMNS` wide and `WAVE_HEIGHT` high; None where the recording is gone.
        sound: its address; None likewise.
        importance: what each place of the picture does to the log-odds of an answer, as the address of a PNG, where that was asked.
    """

    row: Mapping[str, Any]
    picture: str | None
    wave: str | None
    sound: str | None
    importance: str | None = None


class Gallery:
    """Makes views of a store's clips, all with the same axes, until its bytes are spent."""

    def __init__(self, store: FeatureStore, *, budget_bytes: int, corpus: str | None = None) -> None:
        self.store, self.left_bytes = store, budget_bytes
        self._recordings, self.silent_because = _find_recordings(store, corpus)
        self._look = Look(waveform=False)
        self._canvas = _make_canvas(store.recipe, self._look)

    @property
    def recipe(self) -> Recipe | None:
        """Of what is drawn: the first block of the store's with several bands; None where there is none."""
        return _drawn(self.store.recipe)

    @cached_property
    def frequencies(self) -> list[Tick]:
        """Marks of the axis of bands, from the bottom."""
        if self.recipe is None:
            return []
        spec = self.recipe.spec
        places, texts = band_ticks(spec, apart=_TICKS_APART)
        return [Tick(100 * (place + 0.5) / spec.n_bands, text) for place, text in zip(places.tolist(), texts, strict=True)]

    @cached_property
    def times(self) -> list[Tick]:
        """Marks of the axis of time, in seconds."""
        if self.recipe is None:
            return []
        (first_s, last_s), _ = shown_part(self.recipe)
        step = _round_step((last_s - first_s) / _MOST_TIMES)
        marks = np.arange(np.ceil(first_s / step - 1e-9), last_s / step + 1e-9) * step
        return [Tick(100 * float((mark - first_s) / (last_s - first_s)), f"{abs(mark):.6g}") for mark in marks]

    @property
    def axes(self) -> str:
        """What the axes of pictures show."""
        return "" if self.recipe is None else f"{label_of(self.recipe.spec)[0]} over time (s)"

    @property
    def colours(self) -> str:
        """What the colours of pictures mean."""
        if self.recipe is not None and in_decibels(self.recipe.spec):
            return f"black is {self._look.range_db:g} dB and more below the loudest that is shown"
        return "brighter is more"

    def show(self, clips: Sequence[int], importances: Mapping[int, Float32] | None = None) -> list[ClipView]:
        """A view of each clip, in that order; of what is quieter than 80 dB below the loudest of them nothing is seen.

        Args:
            clips: rows of the store.
            importances: by row, `(frames, bands)` float32.
        """
        features = {clip: np.asarray(self.store.features[clip], np.float32) for clip in sorted(set(clips))}
        sounds = self._load(list(features))
        pictures = self._draw(features)
        return [self._view(clip, pictures.get(clip), sounds.get(clip), (importances or {}).get(clip)) for clip in clips]

    def _view(self, clip: int, picture: bytes | None, samples: Float32 | None, importance: Float32 | None) -> ClipView:
        wave = sound = None
        if samples is not None:
            wave = self._afford(_wave_path(samples, self.store.recipe.n_samples))
            sound = self._address(encode_sound(samples, self.store.recipe.spec.sample_rate), MIME)
        shown = None if importance is None else self._address(self._draw_importance(importance), "image/png")
        return ClipView(
            row=self.store.ledger.row(clip, named=True),
            picture=None if picture is None else self._address(picture, "image/png"),
            wave=wave,
            sound=sound,
            importance=shown,
        )

    def _address(self, data: bytes, kind: str) -> str | None:
        return self._afford(f"data:{kind};base64,{base64.b64encode(data).decode()}")

    def _afford(self, text: str) -> str | None:
        """The text, when there are bytes left for it."""
        if len(text) > self.left_bytes:
            return None
        self.left_bytes -= len(text)
        return text

    def _load(self, clips: Sequence[int]) -> dict[int, Float32]:
        """The samples of those clips whose recordings are there, and are still what the store heard."""
        if self._recordings is None:
            return {}
        rows = [row for clip in clips for row in self._recordings.rows(clip, clip + 1)]
        loaded = load_rows(rows, recordings=self._recordings.recordings, recipe=self.store.recipe)
        hashes = self.store.ledger["audio_hash"]
        return {clip: one.samples for clip, one in zip(clips, loaded, strict=True) if _is_same(one, hashes[clip])}

    def _draw(self, features: Mapping[int, Float32]) -> dict[int, bytes]:
        if self.recipe is None or self._canvas is None:
            return {}
        spec, bands = self.recipe.spec, _bands_of(self.store.recipe, self.recipe)
        usable = {clip: values[:, bands] for clip, values in features.items() if self.store.ledger["status"][clip] in USABLE}
        if not usable:
            return {}
        limits = range_of(np.concatenate([levels(values, spec) for values in usable.values()]), spec, self._canvas.range_db)
        canvas = replace(self._canvas, limits=limits)
        return {clip: encode_png(canvas.draw(values), canvas.palette.colours) for clip, values in usable.items()}

    def _draw_importance(self, importance: Float32) -> bytes:
        """Red speaks for the answer, blue against it, white makes no difference."""
        assert self.recipe is not None
        assert self._canvas is not None
        values = importance[:, _bands_of(self.store.recipe, self.recipe)]
        most = float(np.abs(values).max(initial=0.0)) or 1.0
        shares = np.round(127 + 127 * values / most).astype(np.uint8)
        first, last = self._canvas.frames
        upright = Image.fromarray(np.ascontiguousarray(shares.T[::-1]))
        drawn = upright.resize(PICTURE, Image.Resampling.BILINEAR, (first, 0, last, values.shape[1]))
        colours = 255 * matplotlib.colormaps["RdBu_r"](np.linspace(0, 1, 255))[:, :3]
        return encode_png(np.asarray(drawn), colours.round().astype(np.uint8))


def _find_recordings(store: FeatureStore, corpus: str | None) -> tuple[Manifest | None, str | None]:
    """The store's rows with their recordings, or why there are none."""
    if not can_encode():
        return None, "this libsndfile writes no MP3; upgrade it to 1.1 or newer"
    if corpus is None and read_source(store.path).corpus is None:
        return None, "the store does not say where its recordings are; say it with --corpus"
    try:
        return recordings_of(store.path, corpus), None
    except (FastspecError, OSError):
        if corpus is not None:
            raise
        return None, "the corpus is not where it was, or cannot be read; say where it is with --corpus"


def _is_same(clip: LoadedClip, audio_hash: str | None) -> bool:
    return clip.usable and len(clip.samples) > 0 and clip.info.audio_hash == audio_hash


def _drawn(recipe: Recipe) -> Recipe | None:
    blocks = [block for block in recipe.spec.features if recipe.spec.block_size(block) > 1]
    return recipe.replace(features=blocks[0], deltas=0) if blocks else None


def _bands_of(whole: Recipe, drawn: Recipe) -> slice:
    return whole.spec.parts()[drawn.spec.features[0]]


def _make_canvas(recipe: Recipe, look: Look) -> Canvas | None:
    drawn = _drawn(recipe)
    if drawn is None:
        return None
    canvas = bare_canvas(drawn, size=PICTURE, look=look, relative=False)
    return replace(canvas, frames=shown_part(drawn)[1])


def _wave_path(samples: Float32, n_samples: int) -> str:
    """An outline: along the greatest samples of all columns, back along the least."""
    low, high = column_extremes(samples, (0, n_samples), COLUMNS)
    peak = max(float(np.abs([low, high]).max()), 1e-9)
    middle, scale = WAVE_HEIGHT / 2, WAVE_HEIGHT / 2 - 1
    top, bottom = middle - scale * high / peak - 0.25, middle - scale * low / peak + 0.25
    forth = " ".join(f"{x} {y:.1f}" for x, y in enumerate(top))
    back = " ".join(f"{x} {y:.1f}" for x, y in reversed(list(enumerate(bottom))))
    return f"M{forth} {back}z"


def _round_step(least: float) -> float:
    """The next of 1, 2 and 5 times a power of ten.

    >>> _round_step(0.3), _round_step(2.0), _round_step(7.0)
    (0.5, 2.0, 10.0)
    """
    power = 10.0 ** np.floor(np.log10(least))
    return next(float(f"{factor * power:.6g}") for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
