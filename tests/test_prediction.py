"""What a model says of recordings, and the tables that it is written to."""

import csv
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import polars
import pytest
from bundles import FEATURES, LABELS, VALID, toy_bundle

from fastspec.errors import LearnError
from fastspec.learn import Cost, Decisions, predict, write_predictions
from fastspec.learn.prediction import Prediction, check_output, telling_columns
from fastspec.spec import Recipe


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the pipeline: batches of four clips, of which clip 1 is unreadable and clip 6 silent; two clips a recording."""

    def map_features(_manifest: Any, _recipe: Recipe, function: Callable[[Any], Any], *, workers: int) -> Iterator[Any]:
        assert workers == 1
        statuses = {1: "unreadable", 6: "silent"}
        for start in range(0, 8, 4):
            clips = range(start, start + 4)
            rows = [
                {
                    "path": f"{i // 2}.wav",
                    "start_s": 0.5 * (i % 2),
                    "label": ("cat", "dog")[LABELS[i]],
                    "status": statuses.get(i, "ok"),
                    "duration_s": 0.5,
                    "channel": None,
                    "audio_hash": None,
                }
                for i in clips
            ]
            features = FEATURES[start : start + 4].copy()
            features[[i - start for i in clips if statuses.get(i) == "unreadable"]] = np.nan
            yield function(SimpleNamespace(rows=rows, features=features, valid_frames=VALID[start : start + 4]))

    module = ModuleType("fastspec.pipeline")
    module.map_features = map_features  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastspec.pipeline", module)


def stretches(*names: str) -> Any:
    """A manifest that names those recordings."""
    return SimpleNamespace(table=polars.DataFrame({"path": names or ("0.wav",), "start_s": [0.0] * max(1, len(names))}))


@pytest.mark.usefixtures("stream")
def test_predict__gives_every_clip_its_row_and_failed_clips_no_probabilities() -> None:
    bundle = toy_bundle()
    rows = list(predict(bundle, stretches(), workers=1))
    assert [(row.path, row.start_s, row.duration_s) for row in rows] == [(f"{i // 2}.wav", 0.5 * (i % 2), 0.5) for i in range(8)]
    assert [row.status for row in rows if row.predicted is None] == ["unreadable", "silent"]
    expected = bundle.model.predict_proba(FEATURES[:8], VALID[:8])
    for row, probabilities in zip(rows, expected, strict=True):
        if row.status == "ok":
            assert row.probabilities is not None
            np.testing.assert_allclose(row.probabilities, probabilities, rtol=1e-5)
            assert row.predicted == row.label


@pytest.mark.usefixtures("stream")
def test_predict_by_recording__has_the_mean_of_the_clips_that_could_be_heard() -> None:
    bundle = toy_bundle()
    rows = list(predict(bundle, stretches(), workers=1, by="recording"))
    expected = bundle.model.predict_proba(FEATURES[:8], VALID[:8])
    assert [(row.path, row.status, row.label) for row in rows] == [(f"{i}.wav", "ok", None) for i in range(4)]
    for row, clips in zip(rows, ([0], [2, 3], [4, 5], [7]), strict=True):
        assert row.probabilities is not None
        np.testing.assert_allclose(row.probabilities, expected[clips].mean(axis=0), rtol=1e-5)


@pytest.mark.usefixtures("stream")
def test_windows_of_the_recipe__are_answered_as_recordings_unless_the_manifest_names_stretches() -> None:
    bundle = replace(toy_bundle(), recipe=Recipe().replace(clip_s=1.0, hop_s=0.5, n_mels=3))
    assert len(list(predict(bundle, stretches("0.wav", "1.wav"), workers=1))) == 4
    assert len(list(predict(bundle, stretches("0.wav", "0.wav"), workers=1))) == 8


def test_clips_that_begin_together__are_told_apart_by_more_columns(tmp_path: Path) -> None:
    assert telling_columns(toy_bundle(), stretches("0.wav", "1.wav")) == []
    assert telling_columns(toy_bundle(), stretches("0.wav", "0.wav")) == ["duration_s"]
    row = Prediction("a.wav", 0.5, "cat", "cat", np.array([0.75, 0.25]), "ok", 2.0, 1)
    write_predictions([row], tmp_path / "out.csv", classes=["cat", "dog"], labelled=False, also=["duration_s", "channel"])
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "a.wav,0.5,cat,0.75,0.25,ok,2.0,1"


@pytest.mark.usefixtures("stream")
def test_predict__answers_by_the_decisions() -> None:
    bundle = toy_bundle()
    costly = replace(bundle, decisions=Decisions(costs={"dog": Cost(1e9, 1.0)}))
    assert {row.predicted for row in predict(costly, stretches(), workers=1) if row.status == "ok"} == {"dog"}
    unsure = replace(bundle, decisions=Decisions(unknown_below=1.0))
    assert "unknown" in {row.predicted for row in predict(unsure, stretches(), workers=1)}
    with pytest.raises(LearnError, match="decisions were made for each clip, not for each recording; train it with --by recording"):
        predict(costly, stretches(), workers=1, by="recording")


ROWS = [
    Prediction("a,b\n.wav", 0.5, "cat", "cat", np.array([0.75, 0.25]), "ok"),
    Prediction('"ü".wav', 1.0, "dog", None, None, "unreadable"),
]


def test_name_with_a_carriage_return__stays_one_row(tmp_path: Path) -> None:
    row = ROWS[0]._replace(path="odd\rname.wav")
    write_predictions([row], tmp_path / "out.csv", classes=["cat", "dog"], labelled=True)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert [read["path"] for read in csv.DictReader(file)] == ["odd\rname.wav"]


def test_predictions_as_csv__leave_failed_clips_empty(tmp_path: Path) -> None:
    assert write_predictions(iter(ROWS), tmp_path / "out.csv", classes=["cat", "dog"], labelled=True) == {"ok": 1, "unreadable": 1}
    header, *rest = (tmp_path / "out.csv").read_text(encoding="utf-8").split("\n", 1)
    assert header == "path,start_s,label,predicted,p_cat,p_dog,status"
    assert rest == ['"a,b\n.wav",0.5,cat,cat,0.75,0.25,ok\n"""ü"".wav",1.0,dog,,,,unreadable\n']


