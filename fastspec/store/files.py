"""Files that are whole or not there."""

import os
import secrets
import shutil
import tempfile
from pathlib import Path

from fastspec.store.lock import removed_prefix


def write_atomically(path: Path, data: bytes) -> None:
    """Write under a temporary name, flush to the disk, rename: a reader sees all of it or nothing."""
    # Not by tempfile, whose files only their owner may read: a store is shared.
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Flush a file that somebody else wrote to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


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
    for below in path.rglob("*"):
        if below.is_file():
            sync_file(below)
        else:
            sync_folder(below)
    sync_folder(path)


def remove_tree(path: Path) -> None:
    """Remove a folder; it is renamed first, so that what is left by a kill does not look like a store."""
    if path.exists():
        doomed = Path(tempfile.mkdtemp(dir=path.parent, prefix=removed_prefix(path)))
        path.replace(doomed / path.name)
        shutil.rmtree(doomed)
