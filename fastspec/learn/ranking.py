"""Classifiers side by side, on the same folds."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastspec.learn.baseline import Majority
from fastspec.learn.dataset import Dataset
from fastspec.learn.evaluation import Evaluation, evaluate
from fastspec.learn.registry import load_plugin, plugins

if TYPE_CHECKING:
    from fastspec.store import FeatureStore


class LeaderboardRow(NamedTuple):
    """One classifier on one store: scores with their 95 % intervals, times in seconds, size on disk."""

    store: str
    model: str
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float
    balanced_accuracy_low: float
    balanced_accuracy_high: float
    macro_f1: float
    macro_f1_low: float
    macro_f1_high: float
    log_loss: float
    log_loss_low: float
    log_loss_high: float
    fit_s: float | None
    predict_s: float
    size_bytes: int


def leaderboard(
    data: "FeatureStore | Dataset",
    models: Sequence[str] | None = None,
    *,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    threads: int = 1,
    on_start: Callable[[str], None] | None = None,
) -> list[LeaderboardRow]:
    """Evaluate plugins on the same folds, with the majority baseline among them; the lowest log-loss comes first.

    Args:
        data: a finished store, or a dataset made from one.
        models: names of plugins; None is every installed one.
        folds: how many.
        repeats: how often, each time with another seed.
        seed: of the first repeat.
        threads: that a model may use.
        on_start: is told the name of each classifier before it is evaluated.

    Raises:
        LearnError: clips that cannot be learned from or split as asked.
        PluginError: a plugin that is unknown or cannot be imported, before anything is fitted.
    """
    wanted = [info.name for info in plugins()] if models is None else models
    names = dict.fromkeys([*wanted, Majority.name])
    for name in names:
        if name != Majority.name:
            load_plugin(name)
    dataset = data if isinstance(data, Dataset) else Dataset.from_store(data)
    evaluations = []
    for name in names:
        if on_start is not None:
            on_start(name)
        evaluations.append(evaluate(dataset, name, folds=folds, repeats=repeats, seed=seed, threads=threads))
    return sorted(map(leaderboard_row, evaluations), key=lambda row: row.log_loss)


def leaderboard_row(evaluation: Evaluation) -> LeaderboardRow:
    """An evaluation as a row of the leaderboard."""
    return LeaderboardRow(
        store=evaluation.store,
        model=evaluation.model,
        **evaluation.headline(),
        fit_s=evaluation.fit_s,
        predict_s=evaluation.predict_s,
        size_bytes=evaluation.size_bytes,
    )
