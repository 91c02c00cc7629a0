"""README's four recipes run as they are written, and what they are compared with learns what it can."""

import csv
import io
import json
import zipfile
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile

from bench import articles, tutorials
from bench.__main__ import main
from bench.articles import Example
from bench.tutorials import TUTORIALS, Answers, Theirs, Trial, Tutorial, commands_of, run_commands, score_answers
from fastspec.errors import RunFailed

BY_NAME = {tutorial.name: tutorial for tutorial in TUTORIALS}
LIBRARIES = "ignore:.*:DeprecationWarning"  # of what librosa and torch import


def picture(brightness, seed):
    pytest.importorskip("PIL")
    from PIL import Image

    pixels = np.clip(np.random.default_rng(seed).normal(brightness, 20, (40, 60, 3)), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def tone(hz, seed, seconds=0.5):
    t = np.arange(round(seconds * 22050)) / 22050
    file = io.BytesIO()
    soundfile.write(
        file, 0.4 * np.sin(2 * np.pi * hz * t) + 0.01 * np.random.default_rng(seed).standard_normal(len(t)), 22050, format="WAV"
    )
    return file.getvalue()


def examples(make, values, n, first=0):
    """n examples of each class."""
    return [
        Example(f"{label}/{i}", label, make(value, 100 * first + 10 * i + k))
        for k, (label, value) in enumerate(values.items())
        for i in range(first, first + n)
    ]


def share_right(method, make, values, *, n=40):
    test = examples(make, values, 5, first=n)
    probabilities = method(examples(make, values, n), test)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    classes = sorted(values)
    return np.mean([classes[code] == example.label for code, example in zip(probabilities.argmax(axis=1), test, strict=True)])


def test_pixels__tell_bright_from_dark_pictures():
    assert share_right(articles.boost_pixels, picture, {"dark": 60, "bright": 180}) == 1


def test_new_last_layer_on_a_network_for_photographs__tells_bright_from_dark_pictures():
    require_network()
    method = partial(articles.retrain_last_layer, steps=200)
    assert share_right(method, picture, {"dark": 60, "bright": 180}, n=4) == 1


def test_network_for_photographs__is_what_boosting_sees(monkeypatch):
    seen = []
    monkeypatch.setattr(articles, "_embed", lambda pictures: np.array([[float("bright" in one.label)] for one in pictures], np.float32))
    monkeypatch.setattr(articles, "_boost", lambda *arrays: seen.append(arrays))
    articles.boost_embeddings(examples(picture, {"dark": 60, "bright": 180}, 1), examples(picture, {"bright": 180}, 1))
    ((train, codes, test),) = seen
    assert (train.tolist(), codes.tolist(), test.tolist()) == ([[0], [1]], [1, 0], [[1]])


def require_network():
    pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    from fastspec.errors import PluginError
    from fastspec_transfer.networks import NETWORKS

    try:
        NETWORKS["efficientnet-lite0"].path()
    except PluginError as error:
        pytest.skip(str(error))


@pytest.mark.filterwarnings(LIBRARIES)
def test_flat_mel_spectrograms__tell_tones():
    pytest.importorskip("librosa")
    assert share_right(partial(articles.boost_mel, seconds=0.5, n_estimators=3), tone, {"low": 300, "high": 3000}, n=10) == 1


@pytest.mark.filterwarnings(LIBRARIES)
def test_padded_decibels__stand_where_the_recording_does():
    pytest.importorskip("librosa")
    flat = articles._mel(tone(1000, 0, seconds=0.25), seconds=0.5).reshape(128, -1)
    assert flat.shape[1] == 1 + 11025 // 512
    assert (flat[:, 11:] == 0).all()
    assert flat[:, :11].max() == 0
    assert flat[:, :11].min() < -40


def test_convolutions_on_magnitudes__tell_tones():
    pytest.importorskip("torch", reason="torch is not installed: pip install torch")
    method = partial(articles.convolve_stft, epochs=8)
    assert share_right(method, lambda hz, seed: tone(hz, seed, seconds=4), {"low": 500, "high": 6000}, n=20) == 1


def test_magnitudes__are_low_to_high_along_a_row_and_silent_after_the_end():
    small = articles._magnitudes(tone(22050 / 4, 0, seconds=150_000 / 22050))[0]
    assert small.shape == (32, 32)
    assert abs(int(small[4].argmax()) - 16) <= 1  # half of the way to the highest frequency
    assert small[20:].max() < 1e-3 * small[4].max()


@pytest.mark.parametrize("name", BY_NAME)
def test_recipe__is_at_most_fifteen_lines_and_writes_what_is_scored(name):
    commands = commands_of(name)
    assert len(commands) <= 15
    written = [command[command.index("-o") + 1] for command in commands if "-o" in command]
    assert len(written) == len(set(written))
    for trial in BY_NAME[name].trials:
        assert {trial.sides, *trial.ours.values()} <= set(written)


def test_readme_without_the_recipe__is_told(tmp_path):
    (tmp_path / "README.md").write_text("<!-- recipe drums -->\nno command\n<!-- /recipe -->", encoding="utf8")
    with pytest.raises(RunFailed, match="README has no commands between <!-- recipe drums -->"):
        commands_of("drums", path=tmp_path / "README.md")


def test_command_whose_classifier_is_not_installed__is_left_out_with_what_needs_its_model(tmp_path, capsys):
    commands = [
        ["fastspec", "train", "s.zarr", "-m", "no-such-plugin", "-o", "model"],
        ["fastspec", "predict", "model", "x.wav", "-o", "p.csv"],
    ]
    run_commands(commands, tmp_path)
    told = capsys.readouterr().err
    assert "left out: fastspec train s.zarr -m no-such-plugin -o model: unknown classifier" in told
    assert "left out: fastspec predict model x.wav -o p.csv: there is no model" in told
    assert not list(tmp_path.iterdir())


def test_command_that_fails__stops_the_recipe_with_its_message(tmp_path):
    with pytest.raises(RunFailed, match=r"fastspec featurize gone -o s.zarr: fastspec: gone does not exist"):
        run_commands([["fastspec", "featurize", "gone", "-o", "s.zarr"]], tmp_path)


def test_scores__are_of_the_answers_and_log_loss_of_the_probabilities():
    probabilities = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75], [0.25, 0.75]])
    row = score_answers(Answers(["a", "a", "b", "b"], ["1", "1", "2", "2"], ["a", "b"], probabilities, ["a", "b", "b", "b"]))
    assert (row["accuracy"], row["low"], row["high"]) == (0.75, 0.5, 1.0)  # one of two groups is half right
    assert row["f1"] == pytest.approx({"a": 2 / 3, "b": 0.8})
    assert row["log_loss"] == pytest.approx(-np.log([0.75, 0.5, 0.75, 0.75]).mean())


