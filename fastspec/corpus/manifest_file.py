"""A manifest as a table on disk, which is a corpus like any other."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from fastspec.corpus.folder import Files
from fastspec.corpus.inputs import Several
from fastspec.corpus.manifest import Manifest
from fastspec.corpus.place import is_url
from fastspec.corpus.rows import FOLD, READ_FROM
from fastspec.corpus.samples import Samples
from fastspec.errors import CorpusError, choices

_WRITERS: dict[str, Callable[[pl.DataFrame, Path], object]] = {
    ".csv": pl.DataFrame.write_csv,
    ".jsonl": pl.DataFrame.write_ndjson,
    ".parquet": pl.DataFrame.write_parquet,
}


def check_output(path: Path, *, folder: bool = False) -> None:
    """That a manifest can be written there, or into a new folder of that name: CorpusError for another ending, and for what exists."""
    if path.suffix.lower() not in _WRITERS and not (folder and not path.suffix):
        also = ", or a name without one, for a folder of train.csv and test.csv" if folder else ""
        raise _refused_ending(path, also)
    if path.exists():
        raise CorpusError(f"{path} exists; remove it, or choose another name")
    if not path.parent.is_dir():
        raise CorpusError(f"{path.parent} is not a folder that manifests can be written to; make it, or choose another")


def _refused_ending(path: Path, also: str = "") -> CorpusError:
    if not path.suffix:
        return CorpusError(f"{path} has no ending, which says how a manifest is written; give {path}.csv, {path}.jsonl or {path}.parquet")
    return CorpusError(f"{path} has an ending that a manifest cannot have; {choices(path.suffix, _WRITERS)}{also}")


def write_manifest(manifest: Manifest, path: Path) -> Path:
    """Write a manifest so that its rows find their recordings from the file's folder; CorpusError as `Manifest.write` has it."""
    if path.suffix.lower() not in _WRITERS:
        raise _refused_ending(path)
    addresses = find_addresses(manifest, path.parent)
    table = manifest.table.with_columns(addresses["path"])
    if addresses[READ_FROM].null_count() < len(table):
        table = table.with_columns(addresses[READ_FROM])
    folds = table["split"].str.extract(r"^fold-(\d+)$").cast(pl.Int64)
    if 0 < len(folds) - folds.null_count() == len(table) - table["split"].null_count():
        table = table.with_columns(pl.lit(None, pl.String).alias("split"), folds.alias(FOLD))
    if manifest.found is not None:
        table = table.hstack(manifest.found)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _WRITERS[path.suffix.lower()](table, temporary)
        temporary.replace(path)
    except OSError as error:
        raise CorpusError(f"{path} cannot be written: {error.strerror or error}; choose a folder that exists and can be written") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_sides(manifest: Manifest, folder: Path) -> list[Path]:
    """Write the sides of a split as `train.csv` and `test.csv` into a new folder, which is a corpus itself, whole or not at all.

    What a scan found is left out, since it numbers rows of the whole.

    Raises:
        CorpusError: as `Manifest.write` has it, or the folder cannot be made.
    """
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    whole = replace(manifest, found=None)
    try:
        temporary.mkdir()
        for (side,), table in manifest.table.group_by("split"):
            write_manifest(whole.with_table(table), temporary / f"{side}.csv")
        temporary.replace(folder)
    except OSError as error:
        raise CorpusError(f"{folder} cannot be written: {error.strerror or error}; choose another folder") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(folder.iterdir())


def find_addresses(manifest: Manifest, folder: Path) -> pl.DataFrame:
    """Of each row `read_from` and `path`: where a table in that folder says that the recording is.

    Raises:
        CorpusError: samples that lie in memory only.
    """
    names = manifest.table["path"].to_list()
    known = {name: _address(manifest, name, folder) for name in dict.fromkeys(names)}
    return pl.DataFrame([known[name] for name in names], schema=[(READ_FROM, pl.String), ("path", pl.String)], orient="row")


def _address(manifest: Manifest, name: str, folder: Path) -> tuple[str | None, str]:
    """What a recording lies in, if anything but a plain file, and its name there; local ones as seen from the folder."""
    recordings = manifest.recordings
    if isinstance(recordings, Several):
        inner, inner_name = recordings.places[name]
        return _address(inner, inner_name, folder)
    if isinstance(recordings, Samples):
        raise CorpusError("a manifest of samples in memory cannot be written; write them as audio files and read those")
    if isinstance(recordings, Files) and name not in recordings.names:
        return None, _seen_from(folder, str(recordings.place(name)))
    return _seen_from(folder, manifest.source), name


def _seen_from(folder: Path, address: str) -> str:
    """A local path relative to a folder, in POSIX form; a URL as it is."""
    if is_url(address):
        return address
    try:
        return Path(os.path.relpath(address, folder)).as_posix()
    except ValueError:  # another drive
        return Path(address).absolute().as_posix()
