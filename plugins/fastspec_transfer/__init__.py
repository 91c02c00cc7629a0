"""Transfer learning: embeddings by a pretrained network that is left as it is, and a linear head that is trained on them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, PluginError
from fastspec.learn import ModelClassifier, load_arrays
from fastspec.learn.classifier import Features, Groups, Labels, Probabilities, ValidFrames
from fastspec.learn.pooling import clip_blocks, pool_features
from fastspec.spec import Recipe
from fastspec_transfer.networks import NETWORKS, NetworkName

if TYPE_CHECKING:
    from fastspec.learn.head import Head

_ARRAYS, _ABOUT = "model.npz", "network.json"
_HEAD = ("mean", "weight", "coefficients", "intercept")
HeadName = Literal["logistic", "lda"]
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(kw_only=True, eq=False)
class Transfer(ModelClassifier):
    """A linear head on the standardised embeddings of a frozen network.

    Attributes:
        network: which one; each but "efficientnet-lite0" needs the features that it was trained on, the preset of the same name.
        statistics: whether the statistics of each band stand beside the embedding, and weigh as much in all.
        head: "logistic" is multinomial logistic regression; "lda" is linear discriminant analysis with a shrunk covariance.
        C: inverse strength of the L2 penalty of a logistic head; none chooses among 1e-4 to 1 on folds of whole groups of the training
            clips.
    """

    name = "transfer"
    known_failures = {
        "check_learns_separable_classes": "efficientnet-lite0 knows photographs; 12 frames of noise, one band louder, are 85 % right"
    }
    search_space = {"statistics": {"choices": [False, True]}, "head": {"choices": ["logistic", "lda"]}}
    network: NetworkName = "efficientnet-lite0"
    statistics: bool = False
    head: HeadName = "logistic"
    C: float | None = None

    def required(self) -> dict[str, Any]:
        return NETWORKS[self.network].required()

    def credits(self) -> list[str]:
        return [NETWORKS[self.network].credit()]

    def check_recipe(self, recipe: Recipe, *, source: str) -> None:
        NETWORKS[self.network].path()
        super().check_recipe(recipe, source=source)

    def fit_model(self, features: Features, valid_frames: ValidFrames, codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:  # noqa: ARG002
        from fastspec.learn.head import fit_discriminant, fit_head

        self._check()
        blocks = [self._columns(features[block], valid_frames[block]) for block in clip_blocks(features)]
        columns = np.vstack(blocks)
        if self.head == "lda":
            return fit_discriminant(columns, codes, groups=groups, seed=self.seed), features.shape[2]
        n_statistics = 6 * features.shape[2] if self.statistics else 0
        kinds = [columns.shape[1] - n_statistics, *([n_statistics] if n_statistics else [])]
        strengths = _STRENGTHS if self.C is None else (self.C,)
        return fit_head(columns, codes, blocks=kinds, groups=groups, strengths=strengths, seed=self.seed), features.shape[2]

    def predict_model(self, model: "tuple[Head, int]", features: Features, valid_frames: ValidFrames) -> Probabilities:
        head, bands = model
        if features.shape[2] != bands:
            raise LearnError(f"{self.name} was trained on {bands} bands and is given {features.shape[2]}; use its recipe")
        return head.predict(self._columns(features, valid_frames))

    def save_model(self, model: "tuple[Head, int]", directory: Path) -> None:
        head, bands = model
        np.savez(directory / _ARRAYS, **head._asdict())
        about = {"bands": bands, "credit": self.credits()[0], "weights": NETWORKS[self.network].weights_hash()}
        (directory / _ABOUT).write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def load_model(self, directory: Path) -> Any:
        from fastspec.learn.head import Head

        network, about = NETWORKS[self.network], _read_about(directory / _ABOUT)
        if about["weights"] != network.weights_hash():
            raise LearnError(
                f"the model was trained on other weights than those of the installed {network.package}; install the version of then, "
                "or train it again"
            )
        arrays: dict[str, Any] = load_arrays(directory / _ARRAYS, names=_HEAD)
        head = Head(*(arrays[name] for name in _HEAD))
        if not head.is_sound(len(head.mean)):
            raise LearnError(f"{_ARRAYS} of the saved model contradicts itself; nothing was loaded")
        return head, about["bands"]

    def check_model(self, model: "tuple[Head, int]", *, n_classes: int) -> None:
        if model[0].intercept.shape != (n_classes,):
            raise LearnError(f"{_ARRAYS} is not a model of {n_classes} classes; nothing was loaded")

    def _check(self) -> None:
        """That hyper-parameters lie in their ranges and go together. PluginError otherwise."""
        if self.C is not None and self.C <= 0:
            raise PluginError(f"{self.name} has C {self.C}; give a number above 0")
        if self.C is not None and self.head == "lda":
            raise PluginError(f"{self.name} has C {self.C}, which head=lda has no use for; give head=logistic, or leave C out")

    def _columns(self, features: NDArray[np.float32], valid_frames: ValidFrames) -> NDArray[np.float32]:
        """`(clips, columns)` float32: embeddings, then the statistics of each band where they are wanted."""
        from fastspec_transfer.cache import EmbeddingCache
        from fastspec_transfer.embedding import embed_clips

        bands = self.required().get("n_mels", features.shape[2])
        if features.shape[2] != bands:
            raise LearnError(f"{self.network} takes {bands} bands and is given {features.shape[2]}; featurize with --preset {self.network}")
        embeddings = embed_clips(NETWORKS[self.network], features, valid_frames, threads=self.threads, cache=EmbeddingCache())
        return np.hstack([embeddings, pool_features(features, valid_frames, how="stats")]) if self.statistics else embeddings


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if type(about["bands"]) is int and isinstance(about["weights"], str):
            return dict(about)
        reason = "its values have other types"
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise LearnError(f"{path.name} of the saved model cannot be read: {reason}; train it again")
