"""Where things lie: a local path, or a URL of any file system that fsspec knows, both with the calls of pathlib that corpora need."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Self, TypeVar

from fastspec.errors import CorpusError, FastspecError
from fastspec.installation import extra_command

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

MAX_BYTES = 2 << 30


class UrlPath:
    """A file or folder behind a URL. Pickles by its address, and may be used by several threads at once.

    `error` is what is raised where nothing can be asked of it.
    """

    error: ClassVar[type[FastspecError]] = CorpusError

    def __init__(self, system: "AbstractFileSystem", path: str) -> None:
        self._system = system
        self._path = path.rstrip("/")

    def __str__(self) -> str:
        return str(self._system.unstrip_protocol(self._path))

    def __truediv__(self, name: str) -> Self:
        return type(self)(self._system, f"{self._path}/{name}" if self._path else name)

    @property
    def name(self) -> str:
        """The last part of the path, without a query."""
        return self._path.rsplit("/", 1)[-1].split("?", 1)[0]

    @property
    def parent(self) -> Self:
        """The folder that it lies in."""
        return type(self)(self._system, self._path.rpartition("/")[0])

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return bool(self._asked(self._system.isdir))

    def is_file(self) -> bool:
        """Whether it is a file."""
        return bool(self._asked(self._system.isfile))

    def exists(self) -> bool:
        """Whether anything is there."""
        return bool(self._asked(self._system.exists))

    def open(self, mode: str = "rb") -> BinaryIO:
        """A file-like object that can be sought. OSError when it cannot be opened."""
        try:
            stream: BinaryIO = self._system.open(self._path, mode)
        except Exception as error:  # each file system raises what its library does
            raise as_os_error(error) from None
        return stream

    def read_bytes(self, limit: int = MAX_BYTES) -> bytes:
        """All of a file. OSError when it cannot be had, or is larger than the limit."""
        with self.open() as file:
            try:
                data = file.read(limit + 1)
            except Exception as error:
                raise as_os_error(error) from None
        if len(data) > limit:
            raise OSError(f"larger than {limit} bytes; copy it to this machine to read it")
        return data

    def read_range(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on, in one request where the file system can do that. OSError when they cannot be had."""
        try:
            data: bytes = self._system.cat_file(self._path, start=offset, end=offset + size)
        except Exception as error:
            raise as_os_error(error) from None
        if len(data) > size:  # some servers ignore what range is asked for
            raise OSError("the server gives whole files only; copy it to this machine to read it")
        return data

    def walk_files(self) -> Iterator[str]:
        """POSIX paths, relative to this folder, of all the files below it.

        Raises:
            FastspecError: it cannot be listed.
        """
        prefix = f"{self._path}/" if self._path else ""
        for path in self._asked(self._system.find):
            yield path[len(prefix) :] if path.startswith(prefix) else path.lstrip("/")

    def list_names(self) -> list[str]:
        """Names of what lies directly in this folder, sorted."""
        return sorted(PurePosixPath(path).name for path in self._asked(self._system.ls, detail=False))

    def _asked(self, question: Any, **options: Any) -> Any:
        try:
            return question(self._path, **options)
        except Exception as error:  # each file system raises what its library does
            raise self.error(f"{self} cannot be read: {one_line(error)}; check the address and your access to it") from None


Place = Path | UrlPath


def is_url(text: str) -> bool:
    """Whether it is a URL, fsspec's chained ones included.

    >>> is_url("s3://bucket/a.wav"), is_url("zip://a::memory://x.zip"), is_url("C:/sounds"), is_url("sounds/a.wav")
    (True, True, False, False)
    """
    return ":" in text and re.match(r"[A-Za-z][A-Za-z0-9+.-]+(://|::)", text) is not None


def locate(address: str | os.PathLike[str]) -> Place:
    """The place that a path or a URL names; `file://` is an ordinary path.

    Raises:
        CorpusError: a URL of a kind that is unknown, or whose package is not installed.
    """
    return locate_as(UrlPath, address)


Kind = TypeVar("Kind", bound=UrlPath)


def locate_as(kind: type[Kind], address: str | os.PathLike[str]) -> Path | Kind:
    """The place that a path or a URL names, where a URL is of that kind; its `error` as `locate` raises it."""
    text = os.fspath(address)
    if not is_url(text):
        return Path(text)
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        # What is there may change while a process lives: others write to it.
        system, path = url_to_fs(text, use_listings_cache=False)
    except Exception as error:  # each file system raises what its library does
        extra = f"; {extra_command('s3')}" if isinstance(error, ImportError) and text.startswith(("s3:", "s3a:")) else ""
        raise kind.error(f"{text} cannot be reached: {one_line(error)}{extra or '; check the address, or give a local path'}") from None
    return Path(path) if isinstance(system, LocalFileSystem) else kind(system, path)


def read_range(place: Place, offset: int, size: int) -> bytes:
    """`size` bytes of a file from `offset` on, fewer where it ends."""
    if isinstance(place, UrlPath):
        return place.read_range(offset, size)
    with place.open("rb", buffering=0) as file:
        file.seek(offset)
        pieces = []
        while size and (piece := file.read(size)):
            pieces.append(piece)
            size -= len(piece)
    return b"".join(pieces)


def list_names(folder: Place) -> list[str]:
    """Names of what lies directly in a folder, sorted.

    Raises:
        CorpusError: it cannot be listed.
    """
    if isinstance(folder, UrlPath):
        return folder.list_names()
    try:
        return sorted(file.name for file in folder.iterdir())
    except OSError as error:
        raise CorpusError(f"{folder} cannot be read: {error.strerror}; make it readable or move it out of the corpus") from None


def as_os_error(error: Exception) -> OSError:
    """What any file system raises, as what a local one would."""
    return error if isinstance(error, OSError) else OSError(one_line(error))


def one_line(error: BaseException) -> str:
    """What an exception says, on one line.

    >>> one_line(ValueError("no\\n  good")), one_line(KeyError())
    ('no good', 'KeyError')
    """
    return " ".join(str(error).split()) or type(error).__name__
