"""How accurate classifiers are on real recordings of groups, or of actors, that they have never met."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.entrants import ENTRANTS, Columns, Entrant
from bench.output import as_table
from bench.paired import COLUMNS as PAIRS
from bench.paired import run_pairs
from bench.tasks import FOLDS, SEEDS, TASKS, Task, task_folds, task_store
from fastspec.benchmark.machine import machine
from fastspec.demo.corpora import CorpusUnavailable
from fastspec.errors import PluginError, RunFailed, choices
from fastspec.learn import ColumnClassifier, Dataset, Evaluation, evaluate, load_plugin
from fastspec.learn.cells import Cells, cell_key
from fastspec.learn.pooling import pool_features
from fastspec.learn.registry import plugin_info
from fastspec.learn.versions import library_versions

# A 95 % interval of a normal distribution is that many standard errors wide.
_WIDTH = 2 * 1.959964
Row = dict[str, Any]


def run_accuracy(
    folder: Path,
    *,
    tasks: Sequence[Task] = TASKS,
    entrants: Sequence[Entrant] = ENTRANTS,
    seeds: int = SEEDS,
    workers: int = 1,
    finished: bool = False,
) -> list[Row]:
    """One row for each task and each entrant that can take part here; why others cannot is told on standard error.

    Args:
        folder: keeps tables, features, columns and finished scores; what is there is not computed again.
        seeds: each gives other folds and other models; scores are the mean.
        workers: threads that compute features.
        finished: only the rows that the folder has; nothing is fitted.
    """
    rows = []
    able = [entrant for entrant in entrants if _can(entrant)]
    for task in tasks:
        heard: dict[str, Dataset] = {}
        for entrant in able:
            try:
                if entrant.front_end not in heard:
                    store = task_store(task, entrant.recipe(), folder, name=entrant.front_end, workers=workers)
                    heard[entrant.front_end] = Dataset.from_store(store, in_memory_bytes=0)
                row = _measure(task, entrant, heard[entrant.front_end], folder, seeds=seeds, finished=finished)
            except (CorpusUnavailable, PluginError) as error:
                print(f"bench: {entrant.name} is left out of {task.name}: {error}", file=sys.stderr)
            else:
                rows += [row] if row else []
    return rows


def choose(names: Sequence[str] | None) -> list[Entrant]:
    """The entrants of these names or plugins; all, when none is named. RunFailed for a name that nobody bears."""
    for name in names or ():
        if not any(name in (entrant.name, entrant.model) for entrant in ENTRANTS):
            raise RunFailed(f"no entrant is called {name!r}; {choices(name, [entrant.name for entrant in ENTRANTS])}")
    return [entrant for entrant in ENTRANTS if not names or entrant.name in names or entrant.model in names]


def host() -> dict[str, Any]:
    """The machine, and the versions of what learns."""
    told = machine()
    return told | {"packages": told["packages"] | {name: version(name) for name in ("scikit-learn", "lightgbm")}}


def _can(entrant: Entrant) -> bool:
    reason = entrant.missing()
    if reason is not None:
        print(f"bench: {entrant.name} is left out: {reason}", file=sys.stderr)
    return reason is None


def _measure(task: Task, entrant: Entrant, dataset: Dataset, folder: Path, *, seeds: int, finished: bool) -> Row | None:
    """The row of one cell, from the folder where it is there; None where it is not and should be."""
    splits = task_folds(task, dataset, seeds=seeds)
    what = {"task": task.name, "entrant": entrant.name, "model": entrant.model, "params": dict(entrant.params), "kind": entrant.kind}
    key = cell_key(dataset, splits, versions=_versions(entrant), origin=list(plugin_info(entrant.model)), **what)
    cells = Cells(folder / "cells")
    if (kept := cells.read(key)) is not None or finished:
        return kept
    columns, params = _kept_columns(entrant, dataset, folder), entrant.params
    if columns is not None:
        dataset, params = _with_columns(dataset, columns), {**params, "pool": "flatten"}
    row = what | _scores(evaluate(dataset.load(), entrant.model, params=params, repeats=seeds, splits=splits))
    cells.write(key, row)
    return row


def _versions(entrant: Entrant) -> dict[str, str]:
    """Of what computes its scores: to install a network's runtime makes nothing else stale."""
    runtimes = () if entrant.needs_network else ("torch", "onnxruntime")
    return {name: number for name, number in library_versions().items() if name not in runtimes}


def _with_columns(dataset: Dataset, columns: Columns) -> Dataset:
    """The same clips with columns as their only frame: a classifier that takes features flat sees just these."""
    return replace(dataset, features=columns[:, None, :], valid_frames=np.ones(len(dataset), np.int32), recipe=None)


