"""Logistic regression on standardised columns: the linear model that every other one has to beat."""

from dataclasses import dataclass
from typing import Any

from fastspec.learn import SklearnClassifier


@dataclass(kw_only=True, eq=False)
class Logistic(SklearnClassifier):
    """Multinomial logistic regression by scikit-learn, columns standardised on the training clips.

    Attributes:
        C: inverse strength of the L2 penalty; smaller is smoother.
        balanced: weigh classes by the inverse of their frequency.
        max_iter: steps of the solver at most.
    """

    name = "logistic"
    C: float = 0.1
    balanced: bool = False
    max_iter: int = 2000

    def build(self) -> Any:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        weights = "balanced" if self.balanced else None
        model = LogisticRegression(C=self.C, class_weight=weights, max_iter=self.max_iter, random_state=self.seed)
        return make_pipeline(StandardScaler(), model)
