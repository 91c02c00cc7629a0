"""The blocks of a spec, put together clip by clip: from mel bands, power spectra and samples to what stands side by side.

What the fused kernel computes by itself ("mel", "stft") is a source; every other block is a second pass over a source or over the samples.
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastspec.filters import cepstral_matrix, chroma_matrix, delta_weights
from fastspec.kernels.arrays import frozen
from fastspec.kernels.descriptors import TINY, count_crossings, describe_spectra, find_peaks, sum_squares
from fastspec.kernels.temporal import apply_matrix, smooth_frames, weigh_frames
from fastspec.spec import DELTA_ENDINGS, FeatureSpec

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Lost = NDArray[np.bool_] | None

_SPECTRAL = ("centroid", "bandwidth", "rolloff", "flatness")  # the columns of `describe_spectra`
_SAMPLED = ("zcr", "rms")
# librosa 0.11 `estimate_tuning`: pitches of 150 to 4000 Hz, in steps of a hundredth of a class.
_PITCH_RANGE_HZ = 150.0, 4000.0
_TUNING_STEPS = 100


def source_specs(spec: FeatureSpec) -> dict[str, FeatureSpec]:
    """For each block that is made from a spectrum: the spec of one fused block that it is made from. Several may share one."""
    plain = spec.replace(deltas=0, normalize="none" if spec.normalize == "per_band" else spec.normalize)
    raw = plain.replace(features="stft", log="none", top_db=None, normalize="none", power=2.0)
    sources = {
        "mel": lambda: plain.replace(features="mel"),
        "stft": lambda: plain.replace(features="stft"),
        "mfcc": lambda: plain.replace(features="mel", normalize="none"),
        "pcen": lambda: plain.replace(features="mel", log="none", top_db=None, normalize="none"),
    }
    return {block: sources[block]() if block in sources else raw for block in spec.features if block not in _SAMPLED}


class Blocks:
    """Makes all blocks of a spec's clips from the features of its sources.

    Attributes:
        spec: of the blocks.
        sources: as `source_specs` gives them.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        self.sources = source_specs(spec)
        self._cepstral = frozen(cepstral_matrix(spec)) if "mfcc" in spec.features else None

    def fill(self, clip: Float32, rows: Mapping[FeatureSpec, Float32], out: Float32) -> None:
        """Write one clip's features, before any normalisation by band.

        Args:
            clip: `(samples,)` float32.
            rows: the clip's `(frames, bands)` float32 features by the spec of each source.
            out: `(frames, bands)` float32, written; frames that cover a sample that is not finite are NaN.
        """
        finite = np.isfinite(clip)
        lost = None if finite.all() else self._lost_frames(~finite, rows)
        clean = clip if lost is None else np.where(finite, clip, np.float32(0))
        parts, spectral = self.spec.parts(), self._spectral(rows)
        for block in self.spec.features:
            with np.errstate(over="ignore", invalid="ignore"):  # samples of 1e20 have a power that float32 does not hold
                values = self._values(block, clean, finite, rows, spectral)
            out[:, parts[block]] = values
            if self.spec.deltas:
                bridged = values if lost is None else _bridged(values, lost)
                for order, ending in enumerate(DELTA_ENDINGS[: self.spec.deltas], start=1):
                    out[:, parts[block + ending]] = self._deltas(bridged, order)
        if lost is not None:
            out[lost] = np.nan

    def _values(
        self, block: str, clip: Float32, finite: NDArray[np.bool_], rows: Mapping[FeatureSpec, Float32], spectral: Float32 | None
    ) -> Float32:
        """`(frames, bands)` of one block."""
        s = self.spec
        if block == "zcr":
            return self._crossings(clip)
        if block == "rms":
            squares = self._squares(_padded(clip, s, "constant"), s.frame_length, s.n_frames(len(clip)), remove_mean=False)
            return (np.sqrt(squares / s.frame_length) * s.sample_scale).astype(np.float32)[:, None]
        source = rows[self.sources[block]]
        if block == "mfcc":
            return self._cepstra(source, clip, finite)
        if block == "pcen":
            return equalize_channels(source, s)
        if block == "chroma":
            return chroma(source, s)
        if spectral is not None and block in _SPECTRAL:
            return spectral[:, _SPECTRAL.index(block), None]
        return source

    def _spectral(self, rows: Mapping[FeatureSpec, Float32]) -> Float32 | None:
        """`(frames, 4)`: the blocks that describe a spectrum, made in one pass, if any is asked for."""
        wanted = [self.sources[block] for block in _SPECTRAL if block in self.sources]
        if not wanted:
            return None
        power = rows[wanted[0]]
        out = np.empty(4 * len(power), np.float32)
        bin_hz = self.spec.sample_rate / self.spec.n_fft
        describe_spectra(frozen(power), *power.shape, bin_hz, self.spec.roll_percent, out)
        return out.reshape(-1, 4)

    def _cepstra(self, log_mel: Float32, clip: Float32, finite: NDArray[np.bool_]) -> Float32:
        s = self.spec
        out = np.empty(len(log_mel) * s.n_mfcc, np.float32)
        apply_matrix(frozen(log_mel), *log_mel.shape, self._cepstral, s.n_mfcc, out)
        cepstra = out.reshape(-1, s.n_mfcc)
        if s.mfcc_energy:
            cepstra[:, 0] = self._log_energy(clip, finite)
        return cepstra

    def _log_energy(self, clip: Float32, finite: NDArray[np.bool_]) -> Float64:
        s = self.spec
        if s.remove_dc == "clip":
            clip = np.where(finite, clip - np.float32(clip.sum(dtype=np.float64) / max(1, finite.sum())), np.float32(0))
        before = (s.frame_length - s.window_length) // 2
        samples = _padded(clip, s, s.pad_mode)[before:]
        energy = self._squares(samples, s.window_length, s.n_frames(len(clip)), remove_mean=s.remove_dc == "frame")
        decades = np.log10(np.maximum(energy * s.sample_scale**2, s.log_floor))
        return np.asarray(decades * {"log10": 1.0, "db": 10.0, "ln": np.log(10)}[s.log])

    def _squares(self, samples: Float32, length: int, n_frames: int, *, remove_mean: bool) -> Float64:
        out = np.empty(n_frames)
        sum_squares(frozen(samples), n_frames, self.spec.hop_length, length, remove_mean, out)
        return out

    def _crossings(self, clip: Float32) -> Float32:
        out = np.empty(self.spec.n_frames(len(clip)), np.float32)
        count_crossings(frozen(_padded(clip, self.spec, "edge")), len(out), self.spec.hop_length, self.spec.frame_length, out)
        return out[:, None]

    def _lost_frames(self, bad: NDArray[np.bool_], rows: Mapping[FeatureSpec, Float32]) -> NDArray[np.bool_]:
        """`(frames,)`: whether a frame covers a bad sample, in any of the blocks."""
        s, n_frames = self.spec, self.spec.n_frames(len(bad))
        lost = np.zeros(n_frames, bool)
        for source in rows.values():
            lost |= np.isnan(source[:, 0])
        if any(block in _SAMPLED for block in s.features):
            lost |= self._squares(_padded(bad.astype(np.float32), s, "edge"), s.frame_length, n_frames, remove_mean=False) > 0
        return lost

    def _deltas(self, values: Float32, order: int) -> Float32:
        s, repeated = self.spec, self.spec.delta_method == "kaldi"
        weights = delta_weights(s, order, s.delta_width if repeated else min(s.delta_width, len(values)))
        out = np.empty(values.size, np.float32)
        weigh_frames(frozen(values), *values.shape, frozen(weights), repeated, np.empty(values.shape[1]), out)
        return out.reshape(values.shape)


