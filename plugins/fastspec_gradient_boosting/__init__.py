"""Gradient boosting by scikit-learn."""

from dataclasses import dataclass
from typing import Literal

from fastspec.learn import SklearnClassifier


@dataclass(kw_only=True, eq=False)
class GradientBoosting(SklearnClassifier):
    """Stochastic gradient boosting of small trees; each split looks at a sample of the columns, since there are hundreds.

    Attributes:
        n_estimators: rounds; each adds one tree a class.
        learning_rate: what each tree contributes.
        max_depth: of a tree.
        min_samples_leaf: clips in a leaf at least.
        subsample: share of the clips that each tree sees.
        max_features: columns that each split looks at: "sqrt" or "log2" of their number, a share of them, or none for all.
    """

    name = "gradient-boosting"
    estimator = "sklearn.ensemble:GradientBoostingClassifier"
    search_space = {
        "n_estimators": {"low": 50, "high": 500, "log": True},
        "learning_rate": {"low": 0.02, "high": 0.3, "log": True},
        "max_depth": {"low": 2, "high": 5},
        "min_samples_leaf": {"low": 1, "high": 20, "log": True},
        "subsample": {"low": 0.4, "high": 1.0},
    }
    n_estimators: int = 150
    learning_rate: float = 0.1
    max_depth: int = 3
    min_samples_leaf: int = 3
    subsample: float = 0.7
    max_features: Literal["sqrt", "log2"] | float | None = "sqrt"
