"""Runs over real files: the same bytes however they are scheduled, and one bad file costs one row."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import weakref
import zipfile

import numpy as np
import polars as pl
import pytest
import soundfile
import zarr
from polars.testing import assert_frame_equal
from signals import write_noise
from stores import DYING, promised_bytes

from fastspec.audio import batch
from fastspec.audio.group import Group
from fastspec.corpus import read_corpus
from fastspec.errors import FastspecError, StoreError
from fastspec.frontend import FrontEnd
from fastspec.pipeline import featurize, stream_features
from fastspec.presets import preset
from fastspec.store import Layout, open_store, writing
from fastspec.store.hashes import hash_chunk
from fastspec.store.reading import chunk_hashes

# Three chunks of a small corpus need clips whose features are large: many bands, a short hop.
RECIPE = preset("torchaudio", n_fft=1024, win_length=400, hop_length=20, n_mels=128, log="db", clip_s=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """90 recordings in two classes: several rates and lengths, some of them broken."""
    root = tmp_path_factory.mktemp("corpus")
    for i in range(90):
        label = "ab"[i % 2]
        rate = (16000, 16000, 16000, 22050)[i % 4]
        write_noise(root / label / f"{i:03}.wav", seconds=0.3 + (i % 7) * 0.2, sample_rate=rate, seed=i)
    (root / "a" / "broken.wav").write_bytes(b"RIFF and nothing that follows")
    (root / "a" / "empty.wav").write_bytes(b"")
    soundfile.write(root / "b" / "no_samples.wav", np.zeros(0, np.float32), 16000)
    soundfile.write(root / "b" / "silent.wav", np.zeros(8000, np.float32), 16000)
    broken = np.zeros(16000, np.float32)
    broken[8000] = np.nan
    soundfile.write(root / "b" / "nan.wav", broken, 16000, subtype="FLOAT")
    return root


@pytest.fixture(scope="module")
def manifest(folder):
    return read_corpus(folder)


@pytest.fixture(scope="module")
def store(manifest, tmp_path_factory):
    return featurize(manifest, tmp_path_factory.mktemp("store") / "whole.zarr", recipe=RECIPE, workers=1)


def ledger_row(store, path):
    return store.ledger.filter(pl.col("path") == path).row(0, named=True)


def test_features__are_those_of_the_front_end(store, folder):
    row = ledger_row(store, "a/004.wav")
    samples, _ = soundfile.read(folder / "a" / "004.wav", dtype="float32")
    padded = np.zeros(16000, np.float32)
    padded[: min(16000, len(samples))] = samples[:16000]
    np.testing.assert_array_equal(store.features[row["clip"]], FrontEnd(RECIPE)(padded))


def test_store__is_whole_chunks_of_8_to_16_mib(store):
    layout = Layout.read(store.path)
    assert layout.n_chunks >= 3
    assert 8 << 20 <= layout.chunk_clips * layout.clip_bytes <= 16 << 20
    sizes = {p.stat().st_size for p in (store.path / "features" / "c").rglob("*") if p.is_file()}
    assert sizes == {layout.chunk_clips * layout.clip_bytes}


def test_store__opens_without_fastspec(store):
    group = zarr.open_group(store.path, mode="r")
    assert group["features"].metadata.dimension_names == ("clips", "frames", "bands")
    assert group["features"].shape == (len(store), *RECIPE.shape)
    assert group["valid_frames"].shape == (len(store),)


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("memory_mib", [70, 1024])
def test_store__has_the_same_bytes_for_any_workers_and_memory(store, manifest, tmp_path, workers, memory_mib):
    other = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, workers=workers, memory_bytes=memory_mib << 20)
    assert promised_bytes(other.path) == promised_bytes(store.path)


def test_store__has_the_same_features_from_a_zip(store, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for path in folder.rglob("*.wav"):
            archive.write(path, path.relative_to(folder))
    other = featurize(read_corpus(tmp_path / "corpus.zip"), tmp_path / "s.zarr", recipe=RECIPE)
    assert chunk_hashes(other.path) == chunk_hashes(store.path)


def test_bad_recordings__cost_a_row_each(store):
    statuses = dict(zip(store.ledger["path"], store.ledger["status"], strict=True))
    assert statuses["a/broken.wav"] == "unreadable"
    assert statuses["a/empty.wav"] in ("unreadable", "empty")
    assert statuses["b/no_samples.wav"] == "empty"
    assert statuses["b/silent.wav"] == "silent"
    assert sum(status == "ok" for status in statuses.values()) == 91
    for clip, status in enumerate(store.ledger["status"]):
        all_nan = np.isnan(store.features[clip]).all()
        assert all_nan == (status in ("unreadable", "empty"))
        assert (store.valid_frames[clip] == 0) == all_nan


def test_nan_samples__are_counted_and_confined_to_their_frames(store):
    row = ledger_row(store, "b/nan.wav")
    assert (row["status"], row["nonfinite"]) == ("ok", 1)
    nan_frames = np.isnan(store.features[row["clip"]]).all(axis=1)
    assert nan_frames.sum() == 400 / 20
    assert not np.isnan(store.features[row["clip"]][~nan_frames]).any()


def test_ledger__names_the_first_of_equal_clips(tmp_path):
    for name in ("x/one.wav", "x/two.wav", "y/three.wav"):
        write_noise(tmp_path / "c" / name, seed=5)
    write_noise(tmp_path / "c" / "y" / "four.wav", seed=6)
    store = featurize(read_corpus(tmp_path / "c"), tmp_path / "s.zarr", recipe=RECIPE)
    assert dict(zip(store.ledger["path"], store.ledger["duplicate_of"], strict=True)) == {
        "x/one.wav": None, "x/two.wav": 0, "y/four.wav": None, "y/three.wav": 0,
    }  # fmt: skip


def test_chunk_hashes__are_those_of_the_values(store):
    layout = Layout.read(store.path)
    starts = range(0, len(store), layout.chunk_clips)
    assert chunk_hashes(store.path) == [hash_chunk(store.features[s : s + layout.chunk_clips]) for s in starts]


def test_csv_clips__are_exact_stretches_of_their_recording(tmp_path):
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 48000).astype(np.float32)
    soundfile.write(tmp_path / "long.flac", noise, 16000)
    (tmp_path / "t.csv").write_text("path,label,start_s,duration_s\nlong.flac,a,0.5,0.25\nlong.flac,b,2.5,\nlong.flac,b,9,\n")
    store = featurize(read_corpus(tmp_path / "t.csv"), tmp_path / "s.zarr", recipe=RECIPE)
    samples, _ = soundfile.read(tmp_path / "long.flac", dtype="float32")
    for clip, (start, stop) in enumerate([(8000, 12000), (40000, 48000)]):
        padded = np.zeros(16000, np.float32)
        padded[: stop - start] = samples[start:stop]
        np.testing.assert_array_equal(store.features[clip], FrontEnd(RECIPE)(padded))
        assert store.valid_frames[clip] == RECIPE.spec.n_frames(stop - start)
    assert store.ledger["status"].to_list() == ["ok", "ok", "empty"]
    assert "starts at 9 s" in store.ledger["reason"][2]


def test_stream__gives_the_rows_of_the_store(store, manifest):
    batches = list(stream_features(manifest, RECIPE, workers=2))
    np.testing.assert_array_equal(np.concatenate([b.features for b in batches]), store.features[:])
    np.testing.assert_array_equal(np.concatenate([b.valid_frames for b in batches]), store.valid_frames)
    assert [row["path"] for batch in batches for row in batch.rows] == store.ledger["path"].to_list()


# --- stopping and going on ---------------------------------------------------------------------------------------------------------

FEATURIZE = f"""{DYING}
from fastspec.corpus import read_corpus
from fastspec.spec import Recipe
featurize(read_corpus(corpus), store, recipe=Recipe.from_json(*rest), workers=2)
"""

# While the store is drafted; before the chunks of the first partition are flushed and of the last; before the first commit and the last;
# before the ledger, what comes after it and the mark that all is done; while old valid frames are removed; while commit records are.
INSTANTS = [("sync_tree", 1), ("sync_together", 1), ("sync_together", 3), ("write_record", 1), ("write_record", 3), ("write_ledger", 1)]
INSTANTS += [("consolidate", 1), ("write_atomically", 1), ("write_atomically", 2), ("remove_tree", 1), ("remove_tree", 2)]


@pytest.mark.parametrize("function, call", INSTANTS)
def test_killed_run__resumed_gives_the_same_bytes(store, folder, manifest, tmp_path, function, call):
    output = tmp_path / "s.zarr"
    command = [sys.executable, "-c", FEATURIZE, function, str(call), str(folder), str(output), RECIPE.to_json()]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    if not (output / "finished.json").exists():
        with pytest.raises(StoreError):
            open_store(output)
    resumed = featurize(manifest, output, recipe=RECIPE, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(store.path)


def test_files_left_by_a_kill__are_swept(store, manifest, tmp_path):
    path = unfinished(manifest, tmp_path / "s.zarr")
    (path / "features" / "0.1234.partial").write_bytes(b"left by a kill")
    (path / ".ledger.parquet-1234").write_bytes(b"left by a kill")
    resumed = featurize(manifest, path, recipe=RECIPE, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(store.path)


def test_commit_records_of_another_build__are_computed_again(store, manifest, tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise OSError("full")

    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_ledger", fail)
        with pytest.raises(StoreError, match="full"):
            featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE)
    records = sorted((tmp_path / "s.zarr" / "commits").iterdir())
    assert records
    for record in records:
        record.rename(record.with_suffix(".record"))
    resumed = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(store.path)


@pytest.mark.parametrize("starts_s", [[0.0], [0.0, 0.5, 1.0]])
def test_what_decodes__is_gone_when_a_partition_is_committed(tmp_path, write_tone, monkeypatch, starts_s):
    decoders, gone = [], []

    class Watched(Group):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            decoders.append(weakref.ref(self))

    def watched_commit(*args, **options):
        gone.extend(decoder() is None for decoder in decoders)
        commit(*args, **options)

    commit = writing.StoreWriter.commit
    monkeypatch.setattr(batch, "Group", Watched)
    monkeypatch.setattr(writing.StoreWriter, "commit", watched_commit)
    write_tone(tmp_path / "tone.wav", seconds=2.0)
    rows = "".join(f"tone.wav,a,{start_s}\n" for start_s in starts_s)
    (tmp_path / "t.csv").write_text(f"path,label,start_s\n{rows}")
    featurize(tmp_path / "t.csv", tmp_path / "s.zarr", recipe=RECIPE, workers=0)
    assert gone
    assert all(gone)


def test_interrupted_run__stops_its_workers_and_resumes(store, manifest, tmp_path):
    output, seen = tmp_path / "s.zarr", []

    def interrupt(progress):
        seen.append(progress)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(manifest, output, recipe=RECIPE, workers=2, on_progress=interrupt)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("fastspec")]
    resumed = featurize(manifest, output, recipe=RECIPE, resume=True)
    assert_frame_equal(resumed.ledger, store.ledger)
    assert promised_bytes(resumed.path) == promised_bytes(store.path)


def test_finished_store__resumed_is_left_alone(store, manifest, tmp_path):
    copy = tmp_path / "s.zarr"
    shutil.copytree(store.path, copy)
    (copy / "commits").mkdir()
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file()}
    featurize(manifest, copy, recipe=RECIPE, resume=True)
    assert {p: p.stat().st_mtime_ns for p in copy.rglob("*") if p.is_file()} == before
    assert not (copy / "commits").exists()


def test_output_that_exists__is_refused(store, manifest, tmp_path):
    with pytest.raises(StoreError, match=r"finished; give overwrite=True"):
        featurize(manifest, store.path, recipe=RECIPE)
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.png").write_bytes(b"precious")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(StoreError, match="not a feature store"):
            featurize(manifest, other, recipe=RECIPE, **options)
    assert (other / "cat.png").read_bytes() == b"precious"


def unfinished(manifest, path):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(manifest, path, recipe=RECIPE, workers=0, on_progress=stop)
    return path


def test_unfinished_output__names_resume_and_how_much_is_done(manifest, tmp_path):
    path = unfinished(manifest, tmp_path / "s.zarr")
    with pytest.raises(StoreError, match=rf"0 of {len(manifest)} clips are done; give resume=True"):
        featurize(manifest, path, recipe=RECIPE)


def test_resume_with_another_recipe_or_manifest__says_what_differs(manifest, folder, tmp_path):
    path = unfinished(manifest, tmp_path / "s.zarr")
    other = RECIPE.replace(n_mels=64)
    digests = f"digest {RECIPE.digest()[:12]}, here it has {other.digest()[:12]}: n_mels is 128 there and 64 here"
    with pytest.raises(StoreError, match=digests):
        featurize(manifest, path, recipe=other, resume=True)
    fewer = read_corpus(folder / "a")
    with pytest.raises(StoreError, match=f"the digest {manifest.digest()[:12]} and gave {len(manifest)} clips"):
        featurize(fewer, path, recipe=RECIPE, resume=True)
    relabelled = manifest.with_table(manifest.table.with_columns(label=pl.lit("c")))
    with pytest.raises(StoreError, match=r"a/000\.wav has the label a there and c here, a/002"):
        featurize(relabelled, path, recipe=RECIPE, resume=True)
    without_one = manifest.with_table(manifest.table[1:])
    with pytest.raises(StoreError, match=r"1 recording is only there \(a/000\.wav\); give the same again"):
        featurize(without_one, path, recipe=RECIPE, resume=True)
    backwards = manifest.with_table(manifest.table.reverse())
    with pytest.raises(StoreError, match="the same recordings are in another order"):
        featurize(backwards, path, recipe=RECIPE, resume=True)


def test_overwrite__replaces_the_store(store, manifest, tmp_path):
    path = tmp_path / "s.zarr"
    shutil.copytree(store.path, path)
    other = featurize(manifest, path, recipe=RECIPE.replace(n_mels=20, hop_length=200), overwrite=True)
    assert other.features.shape[2] == 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.zarr"]


def test_too_little_memory__states_both_numbers(manifest, tmp_path):
    with pytest.raises(FastspecError, match=r"1 MiB and one worker needs \d+ MiB"):
        featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, memory_bytes=1 << 20)
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_output_that_cannot_be_written__is_one_line(manifest, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="cannot be created"):
        featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE)
