"""A support vector machine on standardised columns, with probabilities that were calibrated on groups it had not met."""

from dataclasses import dataclass
from typing import Literal

from fastspec.learn import SklearnClassifier


@dataclass(kw_only=True, eq=False)
class SVM(SklearnClassifier):
    """Support vector classification by scikit-learn's libsvm.

    Its scores become probabilities by `fastspec.learn.calibration.Calibration`, fitted on scores of five folds of whole groups.

    Attributes:
        C: inverse strength of the penalty; smaller is smoother.
        kernel: "rbf" or "linear".
        gamma: width of the "rbf" kernel: "scale" is 1 / (columns * variance), "auto" 1 / columns.
        class_weight: "balanced" weighs classes by the inverse of their frequency.
    """

    name = "svm"
    estimator = "sklearn.svm:SVC"
    standardize = True
    search_space = {
        "C": {"low": 0.1, "high": 100.0, "log": True},
        "kernel": {"choices": ["rbf", "linear"]},
        "class_weight": {"choices": [None, "balanced"]},
    }
    C: float = 3.0
    kernel: Literal["rbf", "linear"] = "rbf"
    gamma: Literal["scale", "auto"] | float = "scale"
    class_weight: Literal["balanced"] | None = None
