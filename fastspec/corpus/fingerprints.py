"""Whether a recording may have changed, told without decoding it."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl

from fastspec.corpus.inputs import Several
from fastspec.corpus.manifest import Manifest
from fastspec.corpus.runs import begins_run


@runtime_checkable
class Fingerprinted(Protocol):
    """Recordings that can be told apart from their earlier selves."""

    def fingerprint(self, path: str) -> str | None:
        """Of a recording as it is now: equal ones are the same recording. None: not known."""
        ...


def fingerprints(manifest: Manifest) -> pl.Series:
    """A fingerprint for each row: size and time of a file, checksum of a member of a zip; null for anything else."""
    begins = begins_run(manifest.table["path"])
    paths = manifest.table["path"].filter(pl.Series(begins)).to_list()
    tell = _teller(manifest)
    known = {path: tell(path) for path in dict.fromkeys(paths)}
    of_runs = pl.Series("fingerprint", [known[path] for path in paths], dtype=pl.String)
    return of_runs.gather(np.cumsum(begins, dtype=np.uint32) - 1)


def _teller(manifest: Manifest) -> Callable[[str], str | None]:
    """What tells the fingerprint of a manifest's path."""
    recordings = manifest.recordings
    if isinstance(recordings, Several):
        tellers = {id(inner): _teller(inner) for inner, _ in recordings.places.values()}

        def tell(path: str) -> str | None:
            inner, name = recordings.places[path]
            return tellers[id(inner)](name)

        return tell
    # Once, not for each path: to ask whether something keeps a protocol takes as long as to look at a file.
    return recordings.fingerprint if isinstance(recordings, Fingerprinted) else lambda _path: None
