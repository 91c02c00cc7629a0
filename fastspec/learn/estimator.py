"""Any scikit-learn classifier as a plugin: name it, build it, and say which of its types a saved model may hold."""

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, PluginError
from fastspec.learn.classifier import Labels, Probabilities
from fastspec.learn.columns import ColumnClassifier
from fastspec.learn.skops_file import read_skops, write_skops

_FILE = "model.skops"


@dataclass(kw_only=True, eq=False)
class SklearnClassifier(ColumnClassifier):
    """Base of plugins around a scikit-learn estimator.

    Attributes:
        trusted: full names of the types that a saved model may hold beyond those that skops trusts by itself. Installed code
            decides this, never the file.

    A whole plugin:

    >>> class ExtraTrees(SklearnClassifier):
    ...     name = "extra-trees"
    ...     trusted = ("sklearn.tree._tree.Tree",)
    ...
    ...     def build(self):
    ...         from sklearn.ensemble import ExtraTreesClassifier
    ...
    ...         return ExtraTreesClassifier(random_state=self.seed, n_jobs=self.threads)
    """

    trusted: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self) -> Any:
        """A fresh estimator with this plugin's hyper-parameters."""

    def check_loaded(self, estimator: Any) -> None:
        """Refuse, by a LearnError, a loaded estimator whose values its compiled code would trust blindly."""

    def fit_columns(self, columns: NDArray[np.float32], codes: Labels, *, n_classes: int) -> Any:  # noqa: ARG002
        try:
            return self.build().fit(columns, codes)
        except ValueError as error:  # scikit-learn's own check of its parameters
            raise PluginError(f"{self.name} cannot be fitted: {str(error).splitlines()[0]}") from error

    def predict_columns(self, model: Any, columns: NDArray[np.float32]) -> Probabilities:
        # An estimator that computes in float32 gives rows that sum to 1 only within 1e-7.
        probabilities = np.asarray(model.predict_proba(columns), np.float64)
        return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True))

    def save_model(self, model: Any, directory: Path) -> None:
        write_skops(model, directory / _FILE)

    def load_model(self, directory: Path) -> Any:
        estimator = read_skops(directory / _FILE, trusted=self.trusted)
        try:
            if _types(estimator) != _types(self.build()):
                raise LearnError(f"{_FILE} holds a {type(estimator).__name__}, which {self.name} does not build; train it again")
            self.check_loaded(estimator)
        except AttributeError as error:  # what the installed scikit-learn expects and the saved estimator has not
            raise LearnError(f"{_FILE} was saved by another scikit-learn ({error}); train it again") from None
        return estimator


def _types(estimator: Any) -> dict[str, type]:
    """The type of an estimator and of every estimator inside it."""
    nested = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    return {"": type(estimator)} | {name: type(value) for name, value in nested.items() if hasattr(value, "fit")}
