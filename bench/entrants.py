"""Who takes part: what classifiers are measured against, those that ship with fastspec, and those that need torch."""

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastspec.audio import read
from fastspec.errors import PluginError, SpecError
from fastspec.learn import Dataset, load_plugin
from fastspec.presets import preset
from fastspec.spec import Recipe

Columns = NDArray[np.float32]
Kind = Literal["anchor", "plugin", "with torch"]


class Entrant(NamedTuple):
    """A classifier, what it is set to, and what it hears.

    Attributes:
        columns: of the clips of a dataset, `(clips, columns)` float32, which the classifier is given in place of features.
        package: that computes the columns, as pip names it.
    """

    name: str
    kind: Kind
    model: str
    params: Mapping[str, Any] = {}
    front_end: str = "librosa"
    columns: Callable[[Dataset], Columns] | None = None
    package: str | None = None

    def recipe(self) -> Recipe:
        """Of the features: for "hand" log-mel and cepstra, else the preset of that name. SpecError when there is none."""
        if self.front_end == "hand":
            return preset("librosa", features=("mel", "mfcc"), n_mels=64, n_mfcc=20)
        return preset(self.front_end)

    @property
    def needs_network(self) -> bool:
        """Whether a runtime of neural networks computes what it learns from, or all of it."""
        return self.kind == "with torch" or self.model == "transfer"

    def missing(self) -> str | None:
        """Why it cannot take part here."""
        try:
            load_plugin(self.model)
            self.recipe()
            if self.package is not None:
                version(self.package)
        except (PluginError, SpecError) as error:
            return str(error)
        except PackageNotFoundError:
            return f"{self.package} is not installed; to include it: pip install {self.package}"
        return None


def band_statistics(dataset: Dataset) -> Columns:
    """Mean and standard deviation over time of each band and each cepstral coefficient."""
    rows = []
    for clip, n_valid in zip(np.asarray(dataset.features), dataset.valid_frames, strict=True):
        heard = clip[: max(1, n_valid)].astype(np.float64)
        rows.append(np.concatenate([heard.mean(axis=0), heard.std(axis=0)]))
    return np.nan_to_num(np.array(rows, np.float32))


def egemaps(dataset: Dataset) -> Columns:
    """openSMILE's 88 functionals of eGeMAPS v02 of each recording, channels mixed."""
    import opensmile

    smile = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals)
    rows = []
    for path in dataset.paths:
        samples, sample_rate = read(Path(path))
        rows.append(smile.process_signal(samples.mean(axis=1), sample_rate).to_numpy()[0])
    return np.nan_to_num(np.array(rows, np.float32))


ENTRANTS = (
    Entrant("hand, extra-trees", "anchor", "extra-trees", {"n_estimators": 200}, "hand", band_statistics),
    Entrant("hand, logistic", "anchor", "logistic", {"C": 1.0}, "hand", band_statistics),
    Entrant("eGeMAPS, svm", "anchor", "svm", {}, "librosa", egemaps, "opensmile"),
    Entrant("aisfx, logistic", "anchor", "transfer", {"network": "aisfx", "C": 1.0}, "aisfx"),
    Entrant("extra-trees", "plugin", "extra-trees"),
    Entrant("gradient-boosting", "plugin", "gradient-boosting"),
    Entrant("lda", "plugin", "lda"),
    Entrant("lda, shape", "plugin", "lda", {"pool": "shape"}),
    Entrant("lightgbm", "plugin", "lightgbm"),
    Entrant("logistic", "plugin", "logistic"),
    Entrant("logistic, shape", "plugin", "logistic", {"pool": "shape"}),
    Entrant("rocket", "plugin", "rocket"),
    Entrant("svm", "plugin", "svm"),
    Entrant("cnn", "with torch", "cnn"),
    Entrant("transfer, aisfx", "with torch", "transfer", {"network": "aisfx"}, "aisfx"),
    Entrant("transfer, aisfx, statistics", "with torch", "transfer", {"network": "aisfx", "statistics": True}, "aisfx"),
    Entrant("transfer, aisfx, statistics, lda", "with torch", "transfer", {"network": "aisfx", "statistics": True, "head": "lda"}, "aisfx"),
    Entrant("transfer, efficientnet-lite0", "with torch", "transfer", {"network": "efficientnet-lite0"}),
    Entrant("transfer, resemblyzer", "with torch", "transfer", {"network": "resemblyzer"}, "resemblyzer"),
    Entrant(
        "transfer, resemblyzer, statistics, lda",
        "with torch",
        "transfer",
        {"network": "resemblyzer", "statistics": True, "head": "lda"},
        "resemblyzer",
    ),
)
