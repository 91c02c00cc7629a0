"""A CSV with one row a clip: `path`, and where wanted `label`, `group`, `split`, `start_s`, `duration_s`."""

import codecs
import io
from pathlib import Path

import polars as pl

from fastspec.corpus.folder import Files
from fastspec.corpus.manifest import SCHEMA, Manifest
from fastspec.errors import CorpusError

_SHOWN = 10
_ROW = "row"


def read_table(path: Path) -> Manifest:
    """The manifest of a CSV. Relative paths start at its folder; rows keep their order, but clips of one recording are brought together.

    Raises:
        CorpusError: not UTF-8, not a table, no `path` column, rows that cannot be meant (all are reported), or no file exists.
    """
    texts = _read_texts(path)
    table = texts.with_columns(
        pl.col("start_s").str.strip_chars().cast(pl.Float64, strict=False),
        pl.col("duration_s").str.strip_chars().cast(pl.Float64, strict=False),
    )
    problems = _find_problems(texts, table)
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CorpusError(f"{path} has {len(problems)} rows to mend: {'; '.join(problems[:_SHOWN])}{more} (row 1 is the header)")
    files = Files(path.parent)
    _expect_a_file(path, files, table["path"].unique(maintain_order=True).to_list())
    first_row = pl.col(_ROW).min().over("path")
    table = table.sort(first_row, _ROW).with_columns(pl.col("start_s").fill_null(0.0))
    return Manifest(table.select(list(SCHEMA)), str(path), files)


def _read_texts(path: Path) -> pl.DataFrame:
    """The table as it is written, with a `row` column counted as a spreadsheet does; columns left out and empty fields are null."""
    data = _read_utf8(path)
    try:
        table = pl.read_csv(io.BytesIO(data), infer_schema=False)
    except pl.exceptions.NoDataError:
        raise CorpusError(f"{path} is empty; give a CSV with a 'path' column and one row a clip") from None
    except pl.exceptions.PolarsError as error:
        raise CorpusError(f"{path} is not a valid CSV: {str(error).strip().splitlines()[0]}") from None
    if "path" not in table.columns:
        raise CorpusError(f"{path} has no column 'path'; its columns are: {', '.join(table.columns)}; rename the one with the files")
    texts = table.with_columns(pl.lit(None, pl.String).alias(name) for name in SCHEMA if name not in table.columns)
    texts = texts.select(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in SCHEMA).with_row_index(_ROW, offset=2)
    # Spreadsheets leave blank lines at the end.
    texts = texts.filter(~pl.all_horizontal(pl.col(list(SCHEMA)).is_null()))
    if texts.is_empty():
        raise CorpusError(f"{path} has a header and no rows; give one row a clip")
    return texts


def _read_utf8(path: Path) -> bytes:
    try:
        data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(f"{path} is not UTF-8 (line {line}); save it as 'CSV UTF-8'") from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}; make it readable") from None
    return data


def _find_problems(texts: pl.DataFrame, table: pl.DataFrame) -> list[str]:
    """A line for each thing wrong with a row, in the order of rows."""
    start, duration = table["start_s"], table["duration_s"]
    bad_start = texts["start_s"].is_not_null() & ~(start.is_finite() & (start >= 0)).fill_null(False)
    bad_duration = texts["duration_s"].is_not_null() & ~(duration.is_finite() & (duration > 0)).fill_null(False)
    rows = texts[_ROW]
    found = [(row, "has no path") for row in rows.filter(texts["path"].is_null())]
    for name, bad, allowed in (("start_s", bad_start, "0 or more seconds"), ("duration_s", bad_duration, "more than 0 seconds")):
        found += [(row, f"{name} is {text!r}, not {allowed}") for row, text in zip(rows.filter(bad), texts[name].filter(bad), strict=True)]
    clips = table.filter(~(bad_start | bad_duration | texts["path"].is_null()))
    first = pl.col(_ROW).min().over("path", pl.col("start_s").fill_null(0.0), "duration_s")
    repeated = clips.select(_ROW, first.alias("first")).filter(pl.col(_ROW) != pl.col("first"))
    found += [(row, f"repeats row {earlier}") for row, earlier in repeated.rows()]
    return [f"row {row} {problem}" for row, problem in sorted(found)]


def _expect_a_file(path: Path, files: Files, paths: list[str]) -> None:
    """One missing file costs a row; all missing means that the table is read from the wrong place."""
    if not any(_exists(files.base / name) for name in paths):
        shown = ", ".join(repr(name) for name in paths[:3])
        raise CorpusError(f"none of the {len(paths)} files in {path} exists, such as {shown}; paths are relative to {files.base.resolve()}")


def _exists(file: Path) -> bool:
    try:
        return file.exists()
    except (OSError, ValueError):
        return False
