"""Tables with one row a clip: `path`, and where wanted `label`, `group`, `split` or `fold`, `start_s`, `duration_s`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fastspec.corpus.folder import Files
from fastspec.corpus.manifest import FOUND, SCHEMA, Manifest, Recordings
from fastspec.corpus.parquet_audio import ParquetAudio
from fastspec.corpus.place import Place, is_url
from fastspec.corpus.problems import RowProblems
from fastspec.corpus.rows import FOLD, READ_FROM, ROW, TABLE, complete, read_texts
from fastspec.corpus.runs import begins_run
from fastspec.corpus.splits import read_splits
from fastspec.errors import CorpusError, brief

_STAT_THREADS = 16
_ROWS = 65_536
_SOUND = "_sound"
_COLUMNS = {TABLE: pl.String, ROW: pl.UInt32, READ_FROM: pl.String, **SCHEMA, **FOUND, _SOUND: pl.Boolean}
_NAMES = ("label", "group", "split", FOLD)  # where a space more would be another class
_SPLIT = re.compile(r"(?:^|[-_.])(train|test|validation|valid|val|dev)(?:$|[-_.])", re.IGNORECASE)


def read_table(place: Place, columns: Mapping[str, str]) -> Manifest:
    """The manifest of a CSV, TSV, JSONL or Parquet table; see `read_tables`."""
    return read_tables([(place, None)], columns, source=str(place))


def read_tables(tables: Sequence[tuple[Place, str | None]], columns: Mapping[str, str], *, source: str) -> Manifest:
    """One manifest of tables that lie in one folder, each with the split that its name says, if any.

    Relative paths start at that folder. Rows keep their order, but clips of one recording are brought together. A missing file costs its
    rows and is among the manifest's problems.

    Args:
        tables: each with the split of those of its rows that name none.
        columns: what the tables call the columns that are not called `path`, `label`, `group`, `split`, `fold`, `start_s`, `duration_s`.
        source: what is read, for messages.

    Raises:
        CorpusError: no table, no such column, rows that cannot be meant (all are reported), or no file exists.
    """
    found = [read_texts(place, columns, several=len(tables) > 1) for place, _ in tables]
    splits = [pl.col("split").fill_null(pl.lit(split, pl.String)) for _, split in tables]
    texts = (complete(part, ("split",)).with_columns(split) for one, split in zip(found, splits, strict=True) for part in one.parts)
    problems = RowProblems(source, several=len(tables) > 1, header=any(one.header for one in found))
    problems.extend([problem for one in found for problem in one.problems])
    audio = [one.audio for one in found if one.audio]
    recordings: Recordings = ParquetAudio.join(audio) if audio else Files(tables[0][0].parent)
    return manifest_of_texts(texts, recordings, problems, source=source)


def manifest_of_texts(texts: Iterable[pl.DataFrame], recordings: Recordings, problems: RowProblems, *, source: str) -> Manifest:
    """The manifest of rows as they are written, some at a time; CorpusError as `read_tables` has it."""
    table = _join([_understand(some, problems) for part in texts for some in _slices(part)])
    problems.extend(_find_repeated(table))
    missing = list(_find_missing(recordings, table)) if isinstance(recordings, Files) else []
    if problems:
        problems.extend(missing)
        raise CorpusError(problems.sentence("to mend"))
    if isinstance(recordings, Files):
        _refuse_all_missing(source, recordings, table, len(missing))
        table, recordings = _read_elsewhere(table, recordings)
    problems.extend(missing)
    table = _bring_together(table).with_columns(pl.col("start_s").fill_null(0.0))
    found = table.select(list(FOUND)) if table["audio_hash"].null_count() < len(table) else None
    return Manifest(table.select(list(SCHEMA)), source, recordings, origins=table.select(TABLE, ROW), problems=problems, found=found)


def _understand(texts: pl.DataFrame, problems: RowProblems) -> pl.DataFrame:
    """Rows as they are meant, in those columns that say anything; a column `_sound` says which of them make sense."""
    texts = complete(texts, (*SCHEMA, FOLD)).with_columns(pl.col(_NAMES).str.strip_chars().replace("", None))
    split, wrong = read_splits(texts["split"], texts[FOLD])
    seconds = [pl.col(name).str.strip_chars().cast(pl.Float64, strict=False) for name in ("start_s", "duration_s")]
    found = FOUND if "audio_hash" in texts.columns else {}
    table = complete(texts, tuple(found)).with_columns(pl.col(name).cast(kind, strict=False) for name, kind in found.items())
    table = table.with_columns(split, *seconds)
    senseless = texts.select(TABLE, ROW, wrong).drop_nulls().rows()
    problems.extend((*row, f"{what}, which is not train, validation, test or a numbered fold") for *row, what in senseless)
    table = table.with_columns(_find_sound(texts, table, problems))
    return table.select(name for name in _COLUMNS if name in table.columns and table[name].null_count() < len(table)).rechunk()


def _find_sound(texts: pl.DataFrame, table: pl.DataFrame, problems: RowProblems) -> pl.Series:
    """Which rows have a path and times that can be meant; the others are told."""
    start, duration = table["start_s"], table["duration_s"]
    no_path = texts["path"].is_null()
    bad_start = texts["start_s"].is_not_null() & ~(start.is_finite() & (start >= 0)).fill_null(False)
    bad_duration = texts["duration_s"].is_not_null() & ~(duration.is_finite() & (duration > 0)).fill_null(False)
    where = texts.select(TABLE, ROW)
    problems.extend((*row, "has no path") for row in where.filter(no_path).rows())
    for name, bad, allowed in (("start_s", bad_start, "0 or more seconds"), ("duration_s", bad_duration, "more than 0 seconds")):
        values = zip(where.filter(bad).rows(), texts[name].filter(bad), strict=True)
        problems.extend((*row, f"{name} is {text!r} and must be {allowed}") for row, text in values)
    return (~(bad_start | bad_duration | no_path)).alias(_SOUND)


def _join(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """All rows in all columns: those that say nothing, or the same in each, are constants, which take no memory."""
    table = pl.concat(parts, how="diagonal")
    constant: dict[str, Any] = {name: None for name in _COLUMNS if name not in table.columns}
    for name in {TABLE, "start_s", "duration_s"}.intersection(table.columns):
        # Not of `table[name]`: it would make a whole column of what is a constant in each part.
        nulls, least, most = table.select(pl.col(name).null_count(), low=pl.col(name).min(), high=pl.col(name).max()).row(0)
        if not nulls and least == most:
            constant[name] = least
    return table.with_columns(pl.lit(value, _COLUMNS[name]).alias(name) for name, value in constant.items())


def _bring_together(table: pl.DataFrame) -> pl.DataFrame:
    """The clips of each recording adjacent, in the order of the recordings' first."""
    starts = pl.Series(begins_run(table["path"]))
    if starts.sum() == table["path"].filter(starts).n_unique():
        return table
    first = pl.col("_order").min().over("path")
    return table.with_row_index("_order").sort(first, "_order").drop("_order")


