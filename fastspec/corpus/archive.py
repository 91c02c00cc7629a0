"""A zip of a folder whose sub-folders are classes, read in place: nothing is unpacked to disk."""

import lzma
import re
import stat
import threading
import zipfile
import zlib
from pathlib import Path

from fastspec.corpus.labels import folder_labels, is_audio, is_hidden
from fastspec.corpus.manifest import Manifest, RecordingError, table_of_paths
from fastspec.errors import CorpusError

MAX_MEMBER_BYTES = 2 << 30
MAX_RATIO = 1000
MIN_BOMB_BYTES = 100_000_000

_ENCRYPTED = 0x1
_MEMBER_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)


class ArchiveMembers:
    """Recordings that are members of a zip; one handle for all threads, opened anew in another process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zip = _open_zip(path)
        # zipfile locks its reads, but not its count of open members.
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["ArchiveMembers"], tuple[Path]]:
        return ArchiveMembers, (self.path,)

    def open(self, path: str) -> bytes:
        """A member's bytes, checked against its CRC."""
        try:
            info = self.zip.getinfo(path)
        except KeyError:
            raise RecordingError("unreadable", "no such member in the archive") from None
        if info.file_size > max(MIN_BOMB_BYTES, MAX_RATIO * info.compress_size):
            raise RecordingError("unreadable", f"{info.file_size} bytes packed into {info.compress_size}: a decompression bomb")
        try:
            data = self._read(info)
        except _MEMBER_ERRORS as error:
            raise RecordingError("unreadable", f"damaged in the archive: {' '.join(str(error).split())}") from None
        if len(data) > MAX_MEMBER_BYTES:
            raise RecordingError("unreadable", f"larger than {MAX_MEMBER_BYTES} bytes; unpack the archive to read it")
        return data

    def _read(self, info: zipfile.ZipInfo) -> bytes:
        with self._lock:
            member = self.zip.open(info)
        try:
            return member.read(MAX_MEMBER_BYTES + 1)
        finally:
            with self._lock:
                member.close()


def read_archive(path: Path) -> Manifest:
    """The manifest of a zip: every audio member, sorted by path.

    Raises:
        CorpusError: it is not a whole zip, holds no audio, or holds a member that could reach outside it or cannot be read.
    """
    members = ArchiveMembers(path)
    infos = [info for info in members.zip.infolist() if not info.is_dir()]
    _refuse_repeated(path, infos)
    for info in members.zip.infolist():
        problem = _problem(info)
        if problem:
            raise CorpusError(
                f"{path} holds a member {info.orig_filename!r}, {problem}; the archive is refused whole, pack it without that"
            )
    visible = [info.filename for info in infos if not is_hidden(info.filename)]
    paths = sorted(name for name in visible if is_audio(name))
    if not paths:
        raise CorpusError(f"{path} holds no audio files ({len(visible)} others); give a zip of folders named after classes")
    return Manifest(table_of_paths(paths, folder_labels(paths)), str(path), members, len(visible) - len(paths))


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CorpusError(f"{path} is not a whole zip archive: {error}; download or pack it again") from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror or error}; make it readable") from None


def _refuse_repeated(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    for info in infos:
        if info.filename in seen:
            raise CorpusError(f"{path} holds {info.filename!r} twice; pack it anew with each file once")
        seen.add(info.filename)


def _problem(info: zipfile.ZipInfo) -> str | None:
    name, mode = info.orig_filename, info.external_attr >> 16
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "an absolute path"
    if "\\" in name or "\0" in name:
        return "a path with a backslash or a NUL character"
    if ".." in name.split("/"):
        return "a path that leads out of the archive"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "which is a symbolic link or a device"
    if info.flag_bits & _ENCRYPTED:
        return "which is encrypted"
    return None
