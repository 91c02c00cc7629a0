"""Looking for good hyper-parameters inside a plugin's search space, on folds of the training clips alone."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple, cast

import numpy as np

from fastspec.errors import LearnError, PluginError, counted
from fastspec.installation import extra_command
from fastspec.learn.classifier import Classifier, Features, Groups, Labels
from fastspec.learn.columns import ColumnClassifier
from fastspec.learn.dataset import Dataset
from fastspec.learn.parameters import Space
from fastspec.learn.pooling import pool_features
from fastspec.learn.recordings import By, mean_of_recordings, number_recordings
from fastspec.learn.splits import Fold, inner_folds

_FOLDS = 3


class Tuning(NamedTuple):
    """How long to look for better hyper-parameters.

    Attributes:
        trials: settings to try, of which the first is what the plugin has without tuning.
        limit_s: seconds after which no other is begun; None sets no limit. What is found within a limit depends on the machine.
    """

    trials: int
    limit_s: float | None = None

    def check(self, plugin: type[Classifier], given: Collection[str] = ()) -> None:
        """That a plugin can be tuned so, and that Optuna is installed. PluginError otherwise.

        Args:
            plugin: of which a search space is asked.
            given: hyper-parameters that are not to be touched.
        """
        if self.trials < 1:
            raise PluginError(f"tuning by {counted(self.trials, 'trial')} finds nothing; give 1 or more")
        if self.limit_s is not None and not self.limit_s > 0:
            raise PluginError(f"tuning for {self.limit_s:g} s finds nothing; give more than 0 s")
        if not plugin.search_space:
            raise PluginError(f"{plugin.name} declares no search space, so that there is nothing to tune; leave tuning out")
        if not _searched(plugin, given):
            raise PluginError(f"every parameter that {plugin.name} searches is given; give fewer of them, or leave tuning out")
        try:
            import optuna  # noqa: F401
        except ImportError:
            raise PluginError(f"tuning needs Optuna, which is not installed; {extra_command('tune')}, or leave tuning out") from None


class Tuned(NamedTuple):
    """What was found.

    Attributes:
        chosen: the hyper-parameters that were searched.
        log_loss: on the folds, the lowest of all trials, which flatters it.
        log_loss_before: of the first trial, which is what the plugin has without tuning.
        trials: that were made.
        folds: of whole groups of the training clips.
    """

    chosen: dict[str, Any]
    log_loss: float
    log_loss_before: float
    trials: int
    folds: int

    def describe(self) -> str:
        """The choice and what it is better by, in a line."""
        named = [f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in self.chosen.items()]
        return f"{', '.join(named)} (log-loss {self.log_loss:.3f}, {self.log_loss_before:.3f} before)"


def tune_model(model: Classifier, dataset: Dataset, tuning: Tuning, *, given: Collection[str] = (), by: By) -> tuple[Classifier, Tuned]:
    """The same classifier, not fitted yet, with the hyper-parameters of the lowest log-loss over three folds of whole groups.

    Args:
        model: of which all that is not searched stays; equal seeds and clips give equal choices.
        dataset: the training clips, and no others.
        tuning: how long to look.
        given: names of hyper-parameters that are not to be touched.
        by: what the log-loss is the mean of: clips or recordings.

    Raises:
        LearnError: a class has clips of one group only.
        PluginError: the plugin has nothing to search, or Optuna is not installed.
    """
    tuning.check(type(model), given)
    folds = tuning_folds(model, dataset.labels, dataset.groups)
    clips, params = _pool_once(model, dataset)

    def loss(candidate: Mapping[str, Any]) -> float:
        return _log_loss(_with_params(model, {**params, **candidate}), clips, folds, by=by)

    space = _searched(type(model), given)
    found = search(space, loss, tuning, first={name: model.params()[name] for name in space}, seed=model.seed)
    return _with_params(model, found.chosen), found._replace(folds=len(folds))


def tuning_folds(model: Classifier, labels: Labels, groups: Groups) -> list[Fold]:
    """The folds of some training clips that a classifier is tuned on. LearnError where a class has one group only."""
    codes = np.unique(labels, return_inverse=True)[1]
    folds = inner_folds(codes.astype(np.int64), groups, n_folds=_FOLDS, seed=model.seed)
    if not folds:
        raise LearnError(
            f"{model.name} cannot be tuned: a class has clips of one group only among those that it learns from; "
            "record more groups of it (where the corpus has several, ask for more folds), or leave tuning out"
        )
    return folds


def search(
    space: Space, loss: Callable[[dict[str, Any]], float], tuning: Tuning, *, first: Mapping[str, Any] | None = None, seed: int
) -> Tuned:
    """The hyper-parameters of the lowest loss, by Optuna's tree-structured Parzen estimator (Bergstra et al. 2011).

    Args:
        space: of the plugin; equal spaces, seeds and losses give equal trials.
        loss: of some hyper-parameters; what comes again is not computed again.
        tuning: how long to look.
        first: what to try first; None lets the sampler begin.
        seed: of the sampler.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    known: dict[str, float] = {}

    def objective(trial: Any) -> float:
        params = {name: _suggest(trial, name, **entry) for name, entry in space.items()}
        key = json.dumps(params)
        if key not in known:
            known[key] = loss(params)
        return known[key]

    def stop(study: Any, _trial: Any) -> None:
        if tuning.limit_s is not None and perf_counter() - begun >= tuning.limit_s:
            study.stop()

    begun = perf_counter()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    if first is not None:
        study.enqueue_trial(dict(first))
    study.optimize(objective, n_trials=tuning.trials, callbacks=[stop])
    return Tuned(dict(study.best_params), study.best_value, study.trials[0].value, len(study.trials), 0)


