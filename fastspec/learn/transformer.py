"""A front end as a scikit-learn transformer."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fastspec.corpus import ClipRow
from fastspec.corpus.folder import Files
from fastspec.errors import SamplesError
from fastspec.frontend import FrontEnd
from fastspec.learn.pooling import Pooling, pool_features
from fastspec.pipeline import load_rows
from fastspec.presets import preset
from fastspec.spec import FeatureSpec, Recipe


class FeatureTransformer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Waveforms, or the paths of recordings, to features, as a step of a scikit-learn pipeline.

    Shape:
        `(clips, samples)` float32 or int16 at the spec's rate, a list of `(samples,)` of any lengths, or a list of paths ->
        `(clips, frames, bands)` float32, or with `pool` `(clips, columns)` float32.

    Args:
        spec: a preset's name, a recipe or a spec. Waveforms of several lengths, and paths, need a recipe with a `clip_s`: they are cut,
            or padded with zeros, to that.
        pool: None for the features as they are; "stats", "shape" or "flatten" for one row a clip, as most estimators want it.

    Raises:
        SpecError: a spec that cannot be computed, or one without a clip length where one is needed.
        SamplesError: samples that cannot be taken, or a recording that cannot be read.

    >>> tones = np.sin(np.outer([0.1, 0.3], np.arange(16000))).astype(np.float32)
    >>> FeatureTransformer("torchaudio", pool="stats").fit_transform(tones).shape
    (2, 768)
    """

    def __init__(self, spec: str | FeatureSpec | Recipe = "librosa", *, pool: Pooling | None = None) -> None:
        self.spec = spec
        self.pool = pool

    def fit(self, clips: Any, labels: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Make the front end; nothing is learned."""
        recipe = preset(self.spec) if isinstance(self.spec, str) else self.spec
        self.recipe_ = recipe if isinstance(recipe, Recipe) else Recipe(spec=recipe)
        self.front_end_ = FrontEnd(self.recipe_)
        return self

    def transform(self, clips: ArrayLike | Sequence[ArrayLike] | Sequence[str | PathLike[str]]) -> NDArray[np.float32]:
        """Features of clips; see the class."""
        check_is_fitted(self)
        samples, valid_samples = self._samples(clips)
        features = self.front_end_.batch(samples)
        if self.pool is None:
            return features
        valid = np.array([min(features.shape[1], self.recipe_.spec.n_frames(n)) for n in valid_samples], np.int32)
        return pool_features(features, valid, how=self.pool)

    def _samples(self, clips: Any) -> tuple[NDArray[Any], list[int]]:
        """`(clips, samples)` of one length, and how many of each are its own."""
        if isinstance(clips, np.ndarray) and clips.ndim == 2:
            return clips, [clips.shape[1]] * len(clips)
        if isinstance(clips, str | PathLike) or not len(clips):
            raise SamplesError(f"clips are {clips!r}; give (clips, samples), a list of waveforms, or a list of paths")
        waveforms = [self._read(Path(clip)) if isinstance(clip, str | PathLike) else np.asarray(clip) for clip in clips]
        for waveform in waveforms:
            if waveform.ndim != 1 or waveform.dtype != waveforms[0].dtype:
                raise SamplesError(f"a clip is {waveform.dtype} {waveform.shape}; give waveforms (samples,) of one dtype")
        padded = np.zeros((len(waveforms), self.recipe_.n_samples), waveforms[0].dtype)
        for row, waveform in zip(padded, waveforms, strict=True):
            row[: len(waveform)] = waveform[: len(row)]
        return padded, [min(len(waveform), padded.shape[1]) for waveform in waveforms]

    def _read(self, path: Path) -> NDArray[np.float32]:
        row = ClipRow(str(path), None, None, None, 0.0, None)
        clip = next(load_rows([row], recordings=Files(Path()), recipe=self.recipe_))
        if not clip.usable:
            raise SamplesError(f"{path} is {clip.info.status}: {clip.info.reason}; leave it out, or use featurize, whose ledger notes it")
        return clip.samples
