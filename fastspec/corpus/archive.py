"""A zip of a folder whose sub-folders are classes, read in place: nothing is unpacked to disk."""

import lzma
import stat
import threading
import zipfile
import zlib
from collections.abc import Callable, Sequence, Set
from typing import Any

from fastspec.corpus import members
from fastspec.corpus.manifest import Manifest, RecordingError
from fastspec.corpus.members import is_bomb, manifest_of_members, name_problem, refuse_crowd, refuse_member
from fastspec.corpus.place import Place, UrlPath, one_line
from fastspec.corpus.portable import fixed, keep_open
from fastspec.errors import CorpusError

_ENCRYPTED = 0x1
_MEMBER_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)


class ArchiveMembers:
    """Recordings that are members of a zip; one handle for all threads, another in another process."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.zip = _open_zip(place)
        # zipfile locks its reads, but not its count of open members.
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Callable[..., "ArchiveMembers"], tuple[Any, ...]]:
        return keep_open, (ArchiveMembers, fixed(self.place))

    def take(self, paths: Set[str]) -> "ArchiveMembers":  # noqa: ARG002
        """All of them: the zip lists its members by itself."""
        return self

    def open(self, path: str) -> bytes:
        """A member's bytes, checked against its CRC."""
        try:
            info = self.zip.getinfo(path)
        except KeyError:
            raise RecordingError("unreadable", "no such member in the archive") from None
        if is_bomb(info.file_size, info.compress_size):
            raise RecordingError("unreadable", f"{info.file_size} bytes packed into {info.compress_size}: a decompression bomb")
        limit = members.MAX_MEMBER_BYTES
        try:
            data = self._read(info, limit + 1)
        except _MEMBER_ERRORS as error:
            raise RecordingError("unreadable", f"damaged in the archive: {one_line(error)}") from None
        if len(data) > limit:
            raise RecordingError("unreadable", f"larger than {limit} bytes; unpack the archive to read it")
        return data

    def fingerprints(self, paths: Sequence[str]) -> list[str | None]:
        """Size and checksum of members."""
        infos = map(self.zip.NameToInfo.get, paths)
        return [f"{info.file_size}-{info.CRC:08x}" if info else None for info in infos]

    def _read(self, info: zipfile.ZipInfo, size: int) -> bytes:
        with self._lock:
            member = self.zip.open(info)
        try:
            return member.read(size)
        finally:
            with self._lock:
                member.close()


def read_archive(place: Place) -> Manifest:
    """The manifest of a zip: every audio member, sorted by path.

    Raises:
        CorpusError: it is not a whole zip, holds no audio, or holds a member that could reach outside it or cannot be read.
    """
    recordings = ArchiveMembers(place)
    seen: set[str] = set()
    for info in recordings.zip.infolist():
        refuse_member(place, info.orig_filename, _problem(info))
        if info.is_dir():
            continue
        if info.filename in seen:
            raise CorpusError(f"{place} holds {info.filename!r} twice; pack it anew with each file once")
        seen.add(info.filename)
        refuse_crowd(place, len(seen))
    return manifest_of_members(str(place), seen, recordings)


def _open_zip(place: Place) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(place.open("rb") if isinstance(place, UrlPath) else place)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CorpusError(f"{place} is not a whole zip archive: {error}; download or pack it again") from None
    except OSError as error:
        raise CorpusError(f"{place} cannot be read: {error.strerror or error}; make it readable") from None


def _problem(info: zipfile.ZipInfo) -> str | None:
    if problem := name_problem(info.orig_filename):
        return problem
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "which is a symbolic link or a device"
    if info.flag_bits & _ENCRYPTED:
        return "which is encrypted"
    return None
