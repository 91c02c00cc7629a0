"""The accuracy benchmark on small corpora that are made here: who trains, who tests, and what the table says."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import accuracy, readme, tasks
from bench.__main__ import main
from bench.entrants import ENTRANTS, Entrant
from bench.paired import paired_lead, run_pairs
from bench.tasks import Task, task_folds, task_store
from fastspec.demo.corpora import LabelledRecording
from fastspec.errors import RunFailed
from fastspec.learn import Dataset
from fastspec.presets import preset

CASTS = Task("one→other", ("one", "other"), 0.9, 0.9)
ALONE = Task("one", ("one",), 0.9, 0.99)
QUICK = [entrant for entrant in ENTRANTS if entrant.name in ("hand, logistic", "lda")]
SHAPES = [Entrant("shape", "plugin", "lda", {"pool": "shape"}), Entrant("logistic", "plugin", "logistic")]
TINY = preset("librosa", n_mels=16, n_fft=512, win_length=512, clip_s=0.3)


@pytest.fixture
def corpora(tmp_path, write_tone, monkeypatch):
    """Two corpora of low and high tones in six groups, each with both; the last recording of one is a copy of the other's."""
    tables = {}
    for name, hz in (("one", 300.0), ("other", 330.0)):
        rows = []
        for i in range(24):
            label, pitch = (("low", 1.0), ("high", 4.0))[i % 2]
            path = write_tone(tmp_path / name / f"{i}.wav", seconds=0.3, hz=pitch * hz + 3 * i, amplitude=0.2 + 0.02 * i)
            rows.append(LabelledRecording(str(path), label, f"level{i // 4}"))
        path = write_tone(tmp_path / name / "copy.wav", seconds=0.3, hz=1000.0)
        tables[name] = [*rows, LabelledRecording(str(path), "high", "level0")]
    monkeypatch.setattr(tasks, "fetch", lambda name: tmp_path / name)
    monkeypatch.setattr(tasks, "corpus_table", lambda name, _folder: tables[name])
    monkeypatch.setattr(Entrant, "recipe", lambda _entrant: TINY)
    monkeypatch.setattr(accuracy, "ENTRANTS", QUICK)
    return tables


def dataset_of(task: Task, folder: Path) -> Dataset:
    return Dataset.from_store(task_store(task, TINY, folder, name="tiny", workers=1))


@pytest.mark.usefixtures("corpora")
def test_one_corpus__is_cut_into_folds_of_whole_groups_that_differ_from_seed_to_seed(tmp_path):
    dataset = dataset_of(ALONE, tmp_path / "kept")
    splits = task_folds(ALONE, dataset, seeds=2)
    for folds in splits:
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(dataset)))
        for fold in folds:
            assert not set(dataset.groups[fold.train]) & set(dataset.groups[fold.test])
    tested = [sorted(tuple(fold.test) for fold in folds) for folds in splits]
    assert tested[0] != tested[1]


def test_class_of_fewer_groups_than_folds__is_spread_and_always_trained(corpora, tmp_path):
    rows = corpora["one"]
    rows[:] = [row._replace(label="rare") if row.group in ("level1", "level2") else row for row in rows]
    dataset = dataset_of(ALONE, tmp_path / "kept")
    (folds,) = task_folds(ALONE, dataset, seeds=1)
    assert all(set(dataset.labels[fold.train]) == {0, 1, 2} for fold in folds)


def test_two_corpora__train_on_the_first_and_test_on_what_of_the_second_is_no_copy(corpora, tmp_path):
    for task in (CASTS, CASTS._replace(corpora=("other", "one"))):
        dataset = dataset_of(task, tmp_path / "kept")
        ((fold,),) = task_folds(task, dataset, seeds=1)
        train, test = ({Path(dataset.paths[clip]).parts[-2:] for clip in side} for side in fold)
        assert train == {(task.corpora[0], Path(row.path).name) for row in corpora[task.corpora[0]]}
        assert test == {(task.corpora[1], f"{i}.wav") for i in range(24)}


