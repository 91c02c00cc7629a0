"""The rows of a table as they are written, whatever its format: texts, each with the row that it stands in."""

import codecs
import csv
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from fastspec.corpus.labels import table_format
from fastspec.corpus.manifest import FOUND, SCHEMA
from fastspec.corpus.members import MAX_MEMBER_BYTES
from fastspec.corpus.parquet_audio import PARQUET_ERRORS, ParquetAudio, find_audio_column, parquet_source, read_class_names, scan
from fastspec.corpus.place import Place, one_line
from fastspec.corpus.problems import RowProblems
from fastspec.errors import CorpusError, brief, choices

TABLE, ROW, READ_FROM, FOLD = "table", "row", "read_from", "fold"
TEXTS = (*SCHEMA, FOLD, READ_FROM, *FOUND)

_SHOWN = 10
_ROWS = 65_536
_MAX_TABLE_RATIO = 200
_MIN_TABLE_BYTES = 50_000_000


class Texts(NamedTuple):
    """A table as it is written.

    Attributes:
        parts: some rows at a time; `table` (its name), `row` (counted as an editor shows it), and as String those columns of a manifest,
            `fold`, `read_from` and what a scan found that it has; empty fields are null.
        problems: rows that could not be taken, with the reason.
        header: whether row 1 is the header.
        audio: opens the recordings, where the table holds them itself.
    """

    parts: Iterable[pl.DataFrame]
    problems: list[tuple[str, int, str]]
    header: bool = False
    audio: ParquetAudio | None = None


def read_texts(place: Place, columns: Mapping[str, str], *, several: bool = False) -> Texts:
    """A table as it is written.

    Args:
        place: the file.
        columns: what it calls the columns that are not called as in a manifest.
        several: whether it is one of several tables, so that recordings within it bear its name.

    Raises:
        CorpusError: not UTF-8, not a table, no `path` column, a column that is not there, or no rows.
    """
    form = table_format(place.name)
    if form == "parquet":
        texts = _read_parquet(place, columns, several=several)
    else:
        texts = _read_jsonl(place, columns) if form == "jsonl" else _read_separated(place, columns)
    return texts._replace(parts=_tidy(place, texts))


def _tidy(place: Place, texts: Texts) -> Iterator[pl.DataFrame]:
    """Without blank lines, which spreadsheets leave at the end; CorpusError where there is nothing else."""
    some = bool(texts.problems)
    for part in texts.parts:
        present = [name for name in TEXTS if name in part.columns]
        table = part.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in present)
        table = table.filter(~pl.all_horizontal(pl.col(present).is_null())).with_columns(pl.lit(place.name).alias(TABLE))
        some |= len(table) > 0
        yield table.select(TABLE, ROW, *present)
    if not some:
        raise CorpusError(f"{place} has {'a header and ' * texts.header}no rows; give one row a clip")


