"""Classifiers side by side, on the same folds."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fastspec.errors import LearnError
from fastspec.learn.baseline import Majority
from fastspec.learn.classifier import Classifier
from fastspec.learn.dataset import Dataset
from fastspec.learn.evaluation import Evaluation, evaluate
from fastspec.learn.registry import load_plugin, usable_plugins

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
    on_message: Callable[[str], None] | None = None,
) -> list[LeaderboardRow]:
    """Evaluate plugins on the same folds, with the majority baseline among them; the lowest log-loss comes first.

    Args:
        data: a finished store, or a dataset made from one.
        models: names of plugins; None is every installed one that can be imported and takes the store's recipe.
        folds: how many.
        repeats: how often, each time with another seed.
        seed: of the first repeat.
        threads: that a model may use.
        on_start: is told the name of each classifier before it is evaluated.
        on_message: told in one line about each installed plugin that is left out, and why.

    Raises:
        LearnError: clips that cannot be learned from or split as asked, or features of another recipe than a plugin named requires.
        PluginError: a plugin named is unknown or cannot be imported. All of these come before anything is fitted.
    """
    if models is None:
        plugins = usable_plugins(on_message=on_message)
    else:
        plugins = {name: load_plugin(name) for name in models if name != Majority.name}
    dataset = data if isinstance(data, Dataset) else Dataset.from_store(data)
    refused = _misfits(plugins, dataset)
    for error in refused.values():
        if models is not None:
            raise error
        if on_message is not None:
            on_message(f"left out: {error}")
    names = [*(name for name in plugins if name not in refused), Majority.name]
    evaluations = []
    for name in names:
        if on_start is not None:
            on_start(name)
        evaluations.append(evaluate(dataset, name, folds=folds, repeats=repeats, seed=seed, threads=threads))
    return sorted(map(leaderboard_row, evaluations), key=lambda row: row.log_loss)


def _misfits(plugins: Mapping[str, type[Classifier]], dataset: Dataset) -> dict[str, LearnError]:
    """Why plugins do not take the dataset's recipe, by name."""
    refused: dict[str, LearnError] = {}
    if dataset.recipe is None:
        return refused
    for name, plugin in plugins.items():
        try:
            plugin.check_recipe(dataset.recipe, source=dataset.source)
        except LearnError as error:
            refused[name] = error
    return refused


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
