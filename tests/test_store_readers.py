"""Stores as other programs read them: xarray, dask, torch, NumPy and Parquet; lazy arrays; compressed chunks."""

import pickle

import dask.array
import numpy as np
import polars as pl
import pytest
import xarray
from stores import RECIPE, promised_bytes, write_recordings
from typer.testing import CliRunner

import fastspec
from fastspec.cli.app import app
from fastspec.errors import CorpusError, SpecError, StoreError
from fastspec.pipeline import featurize, repair, update
from fastspec.store import export, find_damage, open_store
from fastspec.store.reading import chunk_file, chunk_hashes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    return featurize(folder, tmp_path_factory.mktemp("store") / "s.zarr", recipe=RECIPE)


@pytest.fixture(scope="module")
def compressed(folder, tmp_path_factory):
    return featurize(folder, tmp_path_factory.mktemp("store") / "z.zarr", recipe=RECIPE, compression="zstd")


# --- without fastspec --------------------------------------------------------------------------------------------------------------


def test_xarray__opens_a_store_with_named_axes(store, compressed):
    for each in (store, compressed):
        with xarray.open_zarr(each.path) as dataset:
            assert dataset["features"].dims == ("clips", "frames", "bands")
            np.testing.assert_array_equal(dataset["features"][30:40], store.features[30:40])
            np.testing.assert_array_equal(dataset["valid_frames"], store.valid_frames)


def test_dask__opens_a_store(store):
    array = dask.array.from_zarr(str(store.path), component="features")
    np.testing.assert_array_equal(array[30:40].compute(scheduler="synchronous"), store.features[30:40])


# --- lazy arrays -------------------------------------------------------------------------------------------------------------------


def test_feature_array_of_a_store__is_its_features_by_chunk(store):
    for source in (store, str(store.path)):
        lazy = fastspec.feature_array(source)
        assert (lazy.shape, lazy.dtype, lazy.chunks[0]) == (store.features.shape, np.float32, (32, 32, 7))
        np.testing.assert_array_equal(lazy[60:].compute(), store.features[60:])


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_feature_array_of_a_corpus__computes_what_a_run_would_write(store, folder, scheduler):
    lazy = fastspec.feature_array(fastspec.read_corpus(folder), recipe=RECIPE)
    assert lazy.shape == store.features.shape
    np.testing.assert_array_equal(lazy.compute(scheduler=scheduler), store.features[:])


def test_feature_array__decodes_nothing_until_it_is_asked(folder, monkeypatch):
    import fastspec.pipeline.lazy as room

    def decode(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr(room, "load_columns", decode)
    lazy = fastspec.feature_array(folder, recipe=RECIPE)
    with pytest.raises(AssertionError, match="decoded"):
        lazy[0].compute(scheduler="synchronous")


def test_feature_array__refuses_what_has_no_shape(store, folder, tmp_path):
    for recipe in (None, "librosa"):
        with pytest.raises(SpecError, match="need a recipe with a clip length"):
            fastspec.feature_array(folder, recipe=recipe)
    with pytest.raises(SpecError, match="is a store, which has its recipe"):
        fastspec.feature_array(store, recipe=RECIPE)
    with pytest.raises(CorpusError, match="does not exist"):
        fastspec.feature_array(tmp_path / "nothing", recipe=RECIPE)


# --- torch -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["store", "compressed"])
def test_torch_dataset__gives_the_clips_that_are_ok_through_parallel_readers(which, store, request):
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed")
    dataset = request.getfixturevalue(which).torch_dataset()
    assert (len(dataset), dataset.classes) == (70, ["a", "b"])
    loader = data.DataLoader(dataset, batch_size=16, num_workers=2, multiprocessing_context="spawn")
    batches = list(loader)
    np.testing.assert_array_equal(np.concatenate([features for features, _ in batches]), store.features[:][dataset.clips])
    assert [dataset.classes[target] for _, targets in batches for target in targets] == [store.labels[i] for i in dataset.clips]


def test_torch_dataset_without_labels__is_features_alone(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    samples = [("x", np.ones(16000, np.float32), 16000, None)]
    dataset = featurize(samples, tmp_path / "s.zarr", recipe=RECIPE).torch_dataset()
    assert dataset[0].shape == RECIPE.shape


def test_torch_dataset_without_torch__names_the_extra(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(StoreError, match=r"pip install .*\[torch\]'"):
        store.torch_dataset()


def test_store__pickles_by_its_path(store):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).features[5], store.features[5])  # noqa: S301


# --- export ------------------------------------------------------------------------------------------------------------------------


def test_export_to_npy__is_the_array(store, tmp_path):
    np.testing.assert_array_equal(np.load(export(store, tmp_path / "x.npy")), store.features[:])


def test_export_to_parquet__is_the_ledger_with_features(store, tmp_path):
    table = pl.read_parquet(export(store, tmp_path / "x.parquet"))
    assert table.drop("valid_frames", "features").equals(store.ledger)
    assert table["valid_frames"].to_list() == store.valid_frames.tolist()
    np.testing.assert_array_equal(table["features"].to_numpy(), store.features[:])


def test_export__refuses_what_exists_and_formats_that_it_has_not(store, tmp_path):
    (tmp_path / "x.npy").touch()
    with pytest.raises(StoreError, match="exists; choose another name"):
        export(store, tmp_path / "x.npy")
    with pytest.raises(StoreError, match="known are: npy, parquet"):
        export(store, tmp_path / "x.csv")
    with pytest.raises(StoreError, match="cannot be written: No such file or directory"):
        export(store, tmp_path / "nowhere" / "x.npy")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npy"]


def test_export_command__writes_by_format_or_ending(store, tmp_path):
    result = CliRunner().invoke(app, ["store", "export", str(store.path), "-o", str(tmp_path / "features"), "--format", "npy"])
    assert result.exit_code == 0, result.output
    assert np.load(tmp_path / "features").shape == store.features.shape


# --- compression -------------------------------------------------------------------------------------------------------------------


def test_compressed_store__has_the_hashes_of_a_plain_one_and_smaller_chunks(store, compressed):
    assert chunk_hashes(compressed.path) == chunk_hashes(store.path)
    for chunk in range(3):
        assert chunk_file(compressed.path, chunk).stat().st_size < chunk_file(store.path, chunk).stat().st_size


def test_compressed_store__has_the_same_bytes_for_any_workers_and_after_an_interruption(compressed, folder, tmp_path):
    path = tmp_path / "s.zarr"

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(folder, path, recipe=RECIPE, compression="zstd", on_progress=stop)
    with pytest.raises(StoreError, match="compression is zstd there and none here"):
        featurize(folder, path, recipe=RECIPE, resume=True)
    featurize(folder, path, recipe=RECIPE, compression="zstd", resume=True, workers=3)
    assert promised_bytes(path) == promised_bytes(compressed.path)
    chunk_file(path, 1).write_bytes(b"no zstd at all")
    assert [found.chunk for found in repair(path)] == [1]
    assert promised_bytes(path) == promised_bytes(compressed.path)
    assert len(update(path, folder)) == 71
    assert find_damage(path) == []


def test_unknown_compression__is_refused(folder, tmp_path):
    with pytest.raises(StoreError, match="the compression 'gzip' is unknown; known are: none, zstd"):
        featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, compression="gzip")
    with pytest.raises(StoreError):
        open_store(tmp_path / "s.zarr")