def test_predictions_as_jsonl__are_one_object_a_line(tmp_path: Path) -> None:
    write_predictions(ROWS, tmp_path / "out.jsonl", classes=["cat", "dog"], labelled=False)
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert first == {"path": "a,b\n.wav", "start_s": 0.5, "predicted": "cat", "p_cat": 0.75, "p_dog": 0.25, "status": "ok"}
    assert second == {"path": '"ü".wav', "start_s": 1.0, "predicted": None, "p_cat": None, "p_dog": None, "status": "unreadable"}


def test_predictions_as_parquet__have_typed_columns(tmp_path: Path) -> None:
    write_predictions(ROWS, tmp_path / "out.parquet", classes=["cat", "dog"], labelled=True)
    table = polars.read_parquet(io.BytesIO((tmp_path / "out.parquet").read_bytes()))
    assert table.schema == {
        "path": polars.String,
        "start_s": polars.Float64,
        "label": polars.String,
        "predicted": polars.String,
        "p_cat": polars.Float64,
        "p_dog": polars.Float64,
        "status": polars.String,
    }
    assert table.rows()[0] == ("a,b\n.wav", 0.5, "cat", "cat", 0.75, 0.25, "ok")
    assert table.rows()[1] == ('"ü".wav', 1.0, "dog", None, None, None, "unreadable")
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_parquet_without_any_row__has_its_columns(tmp_path: Path) -> None:
    write_predictions([], tmp_path / "out.parquet", classes=["cat"], labelled=False)
    assert polars.read_parquet(tmp_path / "out.parquet").columns == ["path", "start_s", "predicted", "p_cat", "status"]


def test_output_of_unknown_kind_or_that_exists__is_refused_before_anything_is_predicted(tmp_path: Path) -> None:
    def never() -> Iterator[Prediction]:
        pytest.fail("predicted before the output was checked")
        yield

    with pytest.raises(LearnError, match=r"extension '.xls'; known are: .csv, .jsonl, .parquet"):
        write_predictions(never(), tmp_path / "out.xls", classes=[], labelled=False)
    (tmp_path / "out.csv").touch()
    with pytest.raises(LearnError, match="exists already"):
        write_predictions(never(), tmp_path / "out.csv", classes=[], labelled=False)
    assert check_output(tmp_path / "new.csv") == tmp_path / "new.csv"


def test_prediction_that_breaks_off__leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Iterator[Prediction]:
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_predictions(broken(), tmp_path / "out.csv", classes=["cat", "dog"], labelled=True)
    assert list(tmp_path.iterdir()) == []
