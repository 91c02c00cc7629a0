"""What the header of an uncompressed recording claims. libsndfile only tells what the file has room for, so that a cut one looks whole."""

import struct
from pathlib import Path

# Where headers end that are read here; what comes before the samples is rarely longer.
HEAD_BYTES = 65_536
# What streams write, which do not know how long they will be: a little less than 2 or 4 GiB, or as much as 64 bits can hold.
_UNKNOWN_FROM, _UNKNOWN_FROM_64 = 0x7FFF0000, 1 << 62
# PCM, IEEE float, A-law, µ-law and what says so in an extension: formats of a fixed number of bytes a frame.
_PLAIN_TAGS = frozenset({0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE})
_FORMAT_FIELDS = struct.Struct("<H10xH").unpack_from
_WAVE_CHUNK, _AIFF_CHUNK = struct.Struct("<4sI").unpack_from, struct.Struct(">4sI").unpack_from


def claimed_frames(head: bytes | memoryview, frames: int) -> int:
    """Frames that the header of a WAV, RF64 or AIFF claims; at least `frames`, what libsndfile found, and these for any other.

    Args:
        head: the first bytes of the file, of which `HEAD_BYTES` are looked at.
        frames: that the file has room for.

    >>> header = b"RIFF____WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data" + struct.pack("<I", 16000)
    >>> claimed_frames(header + bytes(1000), 500)
    8000
    """
    head = head[:HEAD_BYTES]
    form = bytes(head[:4])
    try:
        if form in (b"RIFF", b"RF64"):
            return max(frames, _claim_of_wave(head))
        if form == b"FORM":
            return max(frames, _claim_of_aiff(head))
    except struct.error:  # the header goes on behind these bytes
        pass
    return frames


def read_head(source: Path | bytes) -> bytes:
    """The bytes that `claimed_frames` looks at; none of a file that is gone."""
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    try:
        with source.open("rb", buffering=0) as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _claim_of_wave(head: bytes | memoryview) -> int:
    """By the sizes of the data and of a frame; 0 where they are not told. In an RF64 the chunk "ds64" has the data's size."""
    frame_bytes, long_size, at = 0, None, 12
    while True:
        name, size = _WAVE_CHUNK(head, at)
        if name == b"fmt ":
            tag, frame_bytes = _FORMAT_FIELDS(head, at + 8)
            if tag not in _PLAIN_TAGS:
                return 0
        elif name == b"ds64":
            (long_size,) = struct.unpack_from("<8xQ", head, at + 8)
        elif name == b"data":
            size, limit = (size, _UNKNOWN_FROM) if long_size is None else (long_size, _UNKNOWN_FROM_64)
            return size // frame_bytes if size < limit and frame_bytes else 0
        at += 8 + size + size % 2


def _claim_of_aiff(head: bytes | memoryview) -> int:
    """By the chunk that describes the samples; 0 where it tells no number."""
    at = 12
    while True:
        name, size = _AIFF_CHUNK(head, at)
        if name == b"COMM":
            (frames,) = struct.unpack_from(">2xI", head, at + 8)
            return int(frames) if frames < _UNKNOWN_FROM else 0
        at += 8 + size + size % 2