def _slices(table: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """So few rows at a time that what is made of them takes no memory to speak of; at least one slice."""
    for first in range(0, max(1, len(table)), _ROWS):
        yield table[first : first + _ROWS]


def split_of(name: str) -> str | None:
    """The split that a file name says.

    >>> split_of("train.csv"), split_of("data_test-00000-of-00002.parquet"), split_of("trained.csv")
    ('train', 'test', None)
    """
    found = _SPLIT.search(name)
    return found[1].lower() if found else None


def _find_repeated(table: pl.DataFrame) -> Iterator[tuple[str, int, str]]:
    """Table, row and what is wrong, for each clip that another row has already."""
    clip = (READ_FROM, "path", pl.col("start_s").fill_null(0.0))
    # Few rows have the hash of another; to group all of them would take several times the table's memory.
    hashes = np.concatenate([part.select(pl.struct(clip).hash()).to_series().to_numpy() for part in _slices(table)])
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(shared):
        return
    clips = table.filter(pl.Series(np.isin(hashes, shared)) & pl.col(_SOUND))
    first = clips.select(TABLE, ROW, *(pl.col(name).first().over(*clip).alias(f"first_{name}") for name in (TABLE, ROW)))
    again = first.filter((pl.col(TABLE) != pl.col(f"first_{TABLE}")) | (pl.col(ROW) != pl.col(f"first_{ROW}")))
    for name, row, first_name, first_row in again.rows():
        yield name, row, f"repeats {'' if name == first_name else first_name + ' '}row {first_row}"


def _find_missing(files: Files, table: pl.DataFrame) -> Iterator[tuple[str, int, str]]:
    """The rows whose file is not on this machine; nothing behind a URL or in an archive is asked for."""
    if not isinstance(files.base, Path):
        return
    plain = pl.col("path").is_not_null() & pl.col(READ_FROM).is_null()
    named = (path for part in _slices(table) for path in part.select(pl.col("path").filter(plain).unique()).to_series())
    paths = [path for path in dict.fromkeys(named) if not is_url(path)]
    with ThreadPoolExecutor(_STAT_THREADS) as pool:
        missing = [path for path, there in zip(paths, pool.map(lambda path: _exists(files.base / path), paths), strict=True) if not there]
    for name, row, path in table.filter(plain & pl.col("path").is_in(missing)).select(TABLE, ROW, "path").rows():
        yield name, row, f"{path!r} does not exist"


def _exists(file: Place) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):
        return False


def _refuse_all_missing(source: str, files: Files, table: pl.DataFrame, missing: int) -> None:
    """One missing file costs a row; all missing means that the table is read from the wrong place."""
    if missing == len(table):
        paths = table["path"].unique(maintain_order=True)
        shown = ", ".join(brief(repr(path)) for path in paths[:3])
        base = files.base.resolve() if isinstance(files.base, Path) else files.base
        raise CorpusError(f"none of the {len(paths):,} files in {source} exists, such as {shown}; paths are relative to {base}")


def _read_elsewhere(table: pl.DataFrame, files: Files) -> tuple[pl.DataFrame, Recordings]:
    """The table, and its recordings where rows say that they lie in an archive, another table or another folder.

    The name of what they lie in comes before their paths where there are several such.
    """
    addresses = table[READ_FROM].unique(maintain_order=True).to_list()
    if addresses == [None]:
        return table, files
    from fastspec.corpus.inputs import Several
    from fastspec.corpus.sources import read_address  # which reads tables, this one too

    corpora = {address: read_address(files.place(address), {}) for address in addresses if address is not None}
    here = Manifest(table.filter(pl.col(READ_FROM).is_null()).select(list(SCHEMA)), "", files)
    places, paths = {}, []
    for address, name in table.select(READ_FROM, "path").rows():
        path = name if address is None or len(addresses) == 1 else f"{address}/{name}"
        places[path] = (corpora.get(address, here), name)
        paths.append(path)
    return table.with_columns(pl.Series("path", paths, dtype=pl.String)), Several(places)
