"""Tables of recordings, and files of no content for them to name."""

import gzip
import json
from pathlib import Path

import polars as pl

from fastspec.corpus import ClipRow, Manifest


def plant(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def write(path: Path, rows: list[dict]) -> Path:
    table = pl.DataFrame(rows, infer_schema_length=None)
    separator = {".csv": ",", ".tsv": "\t"}.get(path.suffix)
    if path.suffix == ".parquet":
        table.write_parquet(path)
    elif separator:
        table.write_csv(path, separator=separator)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        path.write_bytes(gzip.compress(lines.encode()) if path.suffix == ".gz" else lines.encode())
    return path


def rows_of(manifest: Manifest) -> list[ClipRow]:
    return manifest.rows(0, len(manifest))
