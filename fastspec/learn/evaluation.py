"""How good a classifier is on clips of groups that it has never met."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError
from fastspec.learn.baseline import BASELINES, Header, Majority
from fastspec.learn.classifier import Classifier
from fastspec.learn.dataset import Dataset
from fastspec.learn.metrics import CLASS_SCORES, HEADLINES, Intervals, Scores, bootstrap, score
from fastspec.learn.recordings import By, check_by, mean_of_recordings, number_recordings, unit_of
from fastspec.learn.registry import load_plugin
from fastspec.learn.splits import Fold, folds_of, given_split
from fastspec.learn.tuning import Tuned, Tuning, tune_model, tuning_folds

if TYPE_CHECKING:
    from fastspec.learn.bundle import Bundle
    from fastspec.store import FeatureStore

_Build = Callable[[], Classifier]
_Tune = Callable[[Classifier, Dataset], tuple[Classifier, Tuned]]


class AllSeen(LearnError):
    """A trained model was to be scored on nothing but clips that it learned from."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Scores of one classifier on one store, and the probabilities behind them.

    Attributes:
        store: where the clips come from.
        model: name of the plugin.
        params: its hyper-parameters; where it was tuned, those of the last fold.
        classes: names, in the order of the columns of `probabilities`.
        by: what was tested: clips, or recordings, which have the mean of their clips' probabilities.
        n_clips: that were tested.
        clips: `(tested,)` int64, indices into the dataset: of what was tested, or of the first clip of each recording.
        paths: of what was tested.
        start_s: `(tested,)` float64, where they begin, in seconds.
        labels: `(tested,)` int64, indices into `classes`.
        groups: `(tested,)` strings.
        probabilities: `(tested, classes)` float64, each by a model that never saw its group; the mean over repeats.
        right: `(tested,)` float64, in what share of the repeats the likeliest class was the true one.
        scores: the mean over repeats.
        intervals: the 95 % bootstrap interval over groups of each headline score.
        class_intervals: likewise of each class's precision, recall and F1.
        fit_s: seconds to fit once, tuning included, the mean over folds; None when nothing was fitted.
        predict_s: seconds to predict all tested clips once.
        size_bytes: of the saved model of the last fold.
        left_out: clips of the store that took no part, by reason.
        tuned: what was chosen for each fold of each repeat; empty where nothing was tuned.
    """

    store: str
    model: str
    params: dict[str, Any]
    classes: list[str]
    by: By
    n_clips: int
    clips: NDArray[np.int64]
    paths: list[str]
    start_s: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    probabilities: NDArray[np.float64]
    right: NDArray[np.float64]
    scores: Scores
    intervals: dict[str, tuple[float, float]]
    class_intervals: list[dict[str, tuple[float, float]]]
    fit_s: float | None
    predict_s: float
    size_bytes: int
    left_out: dict[str, int]
    tuned: list[Tuned]

    def headline(self) -> dict[str, float]:
        """The headline scores, each followed by its `_low` and `_high`."""
        row: dict[str, float] = {}
        for name in HEADLINES:
            low, high = self.intervals[name]
            row |= {name: getattr(self.scores, name), f"{name}_low": low, f"{name}_high": high}
        return row

    def to_dict(self) -> dict[str, Any]:
        """Plain values: everything but what belongs to single clips."""
        details = {"per_class": self.per_class(), "confusion": self.scores.confusion, "classes": self.classes}
        costs = {"fit_s": self.fit_s, "predict_s": self.predict_s, "size_bytes": self.size_bytes}
        names = {"store": self.store, "model": self.model, "params": self.params, "by": self.by}
        counts = {"n_clips": self.n_clips, "n_tested": len(self.clips), "n_groups": len(set(self.groups))}
        choices = {"tuned": [found._asdict() for found in self.tuned]}
        return names | counts | self.headline() | costs | details | choices | {"left_out": self.left_out}

    def per_class(self) -> list[dict[str, Any]]:
        """Scores of each class, with `_low` and `_high`."""
        rows: list[dict[str, Any]] = []
        for row, intervals in zip(self.scores.to_dict()["per_class"], self.class_intervals, strict=True):
            limits = {f"{name}_{end}": limit for name in CLASS_SCORES for end, limit in zip(("low", "high"), intervals[name], strict=True)}
            rows.append(row | limits)
        return rows


class _Run(NamedTuple):
    """Out-of-fold probabilities `(clips, classes)`, NaN where a clip was not tested, and what they cost."""

    probabilities: NDArray[np.float64]
    fit_s: float
    predict_s: float
    model: Classifier
    tuned: list[Tuned]


def evaluate(
    data: "FeatureStore | Dataset",
    model_name: str,
    *,
    params: Mapping[str, Any] | None = None,
    folds: int = 5,
    repeats: int = 1,
    seed: int = 0,
    threads: int = 1,
    by: By | None = None,
    splits: Sequence[Sequence[Fold]] | None = None,
    tuning: Tuning | None = None,
) -> Evaluation:
    """Score a plugin by cross-validation over groups, or on the split that the manifest gives.

    Args:
        data: a finished store, or a dataset made from one.
        model_name: an installed plugin, or "(majority)" or "(header)" for a baseline.
        params: hyper-parameters of the plugin.
        folds: how many.
        repeats: how often, each time with another seed for folds and model.
        seed: of the first repeat, and of the bootstrap.
        threads: that the model may use.
        by: whether recordings or clips are scored; None takes recordings where they have several clips.
        splits: the folds of each repeat, in place of `folds_of`.
        tuning: how long to look for better hyper-parameters, inside the training clips of each fold, of those that `params` leaves open.

    Raises:
        LearnError: clips that cannot be learned from or split as asked, or features of another recipe than the plugin requires.
        PluginError: an unknown plugin or parameter, or a plugin that cannot be tuned.
    """
    by = check_by(by)
    if repeats < 1:
        raise LearnError(f"repeats is {repeats}; give 1 or more")
    if seed < 0:
        raise LearnError(f"seed is {seed}; give 0 or more")
    plugin = BASELINES.get(model_name) or load_plugin(model_name)
    model = plugin.from_params(params or {})  # a wrong parameter is told before the features are read
    if tuning is not None:
        tuning.check(plugin, params or {})
    if data.recipe is not None:
        model.check_recipe(data.recipe, source=data.source if isinstance(data, Dataset) else str(data.path))
    dataset = data if isinstance(data, Dataset) else Dataset.from_store(data)
    by = unit_of(dataset.paths, dataset.labels, by)
    seen = dataset.of_headers() if plugin is Header else dataset
    splits = splits or [folds_of(dataset, n_folds=folds, seed=seed + repeat) for repeat in range(repeats)]
    builders = [partial(plugin.from_params, params or {}, seed=seed + repeat, threads=threads) for repeat in range(repeats)]
    tune = None
    if tuning is not None:
        tune = partial(tune_model, tuning=tuning, given=params or {}, by=by)
        _check_tunable(dataset, splits, builders)
    runs = [_cross_validate(seen, of_repeat, build, tune) for of_repeat, build in zip(splits, builders, strict=True)]
    return _summarise(dataset, runs, by=by, seed=seed, fitted=True)


def evaluate_model(store: "FeatureStore", bundle: "Bundle", *, seed: int = 0, by: By | None = None) -> Evaluation:
    """Score a trained bundle on clips that it was not trained on: the test clips of a given split, else all; never one whose audio,
    under whatever name, it learned from: those are left out as "seen in training".

    Raises:
        AllSeen: no clip that it has not learned from.
        LearnError: features of another recipe, or a class that the bundle does not know.
    """
    bundle.check_store(store)
    dataset = Dataset.from_store(store, classes=bundle.classes)
    split = given_split(dataset)
    asked = np.arange(len(dataset)) if split is None else split.test
    seen = bundle.has_seen(dataset.hashes[asked])
    if seen.all():
        raise AllSeen(
            f"the model was trained on the clips of {store.path}, so that its scores there would flatter it; "
            f"evaluate the plugin by folds instead (-m {bundle.plugin.name}), or give a store of other clips"
        )
    tested = asked[~seen]
    start = perf_counter()
    probabilities = np.full((len(dataset), len(dataset.classes)), np.nan)
    probabilities[tested] = bundle.model.predict_proba(dataset.features_for(bundle.model, tested), dataset.valid_frames[tested])
    run = _Run(probabilities, 0.0, perf_counter() - start, bundle.model, [])
    unit = unit_of([dataset.paths[clip] for clip in tested], dataset.labels[tested], check_by(by) or bundle.fixed_unit)
    result = _summarise(dataset, [run], by=unit, seed=seed, fitted=False)
    if bundle.decisions.calibration is not None:
        bundle.check_unit(unit)
        result = with_probabilities(result, bundle.decisions.calibrate(result.probabilities), seed=seed)
    left_out = {"kept for training": len(dataset) - len(asked), "seen in training": int(seen.sum())}
    return replace(result, left_out=result.left_out | {reason: n for reason, n in left_out.items() if n})


def majority_beside(result: Evaluation, *, seed: int = 0) -> Evaluation:
    """The best that one answer for all clips can do where a trained model was scored: its probabilities are the shares of the classes."""
    shares = np.bincount(result.labels, minlength=len(result.classes)) / len(result.labels)
    told = with_probabilities(result, np.tile(shares, (len(result.labels), 1)), seed=seed)
    return replace(told, model=Majority.name, params={}, predict_s=0.0, size_bytes=0)


def with_probabilities(result: Evaluation, probabilities: NDArray[np.float64], *, seed: int = 0) -> Evaluation:
    """The evaluation, had it had these probabilities, `(tested, classes)`."""
    intervals = bootstrap(result.labels, probabilities[None], groups=result.groups, seed=seed)
    return replace(
        result,
        probabilities=probabilities,
        right=_share_right(result.labels, probabilities[None]),
        scores=score(result.labels, probabilities[None], classes=result.classes),
        intervals=intervals.headline,
        class_intervals=intervals.per_class,
    )


def model_bytes(model: Classifier) -> int:
    """Size of a fitted model on disk."""
    with TemporaryDirectory() as directory:
        model.save(Path(directory))
        return sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())


def _check_tunable(dataset: Dataset, splits: Sequence[Sequence[Fold]], builders: Sequence[_Build]) -> None:
    """That the training clips of every fold can be divided once more, before anything is fitted."""
    for of_repeat, build in zip(splits, builders, strict=True):
        for train, _ in of_repeat:
            tuning_folds(build(), dataset.labels[train], dataset.groups[train])


def _cross_validate(dataset: Dataset, splits: Sequence[Fold], build: _Build, tune: _Tune | None) -> _Run:
    probabilities = np.full((len(dataset), len(dataset.classes)), np.nan)
    fit_s = predict_s = 0.0
    tuned = []
    for train, test in splits:
        start = perf_counter()
        model = build()
        if tune is not None:
            model, found = tune(model, dataset.keep(train))
            tuned.append(found)
        dataset.fit(model, train)
        fitted = perf_counter()
        probabilities[test] = model.predict_proba(dataset.features_for(model, test), dataset.valid_frames[test])
        fit_s, predict_s = fit_s + fitted - start, predict_s + perf_counter() - fitted
    return _Run(probabilities, fit_s / len(splits), predict_s, model, tuned)


def _summarise(dataset: Dataset, runs: Sequence[_Run], *, by: By, seed: int, fitted: bool) -> Evaluation:
    clips = np.flatnonzero(~np.isnan(runs[0].probabilities[:, 0]))
    probabilities = np.stack([run.probabilities[clips] for run in runs])
    tested = clips
    if by == "recording":
        first, of_clip = number_recordings([dataset.paths[clip] for clip in clips])
        tested, probabilities = clips[first], mean_of_recordings(probabilities, of_clip)
    labels, groups = dataset.labels[tested], dataset.groups[tested]
    model = runs[-1].model
    intervals: Intervals = bootstrap(labels, probabilities, groups=groups, seed=seed)
    return Evaluation(
        store=dataset.source,
        model=model.name,
        params=model.params(),
        classes=dataset.classes,
        by=by,
        n_clips=len(clips),
        clips=tested,
        paths=[dataset.paths[clip] for clip in tested],
        start_s=dataset.start_s[tested],
        labels=labels,
        groups=groups,
        probabilities=probabilities.mean(axis=0),
        right=_share_right(labels, probabilities),
        scores=score(labels, probabilities, classes=dataset.classes),
        intervals=intervals.headline,
        class_intervals=intervals.per_class,
        fit_s=float(np.mean([run.fit_s for run in runs])) if fitted else None,
        predict_s=float(np.mean([run.predict_s for run in runs])),
        size_bytes=model_bytes(model),
        left_out=dataset.left_out,
        tuned=[found for run in runs for found in run.tuned],
    )


def _share_right(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the repeats, for each of what was tested; `probabilities` are `(repeats, tested, classes)`."""
    return np.asarray((probabilities.argmax(axis=2) == labels).mean(axis=0))
