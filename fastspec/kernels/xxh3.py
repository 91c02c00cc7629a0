"""XXH3-128 of long messages in compiled code: a hash a clip without the GIL.

The algorithm for messages of more than 240 bytes, with its own secret and no seed, as the xxHash specification of Yann Collet has it:
eight sums of 64 bits take in stripes of 64 bytes, are scrambled after each block of sixteen, and are folded together at the end.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from fastspec.kernels.arrays import frozen
from fastspec.kernels.jit import inline

# Shorter messages have algorithms of their own.
SHORTEST = 241
_STRIPE, _STRIPES = 64, 16
_BLOCK = _STRIPE * _STRIPES
_P32_1, _P32_2, _P32_3 = (np.uint64(prime) for prime in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D))
_P64_1, _P64_2, _P64_3 = (np.uint64(prime) for prime in (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9))
_P64_4, _P64_5, _MIXER = (np.uint64(prime) for prime in (0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5, 0x165667919E3779F9))
_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def _words(start: int, count: int = 8) -> NDArray[np.uint64]:
    return np.frombuffer(_SECRET, "<u8", count, start).astype(np.uint64)


# From the secret's start, then from where the last stripe and the two halves of the hash begin in it, which is between words.
_LAST, _LOW, _HIGH = 24, 32, 40
_SCRAMBLING = 16
SECRET = frozen(np.concatenate([_words(0, 24), _words(len(_SECRET) - 71), _words(11), _words(len(_SECRET) - 75)]))
START = frozen(np.array([_P32_3, _P64_1, _P64_2, _P64_3, _P64_4, _P32_2, _P64_5, _P32_1]))

_I32, _I64, _I128 = ir.IntType(32), ir.IntType(64), ir.IntType(128)
_LANES = ir.VectorType(_I64, 8)


@intrinsic
def take_stripes(_context: Any, sums: Any, _address: Any, _count: Any, secret: Any, _first: Any) -> Any:
    """Take in so many stripes from an address on; the secret moves on a word with each, from the word `first`.

    Each sum grows by the product of the halves of a word of the message mixed with the secret, and by the word beside it.
    """

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        own, key = (context.make_array(sig.args[i])(context, builder, args[i]).data for i in (0, 3))
        own = builder.bitcast(own, _LANES.as_pointer())
        total = cgutils.alloca_once_value(builder, builder.load(own, align=8))
        with cgutils.for_range(builder, args[2], intp=_I64) as loop:
            place = builder.add(args[1], builder.mul(loop.index, _I64(_STRIPE)))
            message = builder.load(builder.inttoptr(place, _LANES.as_pointer()), align=1)
            word = builder.gep(key, [builder.add(args[4], loop.index)])
            mixed = builder.xor(message, builder.load(builder.bitcast(word, _LANES.as_pointer()), align=8))
            low, high = builder.and_(mixed, _LANES([0xFFFFFFFF] * 8)), builder.lshr(mixed, _LANES([32] * 8))
            beside = builder.shuffle_vector(message, message, ir.VectorType(_I32, 8)([1, 0, 3, 2, 5, 4, 7, 6]))
            more = builder.add(builder.mul(low, high), beside)
            builder.store(builder.add(builder.load(total), more), total)
        builder.store(builder.load(total), own, align=8)
        return context.get_dummy_value()

    return types.void(sums, types.intp, types.intp, secret, types.intp), codegen


@intrinsic
def fold(_context: Any, _a: Any, _b: Any) -> Any:
    """The halves of the 128 bits of a product, one xor the other."""

    def codegen(_context: Any, builder: Any, _sig: Any, args: Any) -> Any:
        product = builder.mul(*(builder.zext(each, _I128) for each in args))
        return builder.xor(builder.trunc(product, _I64), builder.trunc(builder.lshr(product, ir.Constant(_I128, 64)), _I64))

    return types.uint64(types.uint64, types.uint64), codegen


@inline
def _scramble(sums, secret):
    for i in range(8):
        sums[i] = (sums[i] ^ (sums[i] >> np.uint64(47)) ^ secret[_SCRAMBLING + i]) * _P32_1


@inline
def _merge(sums, secret, first, start):
    total = start
    for i in range(0, 8, 2):
        total += fold(sums[i] ^ secret[first + i], sums[i + 1] ^ secret[first + i + 1])
    total = (total ^ (total >> np.uint64(37))) * _MIXER
    return total ^ (total >> np.uint64(32))


@inline
def hash_message(address, size, secret, start, sums):
    """The high and the low half of the hash of `size` bytes, at least `SHORTEST`.

    secret, start: `SECRET` and `START`. sums: `(8,)` uint64, overwritten.
    """
    for i in range(8):
        sums[i] = start[i]
    blocks = (size - 1) // _BLOCK
    for block in range(blocks):
        take_stripes(sums, address + block * _BLOCK, _STRIPES, secret, 0)
        _scramble(sums, secret)
    take_stripes(sums, address + blocks * _BLOCK, (size - 1) % _BLOCK // _STRIPE, secret, 0)
    take_stripes(sums, address + size - _STRIPE, 1, secret, _LAST)
    length = np.uint64(size)
    return _merge(sums, secret, _HIGH, ~(length * _P64_2)), _merge(sums, secret, _LOW, length * _P64_1)
