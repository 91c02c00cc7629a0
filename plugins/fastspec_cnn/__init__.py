"""A small convolutional network on spectrograms as pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastspec.errors import LearnError, PluginError
from fastspec.learn import ModelClassifier
from fastspec.learn.classifier import Features, Groups, Labels, Probabilities, ValidFrames
from fastspec_cnn.pictures import Scale, paint_pictures

if TYPE_CHECKING:
    from fastspec_cnn.network import Network

_FILE = "model.safetensors"


class Model(NamedTuple):
    """A trained network, what brings pictures to its scale, and the shape of the features that it was trained on."""

    network: "Network"
    scale: Scale
    frames: int
    bands: int


@dataclass(kw_only=True, eq=False)
class CNN(ModelClassifier):
    """Four blocks of convolutions, trained from nothing by AdamW with a one-cycle learning rate.

    A fifth of the training clips, whole groups, is held back and looked at twenty times on the way: the weights of the lowest log-loss on
    it are kept.

    Attributes:
        frames: of the pictures; longer clips are shrunk to it, shorter ones stay as they are.
        bands: of the pictures, likewise.
        width: channels of the first block; each block has twice those of the one before.
        steps: of training at least, so that few clips are seen often enough.
        epochs: at least, so that all of many clips are seen; the longer of both is the training.
        patience: looks at what is held back without a lower log-loss after which training stops.
        batch_size: clips a step.
        learning_rate: the highest.
        weight_decay: of AdamW.
        dropout: share of the last layer's inputs that a step leaves out.
        label_smoothing: share of each label that goes to all classes evenly.
        mixup: a of the Beta(a, a) distribution by which pairs of clips are mixed; 0 mixes none.
        mask: the largest share of the frames, and of the bands, that a step blanks out in each picture; 0 blanks none.
    """

    name = "cnn"
    search_space = {
        "frames": {"low": 32, "high": 192},
        "bands": {"low": 32, "high": 128},
        "width": {"low": 8, "high": 48, "log": True},
        "learning_rate": {"low": 5e-4, "high": 2e-2, "log": True},
        "weight_decay": {"low": 1e-4, "high": 0.3, "log": True},
        "dropout": {"low": 0.0, "high": 0.6},
        "label_smoothing": {"low": 0.0, "high": 0.2},
        "mixup": {"low": 0.0, "high": 0.5},
        "mask": {"low": 0.0, "high": 0.4},
    }
    frames: int = 64
    bands: int = 64
    width: int = 16
    steps: int = 500
    epochs: int = 10
    patience: int = 10
    batch_size: int = 32
    learning_rate: float = 5e-3
    weight_decay: float = 0.02
    dropout: float = 0.3
    label_smoothing: float = 0.05
    mixup: float = 0.2
    mask: float = 0.2

    def fit_model(self, features: Features, valid_frames: ValidFrames, codes: Labels, *, n_classes: int, groups: Groups | None) -> Any:
        from fastspec_cnn.network import limited_threads
        from fastspec_cnn.training import train_network

        self._check()
        pictures = paint_pictures(features, valid_frames, frames=self.frames, bands=self.bands)
        scale = Scale.fit(pictures)
        with limited_threads(self.threads):
            network = train_network(self, scale.apply(pictures), codes, n_classes=n_classes, groups=groups)
        return Model(network, scale, features.shape[1], features.shape[2])

    def predict_model(self, model: "Model", features: Features, valid_frames: ValidFrames) -> Probabilities:
        from fastspec_cnn.network import limited_threads

        if features.shape[1:] != (model.frames, model.bands):
            given = " × ".join(map(str, features.shape[1:]))
            raise LearnError(f"{self.name} was trained on {model.frames} × {model.bands} features and is given {given}; use its recipe")
        pictures = paint_pictures(features, valid_frames, frames=self.frames, bands=self.bands)
        with limited_threads(self.threads):
            return model.network.classify(model.scale.apply(pictures))

    def save_model(self, model: "Model", directory: Path) -> None:
        from safetensors.numpy import save_file

        arrays = {f"network.{name}": np.ascontiguousarray(tensor.numpy()) for name, tensor in model.network.state_dict().items()}
        arrays |= {"scale.mean": model.scale.mean, "scale.deviation": model.scale.deviation}
        save_file(arrays | {"shape": np.array([model.frames, model.bands])}, directory / _FILE)

    def load_model(self, directory: Path) -> Any:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        from fastspec_cnn.network import Network

        try:
            arrays = load_file(directory / _FILE)
            frames, bands = arrays.pop("shape").tolist()
            scale = Scale(arrays.pop("scale.mean"), arrays.pop("scale.deviation"))
            network = Network.from_arrays({name.removeprefix("network."): array for name, array in arrays.items()}, width=self.width)
        except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise LearnError(f"{_FILE} of the saved model cannot be read: {reason}; train it again") from error
        if not scale.is_sound(min(bands, self.bands)):
            raise LearnError(f"{_FILE} of the saved model contradicts itself; nothing was loaded")
        return Model(network, scale, frames, bands)

    def check_model(self, model: "Model", *, n_classes: int) -> None:
        if model.network.n_classes != n_classes:
            raise LearnError(f"{_FILE} is not a model of {n_classes} classes; nothing was loaded")

    def _check(self) -> None:
        """That hyper-parameters lie in their ranges. PluginError otherwise."""
        counts = ("frames", "bands", "width", "steps", "epochs", "patience", "batch_size")
        shares = ("dropout", "label_smoothing", "mask")
        wrong = {name: "1 or more" for name in counts if getattr(self, name) < 1}
        wrong |= {name: "0 or more, and less than 1" for name in shares if not 0 <= getattr(self, name) < 1}
        wrong |= {name: "0 or more" for name in ("mixup", "weight_decay") if getattr(self, name) < 0}
        wrong |= {"learning_rate": "a number above 0"} if self.learning_rate <= 0 else {}
        for name, allowed in wrong.items():
            raise PluginError(f"{self.name} has {name} {getattr(self, name)}; give {allowed}")
