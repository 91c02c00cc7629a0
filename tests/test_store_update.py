"""A store brought up to date equals, row by row, a fresh run over its rows; killed at any instant, it goes on."""

import shutil
import signal
import subprocess
import sys
import zipfile

import numpy as np
import polars as pl
import pytest
import soundfile
from stores import DYING
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.corpus import read_corpus
from fastspec.errors import StoreError
from fastspec.pipeline import featurize, repair, update
from fastspec.presets import preset
from fastspec.store import find_damage, open_store
from fastspec.store.reading import chunk_file

RECIPE = preset("torchaudio", n_fft=1024, win_length=400, hop_length=20, n_mels=128, log="db", clip_s=1.0)


def write_noise(path, seed, *, samples=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, samples or 8000 + 50 * seed).astype(np.float32)
    soundfile.write(path, noise, 16000)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A corpus of 70 recordings, three chunks, and its store."""
    root = tmp_path_factory.mktemp("first")
    for i in range(70):
        write_noise(root / "corpus" / "ab"[i % 2] / f"{i:03}.wav", i)
    featurize(root / "corpus", root / "s.zarr", recipe=RECIPE)
    return root


@pytest.fixture
def both(first, tmp_path):
    """The same, to be changed; times of files are kept."""
    shutil.copytree(first / "corpus", tmp_path / "corpus")
    shutil.copytree(first / "s.zarr", tmp_path / "s.zarr")
    return tmp_path / "corpus", tmp_path / "s.zarr"


def change(corpus):
    """Two recordings are new, two changed, two gone."""
    write_noise(corpus / "a" / "new.wav", 100)
    write_noise(corpus / "0" / "new.wav", 101)
    write_noise(corpus / "a" / "000.wav", 102)
    write_noise(corpus / "b" / "069.wav", 103)
    (corpus / "a" / "002.wav").unlink()
    (corpus / "b" / "003.wav").unlink()


def equals_a_fresh_run(store, corpus, tmp_path):
    """Features, valid frames and ledger are those of a run over the same rows in the same order."""
    manifest = read_corpus(corpus)
    order = store.ledger.select("path")
    label = pl.col("path").str.split("/").list.first()
    table = order.with_columns(
        label=label, group=pl.lit(None, pl.String), split=pl.lit(None, pl.String), start_s=0.0, duration_s=pl.lit(None, pl.Float64)
    )
    fresh = featurize(manifest.with_table(table), tmp_path / "fresh.zarr", recipe=RECIPE)
    np.testing.assert_array_equal(store.features[:], fresh.features[:])
    np.testing.assert_array_equal(store.valid_frames, fresh.valid_frames)
    removed = store.ledger["status"] == "removed"
    assert (fresh.ledger.filter(removed)["reason"] == "no such file").all()
    assert store.ledger.filter(~removed).equals(fresh.ledger.filter(~removed))
    assert find_damage(store.path) == []
    assert not list(store.path.glob(".*")) + list(store.path.glob("update"))


def test_update__rewrites_changed_clips_marks_removed_and_appends_new_ones(both, tmp_path):
    corpus, path = both
    old = open_store(path).ledger
    change(corpus)
    store = update(path, corpus)
    assert store.ledger["path"][: len(old)].to_list() == old["path"].to_list()
    assert store.ledger["path"][len(old) :].to_list() == ["0/new.wav", "a/new.wav"]
    assert store.ledger.filter(pl.col("status") == "removed")["path"].to_list() == ["a/002.wav", "b/003.wav"]
    assert (store.recipe, store.manifest_digest) == (RECIPE, read_corpus(corpus).digest())
    equals_a_fresh_run(store, corpus, tmp_path)
    resumed = featurize(corpus, path, recipe=RECIPE, resume=True)
    assert resumed.ledger.equals(store.ledger)


def test_update__computes_only_what_has_to_be(both):
    corpus, path = both
    write_noise(corpus / "a" / "new.wav", 100)
    write_noise(corpus / "b" / "001.wav", 101)
    seen = []
    update(path, corpus, workers=0, on_progress=seen.append)
    assert (seen[-1].clips, seen[-1].total) == (2, 2)


def test_update_without_a_change__touches_nothing(both):
    corpus, path = both
    update(path, corpus)  # keeps that the corpus lies in another folder now
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*")}
    update(path, corpus)
    assert {p: p.stat().st_mtime_ns for p in path.rglob("*")} == before


def test_recording_that_comes_back__gets_its_old_number(both, tmp_path):
    corpus, path = both
    shutil.move(corpus / "a" / "004.wav", tmp_path / "away.wav")
    store = update(path, corpus)
    clip = store.ledger.filter(path="a/004.wav").row(0, named=True)
    assert clip["status"] == "removed"
    assert np.isnan(store.features[clip["clip"]]).all()
    shutil.move(tmp_path / "away.wav", corpus / "a" / "004.wav")
    equals_a_fresh_run(update(path, corpus), corpus, tmp_path)


def test_labels__are_taken_over_without_computing(both):
    corpus, path = both
    seen = []
    store = update(path, read_corpus(corpus, label_from=r"\d\d(\d)\.wav"), on_progress=seen.append)
    assert store.labels[:3] == ["0", "2", "4"]
    assert not seen


def test_windows_of_a_recording_that_grew__are_appended_and_of_one_that_shrank_removed(tmp_path):
    corpus, recipe = tmp_path / "c", preset("torchaudio", clip_s=0.5, hop_s=0.5)
    write_noise(corpus / "a" / "grows.wav", 0, samples=16000)
    write_noise(corpus / "a" / "shrinks.wav", 1, samples=16000)
    path = featurize(corpus, tmp_path / "s.zarr", recipe=recipe).path
    write_noise(corpus / "a" / "grows.wav", 2, samples=24000)
    write_noise(corpus / "a" / "shrinks.wav", 3, samples=8000)
    store = update(path, corpus)
    fresh = featurize(corpus, tmp_path / "fresh.zarr", recipe=recipe)
    assert store.ledger["start_s"].to_list() == [0, 0.5, 0, 0.5, 1.0]
    assert store.ledger["status"].to_list() == ["ok", "ok", "ok", "removed", "ok"]
    np.testing.assert_array_equal(store.features[:][[0, 1, 4, 2]], fresh.features[:])


def test_members_of_a_zip__are_told_apart_by_their_checksum(both, tmp_path):
    def pack():
        with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
            for file in sorted(both[0].rglob("*.wav")):
                archive.write(file, file.relative_to(both[0]))

    pack()
    path = featurize(tmp_path / "c.zip", tmp_path / "z.zarr", recipe=RECIPE).path
    write_noise(both[0] / "a" / "000.wav", 102)
    pack()
    seen = []
    update(path, tmp_path / "c.zip", workers=0, on_progress=seen.append)
    assert (seen[-1].clips, seen[-1].total) == (1, 1)


def test_updated_store__can_be_repaired(both):
    corpus, path = both
    change(corpus)
    update(path, corpus)
    chunk_file(path, 0).unlink()
    (path / "ledger.parquet").write_bytes(b"damaged")
    with pytest.raises(StoreError):
        open_store(path)
    assert [found.file for found in repair(path, corpus)] == ["features/c/0/0/0", "ledger.parquet"]
    assert open_store(path).status_counts() == {"ok": 70, "removed": 2}


UPDATE = DYING + "update(store, corpus, workers=2)"

# While the plan is written; before chunks are flushed; before a commit; before ledger, timings, manifest, layout and hashes; at the end.
INSTANTS = [("write_atomically", 1), ("sync_together", 1), ("sync_together", 3), ("write_record", 1), ("write_record", 3)]
INSTANTS += [("write_atomically", n) for n in range(2, 6)] + [("consolidate", 1), ("remove_tree", 1), ("remove_tree", 2)]


@pytest.mark.parametrize("function, call", INSTANTS)
def test_killed_update__goes_on_to_the_same_store(both, tmp_path, function, call):
    corpus, path = both
    change(corpus)
    command = [sys.executable, "-c", UPDATE, function, str(call), str(corpus), str(path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    if (path / "update").exists():
        with pytest.raises(StoreError, match="is being brought up to date; go on with 'fastspec store update"):
            open_store(path)
        with pytest.raises(StoreError, match="is being brought up to date"):
            featurize(corpus, path, recipe=RECIPE, resume=True)
    equals_a_fresh_run(update(path, corpus), corpus, tmp_path)


def test_unfinished_store_and_other_versions__are_refused(both):
    corpus, path = both
    text = (path / "fastspec.json").read_text()
    (path / "fastspec.json").write_text(text.replace('"numpy": "', '"numpy": "0.'))
    with pytest.raises(StoreError, match=r"cannot be changed: numpy is 0\."):
        update(path, corpus)
    (path / "fastspec.json").write_text(text)
    (path / "finished.json").unlink()
    with pytest.raises(StoreError, match="is not finished"):
        update(path, corpus)


def test_command__says_what_it_did(both):
    corpus, path = both
    change(corpus)
    result = CliRunner().invoke(app, ["store", "update", str(path), str(corpus)])
    assert result.exit_code == 0
    assert "72 clips: 70 ok, 2 removed; 2 new" in result.output
