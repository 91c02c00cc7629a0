"""A store that is not whole is told, never read as if it were."""

import json
import shutil
import stat

import polars as pl
import pytest

from fastspec.corpus import read_corpus
from fastspec.errors import SpecError, StoreError
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.store import open_store

RECIPE = preset("torchaudio", n_mels=16, allow_empty_bands=False, clip_s=0.2)


@pytest.fixture
def store(write_tone, tmp_path):
    for i in range(4):
        write_tone(tmp_path / "c" / "ab"[i % 2] / f"{i}.wav", seconds=0.2, hz=300 + 100 * i)
    return featurize(read_corpus(tmp_path / "c"), tmp_path / "s.zarr", recipe=RECIPE).path


@pytest.mark.parametrize("name", ["features", "features/c", "features/c/0/0/0", "ledger.parquet"])
def test_missing_file__is_named(store, name):
    path = store / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(StoreError, match=r"is damaged.*make it again"):
        open_store(store)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"chunks": 3}', '{"chunks": []}'])
def test_broken_mark_of_the_end__is_damage(store, text):
    (store / "finished.json").write_text(text)
    with pytest.raises(StoreError, match="is damaged"):
        open_store(store)


def test_other_number_of_clips_in_the_header__is_damage(store):
    header = json.loads((store / "fastspec.json").read_text())
    (store / "fastspec.json").write_text(json.dumps(header | {"n_clips": 99}))
    with pytest.raises(StoreError, match="do not agree on how many clips"):
        open_store(store)


def test_ledger_with_fewer_rows__is_damage(store):
    ledger = pl.read_parquet(store / "ledger.parquet")
    ledger[:2].write_parquet(store / "ledger.parquet")
    with pytest.raises(StoreError, match="do not agree on how many clips"):
        open_store(store)


def test_every_file__may_be_read_by_whom_the_folder_may_be(store):
    modes = {stat.S_IMODE(path.stat().st_mode) for path in store.rglob("*") if path.is_file()}
    assert len(modes) == 1


def test_store_of_failed_clips_only__has_all_its_chunks(tmp_path):
    (tmp_path / "c" / "a").mkdir(parents=True)
    (tmp_path / "c" / "a" / "x.wav").write_bytes(b"not audio")
    path = featurize(read_corpus(tmp_path / "c"), tmp_path / "s.zarr", recipe=RECIPE).path
    assert (path / "valid_frames" / "c" / "0").is_file()
    assert (path / "features" / "c" / "0" / "0" / "0").is_file()


def test_output_below_a_file__is_one_line_and_leaves_nothing(tmp_path, write_tone):
    write_tone(tmp_path / "c" / "a" / "x.wav", seconds=0.2, hz=300)
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be created"):
        featurize(read_corpus(tmp_path / "c"), tmp_path / "file" / "s.zarr", recipe=RECIPE)
    (tmp_path / "link.zarr").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError):
        featurize(read_corpus(tmp_path / "c"), tmp_path / "link.zarr", recipe=RECIPE)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_clip_shorter_than_a_frame__is_refused():
    recipe = preset("torchaudio", center=False, clip_s=0.01)
    with pytest.raises(SpecError, match="160 samples, which hold no frame of 400; give a longer clip, or center True"):
        _ = recipe.shape
