"""Answers for recordings: a bundle and a manifest in, one row a clip or a recording out, with bounded memory."""

import csv
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, choices
from fastspec.learn.bundle import Bundle, check_absent
from fastspec.learn.pooling import clip_blocks
from fastspec.learn.recordings import By, check_by, mean_of_recordings
from fastspec.learn.stored import StoredFeatures

if TYPE_CHECKING:
    from fastspec.corpus import Manifest
    from fastspec.pipeline import FeatureBatch
    from fastspec.store import FeatureStore


# Predictions that a person reads one by one.
FIRST = 10


class Prediction(NamedTuple):
    """What a model says about one clip, or one recording.

    Attributes:
        path: of the recording.
        start_s: where the clip begins, in seconds.
        label: the true class, where the manifest has one.
        predicted: the answer; None unless the status is "ok".
        probabilities: `(classes,)` float64; None unless the status is "ok".
        status: of the clip, as in a store's ledger; a recording is "ok" when one of its clips is.
        duration_s: how long the clip is at most, where the manifest says.
        channel: that the clip is, where channels are clips of their own.
        seen: whether the model learned from this very audio, under whatever name.
    """

    path: str
    start_s: float
    label: str | None
    predicted: str | None
    probabilities: NDArray[np.float64] | None
    status: str
    duration_s: float | None = None
    channel: int | None = None
    seen: bool = False


class Heard(NamedTuple):
    """A clip's row of the ledger, and the model's own probabilities of it."""

    row: dict[str, Any]
    probabilities: NDArray[np.float64] | None


def predict(bundle: Bundle, manifest: "Manifest", *, workers: int = 2, by: By | None = None) -> Iterator[Prediction]:
    """Predictions for the clips of a manifest, or its recordings, in its order. What failed has its status and no probabilities.

    Silent clips count among those: models are trained on clips of status "ok", and would only guess. Memory does not grow with the
    corpus, nor with a recording but for its probabilities.

    Args:
        bundle: the model.
        manifest: what to hear.
        workers: threads that decode and compute features; the model is asked by one at a time.
        by: None takes what the model's decisions were made for; without any, recordings that the recipe cuts into several clips, unless
            the manifest itself names several stretches of one.

    Raises:
        LearnError: `by` is not what the model's decisions were made for.
    """
    from fastspec.pipeline import map_features

    unit = unit_of_answers(bundle, check_by(by), whole=not manifest.table["path"].is_duplicated().any())
    turn = Lock()

    def hear(batch: "FeatureBatch") -> list[Heard]:
        with turn:  # a stranger's model may not be safe in several threads
            return hear_clips(bundle, batch.rows, batch.features, batch.valid_frames)

    batches = map_features(manifest, bundle.recipe, hear, workers=workers)
    return answer(bundle, chain.from_iterable(batches), unit)


def predict_store(bundle: Bundle, store: "FeatureStore", *, by: By | None = None) -> Iterator[Prediction]:
    """Predictions for what a store holds, likewise; nothing is decoded.

    Raises:
        LearnError: the store was made by another recipe, or `by` is not what the model's decisions were made for.
    """
    bundle.check_store(store)
    unit = unit_of_answers(bundle, check_by(by), whole=True)

    def batches() -> Iterator[list[Heard]]:
        for block in clip_blocks(StoredFeatures(store.features)):
            rows = [{**row, "duration_s": None} for row in store.ledger[block].iter_rows(named=True)]
            yield hear_clips(bundle, rows, np.asarray(store.features[block], np.float32), store.valid_frames[block])

    return answer(bundle, chain.from_iterable(batches()), unit)


def unit_of_answers(bundle: Bundle, by: By | None, *, whole: bool) -> By:
    """What is answered for; `whole`: no clip but those that the recipe cuts."""
    if by is not None:
        bundle.check_unit(by)
        return by
    cuts = bundle.recipe.clip.hop_s is not None or bundle.recipe.clip.channel == "each"
    return bundle.fixed_unit or ("recording" if cuts and whole else "clip")


