"""MiniRocket over bands: what is drawn before anything is seen, what is learned from training clips, and features of a clip."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastspec.learn.pooling import clip_blocks
from fastspec_rocket.kernel import KERNELS, convolve, transform

Float32 = NDArray[np.float32]

_MAX_DILATIONS = 32
_MAX_BANDS = 9
_GOLDEN = (np.sqrt(5) + 1) / 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Transform:
    """A fitted transform. The arrays are those of `kernel.transform`; bands are normalised by `mean` and `scale`.

    Attributes:
        mean: `(bands,)` float32, of the valid frames of the training clips.
        scale: `(bands,)` float32, their standard deviation.
    """

    mean: Float32
    scale: Float32
    dilations: NDArray[np.int32]
    per_dilation: NDArray[np.int32]
    band_starts: NDArray[np.int32]
    bands: NDArray[np.int32]
    biases: Float32

    @classmethod
    def fit(cls, features: Float32, valid_frames: NDArray[np.int32], *, n_features: int, seed: int) -> Self:
        """Draw the bands of each combination, and take biases from the convolutions of training clips drawn at random.

        Args:
            features: `(clips, frames, bands)` float32.
            valid_frames: `(clips,)` int32.
            n_features: about how many; a multiple of 84 is made.
            seed: of all draws.
        """
        random = np.random.default_rng(seed)
        dilations, per_dilation = spread_dilations(features.shape[1], n_features)
        starts, bands = _draw_bands(random, features.shape[2], len(dilations) * len(KERNELS))
        mean, scale = _moments(features, valid_frames)
        arrays: dict[str, Any] = {
            "mean": mean,
            "scale": scale,
            "dilations": dilations,
            "per_dilation": per_dilation,
            "band_starts": starts,
            "bands": bands,
        }
        unbiased = cls(**arrays, biases=np.empty(0, np.float32))
        return cls(**arrays, biases=unbiased._draw_biases(random, features, valid_frames))

    def __call__(self, features: Float32, valid_frames: NDArray[np.int32]) -> Float32:
        """`(clips, features)` float32 in 0 … 1; zeros for a clip without a valid frame."""
        out = np.zeros((len(features), len(self.biases)), np.float32)
        arrays = (KERNELS, self.dilations, self.per_dilation, self.band_starts, self.bands, self.biases)
        for block in clip_blocks(features):
            for row, clip, n_valid in zip(out[block], features[block], valid_frames[block], strict=True):
                if n_valid:
                    transform(self._normalise(clip, n_valid), *arrays, row)
        return out

    def is_sound(self) -> bool:
        """Whether arrays from a file fit together; compiled code does not look."""
        combinations = len(self.dilations) * len(KERNELS)
        whole = all(
            array.ndim == 1 and array.dtype == np.int32 for array in (self.dilations, self.per_dilation, self.band_starts, self.bands)
        )
        real = all(array.ndim == 1 and array.dtype == np.float32 for array in (self.mean, self.scale, self.biases))
        if not (whole and real and len(self.dilations) == len(self.per_dilation) and len(self.band_starts) == combinations + 1):
            return False
        inside = self.bands.min(initial=0) >= 0 and self.bands.max(initial=0) < len(self.mean) == len(self.scale)
        ordered = self.band_starts[0] == 0 and (np.diff(self.band_starts) >= 0).all() and self.band_starts[-1] == len(self.bands)
        enough = (self.dilations > 0).all() and (self.per_dilation >= 0).all()
        return bool(inside and ordered and enough and self.per_dilation.sum() * len(KERNELS) == len(self.biases))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that makes up the transform, by the names of the constructor."""
        return dict(vars(self))

    def _normalise(self, clip: Float32, n_valid: int) -> Float32:
        """`(bands, n_valid)` float32: frames that could not be computed are the mean, which is 0."""
        normal: Float32 = np.ascontiguousarray(((clip[:n_valid] - self.mean) / self.scale).T)
        normal[~np.isfinite(normal)] = 0
        return normal

    def _draw_biases(self, random: np.random.Generator, features: Float32, valid_frames: NDArray[np.int32]) -> Float32:
        """Quantiles of one clip's convolution for each combination, at low-discrepancy positions `k * golden ratio mod 1`."""
        n_biases = int(self.per_dilation.sum()) * len(KERNELS)
        positions = np.arange(1, n_biases + 1) * _GOLDEN % 1
        usable = np.flatnonzero(valid_frames)
        chosen = random.choice(usable if len(usable) else 1, len(self.band_starts) - 1)
        clips = {int(clip): self._normalise(features[clip : clip + 1][0], max(1, valid_frames[clip])) for clip in np.unique(chosen)}
        biases = np.empty(n_biases, np.float32)
        first = 0
        for combination, clip in enumerate(chosen):
            dilation = self.dilations[combination // len(KERNELS)]
            values = np.empty(clips[int(clip)].shape[1], np.float32)
            bands = self.bands[self.band_starts[combination] : self.band_starts[combination + 1]]
            padded = np.empty(len(values) + 8 * dilation, np.float32)
            convolve(clips[int(clip)], bands, dilation, KERNELS[combination % len(KERNELS)], padded, values)
            last = first + self.per_dilation[combination // len(KERNELS)]
            biases[first:last] = np.quantile(values, positions[first:last])
            first = last
        return biases


def spread_dilations(frames: int, n_features: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Dilations spaced evenly in their logarithm, up to a window as long as the clip, and how many features a kernel has at each.

    >>> [array.tolist() for array in spread_dilations(65, 84 * 10)]
    [[1, 2, 3, 4, 5, 6, 8], [3, 2, 1, 1, 1, 1, 1]]
    """
    per_kernel = max(1, n_features // len(KERNELS))
    count = min(per_kernel, _MAX_DILATIONS)
    exponents = np.linspace(0, np.log2(max(1.0, (frames - 1) / 8)), count)
    # Powers that are whole numbers come out just below or not, by where in memory they are computed.
    dilations, times = np.unique((2**exponents * (1 + 1e-9)).astype(np.int32), return_counts=True)
    per_dilation = (times * (per_kernel / count)).astype(np.int32)
    missing = per_kernel - int(per_dilation.sum())
    per_dilation += missing // len(dilations)
    per_dilation[: missing % len(dilations)] += 1
    return dilations, per_dilation


def _draw_bands(random: np.random.Generator, n_bands: int, combinations: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each combination 1 to 9 different bands, their number evenly spread in its logarithm."""
    counts = (2 ** random.uniform(0, np.log2(min(n_bands, _MAX_BANDS) + 1), combinations)).astype(np.int32)
    bands = [random.choice(n_bands, count, replace=False) for count in counts]
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), np.concatenate(bands).astype(np.int32)


def _moments(features: Float32, valid_frames: NDArray[np.int32]) -> tuple[Float32, Float32]:
    """Mean and standard deviation `(bands,)` float32 of all valid frames; a band that never changes has the deviation 1.

    Deviations are taken from the first usable frame, so that squares do not cancel where the level is high.
    """
    bands = features.shape[2]
    count, total, squares, origin = 0, np.zeros(bands), np.zeros(bands), None
    for block in clip_blocks(features):
        for clip, n_valid in zip(features[block], valid_frames[block], strict=True):
            frames = clip[:n_valid][np.isfinite(clip[:n_valid]).all(axis=1)].astype(np.float64)
            if len(frames):
                origin = frames[0] if origin is None else origin
                count, total, squares = (
                    count + len(frames),
                    total + (frames - origin).sum(axis=0),
                    squares + ((frames - origin) ** 2).sum(axis=0),
                )
    if origin is None:
        return np.zeros(bands, np.float32), np.ones(bands, np.float32)
    deviation = np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0))
    return (origin + total / count).astype(np.float32), np.where(deviation > 1e-6, deviation, 1).astype(np.float32)
