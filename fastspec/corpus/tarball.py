"""A tar, plain or compressed, read in place: one pass lists it, then members are read where they lie."""

import tarfile
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastspec.corpus import members
from fastspec.corpus.folder import as_text
from fastspec.corpus.inflate import INFLATE_ERRORS, BombError, Inflated, InflatedFile
from fastspec.corpus.labels import is_audio
from fastspec.corpus.manifest import RecordingError
from fastspec.corpus.members import name_problem, refuse_crowd, refuse_member
from fastspec.corpus.place import Place, one_line, read_range
from fastspec.corpus.portable import fixed
from fastspec.errors import CorpusError

MAX_HEADER_BYTES = 1 << 20
MAX_SIDECAR_BYTES = 64 << 10

_FORMS = {".tar": None, ".tar.gz": "gz", ".tgz": "gz", ".tar.bz2": "bz2", ".tbz2": "bz2", ".tar.xz": "xz", ".txz": "xz"}
_TAR_ERRORS = (tarfile.TarError, RecursionError, *INFLATE_ERRORS)
_BLOCK_BYTES = 512


class Member(NamedTuple):
    """Where a member's content lies in the tar, once inflated."""

    offset: int
    size: int


@dataclass(frozen=True)
class TarMembers:
    """Recordings that are members of a tar, by their names.

    A plain tar is read at random. A compressed one is inflated from the nearest place before the member that has been kept, see
    `Inflated`: cheap for threads that read forwards.
    """

    place: Place
    index: dict[str, Member]
    content: Inflated | None

    def open(self, path: str) -> bytes:
        """A member's bytes."""
        member = self.index.get(path)
        if member is None:
            raise RecordingError("unreadable", "no such member in the archive")
        if member.size > members.MAX_MEMBER_BYTES:
            raise RecordingError("unreadable", f"larger than {members.MAX_MEMBER_BYTES} bytes; unpack the archive to read it")
        try:
            data = self.content.read_at(*member) if self.content else read_range(self.place, *member)
        except INFLATE_ERRORS as error:
            raise RecordingError("unreadable", f"damaged in the archive: {one_line(error)}") from None
        if len(data) < member.size:
            raise RecordingError("unreadable", "damaged in the archive: it has been cut off since it was listed")
        return data

    def take(self, paths: Set[str]) -> "TarMembers":
        """Those of some paths alone, from whatever folder."""
        return TarMembers(fixed(self.place), {path: self.index[path] for path in paths if path in self.index}, self.content)


def is_tar(name: str) -> bool:
    """Whether a file name's ending is that of a tar that can be read.

    >>> is_tar("a.tar"), is_tar("a.TAR.gz"), is_tar("a.gz")
    (True, True, False)
    """
    return _ending(name) is not None


def index_tar(place: Place, on_sidecar: Callable[[str, bytes], None]) -> tuple[list[str], TarMembers]:
    """The names of all files in a tar, and its audio members to open, from one pass over its headers.

    `on_sidecar(name, content)` is called for each other file of at most 64 KB, on the way.

    Raises:
        CorpusError: it is not a whole tar, or holds a member that could reach outside it, is not a plain file, or is there twice.
    """
    form = _FORMS[_ending(place.name) or ".tar"]
    content = Inflated(place, form) if form else None
    names: dict[str, None] = {}
    index: dict[str, Member] = {}
    try:
        for name, member, read in _files(place, content):
            if name in names:
                raise CorpusError(f"{place} holds {name!r} twice; pack it anew with each file once")
            names[name] = None
            refuse_crowd(place, len(names))
            if is_audio(name):
                index[name] = member
            elif member.size <= MAX_SIDECAR_BYTES:
                on_sidecar(name, read(member.size))
    except BombError as error:
        raise CorpusError(f"{place} is refused: {error}; give an archive of recordings alone") from None
    except _TAR_ERRORS as error:
        raise CorpusError(f"{place} is not a whole tar archive: {one_line(error)}; download or pack it again") from None
    return list(names), TarMembers(place, index, content)


def _ending(name: str) -> str | None:
    return next((ending for ending in _FORMS if name.lower().endswith(ending)), None)


def _files(place: Place, content: Inflated | None) -> Iterator[tuple[str, Member, Callable[[int], bytes]]]:
    """Name, place and reader of each plain file, in the order of the tar. The reader works until the next one is asked for."""
    with place.open("rb") as file:
        stream = _HeaderStream(InflatedFile(content) if content else file)
        archive = tarfile.TarFile(fileobj=stream, encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # tarfile would keep them all
            name = as_text(info.name).removeprefix("./")
            refuse_member(place, name, name_problem(info.name) or _kind_problem(info))
            if info.isreg():
                yield name, Member(info.offset_data, info.size), stream.read
        if stream.last.strip(b"\0"):
            # Anything but a block of zeros is damage, which tarfile takes for the end.
            raise tarfile.ReadError(f"no header at byte {archive.offset}")


def _kind_problem(info: tarfile.TarInfo) -> str | None:
    if info.issym() or info.islnk():
        return "which is a link (tar's options --dereference and --hard-dereference pack what it leads to)"
    if info.issparse():
        return "which is a sparse file"
    return None if info.isreg() or info.isdir() else "which is a device or a pipe"


class _HeaderStream:
    """What tarfile reads headers through. It goes forwards only, or a hostile header could send tarfile in circles, and no header is large.

    Attributes:
        last: what the last read gave.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b""

    def tell(self) -> int:
        """Where the next read starts."""
        return int(self._stream.tell())

    def seek(self, position: int) -> int:
        """Skip to a position further on."""
        if position < self.tell():
            raise tarfile.ReadError(f"the header before byte {self.tell()} points backwards")
        return int(self._stream.seek(position))

    def read(self, size: int) -> bytes:
        """`size` bytes, fewer at the end."""
        if size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._stream.read(size)
        return self.last
