"""Which classifier, on which front end, is best."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastspec.errors import FastspecError, LearnError, PluginError, choices
from fastspec.learn.baseline import BASELINES
from fastspec.learn.bundle import check_absent
from fastspec.learn.cells import Cells, cell_key
from fastspec.learn.classifier import Classifier
from fastspec.learn.comparing import align_stores, have_equal_clips, shared_folds
from fastspec.learn.dataset import Dataset
from fastspec.learn.evaluation import Evaluation, evaluate
from fastspec.learn.recordings import By, check_by, unit_of
from fastspec.learn.registry import load_plugin, plugin_info, usable_plugins
from fastspec.learn.tuning import Tuning
from fastspec.learn.versions import library_versions

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
    roc_auc: float
    roc_auc_low: float
    roc_auc_high: float
    log_loss: float
    log_loss_low: float
    log_loss_high: float
    fit_s: float | None
    predict_s: float
    size_bytes: int


def leaderboard(
    data: "FeatureStore | Dataset | Sequence[FeatureStore] | Sequence[Dataset]",
    models: Sequence[str] | None = None,
    *,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    threads: int = 1,
    by: By | None = None,
    cells: Path | None = None,
    tuning: Tuning | None = None,
    on_start: Callable[[str], None] | None = None,
    on_message: Callable[[str], None] | None = None,
) -> list[LeaderboardRow]:
    """Evaluate plugins on the same folds, the baselines among them; the lowest log-loss comes first.

    Args:
        data: a finished store, or several of one manifest: each is a front end, scored on what is usable in all (`align_stores`).
            Datasets made from them are taken too.
        models: names of plugins; None is every installed one that can be imported and takes the store's recipe.
        folds: how many.
        repeats: how often, each time with another seed.
        seed: of the first repeat.
        threads: that a model may use.
        by: whether recordings or clips are scored; None takes recordings where they have several clips.
        cells: a folder where finished scores are kept, and taken from when everything that they follow from is the same.
        tuning: how long to look for better hyper-parameters of each plugin that declares a search space, inside the training clips of each
            fold; others take part as they are.
        on_start: is told the name of each classifier before it is evaluated.
        on_message: told in one line about each installed plugin that is left out or not tuned, and why.

    Raises:
        LearnError: clips that cannot be learned from or split as asked, features of another recipe than a plugin named requires, or
            stores that cannot be compared.
        PluginError: a plugin named is unknown or cannot be imported, or none can be tuned. All of these come before anything is fitted.
    """
    if repeats < 1:
        raise LearnError(f"repeats is {repeats}; give 1 or more")
    if seed < 0:
        raise LearnError(f"seed is {seed}; give 0 or more")
    if models is None:
        plugins = usable_plugins(on_message=on_message)
    else:
        plugins = {name: load_plugin(name) for name in models if name not in BASELINES}
    tunings = {} if tuning is None else _tunings(plugins, tuning, on_message)
    datasets = _datasets(data)
    unit = _common_unit(datasets, check_by(by))
    entrants = [_entrants(plugins, dataset, named=models is not None, on_message=on_message) for dataset in datasets]
    splits = shared_folds(datasets, n_folds=folds, repeats=repeats, seed=seed)
    settings: dict[str, Any] = {"repeats": repeats, "seed": seed, "threads": threads, "by": unit}
    rows: list[LeaderboardRow] = []
    for i, (dataset, names, of_dataset) in enumerate(zip(datasets, entrants, splits, strict=True)):
        loaded = dataset.load()
        for name in names if i else [*names, *BASELINES]:
            if on_start is not None:
                on_start(name if len(datasets) == 1 else f"{name} on {dataset.source}")
            chosen = settings | {"tuning": tunings.get(name)}
            score = partial(evaluate, loaded, name, splits=of_dataset, **chosen)
            rows.append(_score_once(score, name, None if cells is None else Cells(cells), partial(cell_key, dataset, of_dataset, **chosen)))
    return sorted(rows, key=lambda row: row.log_loss)


def write_board(rows: Sequence[LeaderboardRow], path: Path) -> Path:
    """Write a leaderboard as a new `.parquet`, whole or not at all.

    Raises:
        LearnError: another ending, something is there already, or it cannot be written.
    """
    import polars

    output = check_board(path)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    kinds = {"store": polars.String, "model": polars.String, "size_bytes": polars.Int64}
    schema = {name: kinds.get(name, polars.Float64) for name in LeaderboardRow._fields}
    try:
        polars.DataFrame([tuple(row) for row in rows], schema=schema, orient="row").write_parquet(temporary)
        temporary.rename(output)
    except OSError as error:
        raise LearnError(f"the leaderboard cannot be written to {output}: {error.strerror or error}; choose another place") from None
    finally:
        temporary.unlink(missing_ok=True)
    return output


def check_board(path: Path) -> Path:
    """`path`, when a leaderboard can be written there. LearnError otherwise."""
    if path.suffix != ".parquet":
        raise LearnError(f"{path} has the extension {path.suffix!r}; {choices(path.suffix, ['.parquet'])}")
    return check_absent(path)


def _datasets(data: Any) -> list[Dataset]:
    if isinstance(data, Dataset):
        return [data]
    items = list(data) if isinstance(data, Sequence) else [data]
    return items if all(isinstance(item, Dataset) for item in items) else align_stores(items)


def _common_unit(datasets: Sequence[Dataset], by: By | None) -> By:
    """What is scored everywhere."""
    if have_equal_clips(datasets):
        return unit_of(datasets[0].paths, datasets[0].labels, by)
    if by == "clip":
        raise LearnError("the stores cut their recordings into other clips, so that only recordings can be compared; score by recording")
    for dataset in datasets:
        unit_of(dataset.paths, dataset.labels, "recording")
    return "recording"


def _entrants(
    plugins: Mapping[str, type[Classifier]], dataset: Dataset, *, named: bool, on_message: Callable[[str], None] | None
) -> list[str]:
    """The names of those plugins that take the dataset's recipe."""
    refused = _misfits(plugins, dataset)
    for error in refused.values():
        if named:
            raise error
        if on_message is not None:
            on_message(f"left out: {error}")
    return [name for name in plugins if name not in refused]