def _kept_columns(entrant: Entrant, dataset: Dataset, folder: Path) -> Columns | None:
    """The columns that the entrant's classifier sees, computed once for a store: each row depends on its clip alone, so that whoever
    pools in every fold sees the same. None for a classifier that sees features."""
    if entrant.columns is not None:
        name, make = entrant.columns.__name__, entrant.columns
    elif issubclass(plugin := load_plugin(entrant.model), ColumnClassifier):
        how = plugin.from_params(entrant.params).pool
        name, make = how, lambda dataset: pool_features(np.asarray(dataset.features), dataset.valid_frames, how=how)
    else:
        return None
    path = folder / f"{Path(dataset.source).stem}-{name}.npy"
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}.npy")
        np.save(draft, make(dataset))
        draft.replace(path)
    return np.asarray(np.load(path), np.float32)


def _scores(evaluation: Evaluation) -> Row:
    """Scores with a standard error over groups, which is that of the bootstrap interval's width, and how many are right in each group."""
    low, high = evaluation.intervals["accuracy"]
    headline = {name: None if np.isnan(value) else value for name, value in evaluation.headline().items()}
    tested = {"n_tested": len(evaluation.labels), "n_groups": len(set(evaluation.groups)), "n_classes": len(evaluation.classes)}
    names, of_group = np.unique(evaluation.groups, return_inverse=True)
    right = np.bincount(of_group, evaluation.right).tolist()
    groups = {name: list(counts) for name, *counts in zip(names.tolist(), right, np.bincount(of_group).tolist(), strict=True)}
    costs = {"fit_s": evaluation.fit_s, "predict_s": evaluation.predict_s}
    return tested | headline | {"standard_error": (high - low) / _WIDTH, "groups": groups} | costs


def run_lines(rows: Sequence[Row], tasks: Sequence[Task] = TASKS) -> list[Row]:
    """For each task the best classifier without torch and the best of all, beside what they are to reach.

    A line is met when the accuracy is at most one standard error below it.
    """
    lines: list[Row] = []
    for task in tasks:
        for kinds, line in ((("plugin",), task.line), (("plugin", "with torch"), task.best_line)):
            of_task = [row for row in rows if row["task"] == task.name]
            found = [row for row in of_task if row["kind"] in kinds]
            if found:
                best = max(found, key=lambda row: row["accuracy"])
                anchor = max((row["accuracy"] for row in of_task if row["kind"] == "anchor"), default=None)
                lines.append(
                    {
                        "task": task.name,
                        "among": " or ".join(kinds),
                        "best": best["entrant"],
                        "accuracy": best["accuracy"],
                        "standard_error": best["standard_error"],
                        "anchor": anchor,
                        "line": line,
                        "met": best["accuracy"] >= line - best["standard_error"],
                    }
                )
    return lines


LINES = {
    "task": "task",
    "among": "among",
    "best": "best",
    "shown": "accuracy ± standard error",
    "anchor_shown": "best anchor",
    "line_shown": "line",
    "met": "met",
}


def as_tables(rows: Sequence[Row], tasks: Sequence[Task] = TASKS) -> str:
    """Who reaches what on which task, the lines, and how far the best is ahead of rivals."""
    shown = [task.name for task in tasks if any(row["task"] == task.name for row in rows)]
    table = [
        {"entrant": name} | {row["task"]: f"{row['accuracy']:.3f} ± {row['standard_error']:.3f}" for row in rows if row["entrant"] == name}
        for name in [entrant.name for entrant in ENTRANTS if any(row["entrant"] == entrant.name for row in rows)]
    ]
    matrix = as_table({"entrant": "classifier"} | {name: name for name in shown}, table)
    lines = [
        line
        | {
            "shown": f"{line['accuracy']:.3f} ± {line['standard_error']:.3f}",
            "line_shown": f"{line['line']:.2f}",
            "anchor_shown": None if line["anchor"] is None else f"{line['anchor']:.3f}",
        }
        for line in run_lines(rows, tasks)
    ]
    pairs = [
        pair
        | {"lead": f"{pair['lead']:.2f}"}
        | ({"shown": f"{pair['ahead_by']:+.3f} ± {pair['standard_error']:.3f}"} if "ahead_by" in pair else {})
        for pair in run_pairs(rows, tasks)
    ]
    told = f"Accuracy ± standard error over groups: {FOLDS} folds of whole groups, the mean of all seeds; A→B: all of A trains, B tests."
    return "\n\n".join([matrix, as_table(LINES, lines), *([as_table(PAIRS, pairs)] if pairs else []), told])
