"""What the header of an uncompressed recording claims. libsndfile only tells what the file has room for, so that a cut one looks whole."""

import struct
from pathlib import Path

from fastspec.kernels.claims import HEAD_BYTES, PLAIN_TAGS, UNKNOWN_FROM, UNKNOWN_FROM_64

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
            if tag not in PLAIN_TAGS:
                return 0
        elif name == b"ds64":
            (long_size,) = struct.unpack_from("<8xQ", head, at + 8)
        elif name == b"data":
            size, limit = (size, UNKNOWN_FROM) if long_size is None else (long_size, UNKNOWN_FROM_64)
            return size // frame_bytes if size < limit and frame_bytes else 0
        at += 8 + size + size % 2


def _claim_of_aiff(head: bytes | memoryview) -> int:
    """By the chunk that describes the samples; 0 where it tells no number."""
    at = 12
    while True:
        name, size = _AIFF_CHUNK(head, at)
        if name == b"COMM":
            (frames,) = struct.unpack_from(">2xI", head, at + 8)
            return int(frames) if frames < UNKNOWN_FROM else 0
        at += 8 + size + size % 2
