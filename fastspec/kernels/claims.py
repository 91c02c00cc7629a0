"""What the header of an uncompressed recording in memory claims: `audio.claims` in compiled code, for the recordings of a group."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastspec.kernels.jit import inline

# Where headers end that are read; what comes before the samples is rarely longer.
HEAD_BYTES = 65_536
# What streams write, which do not know how long they will be: a little less than 2 or 4 GiB, or as much as 64 bits can hold.
UNKNOWN_FROM, UNKNOWN_FROM_64 = 0x7FFF0000, 1 << 62
# PCM, IEEE float, A-law, µ-law and what says so in an extension: formats of a fixed number of bytes a frame.
PLAIN_TAGS = (0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE)
_ID3, _RIFF, _RF64, _FORM, _FMT, _DS64, _DATA, _COMM = (
    int.from_bytes(name, "little") for name in (b"ID3", b"RIFF", b"RF64", b"FORM", b"fmt ", b"ds64", b"data", b"COMM")
)


@intrinsic
def _load(_context: Any, data: Any, _at: Any, sample: Any) -> Any:
    """The number of the type of `sample` that begins at a byte of `data`, little-endian, as int64."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        view = context.make_array(sig.args[0])(context, builder, args[0])
        place = builder.bitcast(builder.gep(view.data, [args[1]]), ir.IntType(sample.bitwidth).as_pointer())
        number = builder.load(place, align=1)
        return number if sample.bitwidth == 64 else builder.zext(number, ir.IntType(64))

    return types.int64(data, types.intp, sample), codegen


@inline
def _swapped(word):
    """A number of 32 bits with its bytes in the other order."""
    return (word & 0xFF) << 24 | (word & 0xFF00) << 8 | (word >> 8) & 0xFF00 | word >> 24


@inline
def _claim_of_wave(data, start, stop):
    frame_bytes, long_size, is_long, at = np.int64(0), np.int64(0), False, start + 12
    while at + 8 <= stop:
        name, size = _load(data, at, np.uint32(0)), _load(data, at + 4, np.uint32(0))
        if name == _FMT:
            if at + 22 > stop or _load(data, at + 8, np.uint16(0)) not in PLAIN_TAGS:
                return np.int64(0)
            frame_bytes = _load(data, at + 20, np.uint16(0))
        elif name == _DS64:
            if at + 24 > stop:
                return np.int64(0)
            is_long, long_size = True, _load(data, at + 16, np.uint64(0))
        elif name == _DATA:
            known = 0 <= long_size < UNKNOWN_FROM_64 if is_long else size < UNKNOWN_FROM
            return (long_size if is_long else size) // frame_bytes if known and frame_bytes > 0 else np.int64(0)
        at += 8 + size + size % 2
    return np.int64(0)


@inline
def _claim_of_aiff(data, start, stop):
    at = start + 12
    while at + 8 <= stop:
        size = _swapped(_load(data, at + 4, np.uint32(0)))
        if _load(data, at, np.uint32(0)) == _COMM:
            frames = _swapped(_load(data, at + 10, np.uint32(0))) if at + 14 <= stop else np.int64(0)
            return frames if frames < UNKNOWN_FROM else np.int64(0)
        at += 8 + size + size % 2
    return np.int64(0)


@inline
def claim_of(data, start, stop):
    """Frames that the header of the file in `data[start:stop]` claims; 0 of one that is no WAV, RF64 or AIFF, or does not tell."""
    stop = min(stop, start + HEAD_BYTES)
    form = _load(data, start, np.uint32(0)) if start + 4 <= stop else np.int64(0)
    if form in (_RIFF, _RF64):
        return _claim_of_wave(data, start, stop)
    return _claim_of_aiff(data, start, stop) if form == _FORM else np.int64(0)


@inline
def is_tagged(data, start, stop):
    """Whether the file in `data[start:stop]` begins with an ID3 tag."""
    return start + 4 <= stop and _load(data, start, np.uint32(0)) & 0xFFFFFF == _ID3