def hear_clips(
    bundle: Bundle, rows: Sequence[dict[str, Any]], features: NDArray[np.floating], valid_frames: NDArray[np.int32]
) -> list[Heard]:
    """The model's own probabilities of clips whose features are known, in one call; rows are those of a ledger, with duration_s."""
    usable = np.array([row["status"] == "ok" for row in rows], bool)
    told = iter(bundle.model.predict_proba(features[usable].astype(np.float32, copy=False), valid_frames[usable]))
    return [Heard(row, next(told) if ok else None) for row, ok in zip(rows, usable, strict=True)]


def answer(bundle: Bundle, heard: Iterable[Heard], unit: By) -> Iterator[Prediction]:
    """One prediction a clip, or one for all neighbouring clips of one recording."""
    if unit == "clip":
        for clip in heard:
            yield _decide(bundle, [clip])._replace(duration_s=clip.row["duration_s"], channel=clip.row["channel"])
    else:
        for _, clips in groupby(heard, key=lambda clip: clip.row["path"]):
            yield _decide(bundle, list(clips))


def _decide(bundle: Bundle, clips: Sequence[Heard]) -> Prediction:
    first, labels = clips[0].row, {clip.row["label"] for clip in clips}
    label = first["label"] if len(labels) == 1 else None
    told = [clip.probabilities for clip in clips if clip.probabilities is not None]
    hashes = [clip.row["audio_hash"] for clip in clips if clip.row["audio_hash"] is not None]
    seen = bool(bundle.has_seen(np.array(hashes, str)).any())
    if not told:
        return Prediction(first["path"], first["start_s"], label, None, None, first["status"])
    calibrated = bundle.decisions.calibrate(mean_of_recordings(np.array(told), np.zeros(len(told), np.int64)))
    (answer,) = bundle.decisions.answer(calibrated, bundle.classes)
    return Prediction(first["path"], first["start_s"], label, answer, calibrated[0], "ok", seen=seen)


def telling_columns(bundle: Bundle, manifest: "Manifest") -> list[str]:
    """Which of duration_s and channel a manifest's clips need to be told apart, where recordings have several that begin together."""
    doubled = manifest.table.select("path", "start_s").is_duplicated().any()
    return ["duration_s"] * bool(doubled) + ["channel"] * (bundle.recipe.clip.channel == "each")


class Tally:
    """What was answered, and beside what is true, counted while predictions pass by.

    Attributes:
        first: the predictions that came first, at most `FIRST`.
        predicted: how often each answer was given.
        answers: how often each (actual, predicted) pair occurs.
        seen: how many of those recordings the model learned from.
    """

    def __init__(self) -> None:
        self.first: list[Prediction] = []
        self.predicted: Counter[str] = Counter()
        self.answers: Counter[tuple[str, str]] = Counter()
        self.seen = 0

    def watch(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """The predictions, while they are counted, by classes where they have both an actual and a predicted one."""
        for prediction in predictions:
            if len(self.first) < FIRST:
                self.first.append(prediction)
            if prediction.predicted is not None:
                self.predicted[prediction.predicted] += 1
            if prediction.label is not None and prediction.predicted is not None:
                self.answers[prediction.label, prediction.predicted] += 1
                self.seen += prediction.seen
            yield prediction


def write_predictions(
    predictions: Iterable[Prediction], output: str | os.PathLike[str], *, classes: Sequence[str], labelled: bool, also: Sequence[str] = ()
) -> dict[str, int]:
    """Write predictions to a new .csv, .jsonl or .parquet file, complete or not at all, and return how many have each status.

    The columns are path, start_s, label (if `labelled`), predicted, p_<class> for each class, status, and those of `also`.

    Args:
        predictions: may be an iterator; they are written as they come.
        output: its extension says which format.
        classes: names, in the order of the probabilities.
        labelled: whether the manifest has labels (`bool(manifest.classes)`).
        also: "duration_s", "channel".

    Raises:
        LearnError: another extension, a file that exists, or one that cannot be written; the first two before anything is predicted.
    """
    path = check_output(output)
    columns = _columns(classes, labelled) | dict.fromkeys(also, float)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    statuses: Counter[str] = Counter()
    rows = (
        [*_values(prediction, len(classes), labelled), *(getattr(prediction, name) for name in also)]
        for prediction in _counted(predictions, statuses)
    )
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
