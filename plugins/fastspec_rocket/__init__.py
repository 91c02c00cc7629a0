"""MiniRocket over bands: thousands of small kernels along time that are drawn, not learned, and a linear head."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastspec.errors import LearnError, PluginError
from fastspec.learn import ModelClassifier, load_arrays
from fastspec.learn.classifier import Features, Groups, Labels, Probabilities, ValidFrames
from fastspec.learn.pooling import pool_features

if TYPE_CHECKING:
    from fastspec.learn.head import Head
    from fastspec_rocket.transform import Transform

_FILE = "model.npz"
_TRANSFORM = ("mean", "scale", "dilations", "per_dilation", "band_starts", "bands", "biases")
_HEAD = ("mean", "weight", "coefficients", "intercept")
_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2)


@dataclass(kw_only=True, eq=False)
class Rocket(ModelClassifier):
    """MiniRocket's features of bands that were normalised on the training clips, and multinomial logistic regression on them.

    The statistics of each band stand beside them, and weigh as much in all: MiniRocket's kernels, whose weights sum to 0, hear how a band
    moves and not how loud it is.

    Attributes:
        n_features: about how many; a multiple of 84 is made.
        C: inverse strength of the head's L2 penalty; none chooses among 1e-5 to 1e-2 on folds of whole groups of the training clips.
    """

    name = "rocket"
    search_space = {"n_features": {"low": 2000, "high": 20000, "log": True}}
    n_features: int = 10000
    C: float | None = None

    def fit_model(self, features: Features, valid_frames: ValidFrames, codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:  # noqa: ARG002
        from fastspec.learn.head import fit_head
        from fastspec_rocket.transform import Transform

        if self.n_features < 84 or (self.C is not None and self.C <= 0):
            raise PluginError(f"{self.name} has n_features {self.n_features} and C {self.C}; give 84 features or more, and C above 0")
        transform = Transform.fit(features, valid_frames, n_features=self.n_features, seed=self.seed)
        columns = _columns(transform, features, valid_frames)
        blocks = (len(transform.biases), columns.shape[1] - len(transform.biases))
        strengths = _STRENGTHS if self.C is None else (self.C,)
        return transform, fit_head(columns, codes, blocks=blocks, groups=groups, strengths=strengths, seed=self.seed)

    def predict_model(self, model: "tuple[Transform, Head]", features: Features, valid_frames: ValidFrames) -> Probabilities:
        transform, head = model
        if features.shape[2] != len(transform.mean):
            raise LearnError(f"{self.name} was trained on {len(transform.mean)} bands and is given {features.shape[2]}; use its recipe")
        return head.predict(_columns(transform, features, valid_frames))

    def save_model(self, model: "tuple[Transform, Head]", directory: Path) -> None:
        transform, head = model
        arrays = {f"transform_{name}": array for name, array in transform.arrays().items()}
        arrays |= {f"head_{name}": array for name, array in head._asdict().items()}
        np.savez(directory / _FILE, **arrays)  # type: ignore[arg-type] # its stub takes a keyword for an option

    def load_model(self, directory: Path) -> Any:
        from fastspec.learn.head import Head
        from fastspec_rocket.transform import Transform

        names = [f"transform_{name}" for name in _TRANSFORM] + [f"head_{name}" for name in _HEAD]
        arrays: dict[str, Any] = load_arrays(directory / _FILE, names=names)
        transform = Transform(**{name: arrays[f"transform_{name}"] for name in _TRANSFORM})
        head = Head(*(arrays[f"head_{name}"] for name in _HEAD))
        if not transform.is_sound() or not head.is_sound(len(transform.biases) + 6 * len(transform.mean)):
            raise LearnError(f"{_FILE} of the saved model contradicts itself; nothing was loaded")
        return transform, head

    def check_model(self, model: "tuple[Transform, Head]", *, n_classes: int) -> None:
        if model[1].intercept.shape != (n_classes,):
            raise LearnError(f"{_FILE} is not a model of {n_classes} classes; nothing was loaded")


def _columns(transform: "Transform", features: Features, valid_frames: ValidFrames) -> Any:
    """`(clips, columns)` float32: what the kernels see, then the statistics of each band."""
    return np.hstack([transform(features, valid_frames), pool_features(features, valid_frames, how="stats")])
