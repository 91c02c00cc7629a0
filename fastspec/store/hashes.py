"""XXH3-128, in hexadecimal: what tells damage."""

import numpy as np
import xxhash
from numpy.typing import NDArray

from fastspec.store.place import Place

_BLOCK_BYTES = 1 << 20


def hash_file(path: Place) -> str:
    """Of a file's bytes; OSError where it cannot be read."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_chunk(values: NDArray[np.generic]) -> str:
    """Of an array's values, little-endian in the order of C."""
    return xxhash.xxh3_128_hexdigest(as_bytes(values))


def as_bytes(values: NDArray[np.generic]) -> memoryview:
    """An array's values, little-endian in the order of C; a view of them where that is how they lie."""
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
