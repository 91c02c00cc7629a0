"""Single clips of a store, in any order and from any process."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from fastspec.store.layout import Layout
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

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        plain = layout.compression == "none"
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
        return np.array(self._chunk(chunk)[row])

    def _map(self, chunk: int) -> NDArray[np.floating]:
        dtype = np.dtype(self.layout.dtype).newbyteorder("<")
        shape = (self.layout.chunk_clips, *self.layout.shape[1:])
        return np.memmap(chunk_file(self.path, chunk), dtype, "r", shape=shape)

    def _decode(self, chunk: int) -> NDArray[np.floating]:
        start = chunk * self.layout.chunk_clips
        features = zarr.open_array(self.path / "features", mode="r")
        return np.asarray(features[start : start + self.layout.chunk_clips])
