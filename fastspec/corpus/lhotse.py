"""lhotse manifests: recordings and supervisions, or cuts, as JSONL, gzipped or not."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import polars as pl

from fastspec.corpus.folder import Files
from fastspec.corpus.kaldi import base_of
from fastspec.corpus.manifest import Manifest
from fastspec.corpus.place import Place, list_names
from fastspec.corpus.problems import RowProblems
from fastspec.corpus.rows import ROW, TABLE, TEXTS, as_text, read_json_lines
from fastspec.corpus.table import manifest_of_texts, split_of
from fastspec.errors import CorpusError

_LABEL_FIELDS = ("label", "language", "text")
_FIRST_LINE_BYTES = 1 << 20

Kind = Literal["recordings", "supervisions", "cuts"]
_Row = dict[str, Any]


def lhotse_kind(place: Place) -> Kind | None:
    """Which of lhotse's manifests a JSONL file is, by its first line; None for any other table."""
    try:
        with place.open("rb") as file:
            stream = gzip.GzipFile(fileobj=file) if place.name.endswith(".gz") else file
            first = json.loads(stream.read(_FIRST_LINE_BYTES).partition(b"\n")[0])
    except (OSError, EOFError, ValueError, RecursionError):
        return None
    keys = set(first) if isinstance(first, dict) else set()
    kinds: dict[Kind, set[str]] = {
        "recordings": {"id", "sources", "sampling_rate"},
        "supervisions": {"id", "recording_id", "start"},
        "cuts": {"id", "supervisions", "type"},
    }
    return next((kind for kind, needed in kinds.items() if keys >= needed), None)


def find_lhotse(folder: Place, names: Sequence[str]) -> list[Place]:
    """The manifests of recordings in a folder, or else those of cuts."""
    for kind in ("recordings", "cuts"):
        files = [folder / name for name in names if kind in name and name.endswith((".jsonl", ".jsonl.gz"))]
        if found := [file for file in files if lhotse_kind(file) == kind]:
            return found
    return []


def read_lhotse(places: Sequence[Place], columns: Mapping[str, str], *, source: str) -> Manifest:
    """The manifest of lhotse's: a row for each supervision, or each recording where there are none, or each cut.

    The supervisions of `…recordings….jsonl` are those of `…supervisions….jsonl` beside it. The label is `custom["label"]`, `language` or
    `text`, the first that differs between clips; the group is the speaker. With several manifests, their names say the split.

    Args:
        places: manifests of recordings, of supervisions or of cuts.
        columns: fields to take instead, such as `{"label": "gender"}`, also from `custom`.
        source: what is read, for messages.

    Raises:
        CorpusError: lines that are no such thing or recordings that are no files (with the number of the line), or no file exists.
    """
    problems = RowProblems(source, several=True, header=False)
    rows: list[_Row] = []
    splits = {split_of(place.name) for place in places}
    for place in places:
        split = split_of(place.name) if len(splits) > 1 else None
        found = _read_cuts(place, problems) if lhotse_kind(place) == "cuts" else _read_pair(place, problems)
        rows += [row | {"split": split} for row in found]
    label_field = columns.get("label") or _telling_field([row["supervision"] for row in rows])
    fields = {"group": "speaker", **columns, "label": label_field}
    if unknown := [name for name in columns if name not in ("label", "group", "split")]:
        raise CorpusError(f"{source} is a lhotse manifest, where {unknown[0]} cannot be chosen; label, group and split can, as field names")
    for row in rows:
        supervision = row.pop("supervision")
        row |= {name: _field(supervision, field) for name, field in fields.items()}
    if not rows and not problems:
        raise CorpusError(f"{source} has no lines; give one for each recording, supervision or cut")
    texts = pl.DataFrame(rows, schema={TABLE: pl.String, ROW: pl.UInt32, **dict.fromkeys(TEXTS, pl.String)})
    base = base_of(places[0].parent, [row["path"] for row in rows if row["path"]])
    return manifest_of_texts([texts], Files(base), problems, source=source)


