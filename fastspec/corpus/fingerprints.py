"""Whether a recording may have changed, told without decoding it."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl

from fastspec.corpus.inputs import Several
from fastspec.corpus.manifest import Manifest
from fastspec.corpus.runs import begins_run


@runtime_checkable
class Fingerprinted(Protocol):
    """Recordings that can be told apart from their earlier selves."""

    def fingerprints(self, paths: Sequence[str]) -> list[str | None]:
        """Of recordings as they are now: equal ones are the same recording. None: not known."""
        ...


def fingerprints(manifest: Manifest) -> pl.Series:
    """A fingerprint for each row: size and time of a file, checksum of a member of a zip; null for anything else."""
    begins = begins_run(manifest.table["path"])
    paths = manifest.table["path"].filter(pl.Series(begins))
    different = paths.unique(maintain_order=True).to_list()
    known = _tell(manifest, different)
    if len(paths) > len(different):
        of_paths = dict(zip(different, known, strict=True))
        known = [of_paths[path] for path in paths]
    return pl.Series("fingerprint", known, dtype=pl.String).gather(np.cumsum(begins, dtype=np.uint32) - 1)


def _tell(manifest: Manifest, paths: Sequence[str]) -> list[str | None]:
    """The fingerprint of each of a manifest's recordings."""
    recordings = manifest.recordings
    if not isinstance(recordings, Several):
        return recordings.fingerprints(paths) if isinstance(recordings, Fingerprinted) else [None] * len(paths)
    own: dict[int, list[int]] = {}
    for i, path in enumerate(paths):
        own.setdefault(id(recordings.places[path][0]), []).append(i)
    told: list[str | None] = [None] * len(paths)
    for places in own.values():
        inner = recordings.places[paths[places[0]]][0]
        for i, fingerprint in zip(places, _tell(inner, [recordings.places[paths[i]][1] for i in places]), strict=True):
            told[i] = fingerprint
    return told
