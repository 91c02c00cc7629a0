"""Files of a group into memory, one after another."""

import os
import stat
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastspec.kernels import read


class Sources:
    """Files, or files' bytes, that are read into memory, as many at a time as fit."""

    def __init__(self, sources: Sequence[Path | str | bytes]) -> None:
        self._sources, self._starts = sources, np.zeros(len(sources) + 1, np.int64)
        self._names = self._places = None
        if read.can_read() and bytes not in map(type, sources):
            self._names, self._places = read.join_names(list(map(str, sources)))

    def read(self, first: int, stop: int, data: NDArray[np.uint8]) -> tuple[int, NDArray[np.int64]]:
        """Those from `first` to `stop` into `data`: the first that had no room beside others, and where each starts.

        What is no regular file, cannot be read, or has no room alone, has no bytes: decoding it fails, and it is decoded by itself.
        """
        if self._names is not None and self._places is not None:
            places = self._places[:stop]
            following = read.read_files(self._names, places, read.FLAGS, first, read.make_state(), data, self._starts)
        else:
            following = self._read_each(first, stop, data)
        return following, self._starts[first : following + 1]

    def _read_each(self, first: int, stop: int, data: NDArray[np.uint8]) -> int:
        starts = self._starts
        starts[first] = 0
        for i, source in enumerate(self._sources[first:stop], first):
            room = data[starts[i] :]
            size = _copy(source, room) if isinstance(source, bytes) else _read_file(str(source), room)
            if size > len(room):
                if starts[i] > 0 and size <= len(data):
                    return i
                size = 0
            starts[i + 1] = starts[i] + size
        return stop


def _copy(source: bytes, room: NDArray[np.uint8]) -> int:
    """How many bytes there are; copied where they have room."""
    if len(source) <= len(room):
        room[: len(source)] = np.frombuffer(source, np.uint8)
    return len(source)


def _read_file(name: str, room: NDArray[np.uint8]) -> int:
    """How many bytes a regular file has, read where they have room; 0 where it is none or cannot be read whole."""
    try:
        if not stat.S_ISREG(Path(name).stat().st_mode):
            return 0
        # Not to wait where a FIFO took the place of the file.
        descriptor = os.open(name, read.FLAGS | getattr(os, "O_BINARY", 0))
        with FileIO(descriptor) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > len(room):
                return status.st_size if stat.S_ISREG(status.st_mode) else 0
            return status.st_size if file.readinto(room.data[: status.st_size]) == status.st_size else 0
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return 0
