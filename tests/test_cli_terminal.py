"""What every command has in common at a terminal: help, --json, --quiet, one line for what goes wrong, output of any kind."""

import json
import os
import re
import shlex
import subprocess
import sys
from typing import Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
import soundfile

from fastspec.cli import main
from fastspec.cli.app import build_command
from fastspec.cli.output import as_json
from fastspec.corpus import read_inputs

ROOT = build_command()


def leaves(command, *names):
    children = getattr(command, "commands", None)
    if children is None:
        return {" ".join(names): command}
    return {name: leaf for child in children for name, leaf in leaves(children[child], *names, child).items()}


COMMANDS = leaves(ROOT)
every_command = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process: exit code, standard output, standard error."""

    def run_here(*arguments, columns=80):
        monkeypatch.setattr(sys, "argv", ["fastspec", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code, *capsys.readouterr())

    return run_here


def options_of(command):
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts) if name.startswith("-")}


# --- help --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 80, 160])
@pytest.mark.parametrize("name", ["", "store", "preset", "plugin", *COMMANDS])
def test_help__fits_the_terminal_and_names_every_option(run, name, columns):
    code, shown, _ = run(*name.split(), "--help", columns=columns)
    assert code == 0
    assert max(map(len, shown.splitlines())) <= min(columns, 100)
    command = ROOT.commands.get(name) or COMMANDS.get(name, ROOT)
    assert all(re.search(rf"(^|[ ,]){option}\b", shown, re.MULTILINE) for option in options_of(command))


@pytest.mark.parametrize("group", ["", "store", "preset", "plugin"])
def test_help_of_a_group__has_one_line_a_command(run, group):
    _, shown, _ = run(*group.split(), "--help")
    table = shown.split("Commands\n")[1].split("\n\n")[0].splitlines()
    children = (ROOT.commands[group] if group else ROOT).commands
    assert [line.split()[0] for line in table] == list(children)


def test_help__says_the_exit_codes(run):
    _, shown, _ = run("--help")
    assert all(code in shown for code in ("0 done", "1 the command's own negative answer", "2 wrong usage", "130"))


@every_command
def test_example__parses(name):
    examples = re.findall(r": (?:[A-Z_]+=\S+ )?fastspec (.*)", COMMANDS[name].help)
    assert any(example.startswith(name) for example in examples)
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])
        names = words[:2] if words[0] in ("store", "preset", "plugin") else words[:1]
        COMMANDS[" ".join(names)].make_context(" ".join(names), words[len(names) :])


@every_command
def test_choices_of_an_option__are_told(name):
    command = COMMANDS[name]
    hints = get_type_hints(command.callback)
    for param in command.params:
        kinds = [kind for kind in (hints[param.name], *get_args(hints[param.name])) if get_origin(kind) is Literal]
        for choice in (choice for kind in kinds for choice in get_args(kind)):
            assert choice in f"{param.metavar} {param.help}", param.name


@every_command
def test_every_command__has_json_and_quiet(name):
    assert {"--json", "--quiet", "-q"} <= options_of(COMMANDS[name])


# --- mistakes ----------------------------------------------------------------------------------------------------------------------


@every_command
def test_unknown_option__is_one_line_that_says_where_help_is(run, name):
    code, out, err = run(*name.split(), "--no-such-option")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"see 'fastspec {name} --help'" in err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["featurise"], "no such command 'featurise'"),
        (["featurize"], "missing argument 'corpus'"),
        (["featurize", "sounds"], "missing option"),
        (["featurize", "sounds", "-o", "x", "--workers", "two"], "'--workers'"),
        (["featurize", "sounds", "-o", "x", "--dtype", "float64"], "'float64' is not one of 'float32', 'float16'"),
        (["preset", "show", "whispr"], "did you mean 'whisper'"),
        (["plot", "o\udcff.wav", "-o", "a.png"], "is no text in UTF-8"),
    ],
)
def test_mistake__is_one_line(run, arguments, words):
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


@pytest.mark.parametrize(
    "arguments, at",
    [
        (["doctor"], "fastspec.diagnosis.examine"),
        (["warmup"], "fastspec.cli.warming.compile_ahead"),
        (["demo"], "fastspec.demo.tour.run_tour"),
        (["train", "s.zarr", "-m", "logistic", "-o", "m"], "fastspec.store.open_store"),
        (["leaderboard", "s.zarr"], "fastspec.store.open_store"),
        (["predict", "m", "sounds", "-o", "p.csv"], "fastspec.learn.load_bundle"),
        (["store", "verify", "s.zarr"], "fastspec.store.find_damage"),
        (["store", "export", "s.zarr", "-o", "a.npy"], "fastspec.store.open_store"),
        (["plot", "sounds", "-o", "a.png"], "fastspec.report.plot"),
        (["plugin", "check", "logistic"], "fastspec.testing.check_classifier"),
    ],
)
def test_interrupt__is_one_line(run, monkeypatch, arguments, at):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(at, interrupt)
    assert run(*arguments) == (130, "", "fastspec: interrupted\n")


# --- where output goes -------------------------------------------------------------------------------------------------------------


def shell(line, **environment):
    """A line of shell in which `fastspec` is this one."""
    function = f'fastspec() {{ "{sys.executable}" -c "from fastspec.cli import main; main()" "$@"; }}\n'
    environment = {**os.environ, "COLUMNS": "80", **environment}
    return subprocess.run(["bash", "-c", function + line], env=environment, capture_output=True, text=True, check=False)


def test_reader_that_stops__ends_the_command_silently():
    result = shell("fastspec preset list --json | head -c 1")
    assert (result.stdout, result.stderr) == ("{", "")


def test_closed_output__is_no_error():
    result = shell("fastspec preset list >&-")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")  # noqa: PTH110
def test_full_output__is_one_line():
    result = shell("fastspec preset list > /dev/full")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "No space left on device" in result.stderr


def test_output_of_another_encoding__is_escaped():
    plain = shell("fastspec preset list && fastspec warmup --help", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert plain.stdout.isascii()


def test_name_that_is_no_text__is_valid_json():
    document = as_json("scan", [{"path": "caf\udce9.wav", "label": "é"}])
    assert json.loads(document.encode())["rows"] == [{"path": "caf\udce9.wav", "label": "é"}]


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")
@pytest.mark.parametrize("environment, styled", [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"NO_COLOR": "1"}, False)])
def test_terminal__is_coloured_unless_it_cannot_or_shall_not(environment, styled):
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", "from fastspec.cli import main; main()", "store", "--help"]
    result = subprocess.run(command, stdout=theirs, env={**os.environ, "TERM": "xterm", **environment}, check=False)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert result.returncode == 0
    assert "verify" in shown
    assert (re.search(r"\x1b\[[\d;]*3\dm", shown) is not None) == styled


@pytest.mark.parametrize(
    "words, offered",
    [
        ("fastspec featurize sounds --preset librosa-", {"librosa-mfcc"}),
        ("fastspec preset show yam", {"yamnet"}),
        ("fastspec train s.zarr -m light", {"lightgbm"}),
        ("fastspec featurize sounds --set n_me", {"n_mels="}),
        ("fastspec store ver", {"verify"}),
        ("fastspec plot a.wav --kind wave", {"waveform"}),
    ],
)
@pytest.mark.parametrize("kind", ["bash", "zsh"])
def test_shell__completes(words, offered, kind):
    said = {"bash": {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}, "zsh": {"_TYPER_COMPLETE_ARGS": words}}
    result = shell("fastspec", _FASTSPEC_COMPLETE=f"complete_{kind}", **said[kind])
    assert set(re.findall(r"[\w=-]+", result.stdout.replace("_arguments", ""))) >= offered, result


# --- answers -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    root, random = tmp_path_factory.mktemp("terminal"), np.random.default_rng(0)
    for i in range(12):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        (root / "sounds" / label).mkdir(parents=True, exist_ok=True)
        tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(8000) / 16000) + 0.05 * random.standard_normal(8000)
        soundfile.write(root / "sounds" / label / f"{i}.wav", tone, 16000)
    return root


def test_whole_session__answers_in_json_or_keeps_quiet(run, sounds, monkeypatch):
    monkeypatch.chdir(sounds)
    session = [
        ["featurize", "sounds", "-o", "s.zarr", "--preset", "torchaudio", "--set", "log=db"],
        ["store", "export", "s.zarr", "-o", "s.npy"],
        ["train", "s.zarr", "-m", "logistic", "-o", "model"],
        ["predict", "model", "sounds", "-o", "p.csv"],
        ["explain", "model", "sounds/low/0.wav", "-o", "why.npz"],
        ["plot", "sounds/low/0.wav", "-o", "low.png"],
        ["plugin", "new", "kestrel"],
    ]
    for command in session:
        code, out, err = run(*command, "--json")
        assert (code, err) == (0, ""), command
        document = json.loads(out)
        assert set(document) == {"command", "version", "rows"}
        assert document["rows"][0].keys() & {"store", "output"}
        assert " ".join(command).startswith(document["command"])
    assert run("train", "s.zarr", "-m", "logistic", "-o", "again", "--quiet") == (0, "", "")
    assert run("featurize", "sounds", "-o", "q.zarr", "-q") == (0, "", "")
    assert run("featurize", "sounds", "-o", "q.zarr", "-q")[0] == 2
    assert "ok" in run("store", "ledger", "q.zarr", "-q")[1]


def test_recipe_of_a_preset__is_a_row(run):
    _, out, _ = run("preset", "show", "whisper", "--json")
    assert json.loads(out)["rows"][0]["spec"]["hop_length"] == 160


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are text")
def test_recording_whose_name_is_no_text__is_escaped_and_read(tmp_path, write_tone):
    write_tone(tmp_path / "tone.wav")
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    os.rename(tmp_path / "tone.wav", odd)  # noqa: PTH104
    manifest = read_inputs([odd])
    (path,) = manifest.table["path"]
    assert path.endswith(r"/caf\xe9.wav")
    assert manifest.open(path).is_file()
