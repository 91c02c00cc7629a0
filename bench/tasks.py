"""What accuracy is measured on: real recordings, whole groups held out, or another cast of actors."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastspec.corpus import read_corpus
from fastspec.demo.corpora import LabelledRecording, corpus_table, fetch, write_table
from fastspec.learn import Dataset
from fastspec.learn.splits import Fold, make_folds
from fastspec.pipeline import featurize
from fastspec.spec import Recipe
from fastspec.store import FeatureStore

FOLDS, SEEDS = 5, 3


class Task(NamedTuple):
    """Which recordings train and which test, and what is to be reached.

    Attributes:
        corpora: of `fastspec.demo.corpora`. One is cut into folds of whole groups; of two, the first trains and the second tests.
        line: accuracy that the best classifier without torch is to reach.
        best_line: accuracy that the best classifier of all is to reach.
    """

    name: str
    corpora: tuple[str, ...]
    line: float
    best_line: float


TASKS = (
    Task("fish", ("fish",), 0.99, 0.99),
    Task("fish-nl", ("fish-nl",), 0.99, 0.99),
    Task("fish-nl→fish", ("fish-nl", "fish"), 0.95, 0.97),
    Task("fish→fish-nl", ("fish", "fish-nl"), 0.80, 0.90),
    Task("languages", ("languages",), 0.97, 0.98),
    Task("drums", ("drums",), 0.74, 0.84),
    Task("instruments", ("instruments",), 0.93, 0.95),
)


def task_store(task: Task, recipe: Recipe, folder: Path, *, name: str, workers: int) -> FeatureStore:
    """The features of all recordings of a task, computed unless the folder has them.

    Args:
        recipe: the same for every task; the clip length is what `featurize` chooses.
        folder: keeps tables and stores.
        name: of the front end.
    """
    corpora = sorted(task.corpora)  # both directions share a store
    stem = "+".join(corpora)
    table = folder / f"{stem}.csv"
    folder.mkdir(parents=True, exist_ok=True)
    write_table(_rows(corpora), table)
    return featurize(read_corpus(table), folder / f"{stem}-{name}.zarr", recipe=recipe, workers=workers, resume=True)


def _rows(corpora: Sequence[str]) -> list[LabelledRecording]:
    """The recordings of all, their groups told apart: a level of the game has the voices of one cast."""
    tables = {name: corpus_table(name, fetch(name)) for name in corpora}
    return [row._replace(group=f"{name}/{row.group}") for name, rows in tables.items() for row in rows]


def task_folds(task: Task, dataset: Dataset, *, seeds: int = SEEDS) -> list[list[Fold]]:
    """The folds of each seed. Groups that hold a copy of one recording are one group in the dataset, and go together."""
    if len(task.corpora) == 1:
        return [_spread(dataset, seed) for seed in range(seeds)]
    train, test = (np.array([Path(path).is_relative_to(fetch(corpus)) for path in dataset.paths]) for corpus in task.corpora)
    known = np.isin(dataset.hashes, dataset.hashes[train])
    return [[Fold(np.flatnonzero(train), np.flatnonzero(test & ~known))]] * seeds


def _spread(dataset: Dataset, seed: int) -> list[Fold]:
    """Folds of whole groups. A class of fewer groups than folds is spread with the rest, and some folds test none of it."""
    n_groups = [len(np.unique(dataset.groups[dataset.labels == label])) for label in range(len(dataset.classes))]
    n_folds = min(FOLDS, max(n_groups))
    scarce = np.array(n_groups)[dataset.labels] < n_folds
    labels = np.where(scarce, len(dataset.classes), dataset.labels)
    return make_folds(labels, dataset.groups, n_folds=n_folds, seed=seed, classes=dataset.classes)
