"""Which kind of corpus lies at a place, told by its name and by what is in it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from fastspec.corpus.archive import read_archive
from fastspec.corpus.folder import read_folder, walk
from fastspec.corpus.inputs import read_beside
from fastspec.corpus.kaldi import read_kaldi
from fastspec.corpus.labels import is_audio, table_format
from fastspec.corpus.lhotse import find_lhotse, lhotse_kind, read_lhotse
from fastspec.corpus.manifest import Manifest
from fastspec.corpus.place import Place, UrlPath, list_names, locate
from fastspec.corpus.table import read_table, read_tables, split_of
from fastspec.corpus.tarball import is_tar
from fastspec.corpus.webdataset import read_tars
from fastspec.errors import CorpusError

ALLOWED = (
    "give a folder whose sub-folders are classes, a .zip or .tar of one, a table (.csv, .tsv, .jsonl, .parquet) with 'path', a recording, "
    "a Kaldi or lhotse directory, WebDataset shards, or a URL of any of these"
)
# Files that tell what a folder is: no corpus, though there is Parquet in it.
_MARKS = {
    "fastspec.json": "a store that featurize wrote, not a corpus; give it to train, evaluate, leaderboard, predict, plot or report, "
    "and to featurize the recordings that it was made of",
    "bundle.json": "a trained model, not a corpus; give it to predict, evaluate --model, explain or serve",
}
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MAX_SHARDS = 100_000


class NoColumnsError(CorpusError):
    """Columns are named of a corpus that is no table."""


def read_address(address: str | os.PathLike[str] | UrlPath, columns: Mapping[str, str]) -> Manifest:
    """The manifest of whatever lies at a path or behind a URL; CorpusError as `fastspec.corpus.read_corpus` has it."""
    text = str(address)
    place = address if isinstance(address, UrlPath) else locate(address)
    if _RANGE.search(text) and is_tar(place.name) and not place.exists():
        return read_tars([_existing(locate(name)) for name in expand_ranges(text)], columns, source=text)
    if is_file_corpus(place.name) and not (isinstance(place, Path) and place.is_dir()):
        return _read_file(_existing(place), columns)
    if place.is_dir():
        return _read_directory(place, columns)
    if is_audio(_existing(place).name):
        _refuse_columns(place, columns)
        return read_beside(place)
    raise CorpusError(f"{place} is not a kind of corpus that can be read; {ALLOWED}")


def is_file_corpus(name: str) -> bool:
    """Whether a file name's ending is that of an archive or a table.

    >>> is_file_corpus("a.zip"), is_file_corpus("a.tgz"), is_file_corpus("a.csv"), is_file_corpus("a.wav")
    (True, True, True, False)
    """
    return name.lower().endswith(".zip") or is_tar(name) or table_format(name) is not None


def expand_ranges(text: str) -> list[str]:
    """What a pattern such as WebDataset's stands for.

    >>> expand_ranges("a-{08..10}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar']
    """
    found = _RANGE.search(text)
    if found is None:
        return [text]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + _MAX_SHARDS:
        raise CorpusError(f"{text} has a range that is empty or has more than {_MAX_SHARDS:,} numbers; give the lower number first")
    numbers = [f"{number:0{len(found[1])}}" for number in range(first, last + 1)]
    return [name for number in numbers for name in expand_ranges(text[: found.start()] + number + text[found.end() :])]


def _existing(place: Place) -> Place:
    if not place.exists():
        raise CorpusError(f"{place} does not exist; {ALLOWED}")
    return place


def _read_file(place: Place, columns: Mapping[str, str]) -> Manifest:
    if isinstance(place, Path) and not place.is_file():  # a FIFO would hang
        raise CorpusError(f"{place} is not a regular file; {ALLOWED}")
    if is_tar(place.name):
        return read_tars([place], columns, source=str(place))
    if place.name.lower().endswith(".zip"):
        _refuse_columns(place, columns)
        return read_archive(place)
    if table_format(place.name) == "jsonl" and lhotse_kind(place):
        return read_lhotse([place], columns, source=str(place))
    return read_table(place, columns)


def _read_directory(folder: Place, columns: Mapping[str, str]) -> Manifest:
    """A folder by what is directly in it; with none of the marks of anything else it is one of class folders."""
    names, source = list_names(folder), str(folder)
    for mark, what in _MARKS.items():
        if mark in names:
            raise CorpusError(f"{folder} is {what}")
    if "wav.scp" in names:
        return read_kaldi(folder, columns)
    if lhotse := find_lhotse(folder, names):
        return read_lhotse(lhotse, columns, source=source)
    home, tables = _find_tables(folder, names)
    if len({split for _, split in tables}) > 1:
        return read_tables(tables, columns, source=str(home))
    shards = [folder / name for name in names if is_tar(name)]
    if (shards or tables) and not any(is_audio(name) for name in walk(folder)):
        return read_tars(shards, columns, source=source) if shards else read_tables(tables, columns, source=str(home))
    manifest = read_folder(folder)
    _refuse_columns(folder, columns)
    return manifest


def _find_tables(folder: Place, names: list[str]) -> tuple[Place, list[tuple[Place, str | None]]]:
    """The tables whose names start with a split, and any Parquet; of the folder, or else of `data` in it, as Hugging Face has it."""
    tables = [
        name for name in names if table_format(name) and (name.endswith(".parquet") or name.lower().startswith(split_of(name) or "/"))
    ]
    if not tables and "data" in names and (folder / "data").is_dir():
        home = folder / "data"
        parquets = [name for name in list_names(home) if name.endswith(".parquet")]
        return home, [(home / name, split_of(name)) for name in parquets]
    return folder, [(folder / name, split_of(name)) for name in tables]


def _refuse_columns(place: Place, columns: Mapping[str, str]) -> None:
    if columns:
        raise NoColumnsError(f"{place} has no columns to choose from; leave out --column, or give a table")
