"""Classifiers around a model of their own: absent classes, thread caps and the header of a saved model in one place."""

import hashlib
import json
from abc import abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fastspec.errors import FastspecError, LearnError
from fastspec.learn.classifier import Classifier, Features, Groups, Labels, Probabilities, ValidFrames
from fastspec.learn.pooling import clip_blocks

_HEADER = "classifier.json"


class _Fitted(NamedTuple):
    model: Any
    present: list[int]  # the classes that training saw, ascending
    n_classes: int


@dataclass(kw_only=True, eq=False)
class ModelClassifier(Classifier):
    """Base of plugins that say how to fit, predict, save and load a model; the model sees only classes that occur.

    Features on disk come to `predict_model` some clips at a time.
    """

    out_of_core = True
    _fitted: _Fitted | None = field(default=None, init=False, repr=False)

    @abstractmethod
    def fit_model(self, features: Features, valid_frames: ValidFrames, codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:
        """The model of some clips; `codes` holds each of `0..n_classes - 1` at least once."""

    @abstractmethod
    def predict_model(self, model: Any, features: Features, valid_frames: ValidFrames) -> Probabilities:
        """`(clips, n_classes)` float64 of the model's own classes."""

    @abstractmethod
    def save_model(self, model: Any, directory: Path) -> None:
        """Write the model into `directory`."""

    @abstractmethod
    def load_model(self, directory: Path) -> Any:
        """The model that `save_model` wrote. LearnError for anything else."""

    def check_model(self, model: Any, *, n_classes: int) -> None:
        """That a loaded model is one of `n_classes` classes of its own. LearnError otherwise: compiled code may not look."""

    def fit(self, features: Features, valid_frames: ValidFrames, labels: Labels, *, n_classes: int, groups: Groups | None = None) -> Self:
        present, codes = np.unique(labels, return_inverse=True)
        if len(present) < 2:
            raise LearnError(f"{self.name} was given {len(labels)} clips of {len(present)} class; give clips of two classes or more")
        with threadpool_limits(self.threads):
            model = self.fit_model(features, valid_frames, codes.astype(np.int64), n_classes=len(present), groups=groups)
        self._fitted = _Fitted(model, present.tolist(), n_classes)
        return self

    def predict_proba(self, features: Features, valid_frames: ValidFrames) -> Probabilities:
        model, present, n_classes = self._fitted_state()
        probabilities = np.zeros((len(features), n_classes))
        with threadpool_limits(self.threads):
            for block in clip_blocks(features):
                probabilities[block, present] = self.predict_model(model, features[block], valid_frames[block])
        return probabilities

    def save(self, directory: Path) -> None:
        model, present, n_classes = self._fitted_state()
        self.save_model(model, directory)
        header = {"params": self.params(), "seed": self.seed, "present": present, "n_classes": n_classes, "files": _hashes(directory)}
        (directory / _HEADER).write_text(json.dumps(header, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        header = _read_header(directory / _HEADER)
        if header["files"] != _hashes(directory):
            raise LearnError(f"the files of the saved model are not those that {_HEADER} names; copy them again, or train it again")
        try:
            classifier = cls.from_params(header["params"], seed=header["seed"])
        except FastspecError as error:
            raise LearnError(f"the saved model is not one of this version of {cls.name}: {error}; train it again") from None
        model = classifier.load_model(directory)
        classifier.check_model(model, n_classes=len(header["present"]))
        classifier._fitted = _Fitted(model, header["present"], header["n_classes"])
        return classifier

    def _fitted_state(self) -> _Fitted:
        if self._fitted is None:
            raise LearnError(f"{self.name} has not learned anything yet; call fit() or load() first")
        return self._fitted


def _hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of each file but the header: what a compiled parser is given must be what was saved, since some crash on anything else."""
    files = [path for path in sorted(directory.iterdir()) if path.name != _HEADER and path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _read_header(path: Path) -> dict[str, Any]:
    """The checked header of a saved model."""
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        present, n_classes = header["present"], header["n_classes"]
        sound = isinstance(header["params"], dict) and isinstance(header["files"], dict)
        sound = sound and all(type(n) is int for n in [header["seed"], n_classes, *present])
        sound = sound and len(present) >= 2 and present == sorted(set(present)) and 0 <= present[0] <= present[-1] < n_classes
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearnError(f"{path.name} of the saved model cannot be read: {type(error).__name__}: {error}; train it again") from None
    if not sound:
        raise LearnError(f"{path.name} of the saved model contradicts itself; train it again")
    return dict(header)
