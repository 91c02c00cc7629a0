"""A folder whose sub-folders are classes, on this machine or behind a URL."""

import os
import stat
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from fastspec.corpus.labels import folder_labels, is_audio, is_hidden, may_be_meant
from fastspec.corpus.manifest import Manifest, RecordingError, table_of_paths
from fastspec.corpus.place import Place, UrlPath, is_url, locate, one_line
from fastspec.corpus.portable import fixed
from fastspec.errors import CorpusError, counted

# That look at files, so many of them at least each.
_THREADS, _LEAST_FILES = 16, 256


@dataclass(frozen=True)
class Files:
    """Recordings that are files: below `base`, or anywhere where a path is absolute or a URL.

    `names` gives the real name of the paths that had to be escaped to be text.
    """

    base: Place
    names: dict[str, str] = field(default_factory=dict)

    def open(self, path: str) -> Path | bytes:
        """The path of a regular, readable file, or what lies behind a URL. A FIFO would hang, a device need not end: neither is opened."""
        try:
            file = self.place(path)
        except CorpusError as error:
            raise RecordingError("unreadable", str(error)) from None
        return _download(file) if isinstance(file, UrlPath) else regular_file(file)

    def file_names(self, paths: Sequence[str]) -> list[str] | None:
        """What the system calls the files of some paths, at none of which anybody has looked; None where one may be behind a URL."""
        if isinstance(self.base, UrlPath) or ":" in "".join(paths):
            return None
        names = [self.names.get(path, path) for path in paths] if self.names else paths
        prefix = f"{self.base}/"
        # They are joined as paths only where one may be absolute, since that takes much longer.
        return [str(self.base / name) if name[:1] in "/\\" else prefix + name for name in names]

    def fingerprints(self, paths: Sequence[str]) -> list[str | None]:
        """Size and time of files; None for what is not there or lies behind a URL."""
        names = self.file_names(paths)
        return _fingerprints([self._local_name(path) for path in paths] if names is None else names)

    def _local_name(self, path: str) -> str:
        """What the system calls a file; nothing, which is no file's name, for what lies behind a URL."""
        try:
            place = self.place(path)
        except CorpusError:
            return ""
        return "" if isinstance(place, UrlPath) else str(place)

    def take(self, paths: Set[str]) -> "Files":
        """Those of some paths alone, from whatever folder."""
        return Files(fixed(self.base), {path: name for path, name in self.names.items() if path in paths})

    def place(self, path: str) -> Place:
        """Where a path leads, whether or not anything is there. CorpusError for a URL that cannot be understood."""
        name = self.names.get(path, path)
        return locate(name) if is_url(name) else self.base / name


def _fingerprints(files: Sequence[str]) -> list[str | None]:
    """In threads, since a run begins with this, and disks behind a network answer late."""
    from fastspec.kernels import read  # with Numba, which nobody needs who only reads a corpus

    if not read.can_read():
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(_fingerprint, files))
    names, places = read.join_names(files)
    found = np.empty((len(files), 2), np.int64)

    def look(part: slice) -> None:
        read.look_at_files(names, places[part], read.make_state(), found[part])

    size = max(_LEAST_FILES, -(-len(files) // _THREADS))
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(look, (slice(first, first + size) for first in range(0, len(files), size))))
    return [None if size < 0 else f"{size}-{time}" for size, time in found.tolist()]


def _fingerprint(file: str) -> str | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - a Path of nothing is the working folder
    except (OSError, ValueError):
        return None
    return f"{status.st_size}-{status.st_mtime_ns}"


def regular_file(file: Path) -> Path:
    """The same file, once it is clear that it is regular and may be read. RecordingError: it is not."""
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise RecordingError("unreadable", "no such file") from None
    except OSError as error:
        raise RecordingError("unreadable", error.strerror or str(error)) from None
    except ValueError:
        raise RecordingError("unreadable", "the path holds a NUL character") from None
    if not stat.S_ISREG(mode):
        raise RecordingError("unreadable", "not a regular file")
    if not os.access(file, os.R_OK):
        raise RecordingError("unreadable", "permission denied")
    return file


def _download(file: UrlPath) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise RecordingError("unreadable", "no such file") from None
    except OSError as error:
        raise RecordingError("unreadable", one_line(error)) from None


def read_folder(root: Place) -> Manifest:
    """The manifest of a folder: every audio file below it, sorted by path.

    Symbolic links to folders are followed where they lead out of what is being read anyway, each target once.

    Raises:
        CorpusError: a folder in it cannot be read, or none holds audio.
    """
    names: dict[str, str] = {}
    ignored, unread = 0, list[str]()
    for name in walk(root):
        if is_audio(name):
            names[as_text(name)] = name
        else:
            ignored += 1
            unread += [as_text(name)] if may_be_meant(name) else []
    if not names:
        such = f", such as {min(unread)!r}" if unread else ""
        others = f" ({counted(ignored, 'other file')}{such})" if ignored else ""
        advice = (
            "give a folder of recordings (FLAC, WAV, Ogg, MP3, …), in sub-folders named after their classes, or a table by its own name"
        )
        raise CorpusError(f"{root} holds no audio files that can be read{others}; {advice}")
    paths = sorted(names)
    escaped = {path: name for path, name in names.items() if path != name}
    return Manifest(table_of_paths(paths, folder_labels(paths)), str(root), Files(root, escaped), ignored, unread=tuple(sorted(unread)))


def walk(root: Place) -> Iterator[str]:
    """POSIX paths, relative to the root, of the regular files below it that aren't hidden.

    Raises:
        CorpusError: a folder cannot be listed.
    """
    if isinstance(root, UrlPath):
        yield from (name for name in root.walk_files() if not is_hidden(name))
        return
    entered = [root.resolve()]
    pending = [""]
    while pending:
        prefix = pending.pop()
        for entry in _list_folder(root / prefix):
            kind = None if is_hidden(entry.name) else _kind(entry)
            if kind == "file":
                yield prefix + entry.name
            elif kind == "folder" and (not entry.is_symlink() or _leads_out(Path(entry.path), entered)):
                pending.append(f"{prefix}{entry.name}/")


def _list_folder(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise CorpusError(f"{folder} cannot be read: {error.strerror}; make it readable or move it out of the corpus") from None


def _kind(entry: os.DirEntry[str]) -> Literal["file", "folder"] | None:
    try:
        if entry.is_dir():
            return "folder"
        return "file" if entry.is_file() else None
    except OSError:  # a link that leads to itself
        return None


def _leads_out(link: Path, entered: list[Path]) -> bool:
    """Whether a link's target is neither within nor around a folder entered before: one that is would repeat files or loop."""
    target = link.resolve()
    if any(target.is_relative_to(folder) or folder.is_relative_to(target) for folder in entered):
        return False
    entered.append(target)
    return True


def as_text(name: str) -> str:
    """A file name as valid Unicode: bytes that are none are written as in `caf\\xe9.wav`."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    return name
