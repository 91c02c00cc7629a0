"""Any scikit-learn classifier as a plugin: name it, and say where the class is."""

import json
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, PluginError
from fastspec.learn.calibration import Calibration
from fastspec.learn.classifier import Groups, Labels, Probabilities
from fastspec.learn.columns import ColumnClassifier
from fastspec.learn.shapes import check_shapes
from fastspec.learn.skops_file import read_skops, write_skops
from fastspec.learn.splits import inner_folds
from fastspec.learn.trees import check_trees

_FILE = "model.skops"
_CALIBRATION = "calibration.json"
_FOLDS = 5


class _Model(NamedTuple):
    """A fitted estimator, and a calibration when it has scores but no probabilities."""

    estimator: Any
    calibration: Calibration | None


@dataclass(kw_only=True, eq=False)
class SklearnClassifier(ColumnClassifier):
    """Base of plugins around a scikit-learn estimator.

    An estimator with `decision_function` alone is calibrated on scores of held-out groups, see `Calibration`.

    Attributes:
        estimator: where its class is, as `module:class`; it is given those hyper-parameters of the plugin that it knows by name, and
            `random_state` and `n_jobs` where it has them.
        standardize: whether columns are brought to mean 0 and variance 1 on the training clips first.
        trusted: full names of the types that a saved model may hold beyond those that skops trusts by itself. Installed code
            decides this, never the file. Trees are checked after loading.

    A whole plugin:

    >>> class ExtraTrees(SklearnClassifier):
    ...     name = "extra-trees"
    ...     estimator = "sklearn.ensemble:ExtraTreesClassifier"
    """

    estimator: ClassVar[str]
    standardize: ClassVar[bool] = False
    trusted: ClassVar[tuple[str, ...]] = ("sklearn.tree._tree.Tree",)

    def build(self) -> Any:
        """A fresh estimator with this plugin's hyper-parameters."""
        module, _, name = self.estimator.partition(":")
        kind = getattr(import_module(module), name)
        known = signature(kind).parameters
        given = self.params() | {"random_state": self.seed} | ({"n_jobs": self.threads} if self.threads > 1 else {})
        return kind(**{key: value for key, value in given.items() if key in known})

    def fit_columns(self, columns: NDArray[np.float32], codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:
        estimator = self._fit(columns, codes)
        if hasattr(estimator, "predict_proba"):
            return _Model(estimator, None)
        scores, tested = np.zeros((len(codes), n_classes)), np.zeros(len(codes), bool)
        for train, test in inner_folds(codes, groups, n_folds=_FOLDS, seed=self.seed):
            scores[test], tested[test] = _scores(self._fit(columns[train], codes[train]), columns[test]), True
        calibration = Calibration.fit(scores[tested], codes[tested]) if tested.any() else Calibration.neutral(n_classes)
        return _Model(estimator, calibration)

    def predict_columns(self, model: Any, columns: NDArray[np.float32]) -> Probabilities:
        if model.calibration is not None:
            return np.asarray(model.calibration.apply(_scores(model.estimator, columns)))
        # An estimator that computes in float32 gives rows that sum to 1 only within 1e-7.
        probabilities = np.asarray(model.estimator.predict_proba(columns), np.float64)
        return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))

    def save_model(self, model: Any, directory: Path) -> None:
        write_skops(model.estimator, directory / _FILE)
        if model.calibration is not None:
            (directory / _CALIBRATION).write_text(json.dumps(model.calibration.to_dict()) + "\n", encoding="utf-8")

    def load_model(self, directory: Path) -> Any:
        estimator = read_skops(directory / _FILE, trusted=self.trusted)
        try:
            if _types(estimator) != _types(self._assemble()):
                raise LearnError(f"{_FILE} holds a {type(estimator).__name__}, which {self.name} does not build; train it again")
            check_trees(estimator)
        except AttributeError as error:  # what the installed scikit-learn expects and the saved estimator has not
            raise LearnError(f"{_FILE} was saved by another scikit-learn ({error}); train it again") from None
        return _Model(estimator, None if hasattr(estimator, "predict_proba") else _read_calibration(directory / _CALIBRATION))

    def check_model(self, model: Any, *, n_classes: int) -> None:
        check_shapes(model.estimator, n_classes=n_classes)
        if model.calibration is not None and model.calibration.n_classes != n_classes:
            raise LearnError(f"{_CALIBRATION} is of {model.calibration.n_classes} classes, not {n_classes}; nothing was loaded")

    def _assemble(self) -> Any:
        if not self.standardize:
            return self.build()
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        return make_pipeline(StandardScaler(), self.build())

    def _fit(self, columns: NDArray[np.float32], codes: Labels) -> Any:
        try:
            return self._assemble().fit(columns, codes)
        except ValueError as error:  # scikit-learn's own check of its parameters
            raise PluginError(f"{self.name} cannot be fitted: {str(error).splitlines()[0]}; give other parameters") from error


def _scores(estimator: Any, columns: NDArray[np.float32]) -> NDArray[np.float64]:
    """`(clips, classes)` float64: the decision function, which has one column when there are two classes."""
    scores = np.asarray(estimator.decision_function(columns), np.float64)
    return scores if scores.ndim == 2 else np.stack([-scores / 2, scores / 2], axis=1)


def _read_calibration(path: Path) -> Calibration:
    try:
        return Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LearnError(f"{path.name} of the saved model cannot be read: {type(error).__name__}: {error}; train it again") from None


def _types(estimator: Any) -> dict[str, type]:
    """The type of an estimator and of every estimator inside it."""
    nested = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    return {"": type(estimator)} | {name: type(value) for name, value in nested.items() if hasattr(value, "fit")}
