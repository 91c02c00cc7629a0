"""`FrontEnd`: a spec's tables, its scratch and the call, for one clip and for many."""

import math
import threading
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastspec.audio import change_rate
from fastspec.blocks import Blocks
from fastspec.errors import SamplesError
from fastspec.filters import bank, window
from fastspec.kernels import fft
from fastspec.kernels.arrays import aligned, frozen
from fastspec.kernels.clipwise import normalize_bands
from fastspec.kernels.extract import Plan, Scratch, extract, find_covered, scratch_sizes
from fastspec.kernels.framing import condition_clips
from fastspec.kernels.simd import Lanes, host_lanes, host_processor, make_lanes
from fastspec.presets import preset
from fastspec.spec import FeatureSpec, Recipe

Float32 = NDArray[np.float32]

# Samples beyond it count as not finite in blocks other than mel and stft: their squares, summed over a frame, stay within float32.
_BLOCKS_LIMIT = 1e15

# Of some hundred kilobytes each.
_PLANS = 16

# log_b(x) = log2(x) * scale, and 10 log10 for decibels.
_LOG_SCALES = {"none": 1.0, "ln": math.log(2), "log10": math.log10(2), "db": 10 * math.log10(2)}


class FrontEnd:
    """Computes the features of a spec. Make one, call it often, from as many threads as you like.

    Shape:
        samples `(samples,)` float32 or int16 at `spec.sample_rate` -> `(frames, bands)` float32.

    Raises:
        SpecError: the spec's filter bank has empty bands.
        SamplesError: samples of another shape or dtype, or none at all.

    >>> front = FrontEnd(preset("librosa"))
    >>> front(np.zeros(22050, np.float32)).shape
    (44, 128)
    """

    def __init__(self, spec: FeatureSpec | Recipe, *, lanes: int | None = None) -> None:
        self.spec = spec.spec if isinstance(spec, Recipe) else spec
        self._n_bands = self.spec.n_bands
        self._threads = threading.local()
        self._blocks = None if self.spec.is_fused else Blocks(self.spec)
        if self._blocks is None:
            self._plan = make_plan(self.spec, host_lanes() if lanes is None else make_lanes(lanes))
        else:
            self._sources = {source: FrontEnd(source, lanes=lanes) for source in dict.fromkeys(self._blocks.sources.values())}

    def __repr__(self) -> str:
        s = self.spec
        names = " + ".join(s.parts())
        return f"FrontEnd({names}, {s.sample_rate} Hz, {s.n_fft} / {s.window_length} / {s.hop_length}, {s.n_bands} bands, {s.log})"

    def __call__(self, samples: ArrayLike) -> Float32:
        """Features of one clip: `(samples,)` float32 in any range, or int16 scaled by 1 / 32768, to `(frames, bands)` float32.

        Frames whose window covers a NaN, an infinity or a number so large that features would overflow float32 are NaN.
        """
        array = np.asarray(samples)
        if array.ndim != 1:
            raise SamplesError(f"samples have the shape {array.shape}; give one channel as (samples,), or use batch for (clips, samples)")
        features: Float32 = self.batch(array[None])[0]
        return features

    def batch(self, samples: ArrayLike, out: Float32 | None = None) -> Float32:
        """Features of clips of one length: `(clips, samples)` to `(clips, frames, bands)` float32, the GIL released.

        A clip's features are the same bits alone and in any batch. `out`, if given, is written and returned; it must be a
        C-contiguous float32 array of that shape.
        """
        clips = _as_float32(samples)
        shape = (len(clips), self.spec.n_frames(clips.shape[1]), self._n_bands)
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise SamplesError(f"out is {out.dtype} {out.shape}; give a C-contiguous float32 array of shape {shape}")
        if self._blocks is None:
            self._extract(self._condition(clips), out)
        elif shape[1]:
            usable = np.where(np.abs(clips) <= _BLOCKS_LIMIT, clips, np.float32(np.nan))
            for clip, rows in zip(usable, out, strict=True):
                self._blocks.fill(clip, {spec: front(clip) for spec, front in self._sources.items()}, rows)
        if self.spec.normalize == "per_band":
            normalize_bands(out.reshape(-1), *shape, np.empty(2 * shape[2]))
        return out

    def _extract(self, clips: Float32, out: Float32) -> None:
        sizes = *clips.shape, out.shape[1]
        if not extract(frozen(clips), *sizes, self._plan, self._scratch(), _NONE_COVERED, self._least(sizes[2]), out.reshape(-1)):
            self._extract_around_nonfinite(clips, sizes, out)

    def _condition(self, clips: Float32) -> Float32:
        """Clips after what is done to a whole clip before it is padded."""
        s = self.spec
        preemphasis = s.preemphasis if s.preemphasis_mode == "signal" else 0.0
        if s.remove_dc != "clip" and not preemphasis:
            return clips
        conditioned = np.empty_like(clips)
        condition_clips(frozen(clips), *clips.shape, s.remove_dc == "clip", np.float32(preemphasis), conditioned.reshape(-1))
        return conditioned

    def _extract_around_nonfinite(self, clips: Float32, sizes: tuple[int, int, int], out: Float32) -> None:
        """Compute with zeros in place of samples that are not usable, then erase the frames that saw one, before any maximum is taken."""
        finite = np.abs(clips) <= self._plan.limit
        covered = np.zeros(sizes[0] * sizes[2], np.uint8)
        scratch = self._scratch()
        find_covered(frozen((~finite).astype(np.float32)), *sizes, self._plan, scratch.rows[: len(self._plan.window)], covered)
        covered.flags.writeable = False
        clean = np.where(finite, clips, np.float32(0))
        extract(frozen(clean), *sizes, self._plan, scratch, covered, self._least(sizes[2]), out.reshape(-1))

    def _least(self, n_frames: int) -> Float32:
        return np.empty(n_frames + len(self._plan.lanes) if self._plan.lifted else 0, np.float32)

    def _scratch(self) -> Scratch:
        """This thread's scratch."""
        scratch = getattr(self._threads, "scratch", None)
        if scratch is None:
            scratch = Scratch(*(aligned(size) for size in scratch_sizes(self._plan)))
            self._threads.scratch = scratch
        return scratch

    def __reduce__(self) -> tuple[type["FrontEnd"], tuple[FeatureSpec]]:
        return FrontEnd, (self.spec,)


