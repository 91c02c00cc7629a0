"""Looking for good hyper-parameters inside a plugin's search space."""

from collections.abc import Callable
from typing import Any

from fastspec.errors import PluginError
from fastspec.installation import extra_command
from fastspec.learn.parameters import Space


def search(space: Space, loss: Callable[[dict[str, Any]], float], *, trials: int, seed: int) -> dict[str, Any]:
    """The hyper-parameters of the lowest loss among `trials`, by Optuna's tree-structured Parzen estimator.

    Args:
        space: of the plugin; equal spaces, seeds and losses give equal trials.
        loss: of some hyper-parameters, over folds of the training clips.
        trials: how many to try.
        seed: of the sampler.

    Raises:
        PluginError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise PluginError(f"tuning needs Optuna, which is not installed; {extra_command('tune')}, or leave tune at 0") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.optimize(lambda trial: loss({name: _suggest(trial, name, **entry) for name, entry in space.items()}), n_trials=trials)
    return dict(study.best_params)


def _suggest(trial: Any, name: str, *, low: Any = None, high: Any = None, log: bool = False, choices: Any = None) -> Any:
    if choices is not None:
        return trial.suggest_categorical(name, choices)
    suggest = trial.suggest_int if type(low) is int else trial.suggest_float
    return suggest(name, low, high, log=log)
