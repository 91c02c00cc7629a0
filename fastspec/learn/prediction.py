"""Probabilities for recordings: a bundle and a manifest in, one row a clip out, with bounded memory."""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, choices
from fastspec.learn.bundle import Bundle, check_absent

if TYPE_CHECKING:
    from fastspec.corpus import Manifest


class Prediction(NamedTuple):
    """What a model says about one clip.

    Attributes:
        path: of the recording.
        start_s: where the clip begins, in seconds.
        label: the true class, where the manifest has one.
        predicted: the likeliest class; None unless the status is "ok".
        probabilities: `(classes,)` float64; None unless the status is "ok".
        status: of the clip, as in a store's ledger.
    """

    path: str
    start_s: float
    label: str | None
    predicted: str | None
    probabilities: NDArray[np.float64] | None
    status: str


def predict(bundle: Bundle, manifest: "Manifest", *, workers: int = 2) -> Iterator[Prediction]:
    """Predictions for the clips of a manifest, in its order. A clip that failed has its status and no probabilities.

    Silent clips count among those: models are trained on clips of status "ok", and would only guess.
    """
    from fastspec.pipeline import stream_features

    for batch in stream_features(manifest, bundle.recipe, workers=workers):
        usable = np.array([row["status"] == "ok" for row in batch.rows], bool)
        rows = iter(bundle.model.predict_proba(batch.features[usable], batch.valid_frames[usable]))
        for clip, ok in zip(batch.rows, usable, strict=True):
            probabilities = next(rows) if ok else None
            predicted = None if probabilities is None else bundle.classes[int(probabilities.argmax())]
            yield Prediction(clip["path"], clip["start_s"], clip["label"], predicted, probabilities, clip["status"])


def write_predictions(
    predictions: Iterable[Prediction], output: str | os.PathLike[str], *, classes: Sequence[str], labelled: bool
) -> dict[str, int]:
    """Write predictions to a new .csv, .jsonl or .parquet file, complete or not at all, and return how many have each status.

    The columns are path, start_s, label (if `labelled`), predicted, p_<class> for each class, status.

    Args:
        predictions: may be an iterator; they are written as they come.
        output: its extension says which format.
        classes: names, in the order of the probabilities.
        labelled: whether the manifest has labels (`bool(manifest.classes)`).

    Raises:
        LearnError: another extension, a file that exists, or one that cannot be written; the first two before anything is predicted.
    """
    path = check_output(output)
    columns = _columns(classes, labelled)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    statuses: Counter[str] = Counter()
    rows = (_values(prediction, len(classes), labelled) for prediction in _counted(predictions, statuses))
    try:
        with partial.open("x", encoding="utf-8", newline="") as file:
            _WRITERS[path.suffix](rows, columns, file)
        if path.suffix == ".parquet":
            _csv_to_parquet(partial, columns)
        partial.rename(path)
    except OSError as error:
        raise LearnError(f"predictions cannot be written to {path}: {error.strerror or error}; choose another place") from error
    finally:
        partial.unlink(missing_ok=True)
    return dict(sorted(statuses.items()))


def check_output(output: str | os.PathLike[str]) -> Path:
    """`output`, when predictions can be written there: a known extension, and nothing there yet. LearnError otherwise."""
    path = Path(output)
    if path.suffix not in _WRITERS:
        raise LearnError(f"{path} has the extension {path.suffix!r}; {choices(path.suffix, _WRITERS)}")
    return check_absent(path)


def _counted(predictions: Iterable[Prediction], statuses: Counter[str]) -> Iterator[Prediction]:
    for prediction in predictions:
        statuses[prediction.status] += 1
        yield prediction


def _columns(classes: Sequence[str], labelled: bool) -> dict[str, type]:
    label = {"label": str} if labelled else {}
    return {"path": str, "start_s": float, **label, "predicted": str, **{f"p_{name}": float for name in classes}, "status": str}


def _values(prediction: Prediction, n_classes: int, labelled: bool) -> list[Any]:
    label = [prediction.label] if labelled else []
    probabilities = [None] * n_classes if prediction.probabilities is None else prediction.probabilities.tolist()
    return [prediction.path, prediction.start_s, *label, prediction.predicted, *probabilities, prediction.status]


def _write_csv(rows: Iterable[list[Any]], columns: dict[str, type], file: TextIO) -> None:
    # Python's writer leaves a lone carriage return unquoted, and its reader takes it for the end of a row.
    plain, quoting = csv.writer(file, lineterminator="\n"), csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in chain([list(columns)], rows):
        (quoting if any(isinstance(cell, str) and "\r" in cell for cell in row) else plain).writerow(row)


def _write_jsonl(rows: Iterable[list[Any]], columns: dict[str, type], file: TextIO) -> None:
    for row in rows:
        file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _csv_to_parquet(path: Path, columns: dict[str, type]) -> None:
    """Replace a CSV file by the Parquet file of the same rows, without holding them all in memory."""
    import polars

    schema = {name: polars.String if kind is str else polars.Float64 for name, kind in columns.items()}
    parquet = path.with_name(path.name + ".parquet")
    try:
        polars.scan_csv(path, schema=schema).sink_parquet(parquet)
        parquet.rename(path)
    finally:
        parquet.unlink(missing_ok=True)


_WRITERS: dict[str, Callable[[Iterable[list[Any]], dict[str, type], TextIO], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_csv,
}
