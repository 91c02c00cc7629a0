"""What a result must be compared with: the classifier that never looks at the audio."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from fastspec.errors import LearnError
from fastspec.learn.classifier import Classifier, Features, Groups, Labels, Probabilities, ValidFrames

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
