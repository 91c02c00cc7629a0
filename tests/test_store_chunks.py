"""Chunks that are written in parts: the bytes that Zarr would write, or nothing."""

import ctypes
import mmap
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import zarr

from fastspec import featurize, preset
from fastspec.corpus.manifest import table_of_paths
from fastspec.errors import StoreError
from fastspec.store import Layout, StoreWriter, open_store
from fastspec.store.chunks import PlainChunk
from fastspec.store.hashes import hash_chunk
from fastspec.store.place import list_files
from fastspec.store.reading import chunk_file

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


@pytest.mark.parametrize("place", ["zstd", "url"])
def test_chunks_of_clips_that_failed__are_written_by_any_number_of_workers(place, tmp_path):
    """Zarr writes no chunk that holds nothing but its fill value, unless it is told to; its own settings are for all threads at once."""
    for i in range(48):
        (tmp_path / "c" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "c" / "a" / f"{i:02}.wav").write_bytes(b"not audio")
    output = f"memory://chunks/{tmp_path.name}.zarr" if place == "url" else tmp_path / "s.zarr"
    recipe = preset("torchaudio", n_fft=512, win_length=400, hop_length=5, n_mels=128, log="db", clip_s=1.0)
    for _ in range(5):
        store = featurize(
            tmp_path / "c", output, recipe=recipe, workers=4, overwrite=True, compression="zstd" if place == "zstd" else "none"
        )
        assert zarr.config.get("array.write_empty_chunks") is False
        assert np.isnan(open_store(store.path).features[:]).all()


def test_chunk_that_is_a_link_to_nothing__is_missing(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 16000)
    store = featurize(tmp_path / "a.wav", tmp_path / "s.zarr", recipe=RECIPE)
    (chunk := chunk_file(store.path, 0)).unlink()
    chunk.symlink_to("elsewhere")
    with pytest.raises(StoreError, match="features/c/0/0/0 is missing"):
        open_store(store.path)


def test_unfinished_store_without_its_metadata__is_refused_before_anything_is_computed(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), 16000)
    store = featurize(tmp_path / "a.wav", tmp_path / "s.zarr", recipe=RECIPE)
    (store.path / "finished.json").unlink()
    (store.path / "features" / "zarr.json").unlink()
    with pytest.raises(StoreError, match=r"features/zarr.json is not what was written; give --overwrite to start anew"):
        featurize(tmp_path / "a.wav", tmp_path / "s.zarr", recipe=RECIPE, resume=True)


def test_chunk_that_is_given_too_few_clips__does_not_end(tmp_path):
    writer = new_writer(tmp_path / "s.zarr", "float32", "none")
    with pytest.raises(ValueError, match=r"a chunk of .* clips was given 3"):
        writer.write_chunk(0, np.zeros((3, *RECIPE.shape), np.float32))
    assert list_files(writer.path / "features") == {"zarr.json"}
