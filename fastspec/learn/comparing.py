"""Several stores of one manifest, as several front ends heard it: the same recordings, the same folds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError
from fastspec.learn.dataset import Dataset
from fastspec.learn.splits import Fold, folds_of

if TYPE_CHECKING:
    from fastspec.store import FeatureStore

_PLACE = ("path", "start_s", "channel")


def align_stores(stores: Sequence["FeatureStore"]) -> list[Dataset]:
    """The datasets of stores of one manifest, restricted to what can be used in each: clips where all cut their recordings alike, else
    recordings. Features stay on disk.

    Raises:
        LearnError: stores of several manifests, or a class that one of them has no usable clip of.
    """
    for store in stores[1:]:
        if store.manifest_digest != stores[0].manifest_digest:
            raise LearnError(f"{store.path} was made of another manifest than {stores[0].path}; compare front ends on one manifest")
    datasets = [Dataset.from_store(store, in_memory_bytes=0) for store in stores]
    if len(stores) == 1:
        return datasets
    for dataset in datasets[1:]:
        if dataset.classes != datasets[0].classes:
            odd = sorted(set(dataset.classes) ^ set(datasets[0].classes))
            raise LearnError(f"{dataset.source} and {datasets[0].source} do not both have usable clips of {odd[0]!r}; leave that class out")
    cuts = [store.ledger.select(_PLACE) for store in stores]
    alike = all(cut.equals(cuts[0]) for cut in cuts)
    keys: list[list[int | str]] = [list(dataset.clips.tolist() if alike else dataset.paths) for dataset in datasets]
    shared = set.intersection(*map(set, keys))
    if not shared:
        raise LearnError("no labelled clip is usable in every store; see 'fastspec store ledger' of each for the reasons")
    return [dataset.keep(np.flatnonzero([key in shared for key in own])) for dataset, own in zip(datasets, keys, strict=True)]


def have_equal_clips(datasets: Sequence[Dataset]) -> bool:
    """Whether the datasets have the same clips in the same order."""
    first = datasets[0]
    return all(other.paths == first.paths and np.array_equal(other.start_s, first.start_s) for other in datasets[1:])


def shared_folds(datasets: Sequence[Dataset], *, n_folds: int, repeats: int, seed: int) -> list[list[list[Fold]]]:
    """For each dataset the folds of each repeat: those of the first, in which a recording is tested where it is tested there.

    Raises:
        LearnError: the first cannot be split as asked.
    """
    own = [folds_of(datasets[0], n_folds=n_folds, seed=seed + repeat) for repeat in range(repeats)]
    if have_equal_clips(datasets):
        return [own] * len(datasets)
    paths = [np.array(dataset.paths) for dataset in datasets]
    return [[[_transfer(fold, paths[0], other) for fold in folds] for folds in own] for other in paths]


def _transfer(fold: Fold, paths: NDArray[np.str_], others: NDArray[np.str_]) -> Fold:
    return Fold(*(np.flatnonzero(np.isin(others, paths[side])) for side in fold))
