"""Classifiers that see a clip as one row of columns."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.learn.classifier import Features, Groups, Labels, Probabilities, ValidFrames
from fastspec.learn.model import ModelClassifier
from fastspec.learn.pooling import Pooling, pool_features


@dataclass(kw_only=True, eq=False)
class ColumnClassifier(ModelClassifier):
    """Base of plugins whose model takes a table: subclasses say how to fit, predict, save and load that model.

    Features on disk are pooled some clips at a time, so that only the table is held in memory.

    Attributes:
        pool: how features become columns, see `fastspec.learn.pooling.pool_features`.
    """

    pool: Pooling = "stats"

    @abstractmethod
    def fit_columns(self, columns: NDArray[np.float32], codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:
        """The model of `(clips, columns)`; `codes` holds each of `0..n_classes - 1` at least once."""

    @abstractmethod
    def predict_columns(self, model: Any, columns: NDArray[np.float32]) -> Probabilities:
        """`(clips, n_classes)` float64 of the model's own classes."""

    def make_columns(self, features: Features, valid_frames: ValidFrames) -> Any:
        """`(clips, columns)` float32 for `fit_columns`."""
        return pool_features(features, valid_frames, how=self.pool)

    def fit_model(self, features: Features, valid_frames: ValidFrames, codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:
        return self.fit_columns(self.make_columns(features, valid_frames), codes, n_classes=n_classes, groups=groups)

    def predict_model(self, model: Any, features: Features, valid_frames: ValidFrames) -> Probabilities:
        return self.predict_columns(model, pool_features(features, valid_frames, how=self.pool))