def equalize_channels(mel: Float32, spec: FeatureSpec) -> Float32:
    """Per-channel energy normalisation of `(frames, bands)` linear mel energies (V. Lostanlen et al., IEEE SPL 2019; librosa 0.11 `pcen`).

    (x / (eps + M)^gain + bias)^power - bias^power, with M the energies smoothed by a first-order filter that starts at 1.
    """
    frames = spec.pcen_time_constant * spec.sample_rate / spec.hop_length
    share = (np.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)
    smooth = np.empty(mel.size)
    smooth_frames(frozen(mel), *mel.shape, share, np.ones(mel.shape[1]), smooth)
    energy = mel * (spec.pcen_eps + smooth.reshape(mel.shape)) ** -spec.pcen_gain
    if spec.pcen_power == 0:
        return np.asarray(np.log1p(energy), np.float32)
    if spec.pcen_bias == 0:
        return np.asarray(energy**spec.pcen_power, np.float32)
    # As b^p ((1 + x / b)^p - 1), which keeps the digits of small x.
    grown = np.expm1(spec.pcen_power * np.log1p(energy / spec.pcen_bias))
    return np.asarray(spec.pcen_bias**spec.pcen_power * grown, np.float32)


def chroma(power: Float32, spec: FeatureSpec) -> Float32:
    """`(frames, n_chroma)` float32 of `(frames, bins)` power spectra: each frame over its largest class."""
    tuning = estimate_tuning(power, spec) if spec.tuning is None else spec.tuning
    out = np.empty(len(power) * spec.n_chroma, np.float32)
    apply_matrix(frozen(power), *power.shape, _chroma_weights(spec, tuning), spec.n_chroma, out)
    classes = out.reshape(-1, spec.n_chroma)
    largest = classes.max(axis=1, keepdims=True)
    return np.asarray(classes / np.where(largest < TINY, 1, largest), np.float32)


