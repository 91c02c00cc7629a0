"""Scores from probabilities, with intervals over groups. Formulas are scikit-learn's; they work on stacks of counts for the bootstrap."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.learn.ranks import ClassRanks

HEADLINES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss")
CLASS_SCORES = ("precision", "recall", "f1")
_RESAMPLED_TOGETHER = 50

Interval = tuple[float, float]

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
        roc_auc: mean over the classes, each against the rest, of how often a clip of the class has a higher probability of it than a
            clip of another; ties count half. Classes that do not occur, or that all clips have, are left out; NaN if none is left.
        log_loss: mean of -ln of the true class's probability, which is clipped away from 0.
        per_class: one entry a class.
        confusion: `[actual][predicted]` clips.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    roc_auc: float
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
    alone = np.zeros(len(labels), np.int64)
    sums = tally(labels, probabilities, groups=alone)[:, 0]
    _, support, _, _ = _parts(sums)
    precision, recall, f1 = np.nan_to_num(class_scores(sums)).mean(axis=0).tolist()
    columns = zip(classes, precision, recall, f1, support[0].astype(int).tolist(), strict=True)
    per_class = [ClassScores(*row) for row in columns]
    roc_auc = ClassRanks.sort(labels, probabilities, groups=alone).mean_auc(np.ones((1, 1)))[:, 0]
    headline = dict(zip(HEADLINES, headlines(sums, roc_auc).mean(axis=0).tolist(), strict=True))
    return Scores(**headline, per_class=per_class, confusion=_confusion(labels, probabilities).tolist())


class Intervals(NamedTuple):
    """95 % percentile intervals: of each headline score by its name, and of each class's precision, recall and F1."""

    headline: dict[str, Interval]
    per_class: list[dict[str, Interval]]


def bootstrap(
    labels: NDArray[np.int64], probabilities: Float64, *, groups: NDArray[np.str_], seed: int, n_resamples: int = 1000
) -> Intervals:
    """The intervals of all scores when groups are drawn with replacement.

    A draw in which a score is not defined, such as the recall of a class that was not drawn, does not count for that score. One group,
    drawn again and again, says nothing of others: limits are NaN where there is one, and those of a class that is in one alone.

    Args:
        labels: `(clips,)` int64.
        probabilities: `(repeats, clips, classes)` float64; all repeats are resampled alike and their scores averaged.
        groups: `(clips,)` strings.
        seed: of the draws.
        n_resamples: how many.
    """
    codes = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    sums, ranks = tally(labels, probabilities, groups=codes), ClassRanks.sort(labels, probabilities, groups=codes)
    overall, of_classes = [], []
    for weights in _draw(sums.shape[1], seed, n_resamples):
        resampled = weights @ sums  # (repeats, draws, columns)
        overall.append(headlines(resampled, ranks.mean_auc(weights)).mean(axis=0))
        of_classes.append(class_scores(resampled).mean(axis=0))
    headline, per_class = np.concatenate(overall), np.moveaxis(np.concatenate(of_classes), 2, 0)  # (classes, draws, scores)
    per_class[_in_one_group(labels, codes, probabilities.shape[2])] = np.nan
    if sums.shape[1] == 1:
        headline[:] = np.nan
    return Intervals(_intervals(headline, HEADLINES), [_intervals(one, CLASS_SCORES) for one in per_class])


def class_areas(
    labels: NDArray[np.int64], probabilities: Float64, *, groups: NDArray[np.str_], seed: int, n_resamples: int = 1000
) -> list[dict[str, float]]:
    """The area under each class's ROC curve against the rest: roc_auc, and roc_auc_low and roc_auc_high of its 95 % interval over groups,
    drawn as `bootstrap` draws them; NaN where a class has no clips on one side, and the interval where all of one side are of one group.

    Args:
        labels: `(clips,)` int64.
        probabilities: `(clips, classes)` float64.
        groups: `(clips,)` strings.
        seed: of the draws.
        n_resamples: how many.

    >>> class_areas(np.array([0, 0, 1, 1]), np.eye(2)[[0, 0, 1, 1]], groups=np.array(["f", "g", "f", "g"]), seed=0)[0]
    {'roc_auc': 1.0, 'roc_auc_low': 1.0, 'roc_auc_high': 1.0}
    """
    codes = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    ranks, n_groups = ClassRanks.sort(labels, probabilities[None], groups=codes), int(codes.max()) + 1
    drawn = np.concatenate([ranks.areas(weights)[0].T for weights in _draw(n_groups, seed, n_resamples)])  # (draws, classes)
    n_classes = probabilities.shape[1]
    drawn[:, [_in_one_group(labels == k, codes, 2).any() for k in range(n_classes)]] = np.nan
    whole = ranks.areas(np.ones((1, n_groups)))[0, :, 0].tolist()
    intervals = _intervals(drawn, [str(k) for k in range(len(whole))]).values()
    return [{"roc_auc": area, "roc_auc_low": low, "roc_auc_high": high} for area, (low, high) in zip(whole, intervals, strict=True)]


def _in_one_group(labels: NDArray[np.int64] | NDArray[np.bool_], codes: NDArray[np.int64], n_classes: int) -> NDArray[np.bool_]:
    """Of each class, `(classes,)`, whether all its clips are of one group."""
    return np.array([len(np.unique(codes[labels == k])) == 1 for k in range(n_classes)], bool)


def _draw(n_groups: int, seed: int, n_resamples: int) -> Iterator[Float64]:
    """How often each group is drawn, `(draws, groups)`, some draws at a time."""
    random = np.random.default_rng(seed)
    for first in range(0, n_resamples, _RESAMPLED_TOGETHER):
        draws = min(_RESAMPLED_TOGETHER, n_resamples - first)
        yield np.array([np.bincount(random.integers(n_groups, size=n_groups), minlength=n_groups) for _ in range(draws)], np.float64)


def _intervals(drawn: Float64, names: Sequence[str]) -> dict[str, Interval]:
    """The middle 95 % of each column of `(draws, scores)`."""
    known = [column[~np.isnan(column)] for column in drawn.T]
    limits = [np.percentile(column, (2.5, 97.5)).tolist() if len(column) else (np.nan, np.nan) for column in known]
    return {name: (low, high) for name, (low, high) in zip(names, limits, strict=True)}


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


def headlines(sums: Float64, roc_auc: Float64) -> Float64:
    """The headline scores `(..., 5)` of tallies `(..., 3 * classes + 1)` and of areas `(...)`, in the order of `HEADLINES`."""
    hits, support, predicted, loss = _parts(sums)
    clips = support.sum(axis=-1)
    occurs, seen = support > 0, support + predicted > 0
    balanced = _ratio(hits, support).sum(axis=-1) / occurs.sum(axis=-1)
    macro_f1 = _ratio(2 * hits, support + predicted).sum(axis=-1) / seen.sum(axis=-1)
    return np.stack([hits.sum(axis=-1) / clips, balanced, macro_f1, roc_auc, loss / clips], axis=-1)


def class_scores(sums: Float64) -> Float64:
    """`(..., 3, classes)` of tallies `(..., 3 * classes + 1)`, in the order of `CLASS_SCORES`; NaN for a class that does not occur, but for
    a precision of 0 where it was predicted all the same."""
    hits, support, predicted, _ = _parts(sums)
    absent = np.where(support > 0, 0.0, np.nan)
    precision = _ratio(hits, predicted) + np.where(predicted > 0, 0.0, absent)
    return np.stack([precision, _ratio(hits, support) + absent, _ratio(2 * hits, support + predicted) + absent], axis=-2)


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
