"""Which clips train and which test: whole groups on one side, classes spread evenly, before anything is fitted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError
from fastspec.learn.dataset import Dataset


class Fold(NamedTuple):
    """One split: indices `(clips,)` int64, ascending, of what trains and of what tests."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def folds_of(dataset: Dataset, *, n_folds: int, seed: int) -> list[Fold]:
    """The dataset's given split, or its given folds, where it has them; else `n_folds` folds by group."""
    split = given_split(dataset)
    if split is not None:
        return [split]
    folds = given_folds(dataset)
    if folds is not None:
        return folds
    return make_folds(dataset.labels, dataset.groups, n_folds=n_folds, seed=seed, classes=dataset.classes)


def given_split(dataset: Dataset) -> Fold | None:
    """The split that the manifest gives: None unless its column has both train and test clips.

    "valid", "validation", "val" and "dev" count as train. Folds are no split.

    Raises:
        LearnError: a value that means neither, a clip without one, or a group on both sides.
    """
    from fastspec.corpus.splits import TEST_WORDS, TRAIN_WORDS, fold_number  # not for plugins that only fit: corpus imports polars

    words = [None if value is None else value.strip().lower() for value in dataset.split]
    if all(word is None or fold_number(word) is not None for word in words):
        return None
    for word, path in zip(words, dataset.paths, strict=True):
        if word is not None and word not in TRAIN_WORDS + TEST_WORDS:
            raise LearnError(f"split of {path} is {word!r}; give train, validation or test, or rename the column to use folds")
    tests = np.array([word in TEST_WORDS for word in words])
    trains = np.array([word in TRAIN_WORDS for word in words])
    if not (tests.any() and trains.any()):
        return None
    if not (tests | trains).all():
        path = dataset.paths[int(np.argmin(tests | trains))]
        raise LearnError(f"{path} has no split while other clips have one; give each clip train, validation or test")
    straddling = np.intersect1d(dataset.groups[tests], dataset.groups[trains])
    if len(straddling):
        raise LearnError(
            f"group {straddling[0]!s} is, itself or as a copy of its audio, in both train and test of the given split; "
            "put each group and all its copies on one side"
        )
    return Fold(np.flatnonzero(trains), np.flatnonzero(tests))


