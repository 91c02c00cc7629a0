"""The command line as a user types it: real runs in a process of their own, and what each mistake answers."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import soundfile
from commands import answers, fastspec, featurize, write_sounds
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.cli.parsing import parse_recipe
from fastspec.errors import FastspecError, SpecError
from fastspec.pipeline.scheduling import InProcesses

HEAVY = {"numba", "dask", "sklearn", "lightgbm", "matplotlib", "polars", "zarr", "soundfile"}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return write_sounds(tmp_path_factory.mktemp("corpus") / "sounds")


@pytest.fixture(scope="module")
def store(sounds, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    told = featurize(sounds, path)
    assert "41 recordings, 2 classes" in told
    assert "clips of 0.5 s -> (41, 41, 128) float32, 10.2 MiB in 1 chunk;" in told
    assert "40 ok, 1 unreadable" in told
    assert "broken.wav" in told
    return path


# --- start-up ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["featurize", "--help"], ["leaderboard", "--help"], ["--version"]])
def test_help__imports_nothing_heavy(arguments):
    code = (
        "import sys\nfrom fastspec.cli import main\n"
        f"sys.argv = ['fastspec', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {name.partition(".")[0] for name in eval(result.stderr)}


def test_importing_fastspec__imports_nothing_heavy():
    code = "import sys, fastspec; fastspec.preset('librosa'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & {name.partition(".")[0] for name in loaded}


COMMANDS = [["bench"], ["doctor"], ["featurize"], ["train"], ["evaluate"], ["leaderboard"], ["predict"], ["explain"], ["serve"], ["demo"]]
COMMANDS += [
    ["preset", "list"],
    ["preset", "show"],
    ["plugin", "list"],
    ["store", "info"],
    ["store", "ledger"],
    ["store", "verify"],
    ["store", "update"],
    ["store", "export"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help__fits_80_columns_and_has_an_example(command):
    result = fastspec(*command, "--help")
    assert result.returncode == 0
    assert "Example: fastspec " + " ".join(command) in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


# --- flags to arguments ------------------------------------------------------------------------------------------------------------


def test_corpus_without_labels__is_featurized_with_a_hint(tmp_path, write_tone):
    write_tone(tmp_path / "sounds" / "a.wav")
    result = fastspec("featurize", tmp_path / "sounds", "-o", tmp_path / "s.zarr")
    assert result.returncode == 0, result.stderr
    assert "no labels: put classes into sub-folders, or give --label-from RE or a table's column 'label'" in result.stdout


def test_featurize_flags__reach_the_function(sounds, tmp_path):
    flags = [
        "--preset",
        "torchaudio",
        "--set",
        "n_mels=40",
        "--set",
        "log=db",
        "--dtype",
        "float16",
        "--clip",
        "2",
        "--channel",
        "left",
        "--workers",
        "3",
        "--memory",
        "2GB",
        "--scheduler",
        "processes",
        "--resume",
        "--isolate",
        "--timeout",
        "5",
    ]
    with mock.patch("fastspec.pipeline.featurize", side_effect=FastspecError("far enough")) as featurize:
        result = CliRunner().invoke(app, ["featurize", str(sounds), "-o", str(tmp_path / "s.zarr"), *flags])
    assert str(result.exception) == "far enough"
    (plan, output), options = featurize.call_args
    recipe = options.pop("recipe")
    assert (len(plan.clips), output) == (41, str(tmp_path / "s.zarr"))
    assert (recipe.spec.n_mels, recipe.clip.clip_s, recipe.clip.channel, recipe.spec.hop_length) == (40, 2.0, "left", 200)
    assert options.pop("on_progress") is None
    assert options.pop("stopwatch") is None
    assert isinstance(options.pop("scheduler"), InProcesses)
    assert options == {
        "workers": 3,
        "memory_bytes": 2_000_000_000,
        "resume": True,
        "overwrite": False,
        "dtype": "float16",
        "on_error": "skip",
        "isolate": True,
        "timeout_s": 5.0,
        "compression": "none",
    }


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--window", "3", "--hop", "1.5"], (3.0, 1.5)),
        (["--window", "3"], (3.0, 3.0)),
        (["--preset", "vggish"], (0.975, 0.96)),
        (["--preset", "vggish", "--hop", "0.48"], (0.975, 0.48)),
        (["--preset", "vggish", "--clip", "2", "--set", "crop=center"], (2.0, None)),
    ],
)
def test_clip_window_and_hop__say_how_many_clips_a_recording_gives(sounds, tmp_path, flags, expected):
    with mock.patch("fastspec.pipeline.featurize", side_effect=FastspecError("far enough")) as featurize:
        CliRunner().invoke(app, ["featurize", str(sounds), "-o", str(tmp_path / "s.zarr"), *flags])
    policy = featurize.call_args.kwargs["recipe"].clip
    assert (policy.clip_s, policy.hop_s) == expected


@pytest.mark.parametrize(
    "flags, words",
    [(["--clip", "3", "--hop", "1"], "give --clip for one clip a recording"), (["--hop", "1"], "--hop is 1.0 without --window")],
)
def test_windows_that_cannot_be_meant__are_one_line(sounds, tmp_path, flags, words):
    answers(fastspec("featurize", sounds, "-o", tmp_path / "s.zarr", *flags), 2, words)


def test_windows__are_announced_counted_and_remarked_upon(tmp_path):
    tone = 0.3 * np.sin(np.arange(40_000) / 5)
    (tmp_path / "c").mkdir()
    soundfile.write(tmp_path / "c" / "a.wav", np.stack([tone, 0 * tone], axis=1), 16000)
    arguments = ["featurize", "c", "-o", "s.zarr", "--preset", "torchaudio", "--window", "1", "--hop", "0.5"]
    result = fastspec(*arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "clips of 1 s every 0.5 s -> (4, 81, 128) float32" in result.stdout
    assert "4 clips: channel 2 is dead" in result.stdout
    document = json.loads(fastspec(*arguments, "--overwrite", "--json", cwd=tmp_path).stdout)
    assert document["rows"][0]["remarks"] == {"channel 2 is dead": 4}


def test_spec_file__is_read_and_changed_by_set(tmp_path):
    (tmp_path / "mine.toml").write_text(fastspec("preset", "show", "librosa").stdout)
    assert parse_recipe(None, tmp_path / "mine.toml", ["fmax=none", "n_mels=64"]) == parse_recipe("librosa", None, ["n_mels=64"])


@pytest.mark.parametrize("settings, words", [(["n_mels"], "not an assignment"), (["n_melz=3"], "did you mean 'n_mels'")])
def test_set_that_cannot_be_meant__is_refused(settings, words):
    with pytest.raises(SpecError, match=words):
        parse_recipe("librosa", None, settings)


# --- a whole session ---------------------------------------------------------------------------------------------------------------


def test_json_reports__are_one_object_with_rows(store):
    for command in (["store", "info", store], ["store", "ledger", store], ["preset", "list"], ["plugin", "list"]):
        document = json.loads(fastspec(*command, "--json").stdout)
        assert set(document) == {"command", "version", "rows"}
        assert document["rows"]


def test_failed_rows_of_the_ledger__are_shown_alone(store):
    result = fastspec("store", "ledger", store, "--failed")
    assert "broken.wav" in result.stdout
    assert "0-0.wav" not in result.stdout


def test_leaderboard__has_every_plugin_on_the_columns_of_the_interface(store):
    rows = json.loads(fastspec("leaderboard", store, "--json").stdout)["rows"]
    assert {row["model"] for row in rows} >= {"logistic", "lightgbm", "gradient-boosting", "(majority)", "(header)"}
    scores = [name + end for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss") for end in ("", "_low", "_high")]
    assert list(rows[0]) == ["store", "model", *scores, "fit_s", "predict_s", "size_bytes"]
    assert rows[0]["accuracy"] > 0.9


def test_evaluate__prints_scores_of_each_class_and_what_was_left_out(store):
    result = fastspec("evaluate", store, "-m", "logistic", "--folds", "3")
    assert result.returncode == 0
    for word in ("log-loss", "precision", "recall", "low", "high", "left out: 1 unreadable"):
        assert word in result.stdout


def test_decisions__are_trained_shown_and_used(store, sounds, tmp_path):
    aims = ["--calibrate", "temperature", "--min-recall", "low=0.9", "--unknown-below", "0.6"]
    trained = fastspec("train", store, "-m", "logistic", "-o", tmp_path / "model", *aims, "--picture", tmp_path / "r.png")
    assert trained.returncode == 0, trained.stderr
    for word in ("log-loss", "actual", "low", "high"):
        assert word in trained.stdout
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert "`low` is the answer from" in (tmp_path / "model" / "README.md").read_text()
    predicted = fastspec("predict", tmp_path / "model", store, "-o", tmp_path / "p.csv")
    assert "actual  high  low" in predicted.stdout
    assert "the model learned from 40 of these" in predicted.stdout
    again = fastspec("predict", tmp_path / "model", sounds, "-o", tmp_path / "q.csv")
    assert "actual  high  low" in again.stdout
    why = fastspec("explain", tmp_path / "model", next((sounds / "low").glob("0*.wav")), "-o", tmp_path / "why.png")
    assert "what speaks for low" in why.stdout
    assert {path.name for path in tmp_path.glob("why*")} == {"why.png", "why.npz"}
    answers(fastspec("train", store, "-m", "logistic", "-o", tmp_path / "m", "--cost", "low"), 2, "--cost 'low' cannot be read")


def test_tuning__is_asked_for_by_an_option_and_told(store, tmp_path):
    trained = fastspec("train", store, "-m", "logistic", "-o", tmp_path / "model", "--tune", "2", "--tune-time", "60")
    assert "chosen by 2 trials: C " in trained.stdout, trained.stderr
    scored = fastspec("evaluate", store, "-m", "logistic", "--folds", "2", "--tune", "2", "--json")
    assert [row["trials"] for row in json.loads(scored.stdout)["rows"][0]["tuned"]] == [2, 2]
    answers(fastspec("evaluate", store, "--model", tmp_path / "model", "--tune", "2"), 2, "is trained already and cannot be tuned")
    answers(fastspec("train", store, "-m", "lda", "-o", tmp_path / "m", "--tune", "2"), 2, "lda declares no search space")
    answers(fastspec("leaderboard", store, "--tune-time", "60"), 2, "--tune-time is given without --tune")


def test_leaderboard__is_kept_as_a_table_and_a_picture(store, tmp_path):
    board = ["leaderboard", store, "-m", "logistic", "--folds", "3", "-o", tmp_path / "board.parquet", "--picture", tmp_path / "board.svg"]
    assert fastspec(*board).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"board.parquet", "board.parquet.cells", "board.svg"}
    answers(fastspec(*board), 2, "board.parquet exists already")


@pytest.mark.parametrize("name", ["logistic", "lightgbm", "gradient-boosting"])
def test_trained_model__predicts_folders_archives_and_files(store, sounds, tmp_path, name):
    trained = fastspec("train", store, "-m", name, "-o", tmp_path / "model")
    assert "trained on 40 clips of 2 classes; left out: 1 unreadable" in trained.stdout
    with zipfile.ZipFile(tmp_path / "sounds.zip", "w") as archive:
        for path in sounds.rglob("*.wav"):
            archive.write(path, path.relative_to(sounds))
    outputs = []
    for i, inputs in enumerate([[sounds], [tmp_path / "sounds.zip"], sorted(sounds.rglob("*.wav"))]):
        result = fastspec("predict", tmp_path / "model", *inputs, "-o", tmp_path / f"{i}.csv")
        assert result.returncode == 0, result.stderr
        with (tmp_path / f"{i}.csv").open() as file:
            rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
        assert len(rows) == 41
        assert (rows["broken.wav"]["status"], rows["broken.wav"]["predicted"]) == ("unreadable", "")
        outputs.append({name: (row["predicted"], row["p_low"]) for name, row in rows.items()})
    assert outputs[0] == outputs[1] == outputs[2]
    assert all(answer[0] == ("low", "high")[int(name[3:-4]) % 2] for name, answer in outputs[0].items() if name != "broken.wav")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")
def test_terminal__shows_a_progress_bar_with_rates(sounds, tmp_path):
    ours, theirs = os.openpty()
    code = "from fastspec.cli import main; main()"
    command = [sys.executable, "-c", code, "featurize", str(sounds), "-o", str(tmp_path / "s.zarr")]
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True, check=False)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert result.returncode == 0, shown
    assert "41/41 clips" in shown
    assert "h/s" in shown
    assert "1 failed" in shown