def _read_pair(place: Place, problems: RowProblems) -> Iterator[_Row]:
    """Rows of recordings and the supervisions beside them, given either file."""
    recordings_name = place.name.replace("supervisions", "recordings")
    supervisions_name = place.name.replace("recordings", "supervisions")
    if recordings_name == supervisions_name and lhotse_kind(place) == "supervisions":
        raise CorpusError(
            f"{place} has supervisions only; give lhotse's manifest of the recordings, with both words in the names of the two"
        )
    beside = list_names(place.parent)
    if recordings_name not in beside:
        raise CorpusError(f"{place} needs {recordings_name} beside it, lhotse's manifest of the recordings; put it there")
    paths: dict[str, tuple[int, str | None]] = {}
    for row, recording in _read_objects(place.parent / recordings_name, problems, "id"):
        if recording["id"] in paths:
            problems.extend([(recordings_name, row, f"repeats the recording {recording['id']!r}")])
            continue
        paths[recording["id"]] = row, _source_path(recording, recordings_name, row, problems)
    if supervisions_name == recordings_name or supervisions_name not in beside:
        for row, path in paths.values():
            if path is not None:
                yield {TABLE: recordings_name, ROW: row, "path": path, "supervision": {}}
        return
    for row, supervision in _read_objects(place.parent / supervisions_name, problems, "recording_id"):
        if supervision["recording_id"] not in paths:
            problems.extend([(supervisions_name, row, f"names the recording {supervision['recording_id']!r}, which is not there")])
        elif (path := paths[supervision["recording_id"]][1]) is not None:
            yield _row(supervisions_name, row, path, supervision, supervision)


def _read_cuts(place: Place, problems: RowProblems) -> Iterator[_Row]:
    for row, cut in _read_objects(place, problems, "id"):
        recording, supervisions = cut.get("recording"), cut.get("supervisions") or [{}]
        if not isinstance(recording, dict) or not isinstance(supervisions, list):
            problems.extend([(place.name, row, f"is a {cut.get('type')}, not a stretch of one recording")])
        elif (path := _source_path(recording, place.name, row, problems)) is not None:
            yield _row(place.name, row, path, cut, supervisions[0] if isinstance(supervisions[0], dict) else {})


def _row(table: str, row: int, path: str, stretch: Mapping[str, Any], supervision: Mapping[str, Any]) -> _Row:
    seconds = {"start_s": as_text(stretch.get("start")), "duration_s": as_text(stretch.get("duration"))}
    return {TABLE: table, ROW: row, "path": path, "supervision": supervision, **seconds}


def _read_objects(place: Place, problems: RowProblems, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, value in read_json_lines(place):
        if isinstance(value, dict) and isinstance(value.get(key), str):
            yield row, value
        else:
            problems.extend([(place.name, row, f"is not a JSON object with a text {key!r}")])


def _source_path(recording: Mapping[str, Any], table: str, row: int, problems: RowProblems) -> str | None:
    """The file of a recording, or None when it is anything else."""
    sources = recording.get("sources")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        problems.extend([(table, row, "has not exactly one source")])
        return None
    kind, path = sources[0].get("type"), sources[0].get("source")
    if kind not in ("file", "url") or not isinstance(path, str):
        command = "is a command, and commands are never run: give the file that it writes"
        problems.extend([(table, row, command if kind == "command" else f"has a source of type {kind!r}, not a file")])
        return None
    return as_text(path)


def _telling_field(supervisions: Sequence[Mapping[str, Any]]) -> str:
    """The first usual field of labels that has two values, or else one."""
    counts = {field: len({_field(one, field) for one in supervisions} - {None}) for field in _LABEL_FIELDS}
    return next((field for enough in (2, 1) for field, count in counts.items() if count >= enough), _LABEL_FIELDS[0])


def _field(supervision: Mapping[str, Any], field: str) -> str | None:
    custom = supervision.get("custom")
    return as_text(supervision.get(field, custom.get(field) if isinstance(custom, dict) else None))
