"""Corpora: what to read, as a manifest with one row a clip."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from fastspec.corpus.archive import read_archive
from fastspec.corpus.folder import read_folder
from fastspec.corpus.inputs import join_manifests, read_recording
from fastspec.corpus.labels import compile_pattern, fill_column
from fastspec.corpus.manifest import ClipRow, Manifest, RecordingError
from fastspec.corpus.table import read_table
from fastspec.errors import CorpusError

__all__ = ["ClipRow", "Manifest", "RecordingError", "read_corpus", "read_inputs"]

_ALLOWED = "give a folder whose sub-folders are classes, a .zip of one, or a .csv with 'path'"


def read_corpus(corpus: str | os.PathLike[str], *, label_from: str | None = None, group_from: str | None = None) -> Manifest:
    """The manifest of a corpus: a folder whose sub-folders are classes, a `.zip` of one (read in place), or a `.csv`.

    Args:
        corpus: where it lies.
        label_from: regular expression searched in each path; its group 1 is the label. Paths without a match have none.
        group_from: likewise for the group, what must not be split between training and test.

    Raises:
        CorpusError: nothing there, no audio in it, a broken table, an unsafe archive, a pattern that finds nothing.

    >>> read_corpus("nowhere")
    Traceback (most recent call last):
    fastspec.errors.CorpusError: nowhere does not exist; give a folder whose sub-folders are classes, a .zip of one, or a .csv with 'path'
    """
    patterns = _compile(label_from, group_from)
    return _with_patterns(_read(Path(corpus)), patterns)


def read_inputs(inputs: Sequence[str | os.PathLike[str]], *, label_from: str | None = None, group_from: str | None = None) -> Manifest:
    """The manifest of what a model is pointed at: recordings, folders, archives and tables, one or several.

    Raises:
        CorpusError: as `read_corpus` does, a file that is no audio, or an input given twice.

    >>> read_inputs(["notes.txt"])
    Traceback (most recent call last):
    fastspec.errors.CorpusError: notes.txt does not exist; give a folder whose sub-folders are classes, a .zip of one, or a .csv with 'path'
    """
    patterns, roots = _compile(label_from, group_from), [Path(name) for name in inputs]
    corpora = {".zip", ".csv"}
    readers = [read_recording if root.is_file() and root.suffix.lower() not in corpora else _read for root in roots]
    manifests = [read(root) for read, root in zip(readers, roots, strict=True)]
    manifest = manifests[0] if len(manifests) == 1 else join_manifests(manifests, roots)
    return _with_patterns(manifest, patterns)


def _compile(label_from: str | None, group_from: str | None) -> dict[str, re.Pattern[str] | None]:
    return {"label": compile_pattern("label_from", label_from), "group": compile_pattern("group_from", group_from)}


def _with_patterns(manifest: Manifest, patterns: dict[str, re.Pattern[str] | None]) -> Manifest:
    table = manifest.table
    for column, pattern in patterns.items():
        table = fill_column(table, column, pattern)
    return Manifest(table, manifest.source, manifest.recordings, manifest.ignored)


def _read(path: Path) -> Manifest:
    if path.is_dir():
        return read_folder(path)
    if not path.exists():
        raise CorpusError(f"{path} does not exist; {_ALLOWED}")
    readers = {".zip": read_archive, ".csv": read_table}
    suffix = path.suffix.lower()
    if suffix not in readers or not path.is_file():
        raise CorpusError(f"{path} is not a kind of corpus that can be read; {_ALLOWED}")
    return readers[suffix](path)
