"""What a result must be compared with: classifiers that never look at the audio."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from fastspec.errors import LearnError
from fastspec.learn.classifier import Classifier, Features, Groups, Labels, Probabilities, ValidFrames
from fastspec.learn.estimator import SklearnClassifier
from fastspec.learn.pooling import Pooling

_FILE = "frequencies.json"


@dataclass(kw_only=True, eq=False)
class Majority(Classifier):
    """Gives every clip the class frequencies of its training set, so that the commonest class is always predicted."""

    name = "(majority)"
    out_of_core = True
    _frequencies: list[float] = field(default_factory=list, init=False, repr=False)

    def fit(
        self,
        features: Features,  # noqa: ARG002
        valid_frames: ValidFrames,  # noqa: ARG002
        labels: Labels,
        *,
        n_classes: int,
        groups: Groups | None = None,  # noqa: ARG002
    ) -> Self:
        self._frequencies = (np.bincount(labels, minlength=n_classes) / len(labels)).tolist()
        return self

    def predict_proba(self, features: Features, valid_frames: ValidFrames) -> Probabilities:  # noqa: ARG002
        if not self._frequencies:
            raise LearnError(f"{self.name} has not learned anything yet; call fit() or load() first")
        return np.tile(self._frequencies, (len(features), 1))

    def save(self, directory: Path) -> None:
        (directory / _FILE).write_text(json.dumps(self._frequencies), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        classifier = cls()
        classifier._frequencies = [float(share) for share in json.loads((directory / _FILE).read_text(encoding="utf-8"))]
        return classifier


@dataclass(kw_only=True, eq=False)
class Header(SklearnClassifier):
    """Extremely randomised trees on what a recording's header says (`Dataset.of_headers`): length, sample rate, channels, kind of file.

    Where it scores well, the labels leak through the container, and no other score on that corpus means what it seems to.
    """

    name = "(header)"
    estimator = "sklearn.ensemble:ExtraTreesClassifier"
    pool: Pooling = "flatten"
    n_estimators: int = 100
    min_samples_leaf: int = 5


BASELINES: dict[str, type[Classifier]] = {Majority.name: Majority, Header.name: Header}
