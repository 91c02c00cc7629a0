"""The arrays of a scikit-learn model from a file, checked before compiled code indexes them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastspec.errors import LearnError


def check_shapes(estimator: Any, *, n_classes: int) -> None:
    """Refuse, by a LearnError, an estimator or pipeline whose arrays do not fit together or are not of `n_classes` classes.

    What a plain NumPy product would refuse by itself is not looked at.
    """
    final = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    try:
        sound = np.array_equal(final.classes_, np.arange(n_classes)) and all(_faults(final, n_classes))
    except (AttributeError, TypeError, ValueError, IndexError):
        sound = False
    if not sound:
        raise LearnError(f"model.skops holds a {type(final).__name__} that is not one of {n_classes} classes; nothing was loaded")


def _faults(final: Any, n_classes: int) -> Iterator[bool]:
    """Whether each of its parts is sound."""
    name = type(final).__name__
    if "GradientBoosting" in name and hasattr(final, "estimators_"):
        # Its compiled code adds column k of the trees to column k of the result, and strides over both.
        width = 1 if n_classes == 2 else n_classes
        yield isinstance(final.estimators_, np.ndarray) and final.estimators_.ndim == 2 and final.estimators_.shape[1] == width
        yield len(final.estimators_) == final.n_estimators_
        yield all(_is_tree(tree.tree_, final.n_features_in_, values=1) for tree in final.estimators_.ravel())
        yield final.init_ == "zero" or np.shape(final.init_.class_prior_) == (n_classes,)
    elif hasattr(final, "estimators_"):
        members = list(np.ravel(final.estimators_))
        yield final.n_classes_ == n_classes and final.n_outputs_ == 1 and len(members) > 0
        yield all(tree.n_outputs_ == 1 and tree.n_classes_ == n_classes for tree in members if hasattr(tree, "tree_"))
        yield all(_is_tree(tree.tree_, final.n_features_in_, values=n_classes) for tree in members if hasattr(tree, "tree_"))
    elif hasattr(final, "tree_"):
        yield _is_tree(final.tree_, final.n_features_in_, values=n_classes)
    elif hasattr(final, "_dual_coef_"):
        yield from _vectors(final, n_classes)


def _is_tree(tree: Any, n_features: int, *, values: int) -> bool:
    """One output with that many values a node, and columns that there are."""
    return bool(tree.n_features == n_features and tree.n_outputs == 1 and tree.value.shape == (tree.node_count, 1, values))


def _vectors(machine: Any, n_classes: int) -> Iterator[bool]:
    """libsvm's arrays: support vectors by class, their coefficients against each other class, an intercept for each pair."""
    n_vectors = int(np.sum(machine._n_support))
    yield machine._n_support.shape == (n_classes,) and machine._n_support.dtype == np.int32 and bool((machine._n_support >= 0).all())
    yield not machine._sparse and machine.support_vectors_.shape == (n_vectors, machine.n_features_in_)
    yield machine.support_vectors_.dtype == machine._dual_coef_.dtype == machine._intercept_.dtype == np.float64
    yield machine.support_.shape == (n_vectors,) and machine._dual_coef_.shape == (n_classes - 1, n_vectors)
    yield machine._intercept_.shape == (n_classes * (n_classes - 1) // 2,)
    yield len(machine._probA) == len(machine._probB) == 0 and machine.shape_fit_[1] == machine.n_features_in_
