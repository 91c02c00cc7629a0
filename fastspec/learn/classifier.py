"""What a classifier plugin is. A plugin is a class that keeps this contract, named by an entry point of its distribution."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError
from fastspec.learn.parameters import Space, hyper_parameters, read_parameters
from fastspec.presets import PRESETS
from fastspec.spec import Recipe

Features = NDArray[np.float32]
ValidFrames = NDArray[np.int32]
Labels = NDArray[np.int64]
Groups = NDArray[np.str_]
Probabilities = NDArray[np.float64]


@dataclass(kw_only=True, eq=False)
class Classifier(ABC):
    """Base of every plugin. Hyper-parameters are keyword-only constructor arguments whose defaults JSON can hold.

    A subclass is made a dataclass too when it has hyper-parameters of its own; their annotations decide which values are taken.

    Attributes:
        name: the name of the entry point.
        search_space: where good values of hyper-parameters lie, by name, as data that JSON can hold: `{"low": 1e-3, "high": 10.0,
            "log": True}` for a number, `{"choices": [...]}` for anything else. What is not named is not searched.
        requires: fields of the recipe that the features must have been made by, such as `{"sample_rate": 16000, "n_mels": 96}`, or all
            fields of a preset's spec; checked before anything is fitted. Empty takes any. `required` gives them where they depend on
            hyper-parameters.
        out_of_core: whether `fit` and `predict_proba` take features that are read from disk where they are sliced (`StoredFeatures`).
        known_failures: names of checks of `fastspec.testing` that the plugin fails, each with the reason.
        seed: equal seeds and equal data give equal models.
        threads: how many threads `fit` and `predict_proba` may use.
    """

    name: ClassVar[str]
    search_space: ClassVar[Space] = {}
    requires: ClassVar[Mapping[str, Any]] = {}
    out_of_core: ClassVar[bool] = False
    known_failures: ClassVar[Mapping[str, str]] = {}
    seed: int = 0
    threads: int = 1

    @abstractmethod
    def fit(self, features: Features, valid_frames: ValidFrames, labels: Labels, *, n_classes: int, groups: Groups | None = None) -> Self:
        """Learn from labelled clips.

        Args:
            features: `(clips, frames, bands)` float32, possibly read-only or mapped from a file, never modified; frames that could not
                be computed are NaN.
            valid_frames: `(clips,)` int32, how many frames from the first hold signal; the others are padding.
            labels: `(clips,)` int64 in `0..n_classes - 1`; not every class need occur.
            n_classes: columns of `predict_proba`.
            groups: `(clips,)` strings; clips of one group belong on one side of any split that `fit` makes. None: each clip by itself.

        Raises:
            LearnError: fewer than two classes occur.
            PluginError: a hyper-parameter out of range.
        """

    @abstractmethod
    def predict_proba(self, features: Features, valid_frames: ValidFrames) -> Probabilities:
        """The probability of each class, `(clips, classes)` float64; 0 for a class that did not occur in training.

        Raises:
            LearnError: before `fit` or `load`.
        """

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the fitted model as files into `directory`, which exists and is empty. No pickle, nothing that loading would execute."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """The model that `save` wrote.

        Raises:
            LearnError: files that are broken, or that hold anything this class does not trust.
        """

    def params(self) -> dict[str, Any]:
        """The hyper-parameters in use, which `from_params` takes back."""
        return {name: getattr(self, name) for name in hyper_parameters(type(self))}

    def required(self) -> Mapping[str, Any]:
        """Fields of the recipe that this model needs, with these hyper-parameters."""
        return self.requires

    def credits(self) -> list[str]:
        """What of other people's work is in the model, such as pretrained weights, and under which licence; a line each."""
        return []

    def check_recipe(self, recipe: Recipe, *, source: str) -> None:
        """That features made by `recipe` are those that the model needs. A subclass checks here whatever else it cannot do without.

        Raises:
            LearnError: each field that differs, and how to featurize instead.
        """
        required = self.required()
        differing = recipe.differences(recipe.replace(**required))
        if differing:
            told = ", ".join(f"{name} {theirs!r}, not {mine!r}" for name, (mine, theirs) in differing.items())
            named = [f"--preset {name}" for name, known in PRESETS.items() if asdict(known.spec) == required]
            settings = named or [f"--set {name}={_text(theirs)}" for name, (_, theirs) in differing.items()]
            raise LearnError(
                f"{self.name} needs features of another recipe than {source} holds: {told}; featurize with {' '.join(settings)}"
            )

    @classmethod
    def from_params(cls, params: Mapping[str, Any], *, seed: int = 0, threads: int = 1) -> Self:
        """A classifier with these hyper-parameters; texts are read as the type that each one has.

        Raises:
            PluginError: a name that the plugin does not have, or a value of the wrong type.
        """
        return cls(seed=seed, threads=threads, **read_parameters(cls, params))


def _text(value: Any) -> str:
    """A field's value as `--set` reads it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
