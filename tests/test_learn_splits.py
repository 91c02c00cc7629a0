"""Groups never straddle, classes are spread evenly, and a given split is obeyed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastspec.errors import LearnError
from fastspec.learn.dataset import Dataset
from fastspec.learn.splits import folds_of, given_split, make_folds


def dataset(labels: list[int], groups: list[str], split: list[str | None]) -> Dataset:
    n = len(labels)
    return Dataset(
        source="toy",
        features=np.zeros((n, 1, 1), np.float32),
        valid_frames=np.ones(n, np.int32),
        labels=np.array(labels),
        classes=["a", "b"],
        groups=np.array(groups),
        split=split,
        paths=[f"{i}.wav" for i in range(n)],
        start_s=np.zeros(n),
        hashes=np.array([f"{i:032x}" for i in range(n)]),
        headers=np.zeros((n, 5), np.float32),
        clips=np.arange(n),
        left_out={},
    )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=80), st.integers(0, 5))
def test_folds__test_each_clip_once_and_split_no_group(clips: list[tuple[int, int]], seed: int) -> None:
    # three groups of each class alone, so that three folds are always possible
    pure = [(label, 100 + 10 * label + k) for label in range(3) for k in range(3)]
    labels, groups = (np.array(column) for column in zip(*clips, *pure, strict=True))
    folds = make_folds(labels, groups.astype(np.str_), n_folds=3, seed=seed, classes=["a", "b", "c"])
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(labels)))
    for train, test in folds:
        assert len(test)
        assert not set(groups[train]) & set(groups[test])
        assert not set(train) & set(test)
        assert set(labels[train]) == {0, 1, 2}


def test_single_clip_groups__give_every_fold_its_share_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [50, 23, 7])
    groups = np.array([f"g{i}" for i in range(len(labels))])
    for seed in range(5):
        counts = [np.bincount(labels[fold.test], minlength=3) for fold in make_folds(labels, groups, n_folds=5, seed=seed, classes="abc")]
        assert np.ptp(counts, axis=0).max() <= 1


def test_uneven_mixed_groups__are_balanced_better_than_by_scikit_learn() -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    random = np.random.default_rng(3)
    sizes = random.integers(3, 60, size=30)
    groups = np.repeat([f"speaker{i}" for i in range(30)], sizes)
    labels = np.concatenate([random.choice(4, size=n, p=random.dirichlet([1, 1, 1, 1])) for n in sizes])

    def unevenness(tests: list[np.ndarray]) -> float:
        shares = np.array([np.bincount(labels[test], minlength=4) for test in tests]) / np.bincount(labels)
        return float(((shares - 1 / 5) ** 2).sum())

    ours = [unevenness([f.test for f in make_folds(labels, groups, n_folds=5, seed=s, classes="abcd")]) for s in range(10)]
    splitters = [StratifiedGroupKFold(5, shuffle=True, random_state=s) for s in range(10)]
    theirs = [unevenness([test for _, test in splitter.split(labels, labels, groups)]) for splitter in splitters]
    assert np.mean(ours) < np.mean(theirs)


def test_seed__decides_the_folds() -> None:
    labels, groups = np.arange(40) % 2, np.array([f"g{i // 2}" for i in range(40)])
    first, again, other = (make_folds(labels, groups, n_folds=4, seed=s, classes="ab")[0].test.tolist() for s in (0, 0, 1))
    assert first == again != other


def test_class_with_fewer_groups_than_folds__is_named_with_advice() -> None:
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array(["a", "b", "c", "d", "d", "e"])
    with pytest.raises(LearnError, match="class 'cat' has 2 groups, too few for 3 folds; use at most 2 folds"):
        make_folds(labels, groups, n_folds=3, seed=0, classes=["ant", "cat"])
    with pytest.raises(LearnError, match="class 'cat' has 1 group, too few for 2 folds; record more groups"):
        make_folds(labels, np.array(["a", "b", "c", "d", "d", "d"]), n_folds=2, seed=0, classes=["ant", "cat"])


def test_one_fold__is_refused() -> None:
    with pytest.raises(LearnError, match="folds is 1; give 2 or more"):
        make_folds(np.array([0, 1]), np.array(["a", "b"]), n_folds=1, seed=0, classes="ab")


def test_given_split__is_the_only_fold_and_validation_trains() -> None:
    data = dataset([0, 1, 0, 1], list("wxyz"), ["train", "Valid", "test", "TEST"])
    (fold,) = folds_of(data, n_folds=5, seed=0)
    assert (fold.train.tolist(), fold.test.tolist()) == ([0, 1], [2, 3])


@pytest.mark.parametrize("split", [[None] * 4, ["train"] * 4, ["test", None, "test", "test"]])
def test_split_column_without_both_sides__is_no_split(split: list[str | None]) -> None:
    assert given_split(dataset([0, 1, 0, 1], list("wxyz"), split)) is None


def test_group_on_both_sides_of_a_given_split__is_named() -> None:
    with pytest.raises(LearnError, match="group anna is, itself or as a copy of its audio, in both train and test"):
        given_split(dataset([0, 1, 0], ["anna", "bert", "anna"], ["train", "train", "test"]))


def test_split_value_that_means_nothing__is_refused() -> None:
    with pytest.raises(LearnError, match=r"split of 1.wav is 'fold3'; give train, validation or test"):
        given_split(dataset([0, 1], ["a", "b"], ["train", "fold3"]))


def test_clip_without_split_among_split_clips__is_named() -> None:
    with pytest.raises(LearnError, match=r"1.wav has no split"):
        given_split(dataset([0, 1, 0], ["a", "b", "c"], ["train", None, "test"]))


def test_given_folds__are_the_folds_in_their_order() -> None:
    data = dataset([0, 1, 0, 1, 0], list("vwxyz"), ["fold-2", "fold-2", "fold-1", "fold-1", "fold-2"])
    assert given_split(data) is None
    assert [(fold.train.tolist(), fold.test.tolist()) for fold in folds_of(data, n_folds=5, seed=0)] == [
        ([0, 1, 4], [2, 3]),
        ([2, 3], [0, 1, 4]),
    ]


@pytest.mark.parametrize(
    "groups, split, message",
    [
        ("wwyz", ["fold-1", "fold-2", "fold-1", "fold-2"], r"group w is, .* in fold 1 and in fold 2"),
        ("wxyz", ["fold-1", None, "fold-1", "fold-2"], r"1.wav has no fold while other clips have one"),
        ("wxyz", ["fold-1", "fold-2", "fold-1", "fold-1"], r"class 'a' is in fold 1 alone"),
        ("wxyz", ["fold-1", "train", "fold-1", "fold-1"], r"split of 0.wav is 'fold-1'; give train"),
    ],
)
def test_given_folds_that_cannot_be_used__are_refused(groups: str, split: list[str | None], message: str) -> None:
    with pytest.raises(LearnError, match=message):
        folds_of(dataset([0, 1, 0, 1], list(groups), split), n_folds=2, seed=0)
