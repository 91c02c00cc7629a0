"""Gradient boosting by LightGBM."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, PluginError
from fastspec.learn import ColumnClassifier
from fastspec.learn.classifier import Groups, Labels, Probabilities, ValidFrames

_FILE = "model.txt"


@dataclass(kw_only=True, eq=False)
class LightGBM(ColumnClassifier):
    """LightGBM, deterministic, with defaults for hundreds of columns and some thousand clips.

    Features on disk are pooled as LightGBM asks for them; what stays in memory is one byte a value, since it sorts them into bins.

    Attributes:
        n_estimators: rounds; each adds one tree a class.
        learning_rate: what each tree contributes.
        num_leaves: of a tree, at most.
        min_child_samples: clips in a leaf at least.
        subsample: share of the clips that each tree sees.
        colsample_bytree: share of the columns that each tree sees.
        reg_lambda: L2 penalty on the values of leaves.
        max_bin: steps into which the values of a column are sorted; fewer are faster.
    """

    name = "lightgbm"
    search_space = {
        "n_estimators": {"low": 50, "high": 600, "log": True},
        "learning_rate": {"low": 0.02, "high": 0.2, "log": True},
        "num_leaves": {"low": 4, "high": 63, "log": True},
        "min_child_samples": {"low": 2, "high": 50, "log": True},
        "subsample": {"low": 0.5, "high": 1.0},
        "colsample_bytree": {"low": 0.05, "high": 1.0, "log": True},
        "reg_lambda": {"low": 0.001, "high": 100.0, "log": True},
    }
    n_estimators: int = 200
    learning_rate: float = 0.05
    num_leaves: int = 15
    min_child_samples: int = 5
    subsample: float = 0.8
    colsample_bytree: float = 0.3
    reg_lambda: float = 1.0
    max_bin: int = 63

    def make_columns(self, features: Any, valid_frames: ValidFrames) -> Any:
        if isinstance(features, np.ndarray):
            return super().make_columns(features, valid_frames)
        from fastspec_lightgbm.streaming import PooledClips

        return PooledClips(features, valid_frames, pool=self.pool)

    def fit_columns(self, columns: Any, codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:  # noqa: ARG002
        import lightgbm

        try:
            return lightgbm.train(self._settings(n_classes), lightgbm.Dataset(columns, codes), num_boost_round=self.n_estimators)
        except (lightgbm.basic.LightGBMError, ValueError) as error:  # its own check of its parameters
            raise PluginError(f"{self.name} cannot be fitted: {str(error).splitlines()[0]}") from error

    def _settings(self, n_classes: int) -> dict[str, Any]:
        return {
            "objective": "binary" if n_classes == 2 else "multiclass",
            "num_class": 1 if n_classes == 2 else n_classes,
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_child_samples": self.min_child_samples,
            "subsample": self.subsample,
            "subsample_freq": 1,
            "colsample_bytree": self.colsample_bytree,
            "reg_lambda": self.reg_lambda,
            "max_bin": self.max_bin,
            "feature_pre_filter": False,  # it would go by the default of min_child_samples where features are on disk
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbosity": -1,
        }

    def predict_columns(self, model: Any, columns: NDArray[np.float32]) -> Probabilities:
        probabilities = np.asarray(model.predict(columns, num_threads=self.threads), np.float64)
        return probabilities if probabilities.ndim == 2 else np.stack([1 - probabilities, probabilities], axis=1)

    def save_model(self, model: Any, directory: Path) -> None:
        # The number of threads is no part of the model, and LightGBM notes it among the parameters.
        text = "".join(line for line in model.model_to_string().splitlines(keepends=True) if not line.startswith("[num_threads:"))
        (directory / _FILE).write_text(text, encoding="utf-8")

    def load_model(self, directory: Path) -> Any:
        import lightgbm

        try:
            return lightgbm.Booster(model_str=(directory / _FILE).read_text(encoding="utf-8"))
        except (lightgbm.basic.LightGBMError, OSError, ValueError) as error:
            raise LearnError(f"{_FILE} is not a readable LightGBM model: {str(error).splitlines()[0]}; train it again") from error

    def check_model(self, model: Any, *, n_classes: int) -> None:
        if model.num_model_per_iteration() != (1 if n_classes == 2 else n_classes):
            raise LearnError(f"{_FILE} is not a model of {n_classes} classes; nothing was loaded")
