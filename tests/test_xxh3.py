"""The hash that compiled code takes is that of the library, at every length where its algorithm turns."""

import numpy as np
import pytest
import xxhash

from fastspec.kernels import decode, xxh3
from fastspec.kernels.jit import entry

pytestmark = pytest.mark.skipif(not decode.can_decode(), reason="there is no compiled code without the JIT")

# Around stripes of 64 bytes and blocks of 1,024, and what a clip with its ending has.
LENGTHS = [*range(xxh3.SHORTEST, 260), *range(1020, 1093), *range(2047, 2052), 16_383, 64_007, 200_013]


@entry
def hash_at(data, start, size, secret, begin, sums, halves) -> int:
    halves[0], halves[1] = xxh3.hash_message(data.ctypes.data + start, size, secret, begin, sums)
    return 0


@pytest.mark.parametrize("start", [0, 3, 4])
def test_hash__is_the_library_s_at_every_length_and_alignment(start):
    data = np.random.default_rng(start).integers(0, 256, 210_000).astype(np.uint8)
    sums, halves = np.zeros(8, np.uint64), np.zeros(2, np.uint64)
    for size in LENGTHS:
        hash_at(data, start, size, xxh3.SECRET, xxh3.START, sums, halves)
        high, low = halves.tolist()
        assert f"{high:016x}{low:016x}" == xxhash.xxh3_128_hexdigest(data[start : start + size].tobytes()), size
