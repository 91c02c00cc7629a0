"""Chunks that are written in parts: the bytes that Zarr would write, or nothing."""

import ctypes
import mmap
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from fastspec import preset
from fastspec.corpus.manifest import table_of_paths
from fastspec.errors import StoreError
from fastspec.store import Layout, StoreWriter
from fastspec.store.chunks import PlainChunk
from fastspec.store.hashes import hash_chunk
from fastspec.store.place import list_files

RECIPE = preset("torchaudio", log="db", clip_s=5.0)


def new_writer(path, dtype, compression):
    layout = Layout(recipe=RECIPE, manifest_digest="", n_clips=0, versions={}, dtype=dtype, compression=compression)
    layout = Layout(**{**vars(layout), "n_clips": layout.chunk_clips + 5})
    return StoreWriter.create(path, layout, manifest=table_of_paths([], []))


def parts_of(features, sizes):
    ends = np.cumsum(sizes)
    return np.split(features, ends[ends < len(features)])


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_chunk_in_parts__is_what_zarr_writes_at_once(dtype, compression, tmp_path):
    writer = new_writer(tmp_path / "s.zarr", dtype, compression)
    features = np.random.default_rng(3).normal(size=writer.layout.shape).astype(dtype)
    features[3] = np.nan
    for start in (0, writer.layout.chunk_clips):
        own = features[start : start + writer.layout.chunk_clips]
        with writer.writing_chunk(start) as chunk:
            for part in parts_of(own, [1, 32, 32, 7]):
                room = part.copy()
                chunk.add(room)
                room[:] = 0  # as whoever gives it may
        assert chunk.digest == hash_chunk(own)
    written = {name: (writer.path / "features" / name).read_bytes() for name in list_files(writer.path / "features")}
    assert len(written) == 3
    for name in written.keys() - {"zarr.json"}:
        (writer.path / "features" / name).unlink()
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.open_array(writer.path / "features", mode="r+")[:] = features
    assert written == {name: (writer.path / "features" / name).read_bytes() for name in list_files(writer.path / "features")}


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_chunk_that_is_not_finished__is_not_there(compression, tmp_path):
    writer = new_writer(tmp_path / "s.zarr", "float32", compression)

    def stop_in_the_middle():
        with writer.writing_chunk(0) as chunk:
            chunk.add(np.zeros((3, *RECIPE.shape), np.float32))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        stop_in_the_middle()
    assert list_files(writer.path / "features") == {"zarr.json"}


def test_chunk_that_cannot_be_written__says_how_to_go_on_and_leaves_nothing(tmp_path, monkeypatch):
    writer = new_writer(tmp_path / "s.zarr", "float32", "none")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PlainChunk, "_write", refuse)
    with pytest.raises(StoreError, match="cannot be written: No space left on device; what is done is kept, go on with --resume"):
        writer.write_chunk(0, np.zeros((3, *RECIPE.shape), np.float32))
    assert list_files(writer.path / "features") == {"zarr.json"}


@pytest.mark.skipif(sys.platform != "linux", reason="pages in memory are counted by a call of Linux")
def test_written_chunk__is_still_in_memory(tmp_path):
    """What is told to the system about each part must not make the next reader wait for the disk."""
    writer = new_writer(tmp_path / "s.zarr", "float32", "none")
    writer.write_chunk(0, np.ones((writer.layout.chunk_clips, *RECIPE.shape), np.float32))
    file = Path(writer.path) / "features" / "c" / "0" / "0" / "0"
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        resident = resident_pages(mapped)
    assert resident.mean() > 0.9  # the system may need some of it


def resident_pages(mapped):
    pages = -(-len(mapped) // 4096)
    table = np.zeros(pages, np.uint8)
    view = np.frombuffer(mapped, np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    answer = libc.mincore(ctypes.c_void_p(view.ctypes.data), ctypes.c_size_t(len(mapped)), ctypes.c_void_p(table.ctypes.data))
    del view
    assert answer == 0, os.strerror(ctypes.get_errno())
    return table & 1
