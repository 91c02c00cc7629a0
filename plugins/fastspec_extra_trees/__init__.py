"""Extremely randomised trees: hardly anything to set, and hard to break."""

from dataclasses import dataclass
from typing import Literal

from fastspec.learn import SklearnClassifier


@dataclass(kw_only=True, eq=False)
class ExtraTrees(SklearnClassifier):
    """Extremely randomised trees by scikit-learn; probabilities are the share of each class in the leaves that a clip falls into.

    Attributes:
        n_estimators: trees.
        min_samples_leaf: clips in a leaf at least.
        max_features: columns that each split looks at: "sqrt" or "log2" of their number, a share of them, or none for all.
        class_weight: "balanced" weighs classes by the inverse of their frequency.
    """

    name = "extra-trees"
    estimator = "sklearn.ensemble:ExtraTreesClassifier"
    search_space = {
        "min_samples_leaf": {"low": 1, "high": 20, "log": True},
        "max_features": {"choices": ["sqrt", "log2", 0.1, 0.3]},
        "class_weight": {"choices": [None, "balanced"]},
    }
    n_estimators: int = 300
    min_samples_leaf: int = 1
    max_features: Literal["sqrt", "log2"] | float | None = "sqrt"
    class_weight: Literal["balanced"] | None = None
