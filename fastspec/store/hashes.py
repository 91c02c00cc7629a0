"""XXH3-128, in hexadecimal: what tells damage."""

import numpy as np
import xxhash
from numpy.typing import NDArray


def hash_bytes(data: bytes) -> str:
    """Of a file's bytes.

    >>> hash_bytes(b"")
    '99aa06d3014798d86001c324468d497f'
    """
    return xxhash.xxh3_128_hexdigest(data)


def hash_chunk(values: NDArray[np.generic]) -> str:
    """Of an array's values, little-endian in the order of C."""
    return xxhash.xxh3_128_hexdigest(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data)
