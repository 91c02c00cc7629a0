"""Corpora: what to read, as a manifest with one row a clip."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fastspec.corpus.fingerprints import fingerprints
from fastspec.corpus.inputs import join_manifests, read_recording
from fastspec.corpus.labels import compile_pattern, fill_column
from fastspec.corpus.manifest import FOUND, SCHEMA, ClipRow, Manifest, Reading, RecordingError
from fastspec.corpus.place import locate
from fastspec.corpus.portable import take_recordings
from fastspec.corpus.problems import RowProblems
from fastspec.corpus.rows import FOLD
from fastspec.corpus.samples import Sample, read_samples
from fastspec.corpus.sources import NoColumnsError, is_file_corpus, read_address
from fastspec.errors import CorpusError, choices

__all__ = ["FOUND", "ClipRow", "Manifest", "NoColumnsError", "Reading", "RecordingError", "RowProblems", "Sample", "fingerprints"]
__all__ += ["read_corpus", "read_inputs", "take_recordings"]


def read_corpus(
    corpus: str | os.PathLike[str] | Iterable[Sample],
    *,
    label_from: str | None = None,
    group_from: str | None = None,
    columns: Mapping[str, str] | None = None,
    strict: bool = False,
) -> Manifest:
    """The manifest of a corpus, one row a clip. Nothing is unpacked, copied or run.

    What can be read: a folder whose sub-folders are classes; a `.zip`, `.tar`, `.tar.gz`, `.tar.bz2` or `.tar.xz` of one; a CSV, TSV, JSONL
    or Parquet table, or a folder with `train.csv` beside `test.csv`; Parquet with audio in it, as Hugging Face datasets writes it; a Kaldi
    data directory; lhotse's JSONL; WebDataset shards, as `shard-{000..009}.tar` or the folder that they lie in; a manifest that was written
    before; a single recording; each of these behind any URL that fsspec knows; and an iterable of `(id, samples, sample_rate, label)`,
    where samples are an array `(samples,)` or `(samples, channels)` of int16, int32, float32 or float64, or a function that returns one.

    Args:
        corpus: where it lies, or the samples.
        label_from: regular expression searched in each path; its group 1 is the label. Paths without a match have none.
        group_from: likewise for the group, what must not be split between training and test.
        columns: where a table calls a column otherwise, such as `{"path": "filename"}`; for Kaldi directories, files; for lhotse and
            WebDataset, fields.
        strict: a table's rows whose file is missing are an error too; else they are among the manifest's problems.

    Raises:
        CorpusError: nothing there, no audio in it, broken rows (all are reported), an unsafe archive, a pattern that finds nothing.

    >>> import numpy as np
    >>> read_corpus([("a", np.zeros(8000, np.float32), 8000, "quiet")])
    <Manifest of 'samples in memory': 1 recording, 1 class>
    """
    patterns = _compile(label_from, group_from)
    _check_columns(columns or {})
    if isinstance(corpus, (str, os.PathLike)):
        manifest = read_address(corpus, columns or {})
    elif columns:
        raise CorpusError("samples have no columns to choose from; leave columns out, or give a table")
    else:
        manifest = read_samples(corpus)
    if strict and manifest.problems:
        raise CorpusError(manifest.problems.sentence("whose file is missing"))
    return replace(_with_patterns(manifest, patterns), reading=Reading(dict(columns) if columns else None, label_from, group_from))


def read_inputs(
    inputs: Sequence[str | os.PathLike[str]],
    *,
    label_from: str | None = None,
    group_from: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Manifest:
    """The manifest of what a model is pointed at: recordings, and corpora of any kind that `read_corpus` takes, one or several.

    Raises:
        CorpusError: as `read_corpus` does, a file that is no audio, or an input given twice.

    >>> read_inputs(["notes.txt"])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fastspec.errors.CorpusError: notes.txt does not exist; give a folder whose sub-folders are classes, ...
    """
    patterns, places = _compile(label_from, group_from), [locate(address) for address in inputs]
    _check_columns(columns or {})
    manifests = []
    for address, place in zip(inputs, places, strict=True):
        if isinstance(place, Path) and place.is_file() and not is_file_corpus(place.name):
            manifests.append(read_recording(place))
        else:
            manifests.append(read_address(address, columns or {}))
    manifest = manifests[0] if len(manifests) == 1 else join_manifests(manifests, places)
    return _with_patterns(manifest, patterns)


def _compile(label_from: str | None, group_from: str | None) -> dict[str, re.Pattern[str] | None]:
    return {"label": compile_pattern("label_from", label_from), "group": compile_pattern("group_from", group_from)}


def _check_columns(columns: Mapping[str, str]) -> None:
    for name in columns:
        if name not in (*SCHEMA, FOLD):
            raise CorpusError(f"a manifest has no column {name!r}; {choices(name, (*SCHEMA, FOLD))}")


def _with_patterns(manifest: Manifest, patterns: dict[str, re.Pattern[str] | None]) -> Manifest:
    table = manifest.table
    for column, pattern in patterns.items():
        table = fill_column(table, column, pattern)
    return manifest.with_table(table)