@pytest.mark.usefixtures("corpora")
def test_accuracy__prints_a_row_for_each_task_and_entrant_and_the_lines(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(accuracy, "TASKS", (ALONE, CASTS))
    monkeypatch.setattr("bench.__main__.TASKS", (ALONE, CASTS))
    command = ["accuracy", "--seeds", "1", "--folder", str(tmp_path / "kept")]
    assert main([*command, "--json"]) == 0
    *rows, one, one_best, other, _ = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["task"], row["entrant"]) for row in rows] == [(task.name, entrant.name) for task in (ALONE, CASTS) for entrant in QUICK]
    assert all(row["accuracy"] == 1.0 and row["standard_error"] == 0.0 for row in rows)  # tones lie octaves apart
    assert (rows[0]["n_tested"], rows[0]["n_groups"], rows[2]["n_tested"]) == (25, 6, 24)
    assert (one["best"], one["line"], one_best["line"], other["met"]) == ("lda", 0.9, 0.99, True)
    assert main([*command, "--task", "one→other", "--model", "lda"]) == 0
    printed = capsys.readouterr().out
    assert "1.000 ± 0.000" in printed
    assert "hand" not in printed


@pytest.mark.usefixtures("corpora")
def test_run_that_was_stopped__goes_on_and_computes_nothing_twice(tmp_path, monkeypatch):
    first = accuracy.run_accuracy(tmp_path / "kept", tasks=[ALONE], entrants=QUICK, seeds=1)

    def refuse(*_arguments, **_options):
        raise AssertionError("it was computed again")

    monkeypatch.setattr(accuracy, "evaluate", refuse)
    assert accuracy.run_accuracy(tmp_path / "kept", tasks=[ALONE], entrants=QUICK, seeds=1) == first
    assert accuracy.run_accuracy(tmp_path / "kept", tasks=[ALONE, CASTS], entrants=QUICK, seeds=1, finished=True) == first
    with pytest.raises(AssertionError, match="computed again"):
        accuracy.run_accuracy(tmp_path / "kept", tasks=[ALONE], entrants=QUICK, seeds=2)


@pytest.mark.usefixtures("corpora")
def test_entrant_that_is_not_installed__is_named_with_the_reason(tmp_path, capsys):
    absent = [Entrant("a", "anchor", "lda", package="no-such-package"), Entrant("b", "plugin", "no-such-plugin")]
    assert accuracy.run_accuracy(tmp_path, tasks=[ALONE], entrants=absent) == []
    told = capsys.readouterr().err
    assert "a is left out: no-such-package is not installed; to include it: pip install no-such-package" in told
    assert "b is left out: unknown classifier 'no-such-plugin'" in told


@pytest.mark.usefixtures("corpora")
def test_columns_that_are_pooled_once__give_the_scores_of_the_plugin_itself(tmp_path, monkeypatch):
    pooled, _ = accuracy.run_accuracy(tmp_path / "a", tasks=[ALONE], entrants=SHAPES, seeds=1)
    monkeypatch.setattr(accuracy, "_kept_columns", lambda *_arguments: None)
    itself, _ = accuracy.run_accuracy(tmp_path / "b", tasks=[ALONE], entrants=SHAPES, seeds=1)
    assert pooled["log_loss"] == pytest.approx(itself["log_loss"], rel=1e-6)


def row(entrant: str, kind: str, score: float) -> accuracy.Row:
    return {"task": "one", "entrant": entrant, "kind": kind, "accuracy": score, "standard_error": 0.02}


def test_line__is_met_by_at_most_one_standard_error_below_it_and_torch_counts_for_the_second_alone():
    rows = [row("hand", "anchor", 0.95), row("x", "plugin", 0.885), row("y", "with torch", 0.96)]
    light, best = accuracy.run_lines(rows, [ALONE])
    assert (light["best"], light["anchor"], light["line"], light["met"]) == ("x", 0.95, 0.9, True)
    assert (best["best"], best["line"], best["met"]) == ("y", 0.99, False)
    assert not accuracy.run_lines([row("x", "plugin", 0.87)], [ALONE])[0]["met"]


