"""Recordings that travel: what a worker in another process, or on another machine, needs to open those of its own rows."""

from collections import OrderedDict
from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from fastspec.corpus.place import Place

_KEPT_OPEN = 8
_kept: "OrderedDict[tuple[Any, ...], Any]" = OrderedDict()
Opened = TypeVar("Opened")
Opener = TypeVar("Opener")


@runtime_checkable
class Portable(Protocol):
    """Recordings that can be cut down."""

    def take(self, paths: Set[str]) -> Any:
        """Those of some paths alone, found from whatever folder the worker is in."""
        ...


def take_recordings(recordings: Opener, paths: Set[str]) -> Opener:
    """The recordings of some paths, by themselves where they know how to be."""
    return cast(Opener, recordings.take(paths)) if isinstance(recordings, Portable) else recordings


def fixed(place: Place) -> Place:
    """A place that means the same from any folder."""
    return place.absolute() if isinstance(place, Path) else place


def keep_open(kind: Callable[..., Opened], place: Place, *details: Any) -> Opened:
    """`kind(place, *details)`, or what it gave before in this process, while the file is the same: each task unpickles its recordings, and
    the listing of a zip, or the way through a compressed tar, is not for each to do again.

    A file behind a URL has no cheap mark of being the same, so it is opened anew.
    """
    if not isinstance(place, Path):
        return kind(place, *details)
    status = place.stat()
    key = (kind, place, *details, status.st_ino, status.st_size, status.st_mtime_ns)
    opened: Opened = _kept.pop(key, None) or kind(place, *details)
    _kept[key] = opened
    while len(_kept) > _KEPT_OPEN:
        with suppress(KeyError):  # another thread was faster
            _kept.popitem(last=False)
    return opened
