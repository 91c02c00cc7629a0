"""What an archive may hold, whatever its kind: names that stay inside it, plain files, no bombs."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from fastspec.corpus.labels import folder_labels, is_audio, is_hidden
from fastspec.corpus.manifest import Manifest, Recordings, table_of_paths
from fastspec.corpus.place import MAX_BYTES
from fastspec.errors import CorpusError

MAX_MEMBERS = 2_000_000
MAX_MEMBER_BYTES = MAX_BYTES
MAX_RATIO = 1000
MIN_BOMB_BYTES = 100_000_000

_NESTED = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})


def name_problem(name: str) -> str | None:
    """Why a member's name is unsafe, or None.

    >>> name_problem("a/../../x.wav"), name_problem("a/..x.wav")
    ('a path that leads out of the archive', None)
    """
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "an absolute path"
    if "\\" in name or "\0" in name:
        return "a path with a backslash or a NUL character"
    if ".." in name.split("/"):
        return "a path that leads out of the archive"
    return None


def refuse_member(archive: object, name: str, problem: str | None) -> None:
    """CorpusError if there is a problem with a member: one that is unsafe says enough about the whole archive."""
    if problem:
        raise CorpusError(f"{archive} holds a member {name!r}, {problem}; the archive is refused whole, pack it without that")


def refuse_crowd(archive: object, count: int) -> None:
    """CorpusError if an archive has more members than are sensible to list."""
    if count > MAX_MEMBERS:
        raise CorpusError(f"{archive} holds more than {MAX_MEMBERS:,} members; pack it as several archives")


def is_bomb(size: int, packed: int) -> bool:
    """Whether so many bytes from so few packed ones are a decompression bomb: more than 1,000 to 1, and more than 100 MB.

    >>> is_bomb(200_000_000, 100_000), is_bomb(200_000_000, 1_000_000), is_bomb(2_000_000, 1_000)
    (True, False, False)
    """
    return size > max(MIN_BOMB_BYTES, MAX_RATIO * packed)


def manifest_of_members(source: str, names: Iterable[str], recordings: Recordings, *, in_order: bool = False) -> Manifest:
    """The manifest of an archive with these files: every audio member, labelled as its folder would be; sorted by path, or `in_order`.

    Raises:
        CorpusError: none of them is audio.
    """
    visible = [name for name in names if not is_hidden(name)]
    audio = [name for name in visible if is_audio(name)]
    paths = audio if in_order else sorted(audio)
    if not paths:
        nested = [name for name in visible if PurePosixPath(name).suffix.lower() in _NESTED]
        inside = f"; archives within it, such as {nested[0]!r}, are not opened: take them out" if nested else ""
        raise CorpusError(
            f"{source} holds no audio files ({len(visible)} others){inside}; give an archive of folders that are named after classes"
        )
    return Manifest(table_of_paths(paths, folder_labels(paths)), source, recordings, len(visible) - len(paths))
