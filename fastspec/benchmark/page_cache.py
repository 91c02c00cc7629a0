"""Files out of the system's page cache, and how many bytes of them came from the disk after that."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def can_forget() -> bool:
    """Whether this system lets a process ask for that, and says what it has read from the disk."""
    return hasattr(os, "posix_fadvise") and bytes_from_disk() is not None


def forget(files: Iterable[Path]) -> None:
    """Ask the system to drop its copies of files; what is not on the disk yet is written first, since it could not be dropped."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system that is read-only has nothing to write
                os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def bytes_from_disk() -> int | None:
    """Bytes that this process has had read from storage; None where the system does not say."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("read_bytes:")), None)
