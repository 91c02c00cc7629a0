"""What people point a model at: recordings, folders, archives, tables, several at once."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fastspec.corpus.folder import Files, as_text
from fastspec.corpus.labels import AUDIO_EXTENSIONS, is_audio
from fastspec.corpus.manifest import SCHEMA, Manifest, RecordingError, table_of_paths
from fastspec.corpus.place import Place, is_url
from fastspec.corpus.portable import take_recordings
from fastspec.errors import CorpusError


@dataclass(frozen=True)
class Several:
    """Recordings of several corpora: each path, as the joint manifest has it, with the manifest that it came with and its name there."""

    places: dict[str, tuple[Manifest, str]]

    def open(self, path: str) -> Path | bytes:
        """The recording, from the corpus that it came with."""
        if path not in self.places:
            raise RecordingError("unreadable", "no such recording in the corpus")
        manifest, name = self.places[path]
        return manifest.open(name)

    def take(self, paths: Set[str]) -> "Several":
        """Those of some paths alone, from whatever folder, without the tables that they came with."""
        chosen = {path: self.places[path] for path in paths if path in self.places}
        names: dict[int, set[str]] = {}
        for manifest, name in chosen.values():
            names.setdefault(id(manifest), set()).add(name)
        known = {id(manifest): manifest for manifest, _ in chosen.values()}
        cut = {
            key: Manifest(table_of_paths([], []), manifest.source, take_recordings(manifest.recordings, names[key]))
            for key, manifest in known.items()
        }
        return Several({path: (cut[id(manifest)], name) for path, (manifest, name) in chosen.items()})


def read_recording(path: Path) -> Manifest:
    """The manifest of a single audio file.

    Raises:
        CorpusError: its extension is none that libsndfile reads.
    """
    if not is_audio(path.name):
        kinds = ", ".join(sorted(AUDIO_EXTENSIONS))
        raise CorpusError(f"{path} is neither a recording nor a corpus; give a folder, an archive, a table, or audio ({kinds})")
    name = as_text(path.as_posix())
    return Manifest(table_of_paths([name], [None]), name, Files(Path(), {} if name == path.as_posix() else {name: path.as_posix()}))


def read_beside(place: Place) -> Manifest:
    """The manifest of a single audio file as a corpus: its path counts from the folder that it lies in."""
    name = as_text(place.name)
    return Manifest(table_of_paths([name], [None]), str(place), Files(place.parent, {} if name == place.name else {name: place.name}))


def join_manifests(manifests: Sequence[Manifest], roots: Sequence[Place]) -> Manifest:
    """One manifest of several; the rows of a corpus bear its name before their own paths.

    Raises:
        CorpusError: an input is given twice.
    """
    tables: list[pl.DataFrame] = []
    places: dict[str, tuple[Manifest, str]] = {}
    for manifest, root in zip(manifests, roots, strict=True):
        names = manifest.table["path"].to_list()
        single = names == [manifest.source]
        paths = names if single else [_below(root, name) for name in names]
        if not places.keys().isdisjoint(paths):
            raise CorpusError(f"{root} is given twice; give each input once")
        places |= {path: (manifest, name) for path, name in zip(paths, names, strict=True)}
        tables.append(manifest.table.with_columns(pl.Series("path", paths, dtype=SCHEMA["path"])))
    ignored = sum(manifest.ignored for manifest in manifests)
    return Manifest(pl.concat(tables), ", ".join(map(str, roots)), Several(places), ignored)


def _below(root: Place, name: str) -> str:
    """A row's path with its corpus before it, unless it says by itself where it lies."""
    if is_url(name):
        return name
    return as_text((root / name).as_posix()) if isinstance(root, Path) else f"{root}/{name}"
