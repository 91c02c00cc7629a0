"""Chunks of features, given a few clips at a time: what is written while it is in the processor's cache is not moved through memory."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from fastspec.store.files import begin_flushing
from fastspec.store.hashes import as_bytes
from fastspec.store.layout import Layout

# Of the last chunk, where clips are missing: so many bytes at a time.
_FILLED_BYTES = 1 << 20
# The system is not asked to begin writing fewer to the disk.
_FLUSHED_BYTES = 1 << 19


class ChunkWriter(ABC):
    """One chunk of features, its clips given in order. It is there, whole, after `end`, and not before.

    Args:
        layout: of the store.
        n_clips: of the chunk.
        explained: around whatever the system may refuse.
    """

    def __init__(self, layout: Layout, n_clips: int, explained: Callable[[], AbstractContextManager[None]]) -> None:
        self._layout, self._wanted, self._explained = layout, n_clips, explained
        self._hash, self._n_clips = xxhash.xxh3_128(), 0
        with explained():
            self._begin()

    def add(self, features: NDArray[np.floating]) -> None:
        """Write the next clips, `(clips, frames, bands)` of the layout's dtype; the array may then be used for others."""
        data = as_bytes(features)
        with self._explained():
            self._take(data)
        self._hash.update(data)
        self._n_clips += len(features)

    def end(self) -> None:
        """All clips were given. ValueError: they were not."""
        if self._n_clips != self._wanted:
            raise ValueError(f"a chunk of {self._wanted} clips was given {self._n_clips}")
        with self._explained():
            self._end()

    @property
    def digest(self) -> str:
        """The hash of the values so far, as `hash_chunk` has it."""
        return self._hash.hexdigest()

    @abstractmethod
    def abandon(self) -> None:
        """Leave nothing of a chunk that has not ended."""

    @abstractmethod
    def _begin(self) -> None: ...

    @abstractmethod
    def _take(self, data: memoryview) -> None: ...

    @abstractmethod
    def _end(self) -> None: ...


class PlainChunk(ChunkWriter):
    """A chunk that is not compressed, written to the file which Zarr looks for as its clips come.

    The bytes are Zarr's: of all values in the order of C, little-endian, clips that the last chunk lacks being NaN. The system is told of
    each part to begin writing it to the disk, so that whoever flushes the chunk has little to wait for.
    """

    def __init__(self, file: Path, layout: Layout, n_clips: int, explained: Callable[[], AbstractContextManager[None]]) -> None:
        self._file, self._temporary = file, file.with_name(f".{file.name}-{secrets.token_hex(8)}")
        super().__init__(layout, n_clips, explained)

    def _begin(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self._temporary.open("wb", buffering=0)
        self._written = self._flushed = 0

    def _take(self, data: memoryview) -> None:
        self._write(data)

    def _end(self) -> None:
        left = (self._layout.chunk_clips - self._n_clips) * self._layout.clip_bytes
        values = np.full(min(left, _FILLED_BYTES) // np.dtype(self._layout.dtype).itemsize, np.nan, self._layout.dtype)
        while left:
            part = as_bytes(values)[:left]
            self._write(part)
            left -= len(part)
        self._stream.close()
        self._temporary.replace(self._file)

    def abandon(self) -> None:
        """See `ChunkWriter`."""
        with suppress(OSError):
            self._stream.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _write(self, data: memoryview) -> None:
        self._written += len(data)
        while data:
            data = data[self._stream.write(data) :]
        if self._written - self._flushed >= _FLUSHED_BYTES:
            begin_flushing(self._stream.fileno(), self._flushed, self._written - self._flushed)
            self._flushed = self._written


class GatheredChunk(ChunkWriter):
    """A chunk that is kept until all of it is there, then written at once."""

    def __init__(
        self,
        write: Callable[[NDArray[np.floating]], None],
        layout: Layout,
        n_clips: int,
        explained: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._write = write
        super().__init__(layout, n_clips, explained)

    def _begin(self) -> None:
        self._bytes = np.empty(self._wanted * self._layout.clip_bytes, np.uint8)

    def _take(self, data: memoryview) -> None:
        at = self._n_clips * self._layout.clip_bytes
        self._bytes[at : at + len(data)] = np.frombuffer(data, np.uint8)

    def _end(self) -> None:
        self._write(self._bytes.view(np.dtype(self._layout.dtype).newbyteorder("<")).reshape(self._wanted, *self._layout.shape[1:]))

    def abandon(self) -> None:
        """See `ChunkWriter`."""
