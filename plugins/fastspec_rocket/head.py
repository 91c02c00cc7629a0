"""Multinomial logistic regression on many more columns than clips."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.learn.splits import inner_folds

Float64 = NDArray[np.float64]

_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)
_DEFAULT = 1e-4
_FOLDS = 4


class Head(NamedTuple):
    """Columns are brought to `(x - mean) * weight`; then logits are `x @ coefficients + intercept`, `(columns, classes)`."""

    mean: NDArray[np.float32]
    weight: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    intercept: Float64

    def is_sound(self, n_columns: int) -> bool:
        """Whether arrays from a file fit together and take that many columns."""
        return self.mean.shape == self.weight.shape == (n_columns,) and self.coefficients.shape == (n_columns, *self.intercept.shape)

    def predict(self, columns: NDArray[np.float32]) -> Float64:
        """Probabilities `(clips, classes)` float64."""
        # One clip at a time: BLAS sums a row alone and the same row of a batch in another order.
        logits = np.stack([(row - self.mean) * self.weight @ self.coefficients for row in columns]).astype(np.float64) + self.intercept
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def fit_head(
    columns: NDArray[np.float32], codes: NDArray[np.int64], *, blocks: Sequence[int], groups: Any, strength: float | None, seed: int
) -> Head:
    """The head of the training clips.

    With the L2 penalty the coefficients lie in the span of the clips, so that the fit takes place in that space, exactly, and costs
    what a table of `(clips, clips)` costs.

    Args:
        columns: `(clips, columns)` float32.
        codes: `(clips,)` int64.
        blocks: how many columns there are of each kind, in order; each kind weighs as much as any other.
        groups: `(clips,)` strings or None.
        strength: inverse strength of the penalty; None takes the one of the lowest log-loss over folds of whole groups.
        seed: of those folds.
    """
    mean, deviation = columns.mean(axis=0, dtype=np.float64), columns.std(axis=0, dtype=np.float64)
    weight = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)
    weight *= np.repeat(np.sqrt(max(blocks) / np.array(blocks)), blocks)
    centred = ((columns - mean) * weight).astype(np.float32)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    kept = values > 1e-7 * values[-1]
    lengths = np.sqrt(values[kept])
    points = vectors[:, kept] * lengths
    chosen = strength if strength is not None else _choose(points, codes, groups, seed)
    model = _fit(points, codes, chosen)
    coefficients = centred.T @ (vectors[:, kept] / lengths @ model.coef_.T).astype(np.float32)
    intercept = np.asarray(model.intercept_, np.float64)
    if len(intercept) == 1:  # scikit-learn has one row for two classes
        coefficients, intercept = np.hstack([-coefficients / 2, coefficients / 2]), np.array([-intercept[0] / 2, intercept[0] / 2])
    return Head(mean.astype(np.float32), weight.astype(np.float32), np.ascontiguousarray(coefficients, np.float32), intercept)


def _fit(points: Float64, codes: NDArray[np.int64], strength: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # Where the penalty is weak and the classes are separable, the last digits of a fit take very long and change no answer.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=1000).fit(points, codes)


def _choose(points: Float64, codes: NDArray[np.int64], groups: Any, seed: int) -> float:
    folds = inner_folds(codes, groups, n_folds=_FOLDS, seed=seed)
    losses = dict.fromkeys(_STRENGTHS, 0.0)
    for train, test in folds:
        for strength in losses:
            probabilities = _fit(points[train], codes[train], strength).predict_proba(points[test])
            losses[strength] -= float(np.log(np.maximum(probabilities[np.arange(len(test)), codes[test]], 1e-15)).sum())
    return min(losses, key=losses.__getitem__) if folds else _DEFAULT
