"""XXH3-128, in hexadecimal: what tells damage."""

from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 20


def hash_file(path: Path) -> str:
    """Of a file's bytes; OSError where it cannot be read."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def hash_chunk(values: NDArray[np.generic]) -> str:
    """Of an array's values, little-endian in the order of C."""
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data)
