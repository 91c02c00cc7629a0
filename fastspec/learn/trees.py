"""Decision trees from a file, checked before compiled code walks them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastspec.errors import LearnError


def check_trees(estimator: Any) -> None:
    """Refuse, by a LearnError, a tree of a scikit-learn ensemble or pipeline that leads outside itself or beyond its columns.

    scikit-learn's compiled code walks without looking: children must come after their parent, which rules out loops too.
    """
    for tree in _trees(estimator):
        nodes = np.arange(tree.node_count)
        inner = tree.children_left != -1
        children = np.stack([tree.children_left, tree.children_right])[:, inner]
        forward = (children > nodes[inner]).all() and (children < tree.node_count).all()
        columns = tree.feature[inner]
        if not (forward and (columns >= 0).all() and (columns < estimator.n_features_in_).all()):
            raise LearnError("model.skops holds a tree whose nodes point outside of it; nothing was loaded")


def _trees(estimator: Any) -> Iterator[Any]:
    if hasattr(estimator, "tree_"):
        yield estimator.tree_
    inside = [step for _, step in getattr(estimator, "steps", [])]
    for member in [*inside, *np.ravel(getattr(estimator, "estimators_", []))]:
        yield from _trees(member)
