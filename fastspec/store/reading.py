"""Reading a finished store."""

import json
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import zarr
from numpy.typing import NDArray

from fastspec.display import table_html
from fastspec.errors import StoreError
from fastspec.spec import Recipe
from fastspec.store.layout import Layout
from fastspec.store.ledger import USABLE
from fastspec.store.place import IDENTITY, Place, StoreUrl, list_files, locate_store, open_array, scan_table

if TYPE_CHECKING:
    from fastspec.store.torch_dataset import TorchDataset


class FeatureStore:
    """A finished store, read-only.

    Attributes:
        path: its folder, or what a URL leads to.
        recipe: that its features were made by.
        manifest_digest: of the rows that were read.
        versions: of what computed it.
        dtype: of the features.
    """

    def __init__(self, path: Place, layout: Layout) -> None:
        self.path = path
        self.recipe: Recipe = layout.recipe
        self.manifest_digest = layout.manifest_digest
        self.versions = layout.versions
        self.dtype = layout.dtype
        self._layout = layout

    def __len__(self) -> int:
        return self._layout.n_clips

    def __repr__(self) -> str:
        clips, frames, bands = self._layout.shape
        statuses = ", ".join(f"{n} {status}" for status, n in self.status_counts().items())
        return f"<FeatureStore {str(self.path)!r}: {clips} clips x {frames} frames x {bands} bands; {statuses}>"

    def _repr_html_(self) -> str:
        statuses = ", ".join(f"{n:,} {status}" for status, n in self.status_counts().items())
        shape = " × ".join(f"{n:,} {axis}" for n, axis in zip(self._layout.shape, ("clips", "frames", "bands"), strict=True))
        rows = {
            "features": f"{shape}, {self.dtype}",
            "clips": statuses,
            "classes": len({label for label in self.labels if label is not None}),
            "recipe": self.recipe.digest()[:12],
        }
        return table_html(f"FeatureStore {self.path}", rows)

    @cached_property
    def features(self) -> zarr.Array[Any]:
        """`(clips, frames, bands)` float32 or float16, read from disk where it is indexed; NaN where a clip failed."""
        return open_array(self.path / "features", "r")

    @cached_property
    def valid_frames(self) -> NDArray[np.int32]:
        """`(clips,)` int32: frames filled by the clip's own samples; those after them are padding."""
        return np.asarray(open_array(self.path / "valid_frames", "r")[:])

    @cached_property
    def ledger(self) -> pl.DataFrame:
        """One row a clip, in the order of the features."""
        return scan_table(self.path / "ledger.parquet").collect()

    @cached_property
    def timings(self) -> pl.DataFrame:
        """Milliseconds of each stage, one row a partition."""
        return scan_table(self.path / "timings" / "partitions.parquet").collect()

    def torch_dataset(self) -> "TorchDataset":
        """Clips with status "ok", as a map-style dataset for `torch.utils.data.DataLoader` with any number of workers.

        Raises:
            StoreError: torch is not installed.
        """
        from fastspec.store.clips import ClipReader
        from fastspec.store.torch_dataset import TorchDataset

        statuses = self.ledger["status"].to_list()
        return TorchDataset(ClipReader(self.path, self._layout), statuses=statuses, labels=self.labels)

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (self.path,)

    @property
    def labels(self) -> list[str | None]:
        """The label of each clip, None where it has none."""
        return list(self.ledger["label"])

    def status_counts(self) -> dict[str, int]:
        """Clips by status, most frequent first."""
        # Of the file: a whole ledger takes memory, and this is asked of every store that is finished.
        return count_statuses(scan_table(self.path / "ledger.parquet"))

    def remark_counts(self) -> dict[str, int]:
        """Clips that have features by the remark on them (silent, a channel dead, two in antiphase), most frequent first."""
        ledger = scan_table(self.path / "ledger.parquet")
        return _count(ledger.filter(pl.col("status").is_in(USABLE) & pl.col("reason").is_not_null()), "reason")