def complete(texts: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """The texts with these columns, null where they had none."""
    return texts.with_columns(pl.lit(None, pl.String).alias(name) for name in columns if name not in texts.columns)


def read_utf8(place: Place) -> bytes:
    """A text file's bytes, inflated if it is gzipped, without a byte-order mark.

    Raises:
        CorpusError: it cannot be read, is too large, or is not UTF-8.
    """
    try:
        with place.open("rb") as file:
            data = file.read(MAX_MEMBER_BYTES + 1)
        if place.name.lower().endswith(".gz"):
            data = _gunzip(data)
        data = data.removeprefix(codecs.BOM_UTF8)
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorpusError(f"{place} is not UTF-8 (line {line}); save it as UTF-8, in spreadsheets 'CSV UTF-8'") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise CorpusError(f"{place} cannot be read: {getattr(error, 'strerror', None) or one_line(error)}; make it readable") from None
    if len(data) > MAX_MEMBER_BYTES:
        raise CorpusError(f"{place} is larger than {MAX_MEMBER_BYTES >> 30} GiB; give it as Parquet, or in parts")
    return data


def _gunzip(data: bytes) -> bytes:
    limit = max(_MIN_TABLE_BYTES, _MAX_TABLE_RATIO * len(data))
    pieces, size = [], 0
    while data.strip(b"\0"):  # gzip files may be several, one behind the other
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        pieces.append(stream.decompress(data, limit + 1 - size))
        size += len(pieces[-1])
        if size > limit:
            raise ValueError(f"more than {limit} bytes packed into {len(data)}: a decompression bomb")
        if not stream.eof:
            raise EOFError("the file is cut off")
        data = stream.unused_data
    return b"".join(pieces)


def _read_separated(place: Place, columns: Mapping[str, str]) -> Texts:
    name = "CSV" if table_format(place.name) == "csv" else "TSV"
    data = read_utf8(place)
    separator = _find_separator(data) if name == "CSV" else "\t"
    try:
        table = pl.read_csv(io.BytesIO(data), infer_schema=False, separator=separator)
    except pl.exceptions.NoDataError:
        raise CorpusError(f"{place} is empty; give a {name} with a 'path' column and one row a clip") from None
    except pl.exceptions.PolarsError as error:
        if broken := _find_broken(place, data, separator):
            raise CorpusError(broken.sentence("to mend")) from None
        raise CorpusError(
            f"{place} is not a valid {name}: {brief(one_line(error))}; put fields that hold quotes into quotes, with those within doubled"
        ) from None
    table = table.rename(_header_names(table.columns, columns))
    chosen = _choose_columns(place, table.columns, columns)
    if twice := [column for column in chosen.values() if f"{column}_duplicated_0" in table.columns]:
        raise CorpusError(f"{place} has two columns {twice[0]!r}; rename one of them")
    return Texts([_as_texts(table, chosen).with_row_index(ROW, offset=2)], [], header=True)


def _find_separator(data: bytes) -> str:
    """What ends the columns of a CSV: spreadsheets write semicolons, or tabs, where the comma is in their numbers."""
    header = data.lstrip().partition(b"\n")[0]
    return next((separator for separator in ",;\t" if separator.encode() in header), ",")


def _find_broken(place: Place, data: bytes, separator: str) -> RowProblems:
    """The rows that have more fields than the header, and the first whose quotes do not match, which hides what follows."""
    problems = RowProblems(str(place), several=False, header=True)
    rows = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=separator, strict=True)
    row = 1
    try:
        width = len(next(rows))
        for row, fields in enumerate(rows, start=2):
            if len(fields) > width:
                problems.extend(
                    [(place.name, row, f"has {len(fields)} fields and the header {width}: put quotes around {separator!r} in one")]
                )
    except csv.Error as error:
        problems.extend([(place.name, row + 1, f"has quotes that do not match: {error}")])
    return problems


