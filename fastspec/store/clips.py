"""Single clips of a store, in any order and from any process."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.corpus.place import read_range
from fastspec.store.layout import Layout
from fastspec.store.place import Place, StoreUrl, open_array
from fastspec.store.reading import chunk_file

# Chunks that stay open: files of an uncompressed store are mapped, which costs an address; of a compressed one values are kept.
_MAPPED_CHUNKS = 256
_DECODED_CHUNKS = 4


class ClipReader:
    """Reads single clips; of an uncompressed store nothing but their own bytes. Pickles by path, so that each process opens its own files.

    Args:
        path: of a finished store.
        layout: of it.
    """

    def __init__(self, path: Place, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self._plain = layout.compression == "none"
        plain = self._plain and not isinstance(path, StoreUrl)
        self._chunk: Callable[[int], NDArray[np.floating]]
        self._chunk = lru_cache(_MAPPED_CHUNKS)(self._map) if plain else lru_cache(_DECODED_CHUNKS)(self._decode)

    def __reduce__(self) -> tuple[Any, ...]:
        return ClipReader, (self.path, self.layout)

    def __len__(self) -> int:
        return self.layout.n_clips

    def __getitem__(self, clip: int) -> NDArray[np.floating]:
        """A clip's features: `(frames, bands)` of the store's dtype, a copy."""
        if not 0 <= clip < len(self):
            raise IndexError(f"clip {clip} of {len(self)}")
        chunk, row = divmod(clip, self.layout.chunk_clips)
        if self._plain and isinstance(self.path, StoreUrl):
            return self._fetch(chunk, row)
        return np.array(self._chunk(chunk)[row])

    def _fetch(self, chunk: int, row: int) -> NDArray[np.floating]:
        size, dtype = self.layout.clip_bytes, np.dtype(self.layout.dtype).newbyteorder("<")
        data = read_range(chunk_file(self.path, chunk), row * size, size)
        return np.frombuffer(data, dtype).reshape(self.layout.shape[1:]).copy()

    def _map(self, chunk: int) -> NDArray[np.floating]:
        dtype = np.dtype(self.layout.dtype).newbyteorder("<")
        shape = (self.layout.chunk_clips, *self.layout.shape[1:])
        return np.memmap(str(chunk_file(self.path, chunk)), dtype, "r", shape=shape)

    def _decode(self, chunk: int) -> NDArray[np.floating]:
        start = chunk * self.layout.chunk_clips
        features = open_array(self.path / "features", "r")
        return np.asarray(features[start : start + self.layout.chunk_clips])
