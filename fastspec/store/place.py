"""Where stores lie: a folder, or the objects below a URL that fsspec knows.

An object appears whole or not at all, but nothing renames many at once. What is local a rename is here an order: the object that makes a
store one (`fastspec.json`) is created last and removed first, and while that goes on a mark says so. A kill leaves the mark, and what is
marked without being a store is swept by the next run.
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import polars as pl
import zarr

from fastspec.corpus.place import MAX_BYTES, UrlPath, as_os_error, locate_as
from fastspec.errors import StoreError

DRAFT = ".draft"
IDENTITY = "fastspec.json"


class StoreUrl(UrlPath):
    """A store behind a URL, or a file of it. What is written raises OSError."""

    error = StoreError

    def absolute(self) -> Self:
        """Itself: what a URL means does not depend on the working directory."""
        return self

    def read_bytes(self, limit: int = MAX_BYTES) -> bytes:
        """All of an object, in one request: it may be replaced at any time. OSError when it cannot be had, or is larger than the limit."""
        data: bytes = self._do(self._system.cat_file, self._path)
        if len(data) > limit:
            raise OSError(f"larger than {limit} bytes")
        return data

    def write(self, data: bytes) -> None:
        """Write a whole object."""
        self._do(self._system.pipe_file, self._path, data)

    def create(self, data: bytes) -> None:
        """Write an object that is not there, in one conditional request on S3 (`If-None-Match: *`); FileExistsError where it is.

        File systems that know no such request are asked first whether it is there.
        """
        self._do(self._system.pipe_file, self._path, data, mode="create")

    def upload(self, file: Path) -> None:
        """Write a local file, in parts where it is large."""
        self._do(self._system.put_file, str(file), self._path)

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove an object."""
        try:
            self._do(self._system.rm_file, self._path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_below(self, names: list[str]) -> None:
        """Remove objects below this one, in as few requests as there can be."""
        if names:
            self._do(self._system.rm, [f"{self._path}/{name}" for name in names])

    def as_zarr(self) -> zarr.storage.FsspecStore:
        """The same place as Zarr takes it."""
        return zarr.storage.FsspecStore.from_mapper(self._system.get_mapper(self._path))

    def _do(self, action: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        try:
            return action(*arguments, **options)
        except Exception as error:  # each file system raises what its library does
            raise as_os_error(error) from None


Place = Path | StoreUrl


def draft_prefix(path: Path) -> str:
    """How the names of folders begin that become the store at `path`."""
    return f".{path.name}.draft-"


def removed_prefix(path: Path) -> str:
    """How the names of folders begin that hold what was at `path` until it is removed."""
    return f".{path.name}.removed-"


def locate_store(address: str | os.PathLike[str] | StoreUrl) -> Place:
    """The place that a path or a URL names; `file://` is an ordinary path.

    Raises:
        StoreError: a URL of a kind that is unknown, or whose package is not installed.
    """
    return address if isinstance(address, StoreUrl) else locate_as(StoreUrl, address)


def open_array(place: Place, mode: Any) -> "zarr.Array[Any]":
    """The Zarr array at a place. OSError, ValueError or KeyError where it cannot be opened."""
    if isinstance(place, Path):
        return zarr.open_array(place, mode=mode)
    try:
        return zarr.open_array(place.as_zarr(), mode=mode)
    except Exception as error:  # each file system raises what its library does
        raise as_os_error(error) from None


def scan_table(file: Place) -> pl.LazyFrame:
    """A Parquet file; what lies behind a URL is fetched at once. OSError where it cannot be had."""
    return pl.scan_parquet(file if isinstance(file, Path) else io.BytesIO(file.read_bytes()))


def list_files(folder: Place) -> set[str]:
    """POSIX paths, relative to a folder, of all the files below it; none where there is no folder."""
    if isinstance(folder, Path):
        return set(_walk(os.fspath(folder), ""))
    return set(folder.walk_files())


def _walk(folder: str, prefix: str) -> Iterator[str]:
    """By scandir, which tells files from folders without a call for each: all files of a store are listed when it is opened."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield prefix + entry.name


def is_vacant(place: Place) -> bool:
    """Whether a store may be begun there: nothing is there, or an empty folder, or what a kill left of a draft."""
    if isinstance(place, Path):
        return not place.exists() or (place.is_dir() and not any(place.iterdir()))
    return not place.exists() or ((place / DRAFT).exists() and not (place / IDENTITY).exists())
