"""Writing a store: create, write chunks, commit partitions, finish; killed at any instant, it goes on where it was."""

import io
import json
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import polars as pl
import zarr
from numpy.typing import NDArray

from fastspec.errors import StoreError
from fastspec.store.chunks import ChunkWriter, GatheredChunk, PlainChunk
from fastspec.store.drafting import write_draft
from fastspec.store.files import (
    explained,
    reason_of,
    remove_tree,
    sync_folder,
    sync_together,
    sync_tree,
    upload_tree,
    write_atomically,
    write_record,
)
from fastspec.store.hashes import hash_chunk, hash_file
from fastspec.store.layout import Layout
from fastspec.store.lease import check_lease
from fastspec.store.ledger import make_ledger, write_ledger
from fastspec.store.memory import give_back_memory
from fastspec.store.packing import join_columns, unpack_columns
from fastspec.store.place import Place, StoreUrl, draft_prefix, list_files, open_array, scan_table
from fastspec.store.reading import FeatureStore, chunk_file, chunk_name, is_finished, is_store, is_updating, open_store
from fastspec.store.source import Source
from fastspec.store.zarr_json import consolidate, write_numbers

_VALID_FRAMES_CHUNK = 1 << 16


class StoreWriter:
    """An unfinished store. Chunks may be written from several threads, each partition by one of them.

    `home` is where its layout, manifest and commit records are: the store, or what an update of it keeps until it ends.
    """

    def __init__(self, path: Place, layout: Layout, *, home: Place | None = None) -> None:
        self.path = path
        self.layout = layout
        self._home = home or path

    def __reduce__(self) -> tuple[Callable[..., "StoreWriter"], tuple[Any, ...]]:
        return _reopen, (self.path.absolute(), self.layout, self._home.absolute())

    @classmethod
    def create(cls, path: Place, layout: Layout, *, manifest: pl.DataFrame, source: Source | None = None) -> Self:
        """A new store with nothing in it but a manifest of one row a clip, and where that was read. It appears whole, where nothing was.

        Raises:
            StoreError: its folder cannot be written.
        """
        if isinstance(path, StoreUrl):
            with explained(path), tempfile.TemporaryDirectory() as folder:
                write_draft(Path(folder), layout, manifest, source)
                upload_tree(Path(folder), path)
            return cls(path, layout)
        draft = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=draft_prefix(path)))
            write_draft(draft, layout, manifest, source)
            sync_tree(draft)
            draft.rename(path)
        except BaseException as error:
            if draft is not None:
                shutil.rmtree(draft, ignore_errors=True)
            if not isinstance(error, OSError | pl.exceptions.PolarsError):
                raise
            raise StoreError(f"{path} cannot be created: {reason_of(error)}; choose a folder that can be written") from None
        sync_folder(path.parent)
        return cls(path, layout)

    @classmethod
    def begin_update(cls, path: Place, layout: Layout, *, manifest: pl.DataFrame) -> Self:
        """Begin to write the finished store at `path` anew by another layout of the same recipe; from here on it is unfinished.

        manifest: one row a clip, with a column `stale` (Boolean): clips whose features are to be computed.
        """
        with explained(path), tempfile.TemporaryDirectory(dir=path if isinstance(path, Path) else None, prefix=".update-") as folder:
            draft = Path(folder) / "update"
            (draft / "commits").mkdir(parents=True)
            manifest.write_parquet(draft / "manifest.parquet")
            write_atomically(draft / "fastspec.json", layout.to_json().encode())
            if isinstance(path, StoreUrl):
                remove_tree(path / "update")  # what is left of one that had ended
                upload_tree(draft, path / "update")
            else:
                sync_tree(draft)
                draft.rename(path / "update")
                sync_folder(path)
        return cls.go_on_updating(path)

    @classmethod
    def go_on_updating(cls, path: Place) -> Self:
        """The store at `path`, whose update was begun."""
        home = path / "update"
        layout = Layout.read(home)
        with explained(path):
            open_array(path / "features", "r+").resize(layout.shape)
        return cls(path, layout, home=home)

    @classmethod
    def resume(cls, path: Place, layout: Layout) -> Self:
        """The unfinished store at `path`.

        Raises:
            StoreError: it was made from another recipe, manifest or version of what computes it, or it is damaged.
        """
        Layout.read(path).check_same(layout, path)
        try:
            shape = open_array(path / "features", "r").shape
        except (OSError, ValueError, KeyError, TypeError):
            shape = None
        if shape != layout.shape:
            raise StoreError(f"{path} is damaged: features/zarr.json is not what was written; give --overwrite to start anew")
        return cls(path, layout)

    def pending(self) -> list[int]:
        """Partitions without a commit record, in order."""
        done = list_files(self._home / "commits")
        return [p for p in range(self.layout.n_partitions) if self._commit_path(p).name not in done]

    def clips_done(self) -> int:
        """Clips in committed partitions."""
        return self.layout.n_clips - sum(stop - start for p in self.pending() for _, start, stop in self.layout.chunks(p))

    @contextmanager
    def underway(self, partition: int) -> Iterator[bool]:
        """Mark a partition while it is computed, whatever that raises. True where the mark is there already: a process died within it.

        It is not flushed to the disk, since no recording takes the whole machine down, and goes with the commit records.
        """
        mark = self._home / "commits" / f"{partition:06}.underway"
        died = mark.exists()
        with explained(self.path):
            mark.touch() if isinstance(mark, Path) else mark.write(b"")
        try:
            yield died
        finally:
            mark.unlink(missing_ok=True)

    def rows_done(self) -> Iterator[dict[str, Any]]:
        """Ledger rows of committed partitions, in order."""
        for partition in range(self.layout.n_partitions):
            with suppress(FileNotFoundError):
                for part in map(unpack_columns, self._ledger_of(partition)):
                    yield from join_columns([part]).iter_rows(named=True)

    @contextmanager
    def writing_chunk(self, start: int) -> Iterator[ChunkWriter]:
        """Write the chunk that begins with a clip in parts, to be flushed to the disk by `sync` or by `commit`.

        It is there when the block has ended well, not before.
        """
        chunk = self._begin_chunk(start)
        try:
            yield chunk
            chunk.end()
        except BaseException:
            chunk.abandon()
            raise

    def _begin_chunk(self, start: int) -> ChunkWriter:
        layout, refused = self.layout, partial(explained, self.path)
        n_clips = min(layout.chunk_clips, layout.n_clips - start)
        if isinstance(self.path, Path) and layout.compression == "none":
            return PlainChunk(self.path / chunk_name(start // layout.chunk_clips), layout, n_clips, refused)
        return GatheredChunk(partial(self._write_by_zarr, start), layout, n_clips, refused)

    def write_chunk(self, start: int, features: NDArray[np.floating]) -> str:
        """Write the clips from `start`, one whole chunk (fewer only at the end), as `writing_chunk` does.

        features: `(clips, frames, bands)` of the layout's dtype. The hash of its values is returned.
        """
        with self.writing_chunk(start) as chunk:
            chunk.add(features)
        return chunk.digest

    def _write_by_zarr(self, start: int, features: NDArray[np.floating]) -> None:
        if isinstance(self.path, StoreUrl):
            check_lease(self.path)
        self._array[start : start + len(features)] = features

    @cached_property
    def _array(self) -> "zarr.Array[Any]":
        # Empty chunks are written like others. Not by Zarr's settings, which are the whole process's.
        return open_array(self.path / "features", "r+").with_config({"write_empty_chunks": True})

    def sync(self, chunks: Iterable[int]) -> None:
        """Flush chunks to the disk; an object is there once it is written."""
        if isinstance(self.path, Path):
            files = [Path(str(chunk_file(self.path, chunk))) for chunk in chunks]
            # With the names of folders that are new, up to `features`.
            folders = dict.fromkeys(folder for file in files for folder in list(file.parents)[:4])
            with explained(self.path):
                sync_together([*files, *folders])

    def commit(
        self,
        partition: int,
        *,
        hashes: Sequence[str],
        ledger: Iterable[bytes],
        valid_frames: NDArray[np.int32],
        timings: Mapping[str, float] | None = None,
    ) -> None:
        """Record that a partition is done: after its chunks are flushed to the disk, in one rename or request.

        ledger: its rows, in parts that `pack_columns` made. timings: milliseconds by stage.
        """
        self.sync(chunk for chunk, _, _ in self.layout.chunks(partition))
        parts = list(ledger)
        head = {"hashes": list(hashes), "valid_frames": valid_frames.tolist(), "timings": dict(timings or {})}
        head["parts"] = [len(part) for part in parts]
        with explained(self.path):
            if isinstance(self.path, StoreUrl):
                check_lease(self.path)
            write_record(self._commit_path(partition), json.dumps(head).encode() + b"\n" + b"".join(parts))

    def finish(self) -> FeatureStore:
        """Write what is known only when all partitions are: valid frames, ledger, hashes; then the mark that the store is whole."""
        whole = is_finished(self.path)
        if not whole:
            if pending := self.pending():
                raise StoreError(f"{self.path} has {len(pending)} partitions to do; resume it")
            with explained(self.path):
                self._write_the_rest()
        sweep_finished(self.path)
        return open_store(self.path) if whole else FeatureStore(self.path, self.layout)

    def _write_the_rest(self) -> None:
        partitions = range(self.layout.n_partitions)
        records = [self._record(p) for p in partitions]
        valid_frames = np.concatenate([record.pop("valid_frames") for record in records])
        write_valid_frames(self.path, valid_frames)
        valid_frames_digest = hash_chunk(valid_frames)
        del valid_frames  # what is not needed beside the ledger gives way to it
        give_back_memory(self.layout.n_clips)
        ledger = self.path / "ledger.parquet"
        write_ledger(ledger, lambda: chain.from_iterable(map(self._ledger_of, partitions)), n_clips=self.layout.n_clips)
        consolidate(self.path)
        self._write_timings([record["timings"] for record in records])
        self._sweep_features()
        finished = {
            "chunks": [digest for record in records for digest in record["hashes"]],
            "ledger": hash_file(ledger),
            "valid_frames": valid_frames_digest,
        }
        if self._home != self.path:
            scan_table(self._home / "manifest.parquet").collect().drop("stale").write_parquet(buffer := io.BytesIO())
            write_atomically(self.path / "manifest.parquet", buffer.getvalue())
            write_atomically(self.path / "fastspec.json", self.layout.to_json().encode())
        write_atomically(self.path / "finished.json", json.dumps(finished).encode())
        if self._home != self.path:
            remove_tree(self._home)

    def _write_timings(self, timings: Sequence[dict[str, float]]) -> None:
        """A row a partition: its clips, and the milliseconds of each stage."""
        rows = [self._clips_of(p) | timings[p] for p in range(self.layout.n_partitions)]
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(buffer := io.BytesIO())
        if isinstance(self.path, Path):
            (self.path / "timings").mkdir(exist_ok=True)
        write_atomically(self.path / "timings" / "partitions.parquet", buffer.getvalue(), flushed=False)

    def _clips_of(self, partition: int) -> dict[str, Any]:
        chunks = list(self.layout.chunks(partition))
        return {"partition": partition, "first_clip": chunks[0][1], "clips": chunks[-1][2] - chunks[0][1]}

    def _sweep_features(self) -> None:
        """Remove what a kill left beside the chunks, all of which are there."""
        chunks = {chunk_name(i).removeprefix("features/") for i in range(self.layout.n_chunks)}
        files = list_files(self.path / "features")
        if missing := sorted(chunks - files):
            raise StoreError(f"{self.path} is damaged: features/{missing[0]} was written and is not there; give --overwrite to start anew")
        for name in files - chunks - {"zarr.json"}:
            (self.path / "features" / name).unlink()

    def _record(self, partition: int) -> dict[str, Any]:
        """What `commit` wrote, without the rows of the ledger."""
        with self._open_record(partition) as record:
            head: dict[str, Any] = json.loads(record.readline())
        return head | {"valid_frames": np.array(head["valid_frames"], np.int32)}

    def _ledger_of(self, partition: int) -> Iterator[bytes]:
        """The rows of the ledger that `commit` wrote, a part at a time, packed."""
        with self._open_record(partition) as record:
            yield from map(record.read, json.loads(record.readline())["parts"])

    def _open_record(self, partition: int) -> IO[bytes]:
        """What `commit` wrote, to be read a part at a time; what lies behind a URL comes in one request."""
        place = self._commit_path(partition)
        return place.open("rb") if isinstance(place, Path) else io.BytesIO(place.read_bytes())

    def _commit_path(self, partition: int) -> Place:
        return self._home / "commits" / f"{partition:06}.rows"


class _SharedWriter(StoreWriter):
    """The store of another process's writer: this process has no lock on it, and may be told late that the run is over."""

    @contextmanager
    def underway(self, partition: int) -> Iterator[bool]:
        """See `StoreWriter`. StoreError where the store was replaced meanwhile."""
        self._check_same()
        with super().underway(partition) as died:
            yield died

    @contextmanager
    def writing_chunk(self, start: int) -> Iterator[ChunkWriter]:
        """See `StoreWriter`. StoreError where the store was replaced meanwhile."""
        self._check_same()
        try:
            with super().writing_chunk(start) as chunk:
                yield chunk
                self._check_same()
        except StoreError:
            self._check_same()  # says more than that a file is not there
            raise

    def commit(self, partition: int, **record: Any) -> None:
        """See `StoreWriter`. StoreError where the store was replaced meanwhile."""
        self._check_same()
        super().commit(partition, **record)

    def _check_same(self) -> None:
        _check_there(self.path, self.layout, self._home)


def _reopen(path: Place, layout: Layout, home: Place) -> StoreWriter:
    """A writer in another process, for partitions of which it is the only one."""
    _check_there(path, layout, home)
    return _SharedWriter(path, layout, home=home)


def _check_there(path: Place, layout: Layout, home: Place) -> None:
    """StoreError where another store, or none, is at the place of the one that is written."""
    if not is_store(path) or not is_store(home) or Layout.read(home) != layout:
        raise StoreError(
            f"{path} on {socket.gethostname()} is not the store that is being written; "
            "put it where all workers see it under the same path, and go on with --resume"
        )


def write_valid_frames(path: Place, values: NDArray[np.int32]) -> None:
    """The array `valid_frames`, `(clips,)`, of the store at `path`."""
    if isinstance(path, StoreUrl):
        with tempfile.TemporaryDirectory() as folder:
            write_valid_frames(Path(folder), values)
            for name in list_files(Path(folder) / "valid_frames"):
                (path / "valid_frames" / name).upload(Path(folder) / "valid_frames" / name)
        return
    remove_tree(path / "valid_frames")
    write_numbers(path / "valid_frames", values, chunk=_VALID_FRAMES_CHUNK, dimension="clips")
    sync_tree(path / "valid_frames")


def read_ledger(path: Place) -> pl.DataFrame:
    """The ledger of the store at `path`; of an unfinished one, the rows of the partitions that are done.

    Raises:
        StoreError: there is no store, or it is damaged.
    """
    if is_finished(path) or not is_store(path):
        return open_store(path).ledger
    home = path / "update" if is_updating(path) else path
    return make_ledger(StoreWriter(path, Layout.read(home), home=home).rows_done())


def sweep_finished(path: Place) -> None:
    """Remove the commit records of a finished store, which say nothing that is not in the ledger."""
    remove_tree(path / "commits")
    if isinstance(path, StoreUrl):
        remove_tree(path / "update")  # what a kill left of one that had ended
        return
    for stray in path.glob(".*"):
        if stray.is_dir():
            shutil.rmtree(stray)
        else:
            stray.unlink()
