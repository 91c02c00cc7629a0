"""Damage in a finished store, told by the hashes that were taken when it was written."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import zarr
from numpy.typing import NDArray

from fastspec.errors import StoreError
from fastspec.store.hashes import hash_chunk, hash_file
from fastspec.store.layout import Layout
from fastspec.store.place import Place, open_array
from fastspec.store.reading import chunk_file, chunk_name, is_finished


class Damage(NamedTuple):
    """One thing that is not as it was written.

    Attributes:
        file: within the store.
        reason: what is wrong with it.
        chunk: the number of a chunk of features; None for another file.
    """

    file: str
    reason: str
    chunk: int | None = None


def find_damage(path: Place) -> list[Damage]:
    """What in the finished store at `path` is not as it was written: chunks of features in order, valid frames, ledger. All is read.

    Raises:
        StoreError: there is no finished store, or nothing to compare it with.
    """
    layout = Layout.read(path)
    if not is_finished(path):
        raise StoreError(f"{path} is not finished, so there is nothing to compare it with; go on with featurize and --resume")
    try:
        hashes: dict[str, Any] = json.loads((path / "finished.json").read_bytes())
        features = open_array(path / "features", "r")
        if features.shape != layout.shape or len(hashes["chunks"]) != layout.n_chunks:
            raise ValueError("its files do not agree on how many clips it holds")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged beyond repair ({error}); make it again with 'fastspec featurize … --overwrite'") from None
    return [*_damaged_chunks(path, layout, features, hashes["chunks"]), *_damaged_tables(path, hashes)]


def _damaged_chunks(path: Place, layout: Layout, features: "zarr.Array[Any]", hashes: list[str]) -> Iterator[Damage]:
    for chunk, expected in enumerate(hashes):
        try:
            read_chunk(chunk_file(path, chunk), features, slice(chunk * layout.chunk_clips, (chunk + 1) * layout.chunk_clips), expected)
        except StoreError as error:
            yield Damage(chunk_name(chunk), str(error), chunk)


def read_chunk(file: Place, features: "zarr.Array[Any]", clips: slice, expected: str) -> NDArray[np.floating]:
    """The values of a chunk; StoreError says what is wrong with it, where it has not the hash that is expected."""
    if not file.is_file():
        raise StoreError("missing")
    try:
        values = np.asarray(features[clips])
    except Exception as error:  # whatever a codec raises for bytes that are not its own
        raise StoreError(" ".join(str(error).split()) or type(error).__name__) from None
    if hash_chunk(values) != expected:
        raise StoreError("its values have another hash")
    return values


def _damaged_tables(path: Place, hashes: dict[str, Any]) -> Iterator[Damage]:
    try:
        valid_frames = np.asarray(open_array(path / "valid_frames", "r")[:])
        if hash_chunk(valid_frames) != hashes.get("valid_frames", hash_chunk(valid_frames)):
            yield Damage("valid_frames", "its values have another hash")
    except Exception as error:  # as above
        yield Damage("valid_frames", " ".join(str(error).split()) or type(error).__name__)
    try:
        ledger = hash_file(path / "ledger.parquet")
        if ledger != hashes.get("ledger", ledger):
            yield Damage("ledger.parquet", "its bytes have another hash")
    except OSError as error:
        yield Damage("ledger.parquet", error.strerror or str(error))