@pytest.fixture
def tones_tutorial(monkeypatch, write_tone):
    """A recipe on tones of its own: an article that always says the first class, and one command line that learns."""

    def make(folder, *, few):
        for i in range(24):
            write_tone(folder / "tones" / ("low", "high")[i % 2] / f"{i // 4}--{i}.wav", seconds=0.2, hz=(300.0, 3000.0)[i % 2] + i)
        assert few

    def say_the_first(train, test):
        assert {example.recording for example in train}.isdisjoint(example.recording for example in test)
        return np.tile([1.0, 0.0], (len(test), 1))

    commands = """split tones -o sides --group-from '/([^/]+)--' --test 0.3
        featurize sides/train.csv -o train.zarr --clip 0.2
        train train.zarr -m logistic -o model
        predict model sides/test.csv -o p.csv"""
    monkeypatch.setattr(
        tutorials, "commands_of", lambda _name: [["fastspec", *line.replace("'", "").split()] for line in commands.splitlines()]
    )
    theirs = (Theirs("theirs", say_the_first), Theirs("absent", say_the_first, ("no-such-package",)))
    tutorial = Tutorial("drums", make, (Trial("groups", "sides", theirs, {"ours": "p.csv", "not run": "gone.csv"}),))
    monkeypatch.setattr("bench.__main__.TUTORIALS", (tutorial,))
    return tutorial


