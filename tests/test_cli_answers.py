"""What commands say to who has read nothing but README: which numbers they give, and what to do where something was not meant so."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from fastspec import cli
from fastspec.learn.calibration import Calibration
from fastspec.learn.decisions import Decided, Decisions
from fastspec.presets import PRESETS, PURPOSES


@pytest.fixture
def fastspec(monkeypatch, capsys):
    """`fastspec("scan", folder)` is the exit code, standard output and standard error of that command, run in this process."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fastspec", *map(str, arguments)])
        code = cli._run()
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two classes of eight recordings of a second, and a table `t.csv` whose split tests on one group of four."""
    folder, random, rows = tmp_path_factory.mktemp("sounds") / "sounds", np.random.default_rng(0), []
    for i in range(16):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        path = folder / label / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(hz * np.arange(16000) / 2500) + 0.2 * random.standard_normal(16000), 16000)
        rows.append((f"sounds/{label}/{i}.wav", label, "tested" if i < 4 else f"g{i}", "test" if i < 4 else "train"))
    pl.DataFrame(rows, schema=["path", "label", "group", "split"], orient="row").write_csv(folder.parent / "t.csv")
    return folder


def featurized(corpus, store):
    from fastspec import featurize, preset

    return featurize(corpus, store, recipe=preset("kaldi", clip_s=0.5, hop_s=0.5), workers=0).path


@pytest.fixture(scope="module")
def store(sounds):
    """Two windows of each recording."""
    return featurized(sounds, sounds.parent / "s.zarr")


@pytest.fixture(scope="module")
def divided(sounds):
    """The same of the table."""
    return featurized(sounds.parent / "t.csv", sounds.parent / "t.zarr")


# --- which numbers -----------------------------------------------------------------------------------------------------------------


def test_leaderboard_of_a_given_split__says_what_is_tested_and_what_is_trained_on(fastspec, divided):
    code, out, _ = fastspec("leaderboard", divided, "-m", "lda")
    assert code == 0
    assert "\n8 clips of 4 recordings in 1 group, scored by recording; trained on 24 clips of 12 recordings in 12 groups," in out
    assert "one group was tested: no interval" in out


def test_leaderboard_by_folds__says_that_all_is_tested(fastspec, store):
    assert "\n32 clips of 16 recordings in 16 groups: each recording is a group by itself" in fastspec("leaderboard", store, "-m", "lda")[1]


def test_training_with_a_threshold__names_both_how_often_the_likeliest_class_and_the_answer_is_right(fastspec, store, divided, tmp_path):
    code, out, _ = fastspec("train", store, "-m", "lda", "-o", tmp_path / "m", "--min-recall", "low=1.0", "--unknown-below", "0.6")
    assert code == 0
    (told,) = [line for line in out.splitlines() if line.startswith("the likeliest class is right for")]
    assert "(accuracy, above), the model's answers for" in told
    assert "of these answers, where the likeliest class is right for" in (tmp_path / "m" / "README.md").read_text()
    (tmp_path / "m2").mkdir()
    fastspec("train", divided, "-m", "lda", "-o", tmp_path / "m2" / "m", "--min-recall", "low=1.0")
    assert "the model's answers for" in fastspec("evaluate", divided, "--model", tmp_path / "m2" / "m")[1]


def test_calibration_that_makes_probabilities_worse__is_warned_of(fastspec, store, tmp_path, monkeypatch):
    def worse(_aims, probabilities, _labels, *, classes, **_):
        return Decided(Decisions(calibration=Calibration.neutral(len(classes))), np.full_like(probabilities, 1 / len(classes)))

    monkeypatch.setattr("fastspec.learn.training.decide", worse)
    code, _, err = fastspec("train", store, "-m", "lda", "-o", tmp_path / "m", "--calibrate", "isotonic")
    assert (code, err.count("\n")) == (0, 1)
    assert "calibrated, the probabilities are worse: log-loss 0.693 on groups that the calibration had not met" in err
    assert "which is worse" in (tmp_path / "m" / "README.md").read_text()


def test_prediction_of_few__is_printed_with_its_probabilities(fastspec, store, sounds, tmp_path, monkeypatch):
    fastspec("train", store, "-m", "lda", "-o", tmp_path / "model")
    monkeypatch.chdir(sounds.parent)
    Path("broken.wav").write_bytes(b"no sound")
    command = ["predict", tmp_path / "model", "sounds/low/0.wav", "broken.wav"]
    code, out, _ = fastspec(*command, "-o", tmp_path / "p.csv", "-q")
    assert code == 0
    assert re.search(r"\nsounds/low/0\.wav +low +low [01]\.\d{3}, high 0\.\d{3}\n", out)
    assert re.search(r"\nbroken\.wav +unreadable", out)
    (row,) = json.loads(fastspec(*command, "-o", tmp_path / "q.csv", "--json")[1])["rows"]
    assert ([first["predicted"] for first in row["first"]], row["predicted"]) == (["low", None], {"low": 1})
    assert sum(row["first"][0]["probabilities"].values()) == pytest.approx(1)


def test_prediction_of_many__says_how_often_each_answer_was_given(fastspec, store, sounds, tmp_path):
    fastspec("train", store, "-m", "lda", "-o", tmp_path / "model")
    out = fastspec("predict", tmp_path / "model", sounds, "-o", tmp_path / "p.csv")[1]
    assert "answers: 8 high, 8 low\n" in out


def test_list_of_presets__says_what_each_is_for_in_80_columns(fastspec):
    assert list(PURPOSES) == list(PRESETS)
    code, out, _ = fastspec("preset", "list")
    assert (code, "needs the preset of its name" in out) == (0, True)
    assert max(map(len, out.splitlines())) <= 80
    for name, purpose in PURPOSES.items():
        assert re.search(rf"^{name} .* {re.escape(purpose)} *$", out, re.MULTILINE)


# --- what was not meant so ---------------------------------------------------------------------------------------------------------


def test_single_recording__is_featurized(fastspec, sounds, tmp_path):
    code, out, _ = fastspec("featurize", sounds / "low" / "0.wav", "-o", tmp_path / "s.zarr", "--workers", 0)
    assert code == 0
    assert "1 ok" in out


def test_store_as_corpus__is_named(fastspec, store, tmp_path):
    code, _, err = fastspec("featurize", store, "-o", tmp_path / "s.zarr")
    assert (code, err.count("\n")) == (2, 1)
    assert "s.zarr is a store that featurize wrote, not a corpus" in err


def test_split_into_a_folder_without_a_share__says_what_to_give(fastspec, sounds, tmp_path):
    code, _, err = fastspec("split", sounds, "-o", tmp_path / "sp")
    assert (code, err.count("\n")) == (2, 1)
    assert f"give --test 0.2 for them, or {tmp_path / 'sp'}.csv" in err
    assert "give " + f"{tmp_path / 'm'}.csv" in fastspec("scan", sounds, "-o", tmp_path / "m")[2]


@pytest.mark.parametrize(
    "command, told",
    [
        (["featurize", "--clip", "-3"], "--clip is -3.0; give a length in seconds"),
        (["featurize", "--window", "0"], "--window is 0.0; give a length in seconds"),
        (["featurize", "--window=1", "--hop", "0"], "--hop is 0.0; give 0.001 to 86400 seconds, or none for one clip a recording"),
        (["featurize", "--hop", "1"], "--hop is 1.0 without --window; give the length of a window too, as in --window 3.0"),
        (["featurize", "--set", "clip_s=-3"], "clip_s is -3.0; give a length in seconds"),
        (["featurize", "--set", "clop_s=3"], "clip_s"),
        (["featurize", "--label-from", "x"], "--label-from is 'x', which has no group"),
        (["scan", "--group-from", "("], "--group-from is '(', which is not a valid regular expression"),
        (["featurize", "--memory", "x"], "--memory 'x' cannot be read"),
        (["featurize", "--max-failed", "x"], "--max-failed 'x' cannot be read"),
        (["featurize", "--timeout", "0"], "--timeout is 0 s"),
        (["featurize", "--scheduler", "x"], "--scheduler 'x' is unknown"),
        (["split", "--folds", "1"], "--folds is 1; give 2 or more"),
        (["split", "--test", "3"], "--test is 3; give more than 0 and less than 1"),
    ],
)
def test_wrong_option__is_called_as_it_was_typed(fastspec, sounds, tmp_path, command, told):
    output = [] if command[0] == "scan" else ["-o", tmp_path / "o.csv"]
    code, _, err = fastspec(command[0], sounds, *output, *command[1:])
    assert (code, err.count("\n")) == (2, 1)
    assert told in err


@pytest.mark.parametrize(
    "command, told",
    [
        (["evaluate", "-m", "lda", "--folds", "1"], "--folds is 1; give 2 or more"),
        (["evaluate", "-m", "lda", "--repeats", "0"], "--repeats is 0; give 1 or more"),
        (["evaluate", "-m", "lda", "--by", "day"], "--by is 'day'; known are: clip, recording"),
        (["train", "-m", "lda", "--calibrate", "x"], "--calibrate is 'x'; known are: isotonic, none, temperature"),
        (["train", "-m", "lda", "--unknown-below", "3"], "--unknown-below is 3; give a number above 0"),
        (["train", "-m", "lda", "--min-recall", "low"], "--min-recall 'low' cannot be read; give CLASS=SHARE"),
        (["train", "-m", "lda", "--min-precision", "low=2"], "the least precision of 'low' is 2; give a number above 0"),
        (["train", "-m", "lda", "--cost", "low"], "--cost 'low' cannot be read"),
    ],
)
def test_wrong_option_of_learning__is_called_as_it_was_typed(fastspec, store, tmp_path, command, told):
    output = ["-o", tmp_path / "model"] if command[0] == "train" else []
    code, _, err = fastspec(command[0], store, *output, *command[1:])
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