def given_folds(dataset: Dataset) -> list[Fold] | None:
    """The folds that the manifest numbers: None unless it does. Each tests once, by what the others train.

    Raises:
        LearnError: a clip without a fold, a group in two, one fold only, or a class that is in one fold alone.
    """
    from fastspec.corpus.splits import fold_number

    numbers = [fold_number(value) for value in dataset.split]
    if all(number is None for number in numbers):
        return None
    if None in numbers:
        raise LearnError(f"{dataset.paths[numbers.index(None)]} has no fold while other clips have one; give each clip a fold")
    folds = np.array(numbers, np.int64)
    names, codes = np.unique(dataset.groups, return_inverse=True)
    lowest, highest = np.full(len(names), folds.max()), np.full(len(names), folds.min())
    np.minimum.at(lowest, codes, folds)
    np.maximum.at(highest, codes, folds)
    if (straddling := np.flatnonzero(lowest != highest)).size:
        group = straddling[0]
        raise LearnError(
            f"group {names[group]!s} is, itself or as a copy of its audio, in fold {lowest[group]} and in fold {highest[group]}; "
            "put each group and all its copies into one"
        )
    for label, name in enumerate(dataset.classes):
        held = np.unique(folds[dataset.labels == label])
        if len(held) == 1:
            raise LearnError(f"class {name!r} is in fold {held[0]} alone, so that nothing else can train it; run fastspec split again")
    return [Fold(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in np.unique(folds)]


def make_folds(labels: NDArray[np.int64], groups: NDArray[np.str_], *, n_folds: int, seed: int, classes: Sequence[str]) -> list[Fold]:
    """`n_folds` folds; each clip tests once, no group straddles, each class is spread as evenly as its groups allow.

    Groups come in a random order, large before small, and each goes to the fold with the least of the classes that it brings: the
    fold k that minimises the sum over classes c of n_kc g_c / N_c², which is how much the group would add to the squared unevenness
    of the shares n_kc / N_c. scikit-learn's StratifiedGroupKFold orders groups by their own unevenness, so that another seed often
    gives the same folds.

    Args:
        labels: `(clips,)` int64, indices into `classes`, or the number of them: what is of no class is spread too.
        groups: `(clips,)` strings.
        n_folds: 2 or more.
        seed: of the random order.
        classes: names, for messages.

    Raises:
        LearnError: fewer than 2 folds, or a class with fewer groups than folds.

    >>> labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array(["a", "a", "b", "c", "c", "d"])
    >>> [fold.test.tolist() for fold in make_folds(labels, groups, n_folds=2, seed=0, classes=["x", "y"])]
    [[2, 3, 4], [0, 1, 5]]
    """
    if n_folds < 2:
        raise LearnError(f"folds is {n_folds}; give 2 or more")
    counts, codes = _count(labels, groups, len(classes))
    _check_groups(counts, classes, least=n_folds, what=f"{n_folds} folds")
    fold_of_clip = _assign(counts, np.full(n_folds, 1 / n_folds), seed)[codes]
    return [Fold(np.flatnonzero(fold_of_clip != k), np.flatnonzero(fold_of_clip == k)) for k in range(n_folds)]


def make_test_split(labels: NDArray[np.int64], groups: NDArray[np.str_], *, share: float, seed: int, classes: Sequence[str]) -> Fold:
    """One split: no group straddles, every class is on both sides, and as nearly as groups allow a share of each class tests.

    Groups go to the side with the least of their classes for its size, as in `make_folds`; where that leaves a class on one side, the
    smallest of its groups that can be spared changes sides.

    Args:
        labels: `(clips,)` int64, indices into `classes`, or the number of them: what is of no class is spread too.
        groups: `(clips,)` strings.
        share: of each class that tests, more than 0 and less than 1.
        seed: of the random order.
        classes: names, for messages.

    Raises:
        LearnError: a share that is none, or a class that cannot be on both sides.

    >>> labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array(["a", "a", "b", "c", "c", "d"])
    >>> make_test_split(labels, groups, share=0.3, seed=0, classes=["x", "y"]).test.tolist()
    [2, 5]
    """
    if not 0 < share < 1:
        raise LearnError(f"the share for testing is {share:g}; give more than 0 and less than 1, such as 0.2")
    counts, codes = _count(labels, groups, len(classes))
    _check_groups(counts, classes, least=2, what="training and testing")
    side_of = _assign(counts, np.array([1 - share, share]), seed)
    for side in (0, 1):
        for label, name in enumerate(classes):
            _spare_a_group(side_of, counts, side=side, label=label, name=name)
    tests = side_of[codes] == 1
    return Fold(np.flatnonzero(~tests), np.flatnonzero(tests))


def inner_folds(labels: NDArray[np.int64], groups: NDArray[np.str_] | None, *, n_folds: int, seed: int) -> list[Fold]:
    """Folds inside a training set, for calibration and tuning: `n_folds`, or as many as the class of fewest groups has groups.

    There are none when a class has one group only, since a model that never met the class says nothing of it.

    Args:
        labels: `(clips,)` int64, each of `0..max` at least once.
        groups: `(clips,)` strings; None: each clip by itself.
        n_folds: 2 or more.
        seed: of the order of groups.
    """
    names = np.arange(len(labels)).astype(np.str_) if groups is None else groups
    n_classes = int(labels.max()) + 1
    fewest = min(len(np.unique(names[labels == label])) for label in range(n_classes))
    if fewest < 2:
        return []
    folds = make_folds(labels, names, n_folds=min(n_folds, fewest), seed=seed, classes=[str(label) for label in range(n_classes)])
    return [fold for fold in folds if len(fold.test) and len(np.unique(labels[fold.train])) == n_classes]


def _count(labels: NDArray[np.int64], groups: NDArray[np.str_], n_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clips of each group by class, `(groups, classes + 1)`, the last of no class; and the group of each clip."""
    names, codes = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), n_classes + 1), np.int64)
    np.add.at(counts, (codes, labels), 1)
    return counts, codes


def _check_groups(counts: NDArray[np.int64], classes: Sequence[str], *, least: int, what: str) -> None:
    n_groups = (counts > 0).sum(axis=0).tolist()
    for name, n in zip(classes, n_groups, strict=False):
        if 0 < n < least:
            advice = f"use at most {n} folds" if n > 1 else "record more groups of it, or leave it out"
            raise LearnError(f"class {name!r} has {n} group{'s' * (n != 1)}, too few for {what}; {advice}")


def _spare_a_group(side_of: NDArray[np.int64], counts: NDArray[np.int64], *, side: int, label: int, name: str) -> None:
    """Move the smallest group of a class to a side that has none of it, so that no class leaves the other side."""
    here = side_of == side
    of_class = counts[:, label] > 0
    if not of_class.any() or (here & of_class).any():
        return
    held = (counts[~here, : counts.shape[1] - 1] > 0).sum(axis=0)
    needed = ((counts[:, : len(held)] > 0) & (held == 1)).any(axis=1)
    candidates = np.flatnonzero(of_class & ~needed)
    if not len(candidates):
        raise LearnError(
            f"class {name!r} cannot be on both sides, since each of its groups holds all that a side has of another class; "
            "record more groups, or divide groups of several classes"
        )
    side_of[candidates[counts[candidates].sum(axis=1).argmin()]] = side


def _assign(counts: NDArray[np.int64], shares: NDArray[np.float64], seed: int) -> NDArray[np.int64]:
    """The fold of each group, from `(groups, classes)` clip counts and the share of clips that each fold wants."""
    sizes = counts.sum(axis=1)
    order = np.random.default_rng(seed).permutation(len(counts))
    # Sizes within a factor of two count as equal, so that the random order decides between them.
    order = order[np.argsort(-np.log2(sizes[order]).astype(np.int64), kind="stable")]
    weights = counts / np.maximum(counts.sum(axis=0), 1) ** 2
    held, held_sizes = np.zeros((len(shares), counts.shape[1])), np.zeros(len(shares))
    fold_of, equal = np.empty(len(counts), np.int64), np.ptp(shares) == 0
    for group in order:
        # Of sum n²/share the increase; where all shares are equal g² matters to no choice.
        crowding = (2 * held + (0 if equal else counts[group])) @ weights[group] / shares
        fold = np.lexsort((held_sizes / shares, crowding))[0]
        fold_of[group] = fold
        held[fold] += counts[group]
        held_sizes[fold] += sizes[group]
    return fold_of