def _suggest(trial: Any, name: str, *, low: Any = None, high: Any = None, log: bool = False, choices: Any = None) -> Any:
    if choices is not None:
        return trial.suggest_categorical(name, choices)
    suggest = trial.suggest_int if type(low) is int else trial.suggest_float
    return suggest(name, low, high, log=log)


def _searched(plugin: type[Classifier], given: Collection[str]) -> Space:
    return {name: entry for name, entry in plugin.search_space.items() if name not in given}


def _with_params(model: Classifier, params: Mapping[str, Any]) -> Classifier:
    return type(model).from_params({**model.params(), **params}, seed=model.seed, threads=model.threads)


def _pool_once(model: Classifier, dataset: Dataset) -> tuple[Dataset, dict[str, Any]]:
    """The clips as the columns that a classifier makes of them, and the parameter by which it takes those as they are, so that no trial
    pools them again; features as they come for any other classifier."""
    if not isinstance(model, ColumnClassifier) or "pool" in model.search_space:
        return dataset, {}
    plugin, base = type(model), ColumnClassifier
    if plugin.fit_model is not base.fit_model or plugin.predict_model is not base.predict_model:
        return dataset, {}
    columns = pool_features(cast(Features, dataset.features), dataset.valid_frames, how=model.pool)
    return replace(dataset, features=columns[:, None, :], valid_frames=np.ones(len(dataset), np.int32)), {"pool": "flatten"}


def _log_loss(model: Classifier, dataset: Dataset, folds: list[Fold], *, by: By) -> float:
    """The mean over what is tested in the folds."""
    losses = []
    for train, test in folds:
        dataset.fit(model, train)
        probabilities = model.predict_proba(dataset.features_for(model, test), dataset.valid_frames[test])
        labels = dataset.labels[test]
        if by == "recording":
            first, of_clip = number_recordings([dataset.paths[clip] for clip in test])
            labels, probabilities = labels[first], mean_of_recordings(probabilities, of_clip)
        # A setting with which fitting diverges gives NaN, which counts as no probability at all.
        losses.append(-np.log(np.fmax(probabilities[np.arange(len(labels)), labels], 1e-15)))
    return float(np.concatenate(losses).mean())
