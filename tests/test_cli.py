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
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.cli.parsing import parse_recipe
from fastspec.errors import FastspecError, SpecError
from fastspec.pipeline.scheduling import InProcesses
from fastspec.store import open_store

HEAVY = {"numba", "dask", "sklearn", "lightgbm", "matplotlib", "polars", "zarr", "soundfile"}


def fastspec(*arguments, cwd=None, **options):
    code = "from fastspec.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, **options)


def answers(result, code, *words):
    """One line on standard error with these words, and no traceback."""
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two classes that a classifier can tell apart: 20 low and 20 high tones in noise, one broken file."""
    root, random = tmp_path_factory.mktemp("corpus") / "sounds", np.random.default_rng(0)
    for i in range(40):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        t = np.arange(8000) / 16000
        tone = 0.3 * np.sin(2 * np.pi * (hz + 10 * i) * t) + 0.05 * random.standard_normal(8000)
        path = root / label / f"{i // 4:02}-{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone, 16000)
    (root / "low" / "broken.wav").write_bytes(b"not audio")
    return root


@pytest.fixture(scope="module")
def store(sounds, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    result = fastspec("featurize", sounds, "-o", path, "--preset", "torchaudio", "--set", "log=db", "--group-from", r"/(\d+)-")
    assert result.returncode == 0, result.stderr
    assert "41 recordings, 2 classes" in result.stdout
    assert "clips of 0.5 s -> (41, 41, 128) float32, 10.2 MiB in 1 chunk;" in result.stdout
    assert "40 ok, 1 unreadable" in result.stdout
    assert "broken.wav" in result.stdout
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
    (manifest, output), options = featurize.call_args
    recipe = options.pop("recipe")
    assert (len(manifest), output) == (41, str(tmp_path / "s.zarr"))
    assert (recipe.spec.n_mels, recipe.clip.clip_s, recipe.clip.channel, recipe.spec.hop_length) == (40, 2.0, "left", 200)
    assert options.pop("on_progress") is None
    assert options.pop("stopwatch") is None
    assert isinstance(options.pop("scheduler"), InProcesses)
    assert len(options.pop("plan").clips) == 41
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
    [(["--clip", "3", "--hop", "1"], "give --clip for one clip a recording"), (["--hop", "1"], "hop_s is 1.0 without clip_s")],
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
    answers(fastspec("train", store, "-m", "logistic", "-o", tmp_path / "m", "--cost", "low"), 2, "cost 'low' cannot be read")


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


# --- mistakes ----------------------------------------------------------------------------------------------------------------------


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
        (["--clip", "-3"], ["clip_s is -3.0"]),
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
