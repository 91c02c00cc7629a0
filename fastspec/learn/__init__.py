"""Classifiers on stored features: the plugin contract, honest splits and scores, and bundles that carry all that prediction needs.

Names are resolved when they are first used, so that `from fastspec.learn import Classifier` imports no learning library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastspec.learn.arrays_file import load_arrays as load_arrays
    from fastspec.learn.bundle import Bundle as Bundle
    from fastspec.learn.bundle import load_bundle as load_bundle
    from fastspec.learn.classifier import Classifier as Classifier
    from fastspec.learn.columns import ColumnClassifier as ColumnClassifier
    from fastspec.learn.dataset import Dataset as Dataset
    from fastspec.learn.decisions import Aims as Aims
    from fastspec.learn.decisions import Cost as Cost
    from fastspec.learn.decisions import Decisions as Decisions
    from fastspec.learn.estimator import SklearnClassifier as SklearnClassifier
    from fastspec.learn.evaluation import Evaluation as Evaluation
    from fastspec.learn.evaluation import evaluate as evaluate
    from fastspec.learn.evaluation import evaluate_model as evaluate_model
    from fastspec.learn.evaluation import majority_beside as majority_beside
    from fastspec.learn.explanation import Explanation as Explanation
    from fastspec.learn.explanation import explain as explain
    from fastspec.learn.model import ModelClassifier as ModelClassifier
    from fastspec.learn.prediction import Prediction as Prediction
    from fastspec.learn.prediction import predict as predict
    from fastspec.learn.prediction import predict_store as predict_store
    from fastspec.learn.prediction import write_predictions as write_predictions
    from fastspec.learn.ranking import LeaderboardRow as LeaderboardRow
    from fastspec.learn.ranking import leaderboard as leaderboard
    from fastspec.learn.registry import PluginInfo as PluginInfo
    from fastspec.learn.registry import load_plugin as load_plugin
    from fastspec.learn.registry import plugins as plugins
    from fastspec.learn.stored import StoredFeatures as StoredFeatures
    from fastspec.learn.training import train as train
    from fastspec.learn.transformer import FeatureTransformer as FeatureTransformer
    from fastspec.learn.tuning import Tuning as Tuning

# No file bears the name of a function it holds: importing the file would put the module in the function's place.
_HOMES = {
    "Aims": "decisions",
    "Bundle": "bundle",
    "Classifier": "classifier",
    "ColumnClassifier": "columns",
    "Cost": "decisions",
    "Dataset": "dataset",
    "Decisions": "decisions",
    "Evaluation": "evaluation",
    "Explanation": "explanation",
    "FeatureTransformer": "transformer",
    "LeaderboardRow": "ranking",
    "ModelClassifier": "model",
    "PluginInfo": "registry",
    "Prediction": "prediction",
    "SklearnClassifier": "estimator",
    "StoredFeatures": "stored",
    "Tuning": "tuning",
    "evaluate": "evaluation",
    "evaluate_model": "evaluation",
    "explain": "explanation",
    "leaderboard": "ranking",
    "load_arrays": "arrays_file",
    "load_bundle": "bundle",
    "load_plugin": "registry",
    "majority_beside": "evaluation",
    "plugins": "registry",
    "predict": "prediction",
    "predict_store": "prediction",
    "train": "training",
    "write_predictions": "prediction",
}

__all__ = [
    "Bundle",
    "Classifier",
    "ColumnClassifier",
    "Dataset",
    "Evaluation",
    "FeatureTransformer",
    "LeaderboardRow",
    "ModelClassifier",
    "PluginInfo",
    "Prediction",
]
__all__ += [
    "SklearnClassifier",
    "StoredFeatures",
    "evaluate",
    "evaluate_model",
    "leaderboard",
    "load_bundle",
    "load_plugin",
    "majority_beside",
    "plugins",
    "predict",
]
__all__ += ["Aims", "Cost", "Decisions", "Explanation", "Tuning", "explain", "predict_store", "train", "write_predictions"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastspec.learn' has no attribute {name!r}")
    return getattr(import_module(f"fastspec.learn.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
