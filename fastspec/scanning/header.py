"""What the header of a file gives away: a classifier that sees nothing else, scored on groups that it has never met."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fastspec.learn.metrics import bootstrap
from fastspec.learn.splits import Fold, make_folds

ENCODING = ("format", "subtype", "sample_rate", "channels")
LENGTH = ("header_frames", "size_bytes")
MOST_FOLDS = 5
# Enough for an interval of about a hundredth; more recordings cost time and tell nothing new.
MOST_RECORDINGS = 20_000
# Above the commonest class by less than this is no leak, however certain: nearly every corpus has that much.
MARGIN = 0.02


@dataclass(frozen=True, kw_only=True)
class HeaderTest:
    """How well headers predict labels.

    Attributes:
        recordings: that were tested.
        folds: of whole groups.
        majority: share of the commonest class: what is right without looking.
        encoding: accuracy by format, subtype, sample rate and channels.
        encoding_low: the lower end of its 95 % interval over groups.
        encoding_high: the upper end.
        header: accuracy by these, and by frames and bytes.
        header_low: the lower end of its 95 % interval over groups.
        header_high: the upper end.
    """

    recordings: int
    folds: int
    majority: float
    encoding: float
    encoding_low: float
    encoding_high: float
    header: float
    header_low: float
    header_high: float

    @property
    def encoding_leaks(self) -> bool:
        """Whether how a recording was made into a file tells its class."""
        return self.encoding_low > self.majority + MARGIN

    @property
    def header_leaks(self) -> bool:
        """Whether that, or how long it is, does."""
        return self.encoding_leaks or self.header_low > self.majority + MARGIN


def measure_header(clips: pl.DataFrame, *, seed: int = 0) -> HeaderTest | None:
    """Predict labels from headers by cross-validation over groups.

    Classes of one group are left out, for nothing can be said of them. None where fewer than two classes are left.

    Args:
        clips: path, label, group (never null) and the columns of `ENCODING` and `LENGTH`.
        seed: of folds, trees and interval.
    """
    rows = clips.unique(["path", "label"], keep="first", maintain_order=True)
    rows = rows.filter(pl.col("group").n_unique().over("label") > 1)
    rows = _fewer(rows, seed)
    classes, labels = np.unique(rows["label"].to_numpy().astype(np.str_), return_inverse=True)
    if len(classes) < 2:
        return None
    groups = rows["group"].to_numpy().astype(np.str_)
    fewest = int(rows.group_by("label").agg(pl.col("group").n_unique())["group"].min())  # type: ignore[arg-type]
    folds = make_folds(labels, groups, n_folds=min(MOST_FOLDS, fewest), seed=seed, classes=classes.tolist())
    found: dict[str, float] = {}
    for name, columns in (("encoding", ENCODING), ("header", ENCODING + LENGTH)):
        probabilities = _predict(_as_numbers(rows, columns), labels, folds, seed=seed)
        low, high = bootstrap(labels, probabilities[None], groups=groups, seed=seed).headline["accuracy"]
        accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
        found |= {name: accuracy, f"{name}_low": low, f"{name}_high": high}
    majority = float(np.bincount(labels).max() / len(labels))
    return HeaderTest(recordings=len(rows), folds=len(folds), majority=majority, **found)


def _fewer(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Whole groups drawn until there are enough recordings; of every class two groups stay."""
    if len(rows) <= MOST_RECORDINGS:
        return rows
    shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed)
    order = shuffled.select("group", "label").with_columns(pl.col("group").rank("dense").over("label").alias("rank"))
    kept = order.filter(pl.col("rank") <= 2)["group"].unique().implode()
    drawn = shuffled["group"].unique(maintain_order=True)
    sizes = rows.group_by("group").len()
    enough = drawn.to_frame().join(sizes, on="group", maintain_order="left").filter(pl.col("len").cum_sum() <= MOST_RECORDINGS)
    return rows.filter(pl.col("group").is_in(kept) | pl.col("group").is_in(enough["group"].implode()))


def _as_numbers(rows: pl.DataFrame, columns: Sequence[str]) -> NDArray[np.float32]:
    """`(recordings, columns)` float32: names by their order, and bytes a frame beside frames and bytes."""
    numbers = rows.select(
        pl.col(name).rank("dense") if rows.schema[name] == pl.String else pl.col(name).cast(pl.Float64).log1p() for name in columns
    )
    if "size_bytes" in columns:
        numbers = numbers.with_columns((pl.col("size_bytes") - pl.col("header_frames")).alias("bytes_a_frame"))
    return numbers.fill_null(-1).to_numpy().astype(np.float32)


def _predict(numbers: NDArray[np.float32], labels: NDArray[np.int64], folds: Sequence[Fold], *, seed: int) -> NDArray[np.float64]:
    """`(recordings, classes)` float64, each recording's by trees that never saw its group."""
    from sklearn.ensemble import ExtraTreesClassifier

    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    with warnings.catch_warnings():
        # Classes of two recordings each are no regression target.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        for train, test in folds:
            trees = ExtraTreesClassifier(50, min_samples_leaf=3, max_features=None, random_state=seed).fit(numbers[train], labels[train])
            probabilities[np.ix_(test, trees.classes_)] = trees.predict_proba(numbers[test])
    return probabilities