def features(samples: ArrayLike, sample_rate: int, spec: str | FeatureSpec | Recipe = "librosa") -> Float32:
    """Features of one waveform at any rate, resampled by soxr when the spec wants another: `(frames, bands)` float32.

    `spec` is a preset's name, a recipe or a spec. Build a `FrontEnd` to compute many.

    >>> features(np.zeros(16000, np.float32), 16000, "torchaudio").shape
    (81, 128)
    """
    recipe = preset(spec) if isinstance(spec, str) else spec if isinstance(spec, Recipe) else Recipe(spec=spec)
    if sample_rate < 1:
        raise SamplesError(f"sample_rate is {sample_rate} Hz; give 1 or more")
    array = np.asarray(samples)
    if array.ndim != 1:
        raise SamplesError(f"samples have the shape {array.shape}; give one channel as (samples,)")
    front = FrontEnd(recipe)  # refuses what cannot be computed before anything is resampled
    mono = _as_float32(array[None])[0]
    if sample_rate != recipe.spec.sample_rate:
        mono = change_rate(mono, sample_rate, target_hz=recipe.spec.sample_rate, quality=recipe.clip.resample)
    return front(mono)


def kernel_target() -> str:
    """What the kernels are compiled for: the processor and the width of its vectors. Values may differ in their last bits between two."""
    return f"{host_processor()}, {len(host_lanes())} lanes"


@lru_cache(_PLANS)
def make_plan(spec: FeatureSpec, lanes: Lanes) -> Plan:
    """The kernels' view of a spec; one that was made lately is had again."""
    packed = spec.n_fft % 2 == 0
    length, passes = spec.window_length, fft.radices(spec.n_fft // 2 if packed else spec.n_fft)
    filters = bank(spec)
    # Unpacking leaves four times the power: half the window is an exact remedy.
    shape = window(spec.window, length, periodic=spec.periodic) * spec.sample_scale * (0.5 if packed else 1.0)
    preemphasis = spec.preemphasis if spec.preemphasis_mode == "frame" else 0.0
    # Normalisation is part of the logarithm's scale; a floor below the maximum scales with it.
    # A bin's power is at most the square of what a full window of the largest sample adds up to. Eight times that leaves room for
    # pre-emphasis and for what passes through the transform.
    largest_power = 64 * max(1.0, float(filters.weights.max())) * float(filters.width.max())
    mean, std = (spec.norm_mean, spec.norm_std) if spec.normalize == "fixed" else (0.0, 1.0)
    return Plan(
        lanes=lanes,
        packed=packed,
        limit=np.float32(math.sqrt(np.finfo(np.float32).max / largest_power) / max(1.0, np.abs(shape).sum())),
        hop_length=spec.hop_length,
        offset=spec.first_sample,
        mirrored=spec.pad_mode != "constant",
        mirrored_edge=int(spec.pad_mode == "symmetric"),
        conditioned=spec.remove_dc == "frame" or preemphasis > 0,
        frame_mean=spec.remove_dc == "frame",
        preemphasis=np.float32(preemphasis),
        window=frozen(shape.astype(np.float32)),
        order=frozen(fft.reversed_order(passes)),
        passes=frozen(np.array(passes, np.int64)),
        factors=frozen(fft.twiddles(passes)),
        unpacking=frozen(fft.unpacking_factors(spec.n_fft)),
        magnitude=spec.power == 1.0,
        first=frozen(filters.first),
        width=frozen(filters.width),
        start=frozen(filters.start),
        weights=frozen(filters.weights),
        logarithmic=spec.log != "none",
        add_floor=spec.log_floor_mode == "add",
        floor=np.float32(spec.log_floor),
        scale=np.float32(_LOG_SCALES[spec.log] / std),
        shift=np.float32(-mean / std),
        lifted=spec.top_db is not None,
        depth=np.float32((spec.top_db or 0.0) * _LOG_SCALES[spec.log] / _LOG_SCALES["db"] / std),
    )


def _as_float32(samples: ArrayLike) -> Float32:
    """Clips as C-contiguous float32; int16 is scaled to -1 … 1."""
    array = np.asarray(samples)
    if array.ndim != 2:
        raise SamplesError(f"a batch has the shape {array.shape}; give (clips, samples)")
    if array.shape[1] == 0:
        raise SamplesError("the waveform is empty; give at least one sample")
    if array.dtype == np.int16:
        return array * np.float32(1 / 32768)
    if array.dtype != np.float32:
        raise SamplesError(
            f"samples are {array.dtype}; give float32, or int16 (other types: samples.astype('float32') in the scale you mean)"
        )
    return np.ascontiguousarray(array)


_NONE_COVERED = frozen(np.zeros(0, np.uint8))
