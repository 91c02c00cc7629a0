"""Gradient boosting by scikit-learn."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fastspec.errors import LearnError
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
    trusted = ("sklearn.tree._tree.Tree",)
    n_estimators: int = 150
    learning_rate: float = 0.1
    max_depth: int = 3
    min_samples_leaf: int = 3
    subsample: float = 0.7
    max_features: Literal["sqrt", "log2"] | float | None = "sqrt"

    def build(self) -> Any:
        from sklearn.ensemble import GradientBoostingClassifier

        return GradientBoostingClassifier(
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            subsample=self.subsample,
            max_features=self.max_features,
            random_state=self.seed,
        )

    def check_loaded(self, estimator: Any) -> None:
        """Compiled code walks the trees without looking: children must come after their parent, and columns must exist."""
        for tree in (regressor.tree_ for regressor in estimator.estimators_.ravel()):
            nodes = np.arange(tree.node_count)
            leaves = tree.children_left == -1
            children = np.stack([tree.children_left, tree.children_right])[:, ~leaves]
            forward = (children > nodes[~leaves]).all() and (children < tree.node_count).all()
            columns = tree.feature[~leaves]
            if not (forward and (columns >= 0).all() and (columns < estimator.n_features_in_).all()):
                raise LearnError("model.skops holds a tree whose nodes point outside of it; nothing was loaded")
