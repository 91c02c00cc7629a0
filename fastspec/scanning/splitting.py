"""Splits written into a manifest: whole groups and all copies on one side, classes spread evenly."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastspec.corpus import Manifest
from fastspec.corpus.splits import fold_name
from fastspec.errors import LearnError
from fastspec.learn.dataset import join_groups
from fastspec.learn.splits import make_folds, make_test_split
from fastspec.pipeline import Progress, survey_clips


def split_folds(
    manifest: Manifest, n_folds: int = 5, *, seed: int = 0, workers: int = 2, on_progress: Callable[[Progress], None] | None = None
) -> Manifest:
    """The manifest with a fold for each clip, "fold-1" and so on, in its column `split`.

    Args:
        manifest: with labels. Unless it was scanned, its recordings are decoded to find copies.
        n_folds: 2 or more.
        seed: another one gives other folds.
        workers: threads that decode.
        on_progress: called after each recording that is decoded.

    Raises:
        LearnError: fewer than 2 folds, no labels, or a class with fewer groups than folds.

    >>> import fastspec
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (4, 800))
    >>> sounds = [(name, samples, 8000, "cat" if name < "c" else "dog") for name, samples in zip("abcd", noise)]
    >>> split_folds(fastspec.read_corpus(sounds), 2).table["split"].to_list()
    ['fold-2', 'fold-1', 'fold-1', 'fold-2']
    """
    found, labels, groups, classes = _prepare(manifest, workers, on_progress)
    names = np.empty(len(labels), object)
    for i, fold in enumerate(make_folds(labels, groups, n_folds=n_folds, seed=seed, classes=classes), start=1):
        names[fold.test] = fold_name(i)
    return _written(manifest, found, names)


def split_test(
    manifest: Manifest, share: float = 0.2, *, seed: int = 0, workers: int = 2, on_progress: Callable[[Progress], None] | None = None
) -> Manifest:
    """The manifest with "train" or "test" for each clip in its column `split`, every class on both sides.

    Args:
        manifest: with labels. Unless it was scanned, its recordings are decoded to find copies.
        share: of each class that is tested, more than 0 and less than 1; groups are never divided, so it is met as nearly as they allow.
        seed: another one gives another split.
        workers: threads that decode.
        on_progress: called after each recording that is decoded.

    Raises:
        LearnError: a share that is none, no labels, or a class with one group.
    """
    found, labels, groups, classes = _prepare(manifest, workers, on_progress)
    names = np.full(len(labels), "train", object)
    names[make_test_split(labels, groups, share=share, seed=seed, classes=classes).test] = "test"
    return _written(manifest, found, names)


def _prepare(
    manifest: Manifest, workers: int, on_progress: Callable[[Progress], None] | None
) -> tuple[pl.DataFrame, NDArray[np.int64], NDArray[np.str_], Sequence[str]]:
    """What a scan finds; and of each row the label's index, and its group joined with those that hold copies."""
    classes = manifest.classes
    if not classes:
        raise LearnError(f"{manifest.source} has no labels to spread over a split; give --label-from, or a column 'label'")
    found = survey_clips(manifest, workers=workers, on_progress=on_progress) if manifest.found is None else manifest.found
    table = manifest.table.with_columns(pl.coalesce("group", "path").alias("group"), found["audio_hash"])
    alone = pl.format("row {}", pl.int_range(pl.len()))  # no audio is no copy of anything
    hashes = table.select(pl.coalesce("audio_hash", alone)).to_series()
    groups = join_groups(table["group"].to_numpy().astype(np.str_), hashes.to_numpy().astype(np.str_))
    unlabelled = len(classes)  # spread evenly too, though nothing is asked of its groups
    known = {name: i for i, name in enumerate(classes)}
    labels = np.array([unlabelled if label is None else known[label] for label in table["label"]], np.int64)
    return found, labels, groups, classes


def _written(manifest: Manifest, found: pl.DataFrame, names: NDArray[np.object_]) -> Manifest:
    split = pl.Series("split", names.tolist(), dtype=pl.String)
    return replace(manifest, table=manifest.table.with_columns(split), found=found)
