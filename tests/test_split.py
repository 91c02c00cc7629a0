"""Splits and folds: whole groups and all copies on one side, every class on both, and a word where that cannot be."""

import numpy as np
import polars as pl
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fastspec import featurize, preset, read_corpus
from fastspec.errors import LearnError
from fastspec.learn import Dataset
from fastspec.learn.splits import folds_of, given_split, make_test_split
from fastspec.scanning import scan, split_folds, split_test


def write_corpus(folder, *, groups=12, per_group=3, copies=()):
    """Two classes; of `copies` the second recording holds the first one's audio."""
    rows = [(f"{g:02}-{i}.wav", "ab"[g % 2], f"g{g}") for g in range(groups) for i in range(per_group)]
    seeds = {path: i for i, (path, _, _) in enumerate(rows)} | {second: first for first, second in copies}
    for path, _, _ in rows:
        seed = seeds[seeds[path]] if isinstance(seeds[path], str) else seeds[path]
        soundfile.write(folder / path, np.random.default_rng(seed).uniform(-0.5, 0.5, 800), 8000)
    pl.DataFrame(rows, schema=["path", "label", "group"], orient="row").write_csv(folder / "t.csv")
    return read_corpus(folder / "t.csv")


def sides_of(manifest, column):
    """The set of splits in which each value of a column is."""
    return dict(manifest.table.group_by(column).agg(pl.col("split").unique().sort()).rows())