def count_statuses(ledger: pl.DataFrame | pl.LazyFrame) -> dict[str, int]:
    """Clips by status, most frequent first."""
    return _count(ledger.lazy(), "status")


def _count(rows: pl.LazyFrame, column: str) -> dict[str, int]:
    counts = rows.group_by(column).len().sort(["len", column], descending=[True, False])
    return dict(counts.collect(engine="streaming").rows())


def is_finished(path: Place) -> bool:
    """Whether the store at `path` is whole."""
    return (path / "finished.json").exists() and not is_updating(path)


def is_updating(path: Place) -> bool:
    """Whether an update of the store at `path` was begun and has not ended."""
    return is_store(path / "update")


def is_store(path: Place) -> bool:
    """Whether there is a store at `path`, finished or not."""
    return (path / IDENTITY).is_file()


def read_manifest(path: Place) -> pl.DataFrame:
    """The clips of the store at `path`, finished or not: a manifest's table, one row a clip.

    Raises:
        StoreError: it is damaged.
    """
    try:
        return scan_table(path / "manifest.parquet").collect().drop("fingerprint", "removed", strict=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"{path} has no readable manifest.parquet ({type(error).__name__}); give --overwrite to start anew") from None


def read_removed(path: Place) -> list[bool]:
    """Which clips of the store at `path` an update did not find in the corpus any more."""
    manifest = scan_table(path / "manifest.parquet").collect()
    return manifest["removed"].to_list() if "removed" in manifest.columns else [False] * len(manifest)


def chunk_name(chunk: int) -> str:
    """A chunk of the features within the store, as Zarr names it."""
    return f"features/c/{chunk}/0/0"


def chunk_file(path: Place, chunk: int) -> Place:
    """Where a chunk of the features lies."""
    return path / chunk_name(chunk)


def chunk_hashes(path: Place) -> list[str]:
    """The hash of each chunk's values in a finished store."""
    return list(json.loads((path / "finished.json").read_bytes())["chunks"])


def open_store(path: str | os.PathLike[str] | StoreUrl) -> FeatureStore:
    """Open a finished store.

    Raises:
        StoreError: nothing there, not a store, not finished, or of a newer format.

    >>> open_store("nowhere.zarr")
    Traceback (most recent call last):
    fastspec.errors.StoreError: nowhere.zarr does not exist; make it with 'fastspec featurize CORPUS -o nowhere.zarr'
    """
    place = locate_store(path)
    if not place.exists():
        raise StoreError(f"{place} does not exist; make it with 'fastspec featurize CORPUS -o {place}'")
    if not is_store(place):
        raise StoreError(f"{place} is not a feature store: it holds no fastspec.json; give the folder that featurize wrote")
    layout = Layout.read(place)
    if is_updating(place):
        raise StoreError(f"{place} is being brought up to date; go on with 'fastspec store update {place} CORPUS'")
    if not is_finished(place):
        raise StoreError(f"{place} is not finished; run the same featurize command again with --resume")
    _check_whole(place, layout)
    return FeatureStore(place, layout)


def _check_whole(path: Place, layout: Layout) -> None:
    """That no file is missing: Zarr reads a chunk that is not there as NaN, and scores of such features mean nothing."""
    try:
        n_hashes = len(chunk_hashes(path))
        height = scan_table(path / "ledger.parquet").select(pl.len()).collect().item()
        shape = open_array(path / "features", "r").shape
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise StoreError(f"{path} is damaged ({error}); make it again with 'fastspec featurize … --overwrite'") from None
    if shape != layout.shape or (n_hashes, height) != (layout.n_chunks, layout.n_clips):
        raise StoreError(f"{path} is damaged: its files do not agree on how many clips it holds; make it again with --overwrite")
    files = list_files(path / "features")
    for name in map(chunk_name, range(layout.n_chunks)):
        if name.removeprefix("features/") not in files:
            raise StoreError(
                f"{path} is damaged: {name} is missing; repair it with 'fastspec store verify {path} --repair', "
                "or make it again with 'fastspec featurize … --overwrite'"
            )