@pytest.mark.usefixtures("tones_tutorial")
def test_articles__prints_both_methods_on_the_same_split_and_computes_nothing_twice(tmp_path, capsys, monkeypatch):
    command = ["articles", "--few", "--folder", str(tmp_path / "kitchen")]
    assert main([*command, "--json"]) == 0
    printed = capsys.readouterr()
    theirs, ours = json.loads(printed.out)["rows"]
    assert (theirs["method"], theirs["accuracy"], theirs["n_tested"], theirs["n_groups"]) == ("theirs", 0.5, 8, 2)
    assert (ours["method"], ours["accuracy"], ours["n_tested"], ours["n_groups"]) == ("ours", 1.0, 8, 2)
    assert "absent is left out: no-such-package not installed" in printed.err
    monkeypatch.setattr(tutorials, "run_commands", None)
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "drums, F1 of each class" in printed
    assert "scikit-learn" in printed


def test_half_a_recipe__is_refused(tones_tutorial, tmp_path):
    (tmp_path / "drums").mkdir()
    with pytest.raises(RunFailed, match="holds half a recipe; remove it"):
        tutorials.run_tutorials(tmp_path, tutorials=[tones_tutorial], few=True)


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory, corpus):
    """`kitchen(name)`: the folder in which a recipe of README ran on a few real recordings."""
    needed = {"voices": ("languages", "fish", "fish-nl")}

    def run(name):
        for corpus_name in needed.get(name, (name,)):
            corpus(corpus_name)
        folder = tmp_path_factory.mktemp(name)
        BY_NAME[name].make(folder, few=True)
        run_commands(commands_of(name), folder)
        return folder

    return run


def read_rows(path):
    with path.open(newline="", encoding="utf8") as file:
        return list(csv.DictReader(file))


def recall(rows, label):
    return np.mean([row["predicted"] == label for row in rows if row["label"] == label])


def accuracy(rows):
    assert all(row["status"] == "ok" for row in rows)
    return np.mean([row["predicted"] == row["label"] for row in rows])


@pytest.mark.corpus
def test_drums__as_pictures_in_zips_and_kits_held_out(kitchen):
    pytest.importorskip("optuna")
    folder = kitchen("drums")
    tested, index = read_rows(folder / "sides" / "test.csv"), read_rows(folder / "pictures" / "index.csv")
    assert not {row["group"] for row in tested} & {row["group"] for row in read_rows(folder / "sides" / "train.csv")}
    for side in ("train", "test"):
        with zipfile.ZipFile(folder / "pictures" / f"{side}.zip") as archive:
            assert len(archive.namelist()) == sum(row["split"] == side for row in index)
    best, careful = (read_rows(folder / name) for name in ("best.csv", "careful.csv"))
    assert len(best) == len(careful) == len(tested) == len(read_rows(folder / "predictions.csv"))
    assert accuracy(best) > 0.5  # of six classes
    assert recall(careful, "snare") >= recall(best, "snare")
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.corpus
def test_fish__from_a_zip_by_lines_and_by_levels(kitchen):
    folder = kitchen("fish")
    assert accuracy(read_rows(folder / "lines.csv")) > 0.9
    assert accuracy(read_rows(folder / "levels.csv")) > 0.9
    groups = [{row["group"] for row in read_rows(folder / "levels" / f"{side}.csv")} for side in ("train", "test")]
    assert not groups[0] & groups[1]


@pytest.mark.corpus
def test_voices__in_windows_of_long_mp3s_with_or_without_a_network(kitchen):
    folder = kitchen("voices")
    assert accuracy(read_rows(folder / "light.csv")) > 0.9
    windows = {row["start_s"] for row in read_rows(folder / "chroma" / "index.csv")}
    assert {"0.0", "20.0", "40.0"} <= windows
    if (folder / "model").exists():
        assert accuracy(read_rows(folder / "predictions.csv")) > 0.9
        assert read_rows(folder / "label.csv")[0]["predicted"] == "czech_big_fish"


@pytest.mark.corpus
def test_instruments__from_a_table_by_three_front_ends(kitchen):
    folder = kitchen("instruments")
    assert accuracy(read_rows(folder / "predictions.csv")) > 0.5  # of fifteen classes
    assert (folder / "network.csv").exists() == (find_spec("torch") is not None and (folder / "network").exists())
