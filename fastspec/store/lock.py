"""One writer at a time: a lock beside the store that dies with its process; behind a URL, a lease that is renewed."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from fastspec.errors import StoreError
from fastspec.store.files import remove_tree
from fastspec.store.lease import leased, refuse_held
from fastspec.store.place import DRAFT, IDENTITY, Place, StoreUrl


@contextmanager
def locked(path: Place) -> Iterator[None]:
    """Be the only one that writes the store at `path`, whether or not it is there yet; what a killed run left beside it is removed.

    The lock lies beside the store, not in it: so it holds while the store is created, replaced or removed.

    Raises:
        StoreError: another process or thread is writing it, or nothing can be written beside it.
    """
    if isinstance(path, StoreUrl):
        with leased(path):
            _sweep_draft(path)
            yield
        return
    lock = filelock.FileLock(_lock_file(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StoreError(f"{path} is being written by another run; wait until it has ended, or choose another name") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be created: {error.strerror or error}; choose a folder that can be written") from None
    try:
        _sweep(path)
        yield
    finally:
        # Removed while it is held: whoever has opened it sees that it is gone, and makes a new one. Windows removes no open file.
        if os.name == "posix":
            _lock_file(path).unlink(missing_ok=True)
        lock.release()


def refuse_locked(path: Place) -> None:
    """StoreError where another run is writing the store at `path`."""
    if isinstance(path, StoreUrl):
        refuse_held(path)
    elif _lock_file(path).exists():
        with locked(path):
            pass


def _lock_file(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def _sweep(path: Path) -> None:
    """Remove drafts and removed stores: under the lock they belong to nobody."""
    left = re.compile(rf"\.{re.escape(path.name)}\.(draft|removed)-[a-z0-9_]{{8}}")
    for folder in path.parent.glob(".*"):
        if left.fullmatch(folder.name) and folder.is_dir():
            shutil.rmtree(folder, ignore_errors=True)


def _sweep_draft(place: StoreUrl) -> None:
    """Remove the mark of a draft, and what it marks where that is no store."""
    if not (place / DRAFT).exists():
        return
    if (place / IDENTITY).exists():
        (place / DRAFT).unlink()
    else:
        remove_tree(place)
