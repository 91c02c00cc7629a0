"""Embeddings that were computed before, for all processes of a user."""

import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

LIMIT_BYTES = 1 << 30
_WAIT_S = 30
_AT_ONCE = 500


class EmbeddingCache:
    """A table of embeddings by key, in one SQLite file, which sees to it that processes do not disturb each other.

    It holds `limit_bytes`, or half of it just after the older half was dropped. Where it cannot be read or written, it is empty and
    forgets: a cache stops no run.

    Args:
        path: of the file; None is `embeddings.sqlite` under `FASTSPEC_CACHE` or the user's cache folder.
        limit_bytes: beyond which the older half is dropped.
    """

    def __init__(self, path: Path | None = None, *, limit_bytes: int = LIMIT_BYTES) -> None:
        root = Path(os.environ.get("FASTSPEC_CACHE") or platformdirs.user_cache_dir("fastspec", appauthor=False))
        self.path = path or root.expanduser() / "embeddings.sqlite"
        self._limit_bytes = limit_bytes

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Float32]:
        """The embeddings `(dimensions,)` float32 of those keys that are known."""
        found: dict[bytes, Float32] = {}
        try:
            with closing(self._connect()) as table:
                for first in range(0, len(keys), _AT_ONCE):
                    some = keys[first : first + _AT_ONCE]
                    marks = ",".join("?" * len(some))
                    rows = table.execute(f"SELECT key, vector FROM embeddings WHERE key IN ({marks})", some)
                    found |= {key: np.frombuffer(vector, "<f4").astype(np.float32) for key, vector in rows}
        except (sqlite3.Error, OSError, ValueError):
            return {}
        return found

    def write(self, embeddings: Mapping[bytes, Float32]) -> None:
        """Keep embeddings."""
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in embeddings.items()]
        try:
            with closing(self._connect()) as table, table:
                table.executemany("INSERT OR IGNORE INTO embeddings (key, vector) VALUES (?, ?)", rows)
                if self._used_bytes(table) > self._limit_bytes:
                    older = "SELECT id FROM embeddings ORDER BY id LIMIT (SELECT count(*) / 2 FROM embeddings)"
                    table.execute(f"DELETE FROM embeddings WHERE id IN ({older})")
        except (sqlite3.Error, OSError):
            return

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        table = sqlite3.connect(self.path, timeout=_WAIT_S)
        try:
            table.execute("CREATE TABLE IF NOT EXISTS embeddings (id INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, vector BLOB NOT NULL)")
        except sqlite3.Error:
            table.close()
            raise
        return table

    @staticmethod
    def _used_bytes(table: sqlite3.Connection) -> int:
        pages, free, size = (table.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size"))
        return int((pages - free) * size)