def test_name_that_no_entrant_bears__is_refused(capsys):
    assert main(["accuracy", "--folder", "unused", "--model", "ldaa"]) == RunFailed("").exit_code
    assert "no entrant is called 'ldaa'" in capsys.readouterr().err
    assert {entrant.model for entrant in accuracy.choose(["lda"])} == {"lda"}


def test_readme__gets_the_table_between_its_markers(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("a\n<!-- accuracy -->\nold\n<!-- /accuracy -->\nb", encoding="utf8")
    readme.put_table("accuracy", "new", path=path)
    assert path.read_text(encoding="utf8") == "a\n<!-- accuracy -->\n\nnew\n\n<!-- /accuracy -->\nb"


def grouped(entrant: str, kind: str, right: list[float]) -> accuracy.Row:
    return row(entrant, kind, sum(right) / 20) | {"groups": {"a": [right[0], 10], "b": [right[1], 10]}}


def test_lead__is_paired_by_group_so_that_what_is_hard_for_both_does_not_blur_it():
    lead, error = paired_lead({"a": [10, 10], "b": [4, 10]}, {"a": [9, 10], "b": [3, 10]})
    assert (lead, error) == (pytest.approx(0.1), pytest.approx(0.0))
    lead, error = paired_lead({"a": [10, 10], "b": [3, 10]}, {"a": [8, 10], "b": [3, 10]})
    assert (lead, error) == (pytest.approx(0.1), pytest.approx(0.1))  # of 0.2 and 0: a deviation of 0.141 over the root of two


def test_best__is_compared_with_each_rival_that_was_measured():
    rows = [grouped("x", "plugin", [9, 7]), grouped("y", "with torch", [10, 10]), grouped("eGeMAPS, svm", "anchor", [8, 6])]
    (pair,) = run_pairs(rows, [ALONE])
    assert (pair["best"], pair["rival"], pair["met"]) == ("x", "eGeMAPS, svm", True)
    assert pair["ahead_by"] == pytest.approx(0.1)
    behind = [grouped("x", "plugin", [7, 5]), rows[2]]
    assert not run_pairs(behind, [ALONE])[0]["met"]
    assert run_pairs(rows[:2], [ALONE]) == []


def test_row_that_does_not_tell_its_groups__leaves_the_lead_a_dash():
    rows = [row("x", "plugin", 0.9), grouped("eGeMAPS, svm", "anchor", [8, 6])]
    assert run_pairs(rows, [ALONE]) == [{"task": "one", "best": "x", "rival": "eGeMAPS, svm", "lead": 0.0}]
    *_, pair, _ = accuracy.as_tables(rows, [ALONE]).split("\n\n")
    assert [cell.strip() for cell in pair.splitlines()[-1].split("|")[1:-1]] == ["one", "x", "eGeMAPS, svm", "–", "0.00", "–"]


@pytest.mark.usefixtures("corpora")
def test_runtime_of_networks__makes_no_score_stale_that_needs_none(tmp_path, monkeypatch):
    first = accuracy.run_accuracy(tmp_path / "kept", tasks=[ALONE], entrants=QUICK, seeds=1)
    versions = accuracy.library_versions()
    monkeypatch.setattr(accuracy, "library_versions", lambda: versions | {"torch": "99"})
    assert accuracy.run_accuracy(tmp_path / "kept", tasks=[ALONE], entrants=QUICK, seeds=1, finished=True) == first
    monkeypatch.setattr(accuracy, "library_versions", lambda: versions | {"scikit-learn": "99"})
    assert accuracy.run_accuracy(tmp_path / "kept", tasks=[ALONE], entrants=QUICK, seeds=1, finished=True) == []
