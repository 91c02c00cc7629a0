"""Logistic regression on standardised columns: the linear model that every other one has to beat."""

from dataclasses import dataclass
from typing import Any, Literal

from fastspec.learn import SklearnClassifier


@dataclass(kw_only=True, eq=False)
class Logistic(SklearnClassifier):
    """Multinomial logistic regression by scikit-learn, columns standardised on the training clips.

    Attributes:
        C: inverse strength of the L2 penalty; smaller is smoother.
        class_weight: "balanced" weighs classes by the inverse of their frequency.
        max_iter: steps of the solver at most.
    """

    name = "logistic"
    estimator = "sklearn.linear_model:LogisticRegression"
    standardize = True
    search_space = {"C": {"low": 1e-4, "high": 10.0, "log": True}, "class_weight": {"choices": [None, "balanced"]}}
    C: float = 0.1
    class_weight: Literal["balanced"] | None = None
    max_iter: int = 2000

    def build(self) -> Any:
        return super().build().set_params(n_jobs=None)  # scikit-learn 1.8 gave it up, and warns
