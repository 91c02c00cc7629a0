"""Whether a recording may have changed, told without decoding it."""

from typing import Protocol, runtime_checkable

import polars as pl

from fastspec.corpus.inputs import Several
from fastspec.corpus.manifest import Manifest


@runtime_checkable
class Fingerprinted(Protocol):
    """Recordings that can be told apart from their earlier selves."""

    def fingerprint(self, path: str) -> str | None:
        """Of a recording as it is now: equal ones are the same recording. None: not known."""
        ...


def fingerprints(manifest: Manifest) -> pl.Series:
    """A fingerprint for each row: size and time of a file, checksum of a member of a zip; null for anything else."""
    runs = manifest.table["path"].rle_id()
    starts = (runs != runs.shift()).fill_null(True)
    paths = manifest.table["path"].filter(starts).to_list()
    known = {path: _fingerprint(manifest, path) for path in dict.fromkeys(paths)}
    return pl.Series("fingerprint", [known[path] for path in paths], dtype=pl.String).gather(runs)


def _fingerprint(manifest: Manifest, path: str) -> str | None:
    recordings = manifest.recordings
    if isinstance(recordings, Several):
        inner, name = recordings.places[path]
        return _fingerprint(inner, name)
    return recordings.fingerprint(path) if isinstance(recordings, Fingerprinted) else None
