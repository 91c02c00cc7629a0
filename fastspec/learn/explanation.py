"""What in a clip makes a model answer as it does: parts of it are hidden, and the model is asked again."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, choices
from fastspec.learn.bundle import Bundle

if TYPE_CHECKING:
    from fastspec.corpus import Manifest

Float32 = NDArray[np.float32]

_TIMES, _BANDS = 16, 8
_TOGETHER = 32
_SUREST = 1e-6


class Explanation(NamedTuple):
    """How much each part of a clip speaks for a class.

    Attributes:
        target: the class.
        probabilities: `(classes,)` float64, of the whole clip, calibrated where the model is.
        importance: `(frames, bands)` float32: by how much the log-odds that the model itself gives the class fall, on average, when a
            patch around that place is hidden; below 0 where the place speaks against the class. 0 beyond the clip's own frames.
        features: `(frames, bands)` float32, what the model sees.
        samples: `(samples,)` float32, what a person hears, at the recipe's rate.
    """

    target: str
    probabilities: NDArray[np.float64]
    importance: Float32
    features: Float32
    samples: Float32

    def save(self, path: Path) -> Path:
        """Write the arrays as `.npz`."""
        with path.open("wb") as file:
            np.savez(
                file, importance=self.importance, features=self.features, probabilities=self.probabilities, target=np.str_(self.target)
            )
        return path


def explain(bundle: Bundle, manifest: "Manifest", *, start_s: float = 0.0, target: str | None = None) -> Explanation:
    """Explain a model's answer for one clip of the only recording of a manifest.

    Args:
        bundle: the model.
        manifest: of one recording.
        start_s: where the clip begins, in seconds.
        target: the class to explain; None is the likeliest one.

    Raises:
        LearnError: several recordings, a clip that has no features, or no such class.
    """
    import polars

    from fastspec.pipeline import load_rows, stream_features

    if manifest.table["path"].n_unique() != 1:
        raise LearnError(f"{manifest.source} holds {manifest.table['path'].n_unique()} recordings; give one")
    if target is not None and target not in bundle.classes:
        raise LearnError(f"the model knows no class {target!r}; {choices(target, bundle.classes)}")
    channel = "mean" if bundle.recipe.clip.channel == "each" else bundle.recipe.clip.channel
    recipe = bundle.recipe.replace(hop_s=None, crop="start", channel=channel)
    place = {"start_s": polars.lit(start_s), "duration_s": polars.lit(None, polars.Float64)}
    clip = manifest.with_table(manifest.table[:1].with_columns(**place))
    (row,), (batch,) = clip.rows(0, 1), stream_features(clip, recipe, workers=0)
    if batch.rows[0]["status"] != "ok":
        raise LearnError(f"{row.path} is {batch.rows[0]['status']} from {start_s:g} s: {batch.rows[0]['reason']}; give another clip")
    features, valid = np.asarray(batch.features[0], np.float32), int(batch.valid_frames[0])
    probabilities = bundle.model.predict_proba(features[None], np.array([valid], np.int32))[0]
    index = int(probabilities.argmax()) if target is None else bundle.classes.index(target)
    samples = next(load_rows([row], recordings=manifest.recordings, recipe=recipe)).samples
    told = bundle.decisions.calibrate(probabilities[None])[0]
    return Explanation(bundle.classes[index], told, occlude(bundle, features, valid, index=index), features, samples)


def occlude(bundle: Bundle, features: Float32, valid_frames: int, *, index: int) -> Float32:
    """The importance of each place, see `Explanation`.

    Patches of a sixteenth of the clip by an eighth of the bands, which overlap by half, are hidden in turn under the mean that each band
    has in the training clips (Zeiler and Fergus 2014, Visualizing and understanding convolutional networks, section 4.2, where it is a
    grey square). Any plugin can be asked: nothing but its probabilities is looked at.

    Args:
        bundle: the model.
        features: `(frames, bands)` float32.
        valid_frames: how many frames are the clip's own.
        index: of the class.
    """
    hidden = np.array(bundle.band_means, np.float32)
    total, count = np.zeros(features.shape), np.zeros(features.shape)
    whole = _log_odds(bundle, features[None], valid_frames, index)[0]
    patches = [(times, bands) for times in _patches(valid_frames, _TIMES) for bands in _patches(features.shape[1], _BANDS)]
    for first in range(0, len(patches), _TOGETHER):
        some = patches[first : first + _TOGETHER]
        masked = np.repeat(features[None], len(some), axis=0)
        for clip, (times, bands) in zip(masked, some, strict=True):
            clip[times, bands] = hidden[bands]
        for (times, bands), odds in zip(some, _log_odds(bundle, masked, valid_frames, index), strict=True):
            total[times, bands] += whole - odds
            count[times, bands] += 1
    return (total / np.maximum(count, 1)).astype(np.float32)


def _patches(length: int, parts: int) -> Iterator[slice]:
    """Stretches of a `parts`-th of a length that overlap by half and cover all of it."""
    size = max(1, -(-length // parts))
    step = max(1, size // 2)
    for start in range(0, max(1, length - size + step), step):
        yield slice(start, min(start + size, length))


def _log_odds(bundle: Bundle, features: Float32, valid_frames: int, index: int) -> NDArray[np.float64]:
    share = bundle.model.predict_proba(features, np.full(len(features), valid_frames, np.int32))[:, index]
    share = np.clip(share, _SUREST, 1 - _SUREST)
    return np.asarray(np.log(share / (1 - share)))
