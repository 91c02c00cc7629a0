"""Finished cells of a leaderboard on disk, so that one that was stopped goes on where it was."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError
from fastspec.learn.dataset import Dataset
from fastspec.learn.splits import Fold


class Cells:
    """A folder of scores, each under the digest of all that they follow from: one made of anything else is never found.

    Args:
        folder: made when the first cell is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, key: str) -> dict[str, Any] | None:
        """The scores under a key; None where there are none, or none that can be read."""
        try:
            cell = json.loads((self._folder / f"{key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return cell if isinstance(cell, dict) else None

    def write(self, key: str, cell: dict[str, Any]) -> None:
        """Keep scores, whole or not at all. LearnError: the folder cannot be written to."""
        temporary = self._folder / f".{key}.{os.getpid()}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(cell), encoding="utf-8")
            temporary.replace(self._folder / f"{key}.json")
        except OSError as error:
            raise LearnError(f"{self._folder} cannot be written to: {error.strerror}; choose another place") from None


def cell_key(dataset: Dataset, folds: Sequence[Sequence[Fold]], **settings: Any) -> str:
    """The digest of a store's features, of which of its clips train and test, and of settings that JSON can hold."""
    from fastspec.store.place import locate_store
    from fastspec.store.reading import chunk_hashes

    digest = hashlib.sha256(json.dumps([chunk_hashes(locate_store(dataset.source)), settings], sort_keys=True).encode())
    arrays: list[NDArray[Any]] = [dataset.clips, dataset.labels, dataset.start_s, dataset.valid_frames, dataset.headers]
    for array in arrays + [side for of_repeat in folds for fold in of_repeat for side in fold]:
        digest.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    digest.update(json.dumps([dataset.paths, dataset.groups.tolist(), dataset.classes]).encode())
    return digest.hexdigest()[:32]
