"""Random access to what a gzip, bzip2 or xz file holds, without unpacking it."""

import bz2
import lzma
import threading
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, Self

from fastspec.corpus.members import is_bomb
from fastspec.corpus.place import Place
from fastspec.corpus.portable import fixed, keep_open

INFLATE_ERRORS = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)

_CHUNK_BYTES = 256 << 10
_MAX_IDLE = 16
_MAX_MARKS = 256
_FIRST_SPACING_BYTES = 4 << 20


class BombError(ValueError):
    """So few packed bytes give so many that it is meant to hurt."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of bz2's and lzma's. Its state can be copied: about 40 KB."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)

    def copy(self) -> "_Gunzip":
        twin = _Gunzip()
        twin._stream = self._stream.copy()
        return twin


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {"gz": _Gunzip, "bz2": bz2.BZ2Decompressor, "xz": lzma.LZMADecompressor}


class _Cursor:
    """A place in the inflated stream, and all that is needed to go on from there. It moves forward only."""

    def __init__(self, place: Place, form: str) -> None:
        self._place, self._form = place, form
        self._file: BinaryIO = place.open("rb")
        self._decompressor = _DECOMPRESSORS[form]()
        self.position = 0

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    @property
    def packed(self) -> int:
        """Packed bytes taken so far."""
        return self._file.tell()

    def read(self, limit: int) -> bytes:
        """The next bytes, `limit` at most and at least one; none at the end."""
        while True:
            if self._decompressor.eof and not self._begin_stream():
                return b""
            data = self._file.read(_CHUNK_BYTES) if self._decompressor.needs_input else b""
            starved = self._decompressor.needs_input and not data
            piece = self._decompressor.decompress(data, limit)
            self.position += len(piece)
            if piece:
                return piece
            if starved and not self._decompressor.eof:
                raise EOFError("the file is cut off")

    def mark(self) -> tuple[int, int, Any]:
        """Position, packed position and state here, from which `resume` goes on."""
        assert isinstance(self._decompressor, _Gunzip)
        return self.position, self._file.tell(), self._decompressor.copy()

    @classmethod
    def resume(cls, place: Place, mark: tuple[int, int, Any]) -> Self:
        """A new cursor at a mark of a gzip file."""
        cursor = cls(place, "gz")
        cursor.position, packed, state = mark
        cursor._file.seek(packed)
        cursor._decompressor = state.copy()
        return cursor

    def _begin_stream(self) -> bool:
        """Whether another stream follows the one that has ended: such files may be several, one behind the other, padded with zeros."""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest and (more := self._file.read(_CHUNK_BYTES)):
            rest = more.lstrip(b"\0")
        if not rest:
            return False
        self._decompressor = _DECOMPRESSORS[self._form]()
        # What has been read already is read again, by the new stream.
        self._file.seek(-len(rest), 1)
        return True


class Inflated:
    """The inflated content of a file, for any number of threads.

    Each read goes on from the cursor that is nearest before it. Threads that each read forwards therefore inflate the file once a
    thread. Of a gzip file, up to 256 states (about 10 MB) are kept from the first pass, so that a jump backwards costs at most 1/256 of
    it or 4 MB, whichever is more; a jump backwards in bzip2 or xz starts anew.

    Args:
        place: the file.
        form: "gz", "bz2" or "xz".
    """

    def __init__(self, place: Place, form: str) -> None:
        self._place, self._form = place, form
        self._lock = threading.Lock()
        self._idle: list[_Cursor] = []
        self._marks: list[tuple[int, int, Any]] = []
        self._spacing = _FIRST_SPACING_BYTES

    def __reduce__(self) -> tuple[Callable[..., "Inflated"], tuple[Any, ...]]:
        return keep_open, (Inflated, fixed(self._place), self._form)

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, fewer where the content ends.

        Raises:
            BombError, and those of INFLATE_ERRORS: it cannot be inflated so far.
        """
        cursor = self._take(offset)
        while cursor.position < offset and self._advance(cursor, offset - cursor.position):
            pass
        pieces = []
        while size and (piece := self._advance(cursor, size)):
            pieces.append(piece)
            size -= len(piece)
        self._give_back(cursor)
        return b"".join(pieces)

    def _take(self, offset: int) -> _Cursor:
        """The cursor or mark nearest before an offset; what is taken is nobody else's until it is given back."""
        with self._lock:
            cursor = max((c for c in self._idle if c.position <= offset), key=lambda c: c.position, default=None)
            mark = max((m for m in self._marks if m[0] <= offset), key=lambda m: m[0], default=None)
            if cursor is not None and (mark is None or cursor.position >= mark[0]):
                self._idle.remove(cursor)
                return cursor
        return _Cursor(self._place, self._form) if mark is None else _Cursor.resume(self._place, mark)

    def _give_back(self, cursor: _Cursor) -> None:
        with self._lock:
            self._idle.append(cursor)
            del self._idle[:-_MAX_IDLE]

    def _advance(self, cursor: _Cursor, limit: int) -> bytes:
        piece = cursor.read(min(limit, _CHUNK_BYTES))
        if is_bomb(cursor.position, cursor.packed):
            raise BombError(f"more than {cursor.position} bytes packed into {cursor.packed}: a decompression bomb")
        if self._form == "gz":
            self._keep_mark(cursor)
        return piece

    def _keep_mark(self, cursor: _Cursor) -> None:
        with self._lock:
            if cursor.position < (self._marks[-1][0] if self._marks else 0) + self._spacing:
                return
            self._marks.append(cursor.mark())
            if len(self._marks) > _MAX_MARKS:
                self._marks, self._spacing = self._marks[::2], 2 * self._spacing


class InflatedFile:
    """What tarfile needs of a file, over inflated content."""

    def __init__(self, content: Inflated) -> None:
        self._content = content
        self._position = 0

    def tell(self) -> int:
        """Where the next read starts."""
        return self._position

    def seek(self, position: int) -> int:
        """Set where the next read starts."""
        self._position = position
        return position

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end."""
        data = self._content.read_at(self._position, size)
        self._position += len(data)
        return data
