"""Whole runs over windows: the same bytes however they are scheduled or stopped, each recording decoded as seldom as can be."""

import dataclasses
import signal
import subprocess
import sys
import threading

import numpy as np
import polars as pl
import pytest
import soundfile
from stores import promised_bytes

from fastspec.corpus import read_corpus
from fastspec.pipeline import cutting, featurize, stream_features
from fastspec.presets import preset
from fastspec.store import Layout

RATE = 8000
SPEC = preset("torchaudio", sample_rate=RATE, n_fft=256, win_length=256, hop_length=4, n_mels=80, log="db")
WINDOWS = SPEC.replace(clip_s=0.5, hop_s=0.2, last="shift")


def noise(frames, channels=1, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Long and short recordings of several kinds, some broken: about 190 windows in three chunks."""
    root = tmp_path_factory.mktemp("corpus")
    (root / "a").mkdir()
    for i, name in enumerate(["a.wav", "b.flac", "c.mp3", "d.ogg"]):
        soundfile.write(root / "a" / name, noise((3 + 5 * i) * RATE, 2, seed=i), RATE)
    soundfile.write(root / "a" / "short.wav", noise(100), RATE)
    (root / "a" / "broken.flac").write_bytes(b"fLaC and nothing more")
    return root


@pytest.fixture(scope="module")
def windowed(recordings, tmp_path_factory):
    return featurize(read_corpus(recordings), tmp_path_factory.mktemp("store") / "s.zarr", recipe=WINDOWS, workers=1)


def test_windows__are_rows_of_the_manifest_in_the_store(windowed, recordings):
    rows = pl.read_parquet(windowed.path / "manifest.parquet")
    assert rows["path"].to_list() == windowed.ledger["path"].to_list()
    assert rows["start_s"].to_list() == windowed.ledger["start_s"].to_list()
    assert Layout.read(windowed.path).n_chunks >= 3
    assert Layout.read(windowed.path).manifest_digest == read_corpus(recordings).digest()
    assert (windowed.ledger["group"] == windowed.ledger["path"]).all()
    assert windowed.status_counts().keys() == {"ok", "unreadable"}


@pytest.mark.parametrize("workers", [0, 3])
def test_windowed_store__has_the_same_bytes_for_any_workers(windowed, recordings, tmp_path, workers):
    other = featurize(read_corpus(recordings), tmp_path / "s.zarr", recipe=WINDOWS, workers=workers)
    assert promised_bytes(other.path) == promised_bytes(windowed.path)


def test_stream__gives_the_windows_of_the_store(windowed, recordings):
    batches = list(stream_features(read_corpus(recordings), WINDOWS))
    np.testing.assert_array_equal(np.concatenate([batch.features for batch in batches]), windowed.features[:])
    assert [row["start_s"] for batch in batches for row in batch.rows] == windowed.ledger["start_s"].to_list()


def test_long_recording__is_decoded_once_however_many_batches_it_fills(recordings, monkeypatch):
    from fastspec.audio import group
    from fastspec.pipeline import map_features, run

    opened = []
    original = group.load_clips
    monkeypatch.setattr(group, "load_clips", lambda source, spans, **rest: opened.append(source) or original(source, spans, **rest))
    monkeypatch.setattr(run, "STREAM_CLIPS", 3)
    manifest = read_corpus(recordings)
    batches = list(map_features(manifest, WINDOWS, lambda batch: [row["start_s"] for row in batch.rows], workers=0))
    assert len(opened) == len(set(opened)) >= len(manifest) - 1  # one has a single clip, and is decoded in a group
    assert max(map(len, batches)) == 3
    assert len(batches) > len(manifest)
    (whole,) = {tuple(row["start_s"] for batch in stream_features(manifest, WINDOWS) for row in batch.rows)}
    assert tuple(start_s for batch in batches for start_s in batch) == whole


CHILD = """
import os, signal, sys
from fastspec.store.chunks import ChunkWriter
from fastspec.corpus import read_corpus
from fastspec.pipeline import featurize
from fastspec.spec import Recipe
corpus, output, recipe, call = sys.argv[1:]
original, calls = ChunkWriter.end, []
def die_at_the_call(*args):
    calls.append(1)
    if len(calls) == int(call):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
ChunkWriter.end = die_at_the_call
featurize(read_corpus(corpus), output, recipe=Recipe.from_json(recipe), workers=2)
"""


@pytest.mark.parametrize("call", [2, 4])
def test_killed_run__resumes_to_the_same_bytes_and_measures_nothing_again(windowed, recordings, tmp_path, monkeypatch, call):
    output = tmp_path / "s.zarr"
    command = [sys.executable, "-c", CHILD, str(recordings), str(output), WINDOWS.to_json(), str(call)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL

    def measure_again(*_, **__):
        raise AssertionError("a recording is measured a second time")

    monkeypatch.setattr(cutting, "measure_extent", measure_again)
    resumed = featurize(read_corpus(recordings), output, recipe=WINDOWS, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(windowed.path)


def test_interrupted_while_measuring__leaves_nothing_and_no_worker(recordings, tmp_path):
    stages = []

    def interrupt(progress):
        stages.append((progress.stage, progress.total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(read_corpus(recordings), tmp_path / "s.zarr", recipe=WINDOWS, on_progress=interrupt)
    assert stages[0] == ("lengths", 6)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("fastspec")]
    assert not (tmp_path / "s.zarr").exists()


def test_progress__counts_recordings_first_and_then_windows(recordings, tmp_path):
    seen = []
    store = featurize(read_corpus(recordings), tmp_path / "s.zarr", recipe=WINDOWS, workers=1, on_progress=seen.append)
    lengths, features = ([p for p in seen if p.stage == stage] for stage in ("lengths", "features"))
    assert [p.clips for p in lengths] == [1, 2, 3, 4, 5, 6]
    assert features[-1].clips == features[-1].total == len(store)
    assert seen == lengths + features


def test_long_recording__is_decoded_once_to_be_measured_and_twice_at_most(recordings, tmp_path, monkeypatch):
    mp3 = recordings / "a" / "c.mp3"
    blocks = -(-len(soundfile.read(mp3)[0]) // 65_536)
    decoded = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda self, out: (decoded.append(self.name), read(self, out=out))[1])
    monkeypatch.setattr(Layout, "chunk_clips", 8)
    store = featurize(read_corpus(recordings), tmp_path / "one.zarr", recipe=WINDOWS.replace(hop_length=16), workers=0)
    assert (store.ledger["path"] == "a/c.mp3").sum() > 3 * 8
    assert decoded.count(bytes(mp3)) <= (blocks + 1) + 2 * blocks  # only who measures asks for what follows the end


def test_partitions_in_the_middle_of_a_long_recording__are_joined(monkeypatch):
    monkeypatch.setattr(Layout, "chunk_clips", 4)
    layout = Layout(recipe=WINDOWS, manifest_digest="", n_clips=30, versions={})
    paths = [*"aab", *"c" * 18, *"defghijkl"]
    assert layout.n_partitions == 8
    assert layout.find_joined(paths) == (2, 3, 4, 5)
    joined = dataclasses.replace(layout, joined=layout.find_joined(paths))
    assert [[chunk for chunk, _, _ in joined.chunks(p)] for p in range(joined.n_partitions)] == [[0], [1, 2, 3, 4, 5], [6], [7]]
    assert Layout(recipe=WINDOWS, manifest_digest="", n_clips=30, versions={}).find_joined(["a"] * 30) == (1, 2, 3, 4, 5, 6, 7)
    assert layout.find_joined([str(clip // 3) for clip in range(30)]) == ()
