"""Gradient boosting by LightGBM."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, PluginError
from fastspec.learn import ColumnClassifier

_FILE = "model.txt"


@dataclass(kw_only=True, eq=False)
class LightGBM(ColumnClassifier):
    """LightGBM, deterministic, with defaults for hundreds of columns and some thousand clips.

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
    n_estimators: int = 200
    learning_rate: float = 0.05
    num_leaves: int = 15
    min_child_samples: int = 5
    subsample: float = 0.8
    colsample_bytree: float = 0.3
    reg_lambda: float = 1.0
    max_bin: int = 63

    def fit_columns(self, columns: NDArray[np.float32], codes: NDArray[np.int64], *, n_classes: int) -> Any:
        import lightgbm

        settings = {
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
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "verbosity": -1,
        }
        try:
            return lightgbm.train(settings, lightgbm.Dataset(columns, codes), num_boost_round=self.n_estimators)
        except (lightgbm.basic.LightGBMError, ValueError) as error:  # its own check of its parameters
            raise PluginError(f"{self.name} cannot be fitted: {str(error).splitlines()[0]}") from error

    def predict_columns(self, model: Any, columns: NDArray[np.float32]) -> NDArray[np.float64]:
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
