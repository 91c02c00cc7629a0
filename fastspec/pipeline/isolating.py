"""Which recordings of a run are decoded in processes of their own, so that one that kills its decoder costs one row."""

from collections.abc import Callable, Set
from copy import copy
from functools import partial
from typing import Self

import cloudpickle

from fastspec.audio import ISOLATION_POSSIBLE, TIMEOUT_S, Decoders, Isolated
from fastspec.corpus import take_recordings
from fastspec.corpus.manifest import Recordings as Originals
from fastspec.corpus.samples import Samples
from fastspec.errors import FastspecError
from fastspec.pipeline.compute import Recordings


class Isolation:
    """How a run opens its recordings: isolated if `always`, else where it is known that a process died. Processes end with the block.

    Raises:
        FastspecError: the time-out is not positive, or processes cannot be spawned here.
    """

    def __init__(self, recordings: Originals, *, always: bool = False, timeout_s: float = TIMEOUT_S) -> None:
        if always and not ISOLATION_POSSIBLE:
            raise FastspecError("recordings can be isolated on Linux and macOS only; leave --isolate out")
        self._always, self._decoders = always, Decoders(timeout_s=timeout_s)
        self._plain, self._apart = recordings, IsolatedRecordings(recordings, self._decoders)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._decoders.close()

    def take(self, paths: Set[str]) -> "Isolation":
        """The same for some of the recordings alone; in another process, with processes of its own."""
        part = copy(self)
        part._plain = take_recordings(self._plain, paths)
        part._apart = IsolatedRecordings(part._plain, self._decoders)
        return part

    def recordings(self, *, died: bool = False) -> Recordings:
        """The recordings, for work in which a process died before, or not."""
        return self._apart if self._always or (died and ISOLATION_POSSIBLE) else self._plain


class IsolatedRecordings:
    """Recordings that are decoded elsewhere. Functions that give samples are called there too, where they can be sent."""

    def __init__(self, recordings: Originals, decoders: Decoders) -> None:
        self._recordings, self._decoders = recordings, decoders

    def open(self, path: str) -> Isolated:
        """A recording that is still to be read; what lies in an archive or behind a URL is had here, RecordingError when it cannot be."""
        return Isolated(self._made_there(path) or self._recordings.open(path), self._decoders)

    def take(self, paths: Set[str]) -> "IsolatedRecordings":
        """Those of some paths alone."""
        return IsolatedRecordings(take_recordings(self._recordings, paths), self._decoders)

    def _made_there(self, path: str) -> Callable[[], bytes] | None:
        if not (isinstance(self._recordings, Samples) and self._recordings.is_function(path)):
            return None
        made = partial(self._recordings.take({path}).open, path)
        try:
            cloudpickle.dumps(made)
        except Exception:  # it holds what no other process can have, such as a lock or an open file, and each kind raises another error
            return None
        return made