def estimate_tuning(power: Float32, spec: FeatureSpec) -> float:
    """How far the pitches in `(frames, bins)` power spectra lie above A = 440 Hz, in pitch classes: -0.5 to 0.49 in hundredths.

    The most frequent distance of a spectral peak from its class, among the louder half of the peaks; 0.0 where there is none.
    """
    hz = np.arange(power.shape[1]) * (spec.sample_rate / spec.n_fft)
    low, high = np.searchsorted(hz, [_PITCH_RANGE_HZ[0], min(_PITCH_RANGE_HZ[1], spec.sample_rate / 2)])
    places, heights = np.empty(power.size), np.empty(power.size)
    found = find_peaks(frozen(power), *power.shape, low, high, places, heights)
    if not found:
        return 0.0
    places, heights = places[:found], heights[:found]
    pitches = places[heights >= np.median(heights)] * (spec.sample_rate / spec.n_fft)
    distance = (spec.n_chroma * np.log2(pitches / 440)) % 1.0
    distance[distance >= 0.5] -= 1
    edges = np.linspace(-0.5, 0.5, _TUNING_STEPS + 1)
    counts, _ = np.histogram(distance, edges)
    return float(edges[np.argmax(counts)])


@lru_cache(maxsize=2 * _TUNING_STEPS)
def _chroma_weights(spec: FeatureSpec, tuning: float) -> Float64:
    return frozen(chroma_matrix(spec, tuning))


def _padded(clip: Float32, spec: FeatureSpec, mode: str) -> Float32:
    """A clip with what stands beyond its ends, from the start of frame 0 to the end of the last frame."""
    first = spec.first_sample - (spec.frame_length - spec.window_length) // 2
    stop = first + (spec.n_frames(len(clip)) - 1) * spec.hop_length + spec.frame_length
    before, after = max(0, -first), max(0, stop - len(clip))
    samples = np.pad(clip, (before, after), mode=mode) if before or after else clip  # type: ignore[call-overload]
    return np.asarray(samples[max(0, first) :], np.float32)


def _bridged(values: Float32, lost: NDArray[np.bool_]) -> Float32:
    """`(frames, bands)` with lost frames on straight lines between those around them, or like the nearest at the clip's ends."""
    if lost.all():
        return values
    at, kept, bridged = np.flatnonzero(lost), np.flatnonzero(~lost), values.copy()
    for band in range(values.shape[1]):
        bridged[at, band] = np.interp(at, kept, values[kept, band])
    return bridged
