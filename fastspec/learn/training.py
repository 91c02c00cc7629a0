"""From a store to a bundle: a fitted model, and what held-out groups say about how to use it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError
from fastspec.learn.bundle import Bundle, hash_prefixes
from fastspec.learn.dataset import Dataset
from fastspec.learn.decisions import Aims, Decisions, decide
from fastspec.learn.evaluation import Evaluation, evaluate, with_probabilities
from fastspec.learn.pooling import clip_blocks
from fastspec.learn.recordings import By, check_by, unit_of
from fastspec.learn.registry import load_plugin, plugin_info
from fastspec.learn.splits import given_split
from fastspec.learn.tuning import Tuning, tune_model
from fastspec.learn.versions import library_versions

if TYPE_CHECKING:
    from fastspec.store import FeatureStore


class HeldOut(NamedTuple):
    """What groups that a model had not met got from it: as the model says it, and calibrated on other groups."""

    raw: Evaluation
    calibrated: Evaluation


def train(
    store: "FeatureStore",
    model_name: str,
    *,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int = 1,
    by: By | None = None,
    aims: Aims | None = None,
    folds: int | None = None,
    on_held_out: Callable[[HeldOut], None] | None = None,
    tuning: Tuning | None = None,
) -> Bundle:
    """Train a plugin on a store; the test clips of a given split are held out.

    Args:
        store: finished.
        model_name: an installed plugin.
        params: its hyper-parameters.
        seed: equal seeds give equal models.
        threads: that it may use.
        by: whether it is to answer for recordings or for clips; None is recordings where they have several clips.
        aims: what its decisions are to achieve.
        folds: of whole groups, on which it is scored; None scores nothing, unless the aims need it (by 5 folds).
        on_held_out: called with the probabilities that the decisions and the scores come from, where there are any.
        tuning: how long to look for better hyper-parameters, of those that `params` leaves open; where it is scored, anew in each fold.

    Raises:
        LearnError: clips that cannot be learned from, features of another recipe than the plugin requires, or aims out of reach.
        PluginError: an unknown plugin or parameter, or a plugin that cannot be tuned.
    """
    model, aims = load_plugin(model_name).from_params(params or {}, seed=seed, threads=threads), aims or Aims()
    model.check_recipe(store.recipe, source=str(store.path))
    if tuning is not None:
        tuning.check(type(model), params or {})
    dataset = Dataset.from_store(store)
    aims.check(dataset.classes)
    split = given_split(dataset)
    learned = dataset if split is None else dataset.keep(split.train)
    unit = unit_of(learned.paths, learned.labels, check_by(by))
    decisions = Decisions(costs=aims.costs, unknown_below=aims.unknown_below)
    metrics = None
    if folds is not None or aims.need_held_out:
        raw = evaluate(learned, model_name, params=params, folds=folds or 5, seed=seed, threads=threads, by=unit, tuning=tuning)
        decisions, calibrated = decide(aims, raw.probabilities, raw.labels, groups=raw.groups, classes=raw.classes, seed=seed)
        held_out = HeldOut(raw, with_probabilities(raw, calibrated, seed=seed))
        if on_held_out is not None:
            on_held_out(held_out)
        metrics = _metrics(held_out, decisions, folds=folds or 5)
    model, tuned = (model, None) if tuning is None else tune_model(model, learned, tuning, given=params or {}, by=unit)
    learned.fit(model, np.arange(len(learned)))
    return Bundle(
        model=model,
        plugin=plugin_info(model_name),
        recipe=store.recipe,
        classes=dataset.classes,
        manifest_digest=store.manifest_digest,
        n_clips=len(learned),
        seen=np.unique(hash_prefixes(learned.hashes)),
        left_out=dataset.left_out | ({} if split is None else {"held out for test": len(split.test)}),
        versions=library_versions(),
        by=unit,
        decisions=decisions,
        metrics=metrics,
        tuned=tuned,
        band_means=_band_means(learned),
    )


def _metrics(held_out: HeldOut, decisions: Decisions, *, folds: int) -> dict[str, Any]:
    """What a bundle says about itself: scores of calibrated probabilities, and how often its answers are right, class by class."""
    result = held_out.calibrated
    answers = np.array(decisions.answer(result.probabilities, result.classes))
    actual = np.array(result.classes)[result.labels]
    answered = {
        name: {"recall": _share(answers[actual == name] == name), "precision": _share(actual[answers == name] == name)}
        for name in result.classes
    }
    counts = {"folds": folds, "n_tested": len(actual), "n_groups": len(set(result.groups))}
    scores: dict[str, Any] = {"headline": _plain(result.headline()), "per_class": [_plain(row) for row in result.per_class()]}
    shares = {"answered": _share(np.isin(answers, result.classes)), "right": _share(answers == actual)}
    before = {} if decisions.calibration is None else {"log_loss_uncalibrated": held_out.raw.scores.log_loss}
    return counts | scores | {"answers": answered} | shares | before


def _share(hits: NDArray[np.bool_]) -> float | None:
    return float(hits.mean()) if len(hits) else None


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: what is not defined is null."""
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}


def _band_means(dataset: Dataset) -> list[float]:
    """The mean of each band over the valid frames; 0 for one that is never finite."""
    bands = dataset.features.shape[2]
    total, count = np.zeros(bands), np.zeros(bands)
    for block in clip_blocks(dataset.features):
        for clip, n_valid in zip(dataset.features[block], dataset.valid_frames[block], strict=True):
            known = np.isfinite(clip[:n_valid])
            total += np.where(known, clip[:n_valid], 0).sum(axis=0, dtype=np.float64)
            count += known.sum(axis=0)
    if not count.any():
        raise LearnError(f"{dataset.source} has no frame without NaN; there is nothing to learn from")
    return [float(value) for value in total / np.maximum(count, 1)]