def _tunings(plugins: Mapping[str, type[Classifier]], tuning: Tuning, on_message: Callable[[str], None] | None) -> dict[str, Tuning]:
    """How each plugin that declares a search space is tuned."""
    able = {name: plugin for name, plugin in plugins.items() if plugin.search_space}
    if not able:
        raise PluginError(f"no search space is declared by {' or '.join(plugins)}, so that there is nothing to tune; leave tuning out")
    for plugin in able.values():
        tuning.check(plugin)
    for name in plugins:
        if name not in able and on_message is not None:
            on_message(f"{name} declares no search space and is not tuned")
    return dict.fromkeys(able, tuning)


def _score_once(score: Callable[[], Evaluation], name: str, cells: Cells | None, key_of: Callable[..., str]) -> LeaderboardRow:
    """The row of a classifier, from its cell where there is one."""
    if cells is None:
        return leaderboard_row(score())
    origin = [] if name in BASELINES else list(plugin_info(name))
    key = key_of(model=name, origin=origin, versions=library_versions())
    kept = cells.read(key)
    if kept is not None and set(kept) == set(LeaderboardRow._fields):
        return LeaderboardRow(**kept)
    row = leaderboard_row(score())
    cells.write(key, row._asdict())
    return row


def _misfits(plugins: Mapping[str, type[Classifier]], dataset: Dataset) -> dict[str, FastspecError]:
    """Why plugins do not take the dataset's recipe, by name."""
    refused: dict[str, FastspecError] = {}
    if dataset.recipe is None:
        return refused
    for name, plugin in plugins.items():
        try:
            plugin().check_recipe(dataset.recipe, source=dataset.source)
        except FastspecError as error:
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
