"""Linear heads for plugins, on columns of several kinds, many or few: multinomial logistic regression, and a discriminant."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError
from fastspec.learn.calibration import Calibration
from fastspec.learn.splits import inner_folds

Float64 = NDArray[np.float64]

_FOLDS = 4
_MOST_COLUMNS = 8192  # of a discriminant, whose covariance takes their square in memory
_LEAST_SCALE = 1e-6  # 0 would leave no class likelier than another


class Head(NamedTuple):
    """Columns are brought to `(x - mean) * weight`; then logits are `x @ coefficients + intercept`, `(columns, classes)`."""

    mean: NDArray[np.float32]
    weight: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    intercept: Float64

    def is_sound(self, n_columns: int) -> bool:
        """Whether arrays from a file fit together and take that many columns."""
        return self.mean.shape == self.weight.shape == (n_columns,) and self.coefficients.shape == (n_columns, *self.intercept.shape)

    def logits(self, columns: NDArray[np.float32]) -> Float64:
        """Scores `(clips, classes)` float64."""
        # One clip at a time: BLAS sums a row alone and the same row of a batch in another order.
        return np.stack([(row - self.mean) * self.weight @ self.coefficients for row in columns]).astype(np.float64) + self.intercept

    def predict(self, columns: NDArray[np.float32]) -> Float64:
        """Probabilities `(clips, classes)` float64."""
        logits = self.logits(columns)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def fit_head(
    columns: NDArray[np.float32],
    codes: NDArray[np.int64],
    *,
    blocks: Sequence[int],
    groups: NDArray[np.str_] | None,
    strengths: Sequence[float],
    seed: int,
) -> Head:
    """The head of the training clips.

    With the L2 penalty the coefficients lie in the span of the clips. Where there are fewer clips than columns, the fit takes place in
    that space, exactly, and costs what a table of `(clips, clips)` costs.

    Args:
        columns: `(clips, columns)` float32.
        codes: `(clips,)` int64.
        blocks: how many columns there are of each kind, in order; each kind weighs as much as any other.
        groups: `(clips,)` strings or None.
        strengths: inverse strengths of the penalty: of several, the one of the lowest log-loss over four folds of whole groups, and
            the middle one where groups are too few for folds.
        seed: of those folds.
    """
    mean, weight = _standard(columns)
    weight *= np.repeat(np.sqrt(max(blocks) / np.array(blocks)), blocks)
    centred = ((columns - mean) * weight).astype(np.float32)
    points, back = _span(centred)
    chosen = strengths[0] if len(strengths) == 1 else _choose(points, codes, groups, strengths, seed)
    model = _fit(points, codes, chosen)
    return _head(mean, weight, back(model.coef_.T), model.intercept_)


def fit_discriminant(columns: NDArray[np.float32], codes: NDArray[np.int64], *, groups: NDArray[np.str_] | None, seed: int) -> Head:
    """The head of linear discriminant analysis: all classes share a covariance, shrunk by the amount of least squared error (Ledoit and
    Wolf 2004). Columns are standardised, and weigh the same.

    Where clips are fewer than columns a discriminant is far too sure: its logits are scaled by what makes the log-loss least on four
    folds of whole groups, where there are groups enough for folds. That moves no answer.

    Args:
        columns: `(clips, columns)` float32.
        codes: `(clips,)` int64.
        groups: `(clips,)` strings or None.
        seed: of those folds.

    Raises:
        LearnError: more than 8192 columns.
    """
    if columns.shape[1] > _MOST_COLUMNS:
        raise LearnError(f"a discriminant is given {columns.shape[1]} columns and takes {_MOST_COLUMNS}; give features of fewer bands")
    head = _discriminate(columns, codes)
    folds = inner_folds(codes, groups, n_folds=_FOLDS, seed=seed)
    if not folds:
        return head
    scores = np.concatenate([_discriminate(columns[train], codes[train]).logits(columns[test]) for train, test in folds])
    tested = np.concatenate([codes[test] for _, test in folds])
    scale = max(Calibration.fit(scores, tested, biased=False).scale, _LEAST_SCALE)
    return head._replace(coefficients=(head.coefficients * scale).astype(np.float32), intercept=head.intercept * scale)


def _discriminate(columns: NDArray[np.float32], codes: NDArray[np.int64]) -> Head:
    """With class means m, shares p and the covariance S inside classes, logits are x S^-1 m - m S^-1 m / 2 + ln p."""
    from scipy.linalg import cho_factor, cho_solve

    mean, weight = _standard(columns)
    points = (columns - mean) * weight
    clips = [points[codes == code] for code in range(int(codes.max()) + 1)]
    shares = np.array([len(of_class) for of_class in clips]) / len(points)
    means = np.stack([of_class.mean(axis=0) for of_class in clips])
    covariance = sum(share * _shrunk_covariance(of_class) for share, of_class in zip(shares, clips, strict=True))
    spread = np.trace(covariance) / len(mean)
    covariance += (1e-6 * spread if spread else 1.0) * np.eye(len(mean))  # a column that is constant has no variance to divide by
    coefficients = cho_solve(cho_factor(covariance), means.T)
    return _head(mean, weight, coefficients, np.log(shares) - (means.T * coefficients).sum(axis=0) / 2)


def _shrunk_covariance(points: Float64) -> Any:
    """`(columns, columns)` float64 of the clips of one class, shrunk on a scale on which each column varies by 1."""
    from sklearn.covariance import ledoit_wolf

    if len(points) < 2:
        return np.zeros((points.shape[1],) * 2)
    deviation = points.std(axis=0)
    deviation[deviation == 0] = 1
    return ledoit_wolf(points / deviation)[0] * deviation * deviation[:, None]


def _standard(columns: NDArray[np.float32]) -> tuple[Float64, Float64]:
    """The mean of each column, and what brings its deviation to 1; 0 for a column that is constant."""
    mean, deviation = columns.mean(axis=0, dtype=np.float64), columns.std(axis=0, dtype=np.float64)
    return mean, np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0)


def _head(mean: Float64, weight: Float64, coefficients: NDArray[Any], intercepts: Float64) -> Head:
    intercept = np.asarray(intercepts, np.float64)
    if len(intercept) == 1:  # scikit-learn has one row for two classes
        coefficients, intercept = np.hstack([-coefficients / 2, coefficients / 2]), np.array([-intercept[0] / 2, intercept[0] / 2])
    return Head(mean.astype(np.float32), weight.astype(np.float32), np.ascontiguousarray(coefficients, np.float32), intercept)


def _span(centred: NDArray[np.float32]) -> tuple[Float64, Callable[[Float64], NDArray[np.float32]]]:
    """The clips as points of the space that they span, `(clips, dimensions)`, and what brings coefficients back to the columns."""
    if len(centred) >= centred.shape[1]:
        return centred.astype(np.float64), lambda coefficients: coefficients.astype(np.float32)
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    kept = values > 1e-7 * values[-1]
    lengths = np.sqrt(values[kept])
    inverse = vectors[:, kept] / lengths
    return vectors[:, kept] * lengths, lambda coefficients: centred.T @ (inverse @ coefficients).astype(np.float32)


def _fit(points: Float64, codes: NDArray[np.int64], strength: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    # Where the penalty is weak and the classes are separable, the last digits of a fit take very long and change no answer.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=1000).fit(points, codes)


def _choose(points: Float64, codes: NDArray[np.int64], groups: NDArray[np.str_] | None, strengths: Sequence[float], seed: int) -> float:
    folds = inner_folds(codes, groups, n_folds=_FOLDS, seed=seed)
    if not folds:
        return strengths[(len(strengths) - 1) // 2]
    losses = dict.fromkeys(strengths, 0.0)
    for train, test in folds:
        for strength in losses:
            probabilities = _fit(points[train], codes[train], strength).predict_proba(points[test])
            losses[strength] -= float(np.log(np.maximum(probabilities[np.arange(len(test)), codes[test]], 1e-15)).sum())
    return min(losses, key=losses.__getitem__)
