"""`fastspec scan` and `split` as a user types them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest
import soundfile
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.corpus import read_corpus
from fastspec.errors import Interrupted
from fastspec.scanning import ScanReport


def fastspec(*arguments, **options):
    code = "from fastspec.cli import main; main()"
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)


def test_names_with_control_characters__do_not_reach_the_terminal(tmp_path):
    for label in ("\x1b[31mred", "\x9bblue"):
        (tmp_path / "c" / label).mkdir(parents=True)
        soundfile.write(tmp_path / "c" / label / "\x1b]0;title\x07.wav", np.zeros(800), 8000)
    for result in (fastspec("scan", tmp_path / "c"), fastspec("scan", tmp_path / "c\x1b[2J")):
        assert result.stdout + result.stderr
        assert not any(control in result.stdout + result.stderr for control in "\x1b\x9b\x07")
    assert "\\x1b[31mred" in fastspec("scan", tmp_path / "c").stdout


def refused(result, code, *words):
    """One line on standard error with these words, and no traceback."""
    assert result.returncode == code, result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("fastspec: ")
    for word in words:
        assert word in result.stderr


@pytest.fixture
def sounds(tmp_path):
    """Two classes of four speakers, three recordings each."""
    for i in range(24):
        path = tmp_path / "sounds" / "ab"[i % 2] / f"s{i // 2 % 4}-{i:02}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.random.default_rng(i).uniform(-0.5, 0.5, 8000), 8000)
    return tmp_path / "sounds"


GROUPS = ("--group-from", r"/(s\d)-")


def test_scan__prints_what_is_there_and_writes_manifest_and_pictures(sounds, tmp_path):
    pytest.importorskip("matplotlib")
    result = fastspec("scan", sounds, *GROUPS, "-o", tmp_path / "m.parquet", "--pictures", tmp_path / "pictures", "--strict")
    assert result.returncode == 0, result.stderr
    assert "24 of 24 recordings in 4 groups" in result.stdout
    assert "nothing found that would spoil an evaluation" in result.stdout
    assert pl.read_parquet(tmp_path / "m.parquet").height == 24
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["classes.png", "durations.png"]


def test_scan_strict__exits_1_and_names_each_problem(sounds, tmp_path):
    (sounds / "b" / "s0-copy.wav").write_bytes((sounds / "a" / "s0-00.wav").read_bytes())
    (sounds / "a" / "broken.wav").write_bytes(b"not audio")
    assert fastspec("scan", sounds, *GROUPS).returncode == 0
    result = fastspec("scan", sounds, *GROUPS, "--strict", "-o", tmp_path / "m.csv")
    refused(result, 1, "2 problems would spoil an evaluation", "unreadable, conflicting-labels")
    printed = " ".join(result.stdout.split())
    assert "- 1 clip of 26 cannot be read: 'a/broken.wav' is unreadable: text and no sound; mend or remove them" in printed
    assert "'a/s0-00.wav' (a) and 'b/s0-copy.wav' (b); decide which label is true" in printed
    assert (tmp_path / "m.csv").exists()


def test_scan_json__is_one_object(sounds):
    result = fastspec("scan", sounds, "--json")
    printed = json.loads(result.stdout)
    assert (printed["command"], len(printed["rows"])) == ("scan", 1)
    assert set(printed["rows"][0]) == {"corpus", *ScanReport.__dataclass_fields__} - {"manifest"}


def test_scan_flags__reach_the_function(sounds):
    with mock.patch("fastspec.scanning.report.scan", side_effect=KeyboardInterrupt) as called:
        result = CliRunner().invoke(app, ["scan", str(sounds), "--workers", "3", "--label-from", "(s)"])
    assert isinstance(result.exception, Interrupted)
    assert str(result.exception) == "interrupted; nothing was written"
    assert called.call_args.kwargs["workers"] == 3
    assert called.call_args.args[0].classes == ["s"]


def reads_a_recording(pid):
    files = Path(f"/proc/{pid}/fd")
    try:
        return any(file.readlink().suffix == ".flac" for file in files.iterdir())
    except OSError:  # closed meanwhile
        return False


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the system does not tell which files a process has open")
def test_interrupted_scan__says_so_and_writes_nothing(tmp_path):
    corpus = tmp_path / "many"
    corpus.mkdir()
    soundfile.write(corpus / "0.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 3_000_000), 8000)
    for i in range(1, 400):
        os.link(corpus / "0.flac", corpus / f"{i}.flac")
    code = "from fastspec.cli import main; main()"
    command = [sys.executable, "-c", code, "scan", corpus, "-o", tmp_path / "m.csv"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while not reads_a_recording(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr == "fastspec: interrupted; nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["many"]


def test_outputs_that_cannot_be__are_refused_before_anything_is_read(sounds, tmp_path):
    (tmp_path / "there.csv").write_text("")
    for command in ("scan", "split"):
        refused(fastspec(command, sounds, "-o", tmp_path / "there.csv"), 2, "exists; remove it, or choose another name")
        refused(fastspec(command, sounds, "-o", tmp_path / "m.txt"), 2, "an ending that a manifest cannot have")
        refused(fastspec(command, sounds, "-o", tmp_path / "gone" / "m.csv"), 2, "is not a folder")


def test_scan_without_labels__says_how_to_have_some(sounds):
    result = fastspec("scan", sounds / "a")
    assert "no labels: put classes into sub-folders, or give --label-from RE" in result.stdout


def test_split__takes_folds_or_a_share_and_is_used_by_evaluation(sounds, tmp_path):
    result = fastspec("split", sounds, *GROUPS, "-o", tmp_path / "folds.parquet", "--folds", "4")
    assert result.returncode == 0, result.stderr
    assert "fold-4: 6 clips (25.0%) of 2 classes" in result.stdout
    assert sorted(pl.read_parquet(tmp_path / "folds.parquet")["fold"].unique()) == [1, 2, 3, 4]
    assert fastspec("featurize", tmp_path / "folds.parquet", "-o", tmp_path / "s.zarr", "--clip", "1").returncode == 0
    result = fastspec("evaluate", tmp_path / "s.zarr", "-m", "logistic", "--json")
    assert json.loads(result.stdout)["rows"][0]["n_clips"] == 24
    result = fastspec("split", tmp_path / "folds.parquet", "-o", tmp_path / "halves.csv", "--test", "0.25")
    assert "test: 6 clips (25.0%) of 2 classes" in result.stdout
    assert "the split that" in result.stdout
    assert set(pl.read_csv(tmp_path / "halves.csv")["split"]) == {"train", "test"}


def test_split_into_a_folder__is_two_tables_that_are_a_corpus_together_and_apart(sounds, tmp_path):
    assert fastspec("scan", sounds, *GROUPS, "-o", tmp_path / "m.parquet").returncode == 0
    result = fastspec("split", tmp_path / "m.parquet", "-o", tmp_path / "sides", "--test", "0.25")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "sides").iterdir()) == ["test.csv", "train.csv"]
    train, test = (read_corpus(tmp_path / "sides" / f"{side}.csv").table for side in ("train", "test"))
    assert (train["split"].unique().to_list(), test["split"].unique().to_list()) == (["train"], ["test"])
    assert (len(train), len(test)) == (18, 6)
    assert not set(train["group"]) & set(test["group"])
    both = read_corpus(tmp_path / "sides")
    assert both.table["split"].value_counts(sort=True).rows() == [("train", 18), ("test", 6)]
    assert all(Path(both.open(path)).is_file() for path in both.table["path"])
    refused(fastspec("split", sounds, *GROUPS, "-o", tmp_path / "sides", "--test", "0.25"), 2, "exists; remove it")
    refused(fastspec("split", sounds, *GROUPS, "-o", tmp_path / "folds", "--folds", "2"), 2, "give --test 0.2 for them, or ")
    refused(fastspec("split", sounds, *GROUPS, "-o", tmp_path / "a.txt", "--test", "0.25"), 2, "for a folder of train.csv and test.csv")
    assert {path.name for path in tmp_path.iterdir()} == {"sounds", "m.parquet", "sides"}


def test_split_that_cannot_be__says_why_and_writes_nothing(sounds, tmp_path):
    output = tmp_path / "x.csv"
    refused(fastspec("split", sounds, *GROUPS, "-o", output), 2, "class 'a' has 4 groups, too few for 5 folds; use at most 4 folds")
    refused(fastspec("split", sounds, "-o", output, "--folds", "2", "--test", "0.2"), 2, "--folds is given with --test")
    refused(fastspec("split", sounds, "-o", output, "--test", "1.5"), 2, "--test is 1.5; give more than 0")
    assert not output.exists()
