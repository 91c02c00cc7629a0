"""`featurize --plan`: what a run would write and take, without anything being written."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fastspec import featurize, preset, read_corpus
from fastspec.cli.app import app
from fastspec.corpus import Manifest
from fastspec.corpus.manifest import table_of_paths
from fastspec.errors import FastspecError
from fastspec.pipeline import forecast, plan_run, planning
from fastspec.pipeline.compute import worker_bytes
from fastspec.store.reading import chunk_file


@pytest.fixture
def folder(write_tone, tmp_path):
    """Six recordings of two classes."""
    for i in range(6):
        write_tone(tmp_path / "c" / "ab"[i % 2] / f"{i}.wav", seconds=1 + i / 2, hz=300 + i)
    return tmp_path / "c"


def plan_json(*arguments):
    result = CliRunner().invoke(app, ["featurize", *map(str, arguments), "--plan", "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.output)["rows"]
    return row


def chunk_sizes(store, n_chunks):
    return [chunk_file(store.path, chunk).stat().st_size for chunk in range(n_chunks)]


def check_against_a_run(row, corpus, output, recipe, **options):
    """That what was planned is what a run makes."""
    store = featurize(corpus, output, recipe=recipe, **options)
    assert (row["shape"], row["dtype"]) == (list(store.features.shape), store.dtype)
    assert row["bytes"] == sum(chunk_sizes(store, row["chunks"]))
    assert not chunk_file(store.path, row["chunks"]).exists()
    assert row["partitions"] == len(store.timings)
    assert row["partition_clips"] == store.timings["clips"].max()
    assert row["recordings"] == store.ledger["path"].n_unique()
    assert row["digest"] == store.recipe.digest()


@pytest.mark.parametrize("flags, changes", [(["--clip", "0.5"], {"clip_s": 0.5}), (["--window", "0.5"], {"clip_s": 0.5, "hop_s": 0.5})])
def test_plan__is_what_a_run_then_makes_and_writes_nothing(folder, tmp_path, flags, changes):
    before = sorted(tmp_path.rglob("*"))
    row = plan_json(folder, "-o", tmp_path / "s.zarr", "--dtype", "float16", *flags)
    assert sorted(tmp_path.rglob("*")) == before
    check_against_a_run(row, folder, tmp_path / "s.zarr", preset("librosa", **changes), dtype="float16")
    assert 0 < row["sampled_clips"] <= row["clips"]
    assert row["estimated_seconds"] > 0
    assert row["free_bytes"] > 0


def test_sample_of_windows__has_no_clip_twice(write_tone, tmp_path):
    for i in range(30):
        write_tone(tmp_path / "c" / f"{i}.wav", seconds=1.5 + i % 3)
    row = plan_json(tmp_path, "-o", tmp_path / "s.zarr", "--window", "0.5")
    assert row["clips"] == 150
    assert row["recordings"] == 30
    assert 0 < row["sampled_clips"] <= 150


@pytest.mark.corpus
def test_plan_of_real_recordings__is_what_a_run_then_makes(fish, tmp_path):
    recipe = preset("torchaudio", n_fft=1024, win_length=400, hop_length=20, n_mels=128, log="db", clip_s=1.0)
    (tmp_path / "r.toml").write_text(recipe.to_toml())
    row = plan_json(fish, "-o", tmp_path / "s.zarr", "--spec", tmp_path / "r.toml")
    assert row["chunks"] > 30
    check_against_a_run(row, fish, tmp_path / "s.zarr", recipe)


def test_plan_as_text__has_a_line_for_each_question(folder, tmp_path):
    command = ["featurize", str(folder), "-o", str(tmp_path / "new" / "s.zarr"), "--clip", "0.5", "--plan", "--compression", "zstd"]
    lines = CliRunner().invoke(app, command).output.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == ["clips", "features", "partitions", "on", "memory", "time"]
    assert lines[0] == "clips       6 of 0.5 s, cut from 6 recordings"
    assert "on disk     at most 11.0 MiB, and the ledger; " in lines[3]
    assert " free" in lines[3]
    assert "an estimate by 6 of these 6 clips; writing comes on top" in lines[5]
    assert lines[-1].endswith("s.zarr: nothing was written")


def test_plan_of_a_store_that_is_there__asks_for_leave_as_the_run_would(folder, tmp_path):
    output, recipe = tmp_path / "s.zarr", preset("librosa", clip_s=0.5)
    featurize(folder, output, recipe=recipe)
    refused = CliRunner().invoke(app, ["featurize", str(folder), "-o", str(output), "--clip", "0.5", "--plan"])
    assert "give --overwrite" in str(refused.exception)
    row = plan_json(folder, "-o", output, "--clip", "0.5", "--resume")
    assert (row["clips_done"], row["sampled_clips"], row["estimated_seconds"]) == (6, 0, 0.0)
    row = plan_json(folder, "-o", output, "--clip", "0.5", "--overwrite")
    assert (row["clips_done"], row["sampled_clips"]) == (0, 6)


def test_memory__decides_how_many_workers_there_are_and_is_refused_where_it_is_too_little(folder, tmp_path):
    manifest = read_corpus(folder)
    plan = plan_run(manifest, preset("librosa", clip_s=0.5))
    each = worker_bytes(plan.layout)
    told = forecast(plan, tmp_path / "s.zarr", workers=8, memory_bytes=3 * each)
    assert (told.workers, told.memory_bytes) == (3, 3 * each)
    with pytest.raises(FastspecError, match="one worker needs"):
        forecast(plan, tmp_path / "s.zarr", memory_bytes=each - 1)
    assert forecast(plan, "memory://b/s.zarr", workers=0).free_bytes is None


def test_sample__begins_with_recordings_that_spread_over_the_manifest(folder):
    paths = [f"{i // 100:03}.wav" for i in range(20_000)]
    clips = Manifest(table_of_paths(paths, [None] * len(paths)), "made", read_corpus(folder).recordings)
    begins = planning._spread_groups(clips, preset("librosa", clip_s=0.5))
    assert len(begins) == len(set(begins)) > 100
    assert all(begin % 100 == 0 for begin in begins)
    assert max(np.diff(sorted([0, *begins[:20], len(clips)]))) < 3 * len(clips) / 20
