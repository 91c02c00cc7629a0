"""The classifier `template`: the nearest class mean."""

from dataclasses import dataclass

import numpy as np
from fastspec.learn import ColumnClassifier, load_arrays


@dataclass(kw_only=True, eq=False)
class Template(ColumnClassifier):
    """Classes by the distance of their means; a hyper-parameter is an annotated field with a default.

    Attributes:
        sharpness: how fast the probability of a class falls with the distance of its mean.
    """

    name = "template"
    search_space = {"sharpness": {"low": 0.1, "high": 10.0, "log": True}}
    sharpness: float = 1.0

    def fit_columns(self, columns, codes, *, n_classes, groups):
        scale = columns.std(axis=0) + 1e-6
        means = [columns[codes == code].mean(axis=0) / scale for code in range(n_classes)]
        return {"scale": scale, "means": np.stack(means)}

    def predict_columns(self, model, columns):
        distances = [((columns / model["scale"] - mean) ** 2).mean(axis=1) for mean in model["means"]]
        weights = np.exp(self.sharpness * (np.min(distances, axis=0) - distances).astype(np.float64))
        return (weights / weights.sum(axis=0)).T

    def save_model(self, model, directory):
        np.savez(directory / "model.npz", **model)

    def load_model(self, directory):
        return load_arrays(directory / "model.npz", names=("scale", "means"))
