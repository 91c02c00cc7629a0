"""The clips of a store that can be learned from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, choices
from fastspec.learn.classifier import Classifier, Features
from fastspec.learn.stored import StoredFeatures
from fastspec.spec import Recipe

if TYPE_CHECKING:
    import polars

    from fastspec.store import FeatureStore

IN_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """Labelled clips of status "ok", in the order of the store.

    Attributes:
        source: the store that they come from, for messages and tables.
        features: `(clips, frames, bands)` float32; on disk when they are large, see `features_for`.
        valid_frames: `(clips,)` int32.
        labels: `(clips,)` int64, indices into `classes`.
        classes: names, sorted.
        groups: `(clips,)` strings; clips of one group are never on both sides of a split. Groups that hold copies of one recording
            are one.
        split: `(clips,)` values of the manifest's split column, None where it has none.
        paths: of the recordings.
        start_s: `(clips,)` float64, where the clips begin, in seconds.
        hashes: `(clips,)` strings; equal audio has equal ones.
        headers: `(clips, 5)` float32, what a header says of the recording: frames, sample rate, channels, seconds, and which ending its
            name has, as a number; -1 where it says nothing.
        clips: `(clips,)` int64, which clips of the store they are.
        left_out: how many clips of the store are not here, by status or "unlabelled".
        recipe: that made the features, where it is known.
    """

    source: str
    features: NDArray[np.float32] | StoredFeatures
    valid_frames: NDArray[np.int32]
    labels: NDArray[np.int64]
    classes: list[str]
    groups: NDArray[np.str_]
    split: list[str | None]
    paths: list[str]
    start_s: NDArray[np.float64]
    hashes: NDArray[np.str_]
    headers: NDArray[np.float32]
    clips: NDArray[np.int64]
    left_out: dict[str, int]
    recipe: Recipe | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def keep(self, rows: NDArray[np.int64]) -> "Dataset":
        """Some of the clips; features on disk stay there."""
        features = self.features.take(rows) if isinstance(self.features, StoredFeatures) else self.features[rows]
        return replace(
            self,
            features=features,
            valid_frames=self.valid_frames[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            split=[self.split[row] for row in rows],
            paths=[self.paths[row] for row in rows],
            start_s=self.start_s[rows],
            hashes=self.hashes[rows],
            headers=self.headers[rows],
            clips=self.clips[rows],
        )

    def load(self, in_memory_bytes: int = IN_MEMORY_BYTES) -> "Dataset":
        """The same with features in memory, unless they are larger than that."""
        if isinstance(self.features, StoredFeatures) and self.features.nbytes <= in_memory_bytes:
            return replace(self, features=self.features[:])
        return self

    def of_headers(self) -> "Dataset":
        """The same clips with what their headers say, `(clips, 1, 5)`, in place of features."""
        return replace(self, features=self.headers[:, None, :], valid_frames=np.ones(len(self), np.int32), recipe=None)

    def features_for(self, model: Classifier, rows: NDArray[np.int64]) -> Features:
        """The features of some clips as the model takes them: `StoredFeatures` when they are on disk and it is `out_of_core`."""
        if isinstance(self.features, StoredFeatures) and model.out_of_core:
            return cast(Features, self.features.take(rows))  # slices like an array, which is all that such a model asks of it
        whole = len(rows) == len(self) and isinstance(self.features, np.ndarray)
        return cast(Features, self.features) if whole else self.features[rows]

    def fit(self, model: Classifier, rows: NDArray[np.int64]) -> None:
        """Fit a model to some of the clips."""
        features, valid_frames = self.features_for(model, rows), self.valid_frames[rows]
        model.fit(features, valid_frames, self.labels[rows], n_classes=len(self.classes), groups=self.groups[rows])

    @classmethod
    def from_store(
        cls, store: "FeatureStore", *, classes: Sequence[str] | None = None, in_memory_bytes: int = IN_MEMORY_BYTES
    ) -> "Dataset":
        """The dataset of a finished store.

        Args:
            store: opened read-only.
            classes: the classes that a trained model knows; None takes them from the labels.
            in_memory_bytes: features beyond that size stay on disk.

        Raises:
            LearnError: no labelled clip, one class only, or a label that is not in `classes`.
        """
        ledger = store.ledger
        status, labels = ledger["status"].to_list(), ledger["label"].to_list()
        fates = ["unlabelled" if s == "ok" and label is None else s for s, label in zip(status, labels, strict=True)]
        keep = np.array([fate == "ok" for fate in fates], bool)
        names = [label for label, kept in zip(labels, keep, strict=True) if kept]
        known = _check_classes(store, names, classes)
        rows = ledger.filter(keep)
        hashes = rows["audio_hash"].to_numpy().astype(np.str_)
        dataset = cls(
            source=str(store.path),
            features=StoredFeatures(store.features, np.flatnonzero(keep)),
            valid_frames=np.asarray(store.valid_frames, np.int32)[keep],
            labels=np.array([known[name] for name in names], np.int64),
            classes=list(known),
            groups=join_groups(rows["group"].to_numpy().astype(np.str_), hashes),
            split=rows["split"].to_list(),
            paths=rows["path"].to_list(),
            start_s=rows["start_s"].to_numpy(),
            hashes=hashes,
            headers=_read_headers(rows),
            clips=np.flatnonzero(keep),
            recipe=store.recipe,
            left_out=dict(sorted(Counter(fate for fate in fates if fate != "ok").items())),
        )
        return dataset.load(in_memory_bytes)


def join_groups(groups: NDArray[np.str_], hashes: NDArray[np.str_]) -> NDArray[np.str_]:
    """The groups of clips, `(clips,)` strings, where groups with equal audio in them bear one name: the first of theirs in order.

    >>> join_groups(np.array(["a", "b", "c", "d"]), np.array(["1", "2", "2", "3"])).tolist()
    ['a', 'b', 'b', 'd']
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names, group_of = np.unique(groups, return_inverse=True)
    audio, audio_of = np.unique(hashes, return_inverse=True)
    shape = (len(names) + len(audio),) * 2
    links = coo_array((np.ones(len(groups), np.int8), (group_of, len(names) + audio_of)), shape=shape)
    component = connected_components(links, directed=False)[1][: len(names)]
    _, first, joined = np.unique(component, return_index=True, return_inverse=True)
    return np.asarray(names[first][joined][group_of], np.str_)


