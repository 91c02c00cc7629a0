"""What a user gets wrong is one line that says what to do."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
from commands import answers, fastspec, featurize, write_sounds

from fastspec.cli.parsing import parse_recipe
from fastspec.errors import SpecError
from fastspec.store import open_store


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write_sounds(tmp_path_factory.mktemp("corpus") / "sounds")


@pytest.fixture(scope="module")
def store(sounds, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    featurize(sounds, path)
    return path


def test_missing_corpus__is_one_line(tmp_path):
    answers(fastspec("featurize", tmp_path / "nowhere", "-o", tmp_path / "s.zarr"), 2, "does not exist")


def test_empty_folder__is_one_line(tmp_path):
    answers(fastspec("featurize", tmp_path, "-o", tmp_path / "s.zarr"), 2, "holds no audio files")


def test_table_without_path__is_one_line(tmp_path):
    (tmp_path / "t.csv").write_text("file,label\na.wav,a\n")
    answers(fastspec("featurize", tmp_path / "t.csv", "-o", tmp_path / "s.zarr"), 2, "no column 'path'", "'file', 'label'")


def test_columns_and_missing_files_of_a_table__are_taken_and_told(sounds, tmp_path):
    table = tmp_path / "clips.csv"
    names = [f"{label}/{i // 4:02}-{i}.wav" for i, label in enumerate(["low", "high"] * 4)]
    rows = "".join(f"{sounds / name},{name.split('/')[0]}\n" for name in names)
    table.write_text(f"file,kind\n{rows}gone.wav,low\n")
    flags = ("--column", "path=file", "--column", "label=kind", "--preset", "torchaudio", "--clip", "0.2", "--workers", "0")
    result = fastspec("featurize", table, "-o", tmp_path / "s.zarr", *flags)
    assert result.returncode == 0, result.stderr
    assert "1 row whose file is missing: row 10 'gone.wav' does not exist" in result.stderr
    assert "8 ok, 1 unreadable" in result.stdout
    assert "2 classes" in result.stdout


@pytest.mark.parametrize("flag", ["path", "path=", "=x", "label=a=", "where=x"])
def test_column_that_cannot_be_meant__is_one_line(sounds, tmp_path, flag):
    answers(fastspec("featurize", sounds, "-o", tmp_path / "s.zarr", "--column", flag), 2, "column")
    assert not (tmp_path / "s.zarr").exists()


def test_archive_that_escapes__is_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("../evil.wav", b"")
    answers(fastspec("featurize", tmp_path / "c.zip", "-o", tmp_path / "s.zarr"), 2, "leads out of the archive")


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--preset", "librozza"], ["unknown preset", "did you mean 'librosa'"]),
        (["--set", "n_melz=3"], ["unknown field", "did you mean 'n_mels'"]),
        (["--set", "fmin=20000"], ["fmin is 20000.0 Hz"]),
        (["--set", "n_mels=2000"], ["mel bands hold no bin"]),
        (["--memory", "much"], ["'much' cannot be read"]),
        (["--memory", "1MB"], ["one worker needs"]),
        (["--label-from", "("], ["not a valid regular expression"]),
        (["--clip", "-3"], ["--clip is -3.0"]),
        (["--spec", "nowhere.toml"], ["nowhere.toml cannot be read"]),
        (["--resume", "--overwrite"], ["give one of them"]),
        (["--scheduler", "slurm"], ["'slurm' is unknown; give threads, processes"]),
        (["--scheduler", "tcp://127.0.0.1:9"], ["no Dask scheduler answers at tcp://127.0.0.1:9", "start one by 'dask scheduler'"]),
    ],
)
def test_wrong_option__is_one_line_and_writes_nothing(sounds, tmp_path, flags, words):
    answers(fastspec("featurize", sounds, "-o", tmp_path / "s.zarr", *flags), 2, *words)
    assert not (tmp_path / "s.zarr").exists()


def test_output_that_exists__is_one_line(sounds, store):
    answers(fastspec("featurize", sounds, "-o", store), 2, "is finished", "--overwrite")


def test_prediction_of_failed_clips_only__exits_1_and_keeps_the_file(store, tmp_path):
    assert fastspec("train", store, "-m", "logistic", "-o", tmp_path / "m").returncode == 0
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    result = fastspec("predict", tmp_path / "m", tmp_path / "bad.wav", "-o", tmp_path / "p.csv")
    answers(result, 1, "no clip could be predicted", "p.csv")
    assert "1 row (1 unreadable)" in result.stdout
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 2


def test_recipe_of_a_store__is_taken_for_another(store):
    assert parse_recipe(None, store, []).to_json() == open_store(store).recipe.to_json()


def test_folder_that_holds_no_recipe__is_one_line(tmp_path):
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(SpecError, match="holds no recipe"):
        parse_recipe(None, tmp_path, [])


def test_every_clip_failed__exits_1_and_keeps_the_ledger(tmp_path):
    (tmp_path / "c").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "c" / name).write_bytes(b"not audio")
    result = fastspec("featurize", tmp_path / "c", "-o", tmp_path / "s.zarr", "--clip", "1")
    answers(result, 1, "no clip of", "store ledger")
    assert "2 unreadable" in result.stdout
    assert json.loads(fastspec("store", "info", tmp_path / "s.zarr", "--json").stdout)["rows"][0]["statuses"] == {"unreadable": 2}


def test_one_class__is_one_line(sounds, tmp_path):
    fastspec("featurize", sounds / "low", "-o", tmp_path / "s.zarr", "--label-from", r"^(\d)")
    answers(fastspec("evaluate", tmp_path / "s.zarr", "-m", "logistic"), 2, "one class only", "'0'")


def test_class_with_fewer_groups_than_folds__is_one_line(store):
    answers(fastspec("evaluate", store, "-m", "logistic", "--folds", "30"), 2, "10 groups, too few for 30 folds", "at most 10")


def test_unknown_plugin_and_parameter__are_one_line(store, tmp_path):
    answers(fastspec("train", store, "-m", "logistik", "-o", tmp_path / "m"), 2, "unknown classifier", "did you mean 'logistic'")
    answers(fastspec("train", store, "-m", "logistic", "-p", "D=1", "-o", tmp_path / "m"), 2, "no parameter 'D'", "C")
    assert not (tmp_path / "m").exists()


def test_what_is_no_store_or_model__is_one_line(sounds, tmp_path):
    answers(fastspec("leaderboard", sounds), 2, "not a feature store")
    answers(fastspec("predict", sounds, sounds, "-o", tmp_path / "p.csv"), 2, str(sounds))
    answers(fastspec("store", "info", tmp_path / "nowhere"), 2, "does not exist")


def test_input_that_is_no_audio__is_one_line(store, tmp_path):
    fastspec("train", store, "-m", "logistic", "-o", tmp_path / "model")
    (tmp_path / "notes.txt").write_text("hello")
    answers(
        fastspec("predict", tmp_path / "model", tmp_path / "notes.txt", "-o", tmp_path / "p.csv"), 2, "neither a recording nor a corpus"
    )


def test_wrong_usage__exits_2():
    assert fastspec("featurize").returncode == 2
    assert fastspec("nonsense").returncode == 2


def test_ctrl_c__exits_130_and_says_how_to_go_on(tmp_path):
    random = np.random.default_rng(0)
    for i in range(300):
        path = tmp_path / "c" / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, random.uniform(-0.1, 0.1, 16000), 16000)
    arguments = ["featurize", "c", "-o", "s.zarr", "--preset", "torchaudio", "--set", "hop_length=4", "--clip", "1"]
    code = (
        "import os, signal\nfrom fastspec.pipeline.work import Tally\n"
        "original, calls = Tally.add, []\n"
        "def add(self, *counts):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2:\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    original(self, *counts)\n"
        "Tally.add = add\n"
        f"import sys; sys.argv = ['fastspec', *{arguments!r}]\n"
        "from fastspec.cli import main; main()"
    )
    stopped = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert stopped.returncode == 130
    assert "--resume" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    again = fastspec(*arguments, cwd=tmp_path)
    answers(again, 2, "unfinished", "--resume")
    assert fastspec(*arguments, "--resume", cwd=tmp_path).returncode == 0
