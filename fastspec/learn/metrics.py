"""Scores from probabilities, with intervals over groups. Formulas are scikit-learn's; they work on stacks of counts for the bootstrap."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADLINES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well one class is recognised; precision is 0 where the class was never predicted."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of predictions, the mean over repeats.

    Attributes:
        accuracy: share of clips whose likeliest class is the true one.
        balanced_accuracy: mean recall of the classes that occur.
        macro_f1: mean F1 of the classes that occur or were predicted.
        log_loss: mean of -ln of the true class's probability, which is clipped away from 0.
        per_class: one entry a class.
        confusion: `[actual][predicted]` clips.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    log_loss: float
    per_class: list[ClassScores]
    confusion: list[list[float]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def score(labels: NDArray[np.int64], probabilities: Float64, *, classes: Sequence[str]) -> Scores:
    """Scores of predictions.

    Args:
        labels: `(clips,)` int64, indices into `classes`.
        probabilities: `(repeats, clips, classes)` float64.
        classes: names.
    """
    sums = tally(labels, probabilities, groups=np.zeros(len(labels), np.int64))[:, 0]
    hits, support, predicted, _ = _parts(sums)
    recall, precision = _ratio(hits, support).mean(axis=0), _ratio(hits, predicted).mean(axis=0)
    f1 = _ratio(2 * hits, support + predicted).mean(axis=0)
    columns = zip(classes, precision.tolist(), recall.tolist(), f1.tolist(), support[0].astype(int).tolist(), strict=True)
    per_class = [ClassScores(*row) for row in columns]
    headline = dict(zip(HEADLINES, headlines(sums).mean(axis=0).tolist(), strict=True))
    return Scores(**headline, per_class=per_class, confusion=_confusion(labels, probabilities).tolist())


def bootstrap(
    labels: NDArray[np.int64], probabilities: Float64, *, groups: NDArray[np.str_], seed: int, n_resamples: int = 1000
) -> dict[str, tuple[float, float]]:
    """The 95 % percentile interval of each headline score, when groups are drawn with replacement.

    Args:
        labels: `(clips,)` int64.
        probabilities: `(repeats, clips, classes)` float64; all repeats are resampled alike and their scores averaged.
        groups: `(clips,)` strings.
        seed: of the draws.
        n_resamples: how many.
    """
    codes = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    sums = tally(labels, probabilities, groups=codes)
    n_groups = sums.shape[1]
    random = np.random.default_rng(seed)
    drawn = np.empty((n_resamples, len(HEADLINES)))
    for row in drawn:
        weights = np.bincount(random.integers(n_groups, size=n_groups), minlength=n_groups).astype(np.float64)
        row[:] = headlines(weights @ sums).mean(axis=0)
    low, high = np.percentile(drawn, (2.5, 97.5), axis=0).tolist()
    return dict(zip(HEADLINES, zip(low, high, strict=True), strict=True))


def tally(labels: NDArray[np.int64], probabilities: Float64, *, groups: NDArray[np.int64]) -> Float64:
    """What all headline scores follow from, summed over each group: `(repeats, groups, 3 * classes + 1)` float64.

    The columns are, for each class, hits, clips and predictions, and at the end the log-loss.
    """
    repeats, clips, n_classes = probabilities.shape
    sums = np.zeros((repeats, int(groups.max()) + 1, 3 * n_classes + 1))
    predicted = probabilities.argmax(axis=2)
    tiny = np.finfo(np.float64).eps
    losses = -np.log(np.clip(probabilities[:, np.arange(clips), labels], tiny, 1 - tiny))
    for total, guess, loss in zip(sums, predicted, losses, strict=True):
        right = guess == labels
        np.add.at(total, (groups[right], labels[right]), 1)
        np.add.at(total, (groups, n_classes + labels), 1)
        np.add.at(total, (groups, 2 * n_classes + guess), 1)
        np.add.at(total, (groups, 3 * n_classes), loss)
    return sums


def headlines(sums: Float64) -> Float64:
    """The four headline scores `(..., 4)` of tallies `(..., 3 * classes + 1)`, in the order of `HEADLINES`."""
    hits, support, predicted, loss = _parts(sums)
    clips = support.sum(axis=-1)
    occurs, seen = support > 0, support + predicted > 0
    balanced = _ratio(hits, support).sum(axis=-1) / occurs.sum(axis=-1)
    macro_f1 = _ratio(2 * hits, support + predicted).sum(axis=-1) / seen.sum(axis=-1)
    return np.stack([hits.sum(axis=-1) / clips, balanced, macro_f1, loss / clips], axis=-1)


def _parts(sums: Float64) -> tuple[Float64, Float64, Float64, Float64]:
    n = sums.shape[-1] // 3
    return sums[..., :n], sums[..., n : 2 * n], sums[..., 2 * n : 3 * n], sums[..., 3 * n]


def _ratio(above: Float64, below: Float64) -> Float64:
    """The quotient, 0 where nothing was counted."""
    quotient: Float64 = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return quotient


def _confusion(labels: NDArray[np.int64], probabilities: Float64) -> Float64:
    """`(actual, predicted)` clips, the mean over repeats."""
    repeats, _, n = probabilities.shape
    pairs = labels * n + probabilities.argmax(axis=2)
    counts: Float64 = np.bincount(pairs.ravel(), minlength=n * n).reshape(n, n) / repeats
    return counts