def _header_names(present: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Each column of a header by the name that it is meant to have: no spaces around, and small letters if a manifest has one so called.

    >>> _header_names(["Path", " label", "Genus ", "Group", "group"], {"path": "Path"})
    {'Path': 'Path', ' label': 'label', 'Genus ': 'Genus', 'Group': 'Group', 'group': 'group'}
    """
    names: dict[str, str] = {}
    for column in present:
        name = column.strip()
        name = name.lower() if name.lower() in TEXTS else name
        taken = name in present or name in names.values() or column in columns.values()
        names[column] = column if taken else name
    return names


def _read_jsonl(place: Place, columns: Mapping[str, str]) -> Texts:
    problems: list[tuple[str, int, str]] = []
    names = {name: columns.get(name, name) for name in TEXTS}
    kept: dict[str, list[Any]] = {name: [] for name in (ROW, *TEXTS)}
    keys: dict[str, None] = {}
    for row, value in read_json_lines(place):
        if not isinstance(value, dict):
            problems.append((place.name, row, "is not a JSON object"))
            continue
        keys |= dict.fromkeys(value) if len(keys) < _SHOWN else {}
        kept[ROW].append(row)
        for name, key in names.items():
            cell = value.get(key)
            if isinstance(cell, (dict, list)):
                if name not in FOUND:
                    kind = "an object" if isinstance(cell, dict) else "a list"
                    problems.append((place.name, row, f"{key} is {kind}, not a text or a number"))
                cell = None
            kept[name].append(as_text(cell))
    for name, key in names.items():
        if (name == "path" or name in columns) and kept[ROW] and all(cell is None for cell in kept[name]) and key not in keys:
            _choose_columns(place, list(keys), columns)
    return Texts([pl.DataFrame(kept, schema={ROW: pl.UInt32, **dict.fromkeys(TEXTS, pl.String)})], problems)


def read_json_lines(place: Place) -> Iterator[tuple[int, Any]]:
    """Number and value of each line that is not blank; a line that is not JSON has the value None."""
    for row, line in enumerate(read_utf8(place).splitlines(), start=1):
        if line.strip():
            try:
                yield row, json.loads(line)
            except (ValueError, RecursionError):
                yield row, None


def as_text(cell: str | float | None) -> str | None:
    r"""A plain JSON value as a table would have it; half a character, which JSON can hold and Unicode cannot, as in `caf\udce9`.

    >>> as_text(3), as_text(None), as_text("caf\udce9") == "caf\\udce9"
    ('3', None, True)
    """
    if cell is None:
        return None
    return cell.encode(errors="backslashreplace").decode() if isinstance(cell, str) else json.dumps(cell)


def _read_parquet(place: Place, columns: Mapping[str, str], *, several: bool) -> Texts:
    try:
        source = parquet_source(place)
        schema = scan(source).collect_schema()
        class_names = read_class_names(source)
        height = scan(source).select(pl.len()).collect().item()
    except PARQUET_ERRORS as error:
        raise CorpusError(f"{place} is not a whole Parquet file: {one_line(error)}; download or write it again") from None
    audio_column = find_audio_column(schema, columns.get("path", "path"))
    chosen = _choose_columns(place, list(schema), {**columns, **({"path": audio_column} if audio_column else {})})
    for name, column in chosen.items():
        kind = "nested" if schema[column].is_nested() else "binary" if schema[column] == pl.Binary else None
        if kind and column != audio_column:
            raise CorpusError(f"{place} has {kind} values in its column {column!r}; give --column {name}=ANOTHER, one with plain values")
    cells = {name: pl.col(column).alias(name) for name, column in chosen.items()}
    if audio_column:
        cells["path"] = pl.col(audio_column).struct.field("path").alias("path")
    classes = {name: class_names[column] for name, column in chosen.items() if column in class_names and schema[column].is_integer()}
    rows = _ParquetRows(place, source, height, cells, classes)
    if not audio_column:
        return Texts(rows.parts(None), [])
    audio = ParquetAudio.of(place, audio_column, rows.collect([cells.pop("path")], 0, height)["path"], several=several)
    return Texts(rows.parts(pl.Series("path", list(audio.rows), dtype=pl.String)), [], audio=audio)


class _ParquetRows(NamedTuple):
    """What is taken of a Parquet file: a cell of each column, some of which are numbers of classes."""

    place: Place
    source: Path | bytes
    height: int
    cells: dict[str, pl.Expr]
    classes: dict[str, list[str]]

    def collect(self, cells: Iterable[pl.Expr], first: int, count: int) -> pl.DataFrame:
        try:
            return scan(self.source).slice(first, count).select(cells).collect(engine="streaming")
        except PARQUET_ERRORS as error:
            raise CorpusError(f"{self.place} is not a whole Parquet file: {one_line(error)}; download or write it again") from None

    def parts(self, paths: pl.Series | None) -> Iterator[pl.DataFrame]:
        """The rows as texts; their `paths` where those do not stand in the file."""
        for first in range(0, self.height, _ROWS):
            table = self.collect(self.cells.values(), first, _ROWS) if self.cells else pl.DataFrame()
            for name, names in self.classes.items():
                table = table.with_columns(pl.col(name).replace_strict(dict(enumerate(names)), default=None, return_dtype=pl.String))
            if paths is not None:
                named = paths[first : first + _ROWS].to_frame()
                table = table.hstack(named) if self.cells else named
            yield _as_texts(table, {name: name for name in table.columns}).with_row_index(ROW, offset=first + 1)


def _choose_columns(place: Place, present: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """The table's own name for each column of a manifest that it has."""
    for name, column in columns.items():
        if column not in present:
            raise CorpusError(f"{place} has no column {column!r} to take as {name}; {choices(column, present)}")
    # A column "channels" or "status" is a scan's where there is its hash; else it is anything.
    known = TEXTS if "audio_hash" in present else tuple(name for name in TEXTS if name not in FOUND)
    chosen = {name: columns.get(name, name) for name in known if columns.get(name, name) in present}
    if "path" not in chosen:
        listed = brief(", ".join(map(repr, present)), most=2000)
        raise CorpusError(
            f"{place} has no column 'path', but {listed}; name the one with the files by --column path=NAME{_separators(present)}"
        )
    return chosen


def _separators(present: list[str]) -> str:
    """Advice, where the only name of a column looks like several."""
    several = len(present) == 1 and re.search(r"[;|\t,]", present[0])
    return f"; columns end at commas in a .csv and at tabs in a .tsv, not at {several[0]!r}" if several else ""


def _as_texts(table: pl.DataFrame, chosen: Mapping[str, str]) -> pl.DataFrame:
    return table.select(pl.col(column).cast(pl.String, strict=False).alias(name) for name, column in chosen.items())
