"""Tar archives: trees of class folders, and WebDataset shards, whose labels lie beside each recording."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from fastspec.corpus.labels import folder_labels, is_audio, is_hidden
from fastspec.corpus.manifest import SCHEMA, Manifest, RecordingError
from fastspec.corpus.members import manifest_of_members
from fastspec.corpus.place import Place
from fastspec.corpus.rows import as_text
from fastspec.corpus.splits import read_splits
from fastspec.corpus.table import split_of
from fastspec.corpus.tarball import TarMembers, index_tar
from fastspec.errors import CorpusError, counted

_LABELLED = ("label", "group", "split")
_LABELS_ALONE = {"cls", "json"}


@dataclass(frozen=True)
class Shards:
    """Recordings in several tars; a path starts with the tar's name."""

    parts: dict[str, TarMembers]

    def open(self, path: str) -> bytes:
        """A member's bytes."""
        shard, _, name = path.partition("/")
        if shard not in self.parts:
            raise RecordingError("unreadable", "no such shard in the corpus")
        return self.parts[shard].open(name)

    def take(self, paths: Set[str]) -> "Shards":
        """Those of some paths alone, from whatever folder."""
        names: dict[str, set[str]] = {}
        for path in paths:
            shard, _, name = path.partition("/")
            names.setdefault(shard, set()).add(name)
        return Shards({shard: self.parts[shard].take(of_shard) for shard, of_shard in names.items() if shard in self.parts})


class _Sidecars:
    """What the small files beside recordings say, by the key that they share: all up to the first dot of the name."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = columns
        self._said: dict[str, dict[str, dict[str, str]]] = {}

    def add(self, name: str, content: bytes) -> None:
        """Take note of a `.cls`, `.json` or `.txt`; other files say nothing."""
        key, ending = _split_key(name)
        if ending in ("cls", "txt"):
            self._said.setdefault(key, {})[ending] = {"label": content.decode("utf-8", "replace").strip()}
        elif ending == "json":
            self._said.setdefault(key, {})[ending] = self._fields(content)

    def endings_beside(self, names: Sequence[str]) -> set[str]:
        """Which of these kinds there are beside any of the recordings."""
        return {ending for name in names for ending in self._said.get(_split_key(name)[0], ())}

    def value(self, name: str, column: str) -> str | None:
        """What is said of a recording: a `.cls` comes before a `.json`, unless the JSON's field was asked for by name, and `.txt` last."""
        said = self._said.get(_split_key(name)[0], {})
        order = ("json",) if column in self._columns else ("cls", "json", "txt")
        return next((said[ending][column] for ending in order if said.get(ending, {}).get(column)), None)

    def _fields(self, content: bytes) -> dict[str, str]:
        try:
            value: Any = json.loads(content)
        except (ValueError, RecursionError):
            return {}
        fields = {name: value.get(self._columns.get(name, name)) for name in _LABELLED} if isinstance(value, dict) else {}
        return {name: text for name, field in fields.items() if _is_plain(field) and (text := as_text(field))}


@dataclass(frozen=True)
class _Shard:
    """A tar that has been listed: the names of its visible files, what reads its recordings, and what lies beside those."""

    place: Place
    names: list[str]
    members: TarMembers
    sidecars: _Sidecars

    @property
    def audio(self) -> list[str]:
        """The names of its recordings, in the order of the tar."""
        return [name for name in self.names if is_audio(name)]

    def rows(self, *, several: bool, split: bool) -> Iterator[tuple[str, str | None, str | None, str | None, float, None]]:
        """A manifest's rows: the tar's name is part of the path where there are `several`, and says the `split` where they differ."""
        own = split_of(self.place.name) if split else None
        for name in self.audio:
            label, group, said = (self.sidecars.value(name, column) for column in _LABELLED)
            yield (f"{self.place.name}/{name}" if several else name, label, group, said or own, 0.0, None)


def _index(place: Place, columns: Mapping[str, str]) -> _Shard:
    sidecars = _Sidecars(columns)
    names, members = index_tar(place, sidecars.add)
    return _Shard(place, [name for name in names if not is_hidden(name)], members, sidecars)


def read_tars(places: Sequence[Place], columns: Mapping[str, str], *, source: str) -> Manifest:
    """The manifest of one or several tars.

    Several are shards. One is a WebDataset shard where recordings have a `.cls` or `.json` beside them, or a `.txt` and no folders; else it
    is labelled as its folder would be. A compressed one keeps its order, in which it is cheap to read; others are sorted by path.

    Raises:
        CorpusError: one of them is not a whole tar, is unsafe, or none holds audio; two have one name; a column that no member has; a split
            that means nothing.
    """
    if len({place.name for place in places}) < len(places):
        raise CorpusError(f"{source} has two shards of one name; rename one, or read them one by one")
    shards = [_index(place, columns) for place in places]
    if len(shards) == 1:
        tree = manifest_of_members(source, shards[0].names, shards[0].members, in_order=shards[0].members.content is not None)
        endings = shards[0].sidecars.endings_beside(tree.table["path"].to_list())
        if not columns and not endings & _LABELS_ALONE and ("txt" not in endings or tree.classes):
            return tree
    splits = {split_of(place.name) for place in places}
    rows = [row for shard in shards for row in shard.rows(several=len(shards) > 1, split=len(splits) > 1)]
    ignored = sum(len(shard.names) for shard in shards) - len(rows)
    if not rows:
        raise CorpusError(f"{source} holds no audio files ({ignored} others); give shards with recordings and their labels beside them")
    table = _with_splits(source, pl.DataFrame(rows, schema=SCHEMA, orient="row"))
    _expect_columns(source, table, columns)
    if table["label"].null_count() == len(table):
        labels = folder_labels([name for shard in shards for name in shard.audio])
        table = table.with_columns(pl.Series("label", labels, dtype=pl.String))
    recordings = Shards({shard.place.name: shard.members for shard in shards}) if len(shards) > 1 else shards[0].members
    return Manifest(table, source, recordings, ignored)


def _with_splits(source: str, table: pl.DataFrame) -> pl.DataFrame:
    """The table with its splits as a manifest has them."""
    split, wrong = read_splits(table["split"], pl.Series(values=[None] * len(table), dtype=pl.String))
    if senseless := table.select("path", wrong).drop_nulls().rows():
        path, what = senseless[0]
        raise CorpusError(
            f"{source} has {counted(len(senseless), 'recording')} whose split cannot be meant, such as {path!r}, where {what}; "
            "write train, validation, test or a numbered fold"
        )
    return table.with_columns(split)


def _expect_columns(source: str, table: pl.DataFrame, columns: Mapping[str, str]) -> None:
    for name, column in columns.items():
        if name not in _LABELLED or table[name].null_count() == len(table):
            raise CorpusError(
                f"{source} has no field {column!r} to take as {name}; in shards a field is one of the .json beside a recording"
            )


def _split_key(name: str) -> tuple[str, str]:
    folder, _, file = name.rpartition("/")
    stem = file.partition(".")[0]
    return f"{folder}/{stem}", PurePosixPath(file).suffix[1:].lower()


def _is_plain(value: object) -> bool:
    return isinstance(value, (str, int, float)) and value != ""