@pytest.mark.parametrize("n_folds", [2, 3, 6])
def test_folds__hold_whole_groups_and_each_class_alike(tmp_path, n_folds):
    divided = split_folds(write_corpus(tmp_path), n_folds)
    assert set(divided.table["split"]) == {f"fold-{i + 1}" for i in range(n_folds)}
    assert all(len(sides) == 1 for sides in sides_of(divided, "group").values())
    counts = divided.table.group_by("split", "label").len()["len"]
    assert set(counts) == {36 // 2 // n_folds}


def test_test_split__has_the_share_of_each_class(tmp_path):
    divided = split_test(write_corpus(tmp_path, groups=20), 0.2)
    assert all(len(sides) == 1 for sides in sides_of(divided, "group").values())
    assert divided.table.group_by("label", "split").len().sort("label", "split")["len"].to_list() == [6, 24, 6, 24]


@pytest.mark.parametrize("divide", [lambda m: split_folds(m, 3), lambda m: split_test(m, 0.3)])
def test_copies__stay_together_also_by_way_of_others(tmp_path, divide):
    copies = [("00-0.wav", "02-0.wav"), ("02-1.wav", "04-1.wav")]
    for seed in range(3):
        divided = divide(write_corpus(tmp_path, copies=copies))
        groups = sides_of(divided, "group")
        assert groups["g0"] == groups["g2"] == groups["g4"], seed


def test_recordings_without_groups__are_groups_and_their_windows_stay_together(tmp_path):
    write_corpus(tmp_path)
    rows = [(f"{g:02}-0.wav", "ab"[g % 2], start) for g in range(12) for start in (0.0, 0.05)]
    pl.DataFrame(rows, schema=["path", "label", "start_s"], orient="row").write_csv(tmp_path / "w.csv")
    divided = split_test(read_corpus(tmp_path / "w.csv"), 0.25)
    assert all(len(sides) == 1 for sides in sides_of(divided, "path").values())


def test_unreadable_and_unlabelled_clips__are_given_a_side_too(tmp_path):
    manifest = write_corpus(tmp_path)
    (tmp_path / "00-0.wav").write_bytes(b"not audio")
    (tmp_path / "00-1.wav").write_bytes(b"not audio")
    manifest = manifest.with_table(
        manifest.table.with_columns(pl.when(pl.col("path") == "01-0.wav").then(None).otherwise("label").alias("label"))
    )
    for divided in (split_folds(manifest, 3), split_test(manifest, 0.2)):
        assert divided.table["split"].null_count() == 0
        assert all(len(sides) == 1 for sides in sides_of(divided, "group").values())


def test_seed__decides_and_equal_seeds_agree(tmp_path):
    report = scan(write_corpus(tmp_path))
    for divide in (split_folds, split_test):
        splits = [divide(report.manifest, seed=seed).table["split"].to_list() for seed in (0, 0, 1, 2, 3)]
        assert splits[0] == splits[1]
        assert any(split != splits[0] for split in splits)


def test_scanned_manifest__is_split_without_its_recordings(tmp_path):
    copies = [("00-0.wav", "02-0.wav")]
    written = scan(write_corpus(tmp_path, copies=copies)).write(tmp_path / "m.parquet")
    expected = split_folds(read_corpus(tmp_path / "t.csv"), 3).table["split"].to_list()
    for file in tmp_path.glob("*.wav"):
        file.write_bytes(b"")
    divided = split_folds(read_corpus(written), 3)
    assert divided.table["split"].to_list() == expected
    assert read_corpus(divided.write(tmp_path / "d.csv")).found["audio_hash"].equals(divided.found["audio_hash"])


def test_written_folds_and_splits__are_those_that_learning_uses(tmp_path):
    recipe = preset("librosa", sample_rate=8000, clip_s=0.1, n_mels=8)
    folds = split_folds(write_corpus(tmp_path), 3)
    data = Dataset.from_store(featurize(read_corpus(folds.write(tmp_path / "f.parquet")), tmp_path / "f.zarr", recipe=recipe))
    names = np.array(folds.table["split"].to_list())
    assert [fold.test.tolist() for fold in folds_of(data, n_folds=5, seed=0)] == [
        np.flatnonzero(names == f"fold-{i}").tolist() for i in (1, 2, 3)
    ]
    halves = split_test(read_corpus(tmp_path / "t.csv"), 0.3)
    data = Dataset.from_store(featurize(read_corpus(halves.write(tmp_path / "h.parquet")), tmp_path / "h.zarr", recipe=recipe))
    split = given_split(data)
    assert split is not None
    assert split.test.tolist() == np.flatnonzero(np.array(halves.table["split"].to_list()) == "test").tolist()


def test_impossible_request__says_why(tmp_path):
    manifest = write_corpus(tmp_path, groups=4, copies=[("00-0.wav", "02-0.wav")])
    with pytest.raises(LearnError, match=r"class 'a' has 1 group, too few for 2 folds; record more groups of it, or leave it out"):
        split_folds(manifest, 2)
    with pytest.raises(LearnError, match=r"class 'a' has 1 group, too few for training and testing; record more groups"):
        split_test(manifest, 0.2)
    with pytest.raises(LearnError, match=r"class 'a' has 2 groups, too few for 5 folds; use at most 2 folds"):
        split_folds(write_corpus(tmp_path, groups=4), 5)
    with pytest.raises(LearnError, match=r"folds is 1; give 2 or more"):
        split_folds(manifest, 1)
    for share in (0.0, 1.0, -0.2, float("nan")):
        with pytest.raises(LearnError, match=r"the share for testing is .*; give more than 0 and less than 1, such as 0.2"):
            split_test(manifest, share)
    unlabelled = manifest.with_table(manifest.table.with_columns(pl.lit(None, pl.String).alias("label")))
    with pytest.raises(LearnError, match=r"has no labels to spread over a split; give --label-from"):
        split_test(unlabelled)


def test_groups_that_hold_all_of_each_others_classes__cannot_be_split():
    labels, groups = np.array([0, 1, 1, 2, 2, 0]), np.array(["p", "p", "q", "q", "r", "r"])
    with pytest.raises(LearnError, match=r"class '\w' cannot be on both sides"):
        make_test_split(labels, groups, share=0.3, seed=0, classes=["x", "y", "z"])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=60), st.floats(0.05, 0.95), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_test_split_of_anything__keeps_groups_whole_and_every_class_on_both_sides(clips, share, seed):
    """Groups of one class: where each class has two groups, a split is always possible."""
    labels = np.array([label for label, _ in clips])
    groups = np.array([f"{label}-{group}" for label, group in clips])
    n_groups = [len(set(groups[labels == label])) for label in range(3)]
    if any(n == 1 for n in n_groups):
        with pytest.raises(LearnError, match="has 1 group"):
            make_test_split(labels, groups, share=share, seed=seed, classes="xyz")
        return
    train, test = make_test_split(labels, groups, share=share, seed=seed, classes="xyz")
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[test])
    assert set(labels[train]) == set(labels[test]) == set(labels)
