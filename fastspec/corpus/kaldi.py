"""Kaldi data directories: `wav.scp`, and where they are there `segments`, `utt2spk` and labels."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from fastspec.corpus.folder import Files
from fastspec.corpus.manifest import Manifest
from fastspec.corpus.place import Place, is_url, list_names
from fastspec.corpus.problems import RowProblems
from fastspec.corpus.rows import ROW, TABLE, TEXTS, read_utf8
from fastspec.corpus.table import manifest_of_texts
from fastspec.errors import CorpusError, counted

_LABEL_FILES = ("utt2label", "utt2lang", "text")
_GROUP_FILES = ("utt2spk",)
_Clip = tuple[str, int, str, str | None, str | None, str | None]  # table, row, utterance, path, start, duration


def read_kaldi(folder: Place, columns: Mapping[str, str]) -> Manifest:
    """The manifest of a Kaldi data directory: a row for each line of `segments`, or else of `wav.scp`.

    The label is what `utt2label`, `utt2lang` or `text` says of the utterance, the first of them that is there; the group is its speaker.
    Relative paths start at the directory, or at the working directory where none of them is found there. An end of -1 is the recording's.

    Args:
        folder: the directory.
        columns: files to take instead, such as `{"label": "utt2gender"}`; `label`, `group` and `split` can be had so.

    Raises:
        CorpusError: lines that are no such thing, commands instead of files (both with the number of the line), or no file exists.
    """
    problems = RowProblems(str(folder), several=True, header=False)
    recordings = _read_recordings(folder, problems)
    names = list_names(folder)
    clips = _read_segments(folder, recordings, problems) if "segments" in names else _whole(recordings)
    said = {
        "label": _read_values(folder, names, columns.get("label"), _LABEL_FILES, problems),
        "group": _read_values(folder, names, columns.get("group"), _GROUP_FILES, problems),
        "split": _read_values(folder, names, columns.get("split"), (), problems),
    }
    if unknown := [name for name in columns if name not in said]:
        raise CorpusError(f"{folder} is a Kaldi directory, where {unknown[0]} cannot be chosen; label, group and split can, as file names")
    rows = [
        {TABLE: table, ROW: row, "path": path, "start_s": start, "duration_s": duration}
        | {column: values.get(utterance) for column, values in said.items()}
        for table, row, utterance, path, start, duration in clips
        if path is not None
    ]
    texts = pl.DataFrame(rows, schema={TABLE: pl.String, ROW: pl.UInt32, **dict.fromkeys(TEXTS, pl.String)})
    if texts.is_empty() and not problems:
        raise CorpusError(f"{folder} has a wav.scp without recordings; give one line for each, 'ID PATH'")
    return manifest_of_texts(
        [texts], Files(base_of(folder, [path for _, path in recordings.values() if path])), problems, source=str(folder)
    )


def base_of(folder: Place, paths: list[str]) -> Place:
    """Where relative paths start: the folder, unless none of them is found there and some is in the working directory."""
    relative = [path for path in paths if not is_url(path) and not Path(path).is_absolute()]
    if not isinstance(folder, Path) or any((folder / path).is_file() for path in relative):
        return folder
    return Path() if any(Path(path).is_file() for path in relative) else folder


def _read_lines(folder: Place, name: str, fields: int, problems: RowProblems) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line that is not blank; the last field is the rest of it."""
    # Not splitlines: a transcript may hold what Unicode calls a line separator.
    for row, line in enumerate(read_utf8(folder / name).decode().split("\n"), start=1):
        parts = line.split(maxsplit=fields - 1)
        if len(parts) == fields:
            yield row, [part.strip() for part in parts]
        elif parts and not (name == "text" and len(parts) == 1):  # an utterance in which nothing is said
            problems.extend([(name, row, f"has {counted(len(parts), 'field')}, not {fields}")])


def _read_recordings(folder: Place, problems: RowProblems) -> dict[str, tuple[int, str | None]]:
    """Line and path of each recording in `wav.scp`; None for what is no file."""
    found: dict[str, tuple[int, str | None]] = {}
    for row, (name, path) in _read_lines(folder, "wav.scp", 2, problems):
        problem: str | None = None
        if path.endswith("|") or path.startswith("|"):
            problem = "is a command, and commands are never run: give the file that it writes"
        elif re.search(r"\.ark(:\d+)?$", path):
            problem = "is a place in an archive of Kaldi's: write its recordings as audio files"
        elif name in found:
            problem = f"repeats the recording {name!r}"
        if problem is not None:
            problems.extend([("wav.scp", row, problem)])
        found.setdefault(name, (row, None if problem else path))
    return found


def _read_segments(folder: Place, recordings: Mapping[str, tuple[int, str | None]], problems: RowProblems) -> Iterator[_Clip]:
    seen = set()
    for row, (utterance, name, start, end) in _read_lines(folder, "segments", 4, problems):
        if utterance in seen or name not in recordings:
            reason = f"repeats the utterance {utterance!r}" if utterance in seen else f"names {name!r}, which is not in wav.scp"
            problems.extend([("segments", row, reason)])
            continue
        seen.add(utterance)
        try:
            duration = None if float(end) == -1 else str(round(float(end) - float(start), 9))
        except ValueError:
            duration = end
        yield "segments", row, utterance, recordings[name][1], start, duration


def _whole(recordings: Mapping[str, tuple[int, str | None]]) -> Iterator[_Clip]:
    for name, (row, path) in recordings.items():
        yield "wav.scp", row, name, path, None, None


def _read_values(folder: Place, names: list[str], wanted: str | None, usual: tuple[str, ...], problems: RowProblems) -> dict[str, str]:
    """What the wanted file, or else the first usual one that is there, says of each utterance."""
    if wanted is not None and wanted not in names:
        raise CorpusError(f"{folder} has no file {wanted!r}; it has: {', '.join(names)}")
    name = wanted or next((name for name in usual if name in names), None)
    return {utterance: value for _, (utterance, value) in _read_lines(folder, name, 2, problems)} if name else {}
