"""What a path says: whether it is audio, which class it belongs to, and what a pattern finds in it."""

import re
from collections.abc import Iterable

import polars as pl

from fastspec.errors import CorpusError, counted

_LIBSNDFILE = "8svx aif aifc aiff au avr bwf caf flac iff ircam mp2 mp3 nist oga ogg opus paf pvf rf64 sds sf snd sph svx voc w64 wav wave"
AUDIO_EXTENSIONS = frozenset(_LIBSNDFILE.split())
_ELSEWHERE = "3gp aac ac3 amr ape dts m4a m4b mka mov mp4 mpc tta webm wma wv"
_OTHER_AUDIO = frozenset(_ELSEWHERE.split())
_TABLES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


def is_hidden(path: str) -> bool:
    """Whether a part of a POSIX path is hidden, or belongs to what macOS adds to archives.

    >>> is_hidden("a/.cache/b.wav"), is_hidden("__MACOSX/b.wav"), is_hidden("./a/b.wav")
    (True, True, False)
    """
    return any((part.startswith(".") and part != ".") or part == "__MACOSX" for part in path.split("/"))


def is_audio(path: str) -> bool:
    """Whether the extension is one that libsndfile may read.

    >>> is_audio("a/b.WAV"), is_audio("a/b.txt"), is_audio("a/wav"), is_audio("a/.wav")
    (True, False, False, False)
    """
    # Not pathlib, which takes several times as long: archives have names by the million.
    stem, _, extension = path.rpartition("/")[2].rpartition(".")
    return bool(stem) and extension.lower() in AUDIO_EXTENSIONS


def table_format(name: str) -> str | None:
    """The format that a file name's ending says: "csv", "tsv", "jsonl" or "parquet"; the texts may be gzipped.

    >>> table_format("a.CSV"), table_format("a.jsonl.gz"), table_format("a.wav")
    ('csv', 'jsonl', None)
    """
    name = name.lower()
    return next((form for ending, form in _TABLES.items() if name.removesuffix(".gz" * (form != "parquet")).endswith(ending)), None)


def may_be_meant(path: str) -> bool:
    """Whether a file that is no recording is worth a word: a table, which may have the labels, or sound that libsndfile cannot read.

    >>> may_be_meant("clips.csv"), may_be_meant("a/b.M4A"), may_be_meant("a/b.txt")
    (True, True, False)
    """
    return table_format(path) is not None or path.rpartition(".")[2].lower() in _OTHER_AUDIO


def folder_labels(paths: list[str]) -> list[str | None]:
    """The first folder of each path; folders that merely wrap the whole corpus don't count.

    >>> folder_labels(["fish/big/a.ogg", "fish/small/deep/b.ogg"])
    ['big', 'small']
    >>> folder_labels(["big/a.ogg", "./small/b.ogg", "c.ogg"])
    ['big', 'small', None]
    """
    parts = [[part for part in path.split("/") if part not in ("", ".")] for path in paths]
    depth = 0
    while _is_wrapped(parts, depth):
        depth += 1
    return [names[depth] if len(names) > depth + 1 else None for names in parts]


def _is_wrapped(parts: list[list[str]], depth: int) -> bool:
    """Whether all lies in one folder at this depth, and some of it in a folder within that one."""
    first = parts[0][depth]
    return all(len(names) > depth + 1 and names[depth] == first for names in parts) and any(len(names) > depth + 2 for names in parts)


def compile_pattern(option: str, pattern: str | None) -> re.Pattern[str] | None:
    """The regular expression given as `option`, or None. CorpusError: it is invalid or has no group to take the value from."""
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CorpusError(f"{option} is {pattern!r}, which is not a valid regular expression ({error}); mend it") from None
    if not compiled.groups:
        raise CorpusError(f"{option} is {pattern!r}, which has no group; put parentheses around the value, as in '([^/]+)/[^/]+$'")
    return compiled


def fill_column(table: pl.DataFrame, column: str, pattern: re.Pattern[str] | None) -> pl.DataFrame:
    """The table with `column` set to what the pattern's group 1 finds in each path; unchanged without a pattern.

    Raises:
        CorpusError: the pattern matches no path.
    """
    if pattern is None:
        return table
    paths = table["path"].to_list()
    values = list(_search(paths, pattern))
    if not any(values):
        paths_told = f"any of {counted(len(paths), 'path')}, such as {paths[0]!r}"
        raise CorpusError(f"{column}_from is {pattern.pattern!r}, which finds nothing in {paths_told}; it is searched in the whole path")
    return table.with_columns(pl.Series(column, values, dtype=pl.String))


def _search(paths: Iterable[str], pattern: re.Pattern[str]) -> Iterable[str | None]:
    for path in paths:
        match = pattern.search(path)
        yield (match[1] or None) if match else None