def _read_headers(ledger: "polars.DataFrame") -> NDArray[np.float32]:
    """What headers say, `(clips, 5)`."""
    frames, rate, channels = (ledger[name].to_numpy().astype(np.float64) for name in ("header_frames", "sample_rate", "channels"))
    endings = np.unique([PurePath(path).suffix.lower() for path in ledger["path"]], return_inverse=True)[1]
    told = np.stack([frames, rate, channels, frames / rate, endings], axis=1)
    return np.where(np.isfinite(told), told, -1).astype(np.float32)


def _check_classes(store: "FeatureStore", names: list[str], classes: Sequence[str] | None) -> dict[str, int]:
    """The index of each class, when the labels can be learned from or scored."""
    if not names:
        if store.ledger["label"].null_count() == len(store.ledger):
            advice = "featurize again with classes as sub-folders, --label-from RE or a table's column 'label'"
            raise LearnError(f"no clip of {store.path} has a label; {advice}")
        raise LearnError(f"{store.path} has no labelled clip of status 'ok'; the reasons are in fastspec store ledger {store.path}")
    found = sorted(set(names))
    if classes is None and len(found) < 2:
        raise LearnError(f"{store.path} has one class only, {found[0]!r}; a classifier needs clips of two classes or more")
    known = {name: index for index, name in enumerate(found if classes is None else classes)}
    for name in found:
        if name not in known:
            raise LearnError(f"{store.path} has clips of class {name!r}, which the model was not trained on; {choices(name, known)}")
    return known
