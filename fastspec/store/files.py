"""Files that are whole or not there, local or behind a URL."""

import ctypes
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from fastspec.corpus.place import one_line
from fastspec.errors import FastspecError, StoreError
from fastspec.store.place import DRAFT, IDENTITY, Place, StoreUrl, list_files, removed_prefix

_SYNC_FILE_RANGE_WRITE = 2  # Linux


@contextmanager
def writing(place: Place, *, flushed: bool = True) -> Iterator[Path]:
    """A local file to write to, which becomes the one at `place` when the block ends well: a reader sees all of it or nothing.

    One that is not `flushed` to the disk may be lost with the machine's power.
    """
    if isinstance(place, StoreUrl):
        with tempfile.TemporaryDirectory() as folder:
            yield (temporary := Path(folder) / place.name)
            place.upload(temporary)
        return
    # Not by tempfile, whose files only their owner may read: a store is shared.
    temporary = place.with_name(f".{place.name}-{secrets.token_hex(8)}")
    try:
        yield temporary
        if flushed:
            sync_file(temporary)
        temporary.replace(place)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    if flushed:
        sync_folder(place.parent)


def write_atomically(place: Place, data: bytes, *, flushed: bool = True) -> None:
    """Write a file so that a reader sees all of it or nothing: flushed to the disk and renamed, or in one request."""
    if isinstance(place, StoreUrl):
        place.write(data)
        return
    with writing(place, flushed=flushed) as temporary:
        temporary.write_bytes(data)


def write_record(place: Place, data: bytes) -> None:
    """Write what begins with a line that is a JSON object; behind a URL only where none are, or some that say the same except in `timings`.

    Raises:
        FileExistsError: another one is there.
    """
    if isinstance(place, Path):
        write_atomically(place, data)
        return
    try:
        place.create(data)
    except FileExistsError:
        # A request that was answered too late is sent again, and meets its own object.
        if _without_timings(place.read_bytes()) != _without_timings(data):
            raise FileExistsError(f"another run has written {place.name}") from None


def _without_timings(record: bytes) -> tuple[dict[str, Any], bytes]:
    head, _, rest = record.partition(b"\n")
    return {**json.loads(head), "timings": None}, rest


def upload_tree(folder: Path, place: StoreUrl) -> None:
    """Upload a folder; its identity last, in one request that is refused where there is one. Until then a mark says that it is a draft."""
    (place / DRAFT).write(b"")
    for name in sorted(list_files(folder) - {IDENTITY}):
        (place / name).upload(folder / name)
    (place / IDENTITY).create((folder / IDENTITY).read_bytes())
    (place / DRAFT).unlink()


def sync_file(path: Path) -> None:
    """Flush a file that somebody else wrote to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def begin_flushing(descriptor: int, at: int, size: int) -> None:
    """Have the system begin to flush a stretch of a file to the disk; it waits where the disk has too much to do already.

    Whoever flushes the file later has less to wait for. What was written stays in memory for those who read it.
    """
    if function := _find_sync_file_range():
        function(descriptor, at, size, _SYNC_FILE_RANGE_WRITE)


@cache
def _find_sync_file_range() -> Callable[..., int] | None:
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no library without a name
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return function


def sync_folder(path: Path) -> None:
    """Flush a folder's names to the disk, where the system can."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def sync_tree(path: Path) -> None:
    """Flush a folder, and all that is below it, to the disk."""
    sync_together([path, *path.rglob("*")])


def sync_together(paths: Iterable[Path]) -> None:
    """Flush files, then folders to the disk.

    One after another: the first flush of a journal takes most of what was changed before, and threads cost more than the rest.
    """
    folders = []
    for path in paths:
        if path.is_dir():
            folders.append(path)
        else:
            sync_file(path)
    for folder in folders:
        sync_folder(folder)


def remove_tree(place: Place) -> None:
    """Remove a folder; it stops being a store first, so that what is left by a kill does not look like one."""
    if isinstance(place, StoreUrl):
        _remove_objects(place)
    elif place.exists():
        doomed = Path(tempfile.mkdtemp(dir=place.parent, prefix=removed_prefix(place)))
        place.replace(doomed / place.name)
        shutil.rmtree(doomed)


def _remove_objects(place: StoreUrl) -> None:
    names = list_files(place)
    if not names:
        return
    (place / DRAFT).write(b"")
    (place / IDENTITY).unlink(missing_ok=True)
    place.remove_below(sorted(names - {DRAFT, IDENTITY}))
    (place / DRAFT).unlink()


@contextmanager
def explained(path: Place) -> Iterator[None]:
    """A disk that is full, or anything else that the system refuses, as one line that says how to go on."""
    # Behind a URL Zarr lets through whatever the file system's library raises.
    refused = (OSError, pl.exceptions.PolarsError) if isinstance(path, Path) else Exception
    try:
        yield
    except FastspecError:
        raise
    except refused as error:
        raise StoreError(f"{path} cannot be written: {reason_of(error)}; what is done is kept, go on with --resume") from None


def reason_of(error: Exception) -> str:
    """What the system, or a library, says of it."""
    return getattr(error, "strerror", None) or one_line(error)
