"""Classifiers and front ends compared on the same folds."""

from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from toy_stores import toy_store, windowed_store

from fastspec.errors import LearnError
from fastspec.learn import evaluate, leaderboard
from fastspec.learn.comparing import align_stores, shared_folds
from fastspec.learn.ranking import LeaderboardRow, write_board

HEADLINES = ["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss"]
COLUMNS = ["store", "model", *(name + end for name in HEADLINES for end in ("", "_low", "_high")), "fit_s", "predict_s", "size_bytes"]


def test_leaderboard__ranks_by_log_loss_with_the_majority_baseline() -> None:
    rows = leaderboard(toy_store(), ["logistic"], folds=3)
    assert [row.model for row in rows] == ["logistic", "(majority)", "(header)"]
    assert rows[0].log_loss < rows[1].log_loss == pytest.approx(np.log(3), rel=0.05)
    assert list(LeaderboardRow._fields) == COLUMNS
    assert {row.store for row in rows} == {"toy0.zarr"}


def test_leaderboard_without_names__holds_every_installed_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTSPEC_PLUGINS", "logistic,lightgbm")
    rows = leaderboard(toy_store(), folds=3)
    assert {row.model for row in rows} == {"logistic", "lightgbm", "(majority)", "(header)"}


def test_leaderboard__of_nobody_in_particular_leaves_out_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastspec.learn import load_plugin

    monkeypatch.setenv("FASTSPEC_PLUGINS", "logistic,svm")
    monkeypatch.setattr(load_plugin("svm"), "requires", {"n_mels": 96})
    told: list[str] = []
    rows = leaderboard(toy_store(), on_message=told.append)
    assert {row.model for row in rows} == {"logistic", "(majority)", "(header)"}
    assert len(told) == 1
    assert told[0].startswith("left out: svm needs features of another recipe")
    with pytest.raises(LearnError, match="svm needs features of another recipe"):
        leaderboard(toy_store(), ["svm"])


def front_ends(**columns: list[Any]) -> list[Any]:
    """Two stores of one manifest; `columns` are the second's own."""
    stores = [toy_store(), toy_store(seed=1, audio_hash=toy_store().ledger["audio_hash"].to_list(), **columns)]
    stores[1].manifest_digest = stores[0].manifest_digest
    stores[1].features[:] = np.random.default_rng(5).normal(size=stores[1].features.shape)
    return stores


def test_front_ends_of_one_manifest__are_compared_on_the_same_folds() -> None:
    rows = leaderboard(front_ends(), ["logistic"], folds=4)
    assert [(row.store, row.model) for row in rows[:1]] == [("toy0.zarr", "logistic")]
    assert sorted((row.store, row.model) for row in rows) == [
        ("toy0.zarr", "(header)"),
        ("toy0.zarr", "(majority)"),
        ("toy0.zarr", "logistic"),
        ("toy1.zarr", "logistic"),
    ]
    alone = leaderboard(toy_store(), ["logistic"], folds=4)
    assert rows[0]._replace(fit_s=0, predict_s=0) == alone[0]._replace(fit_s=0, predict_s=0)


def test_clip_that_one_front_end_could_not_use__is_left_out_everywhere() -> None:
    datasets = align_stores(front_ends(status=["ok"] * 50 + ["nonfinite"] * 10))
    assert [len(dataset) for dataset in datasets] == [50, 50]
    assert datasets[0].paths == datasets[1].paths == [f"{i}.wav" for i in range(50)]


def test_front_ends_with_other_windows__test_a_recording_in_the_same_fold() -> None:
    stores = [windowed_store(), windowed_store(start_s=[2.0 * (i % 3) for i in range(60)])]
    datasets = align_stores(stores)
    for ours, theirs in zip(*shared_folds(datasets, n_folds=4, repeats=1, seed=0), strict=True):
        for fold, other in zip(ours, theirs, strict=True):
            assert {datasets[0].paths[clip] for clip in fold.test} == {datasets[1].paths[clip] for clip in other.test}
    assert len(leaderboard(datasets, ["logistic"], folds=4)) == 4
    with pytest.raises(LearnError, match="only recordings can be compared; score by recording"):
        leaderboard(datasets, ["logistic"], folds=4, by="clip")


def test_stores_of_several_manifests__are_refused() -> None:
    with pytest.raises(LearnError, match=r"toy1.zarr was made of another manifest than toy0.zarr"):
        leaderboard([toy_store(), toy_store(seed=1)], ["logistic"])


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes of the features of stores that are not on disk."""
    hashes = ["one"]
    monkeypatch.setattr("fastspec.store.reading.chunk_hashes", lambda _: hashes)
    return hashes


def test_leaderboard_that_was_stopped__scores_only_what_is_missing(
    tmp_path: Path, chunks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []

    def spy(*arguments: Any, **settings: Any) -> Any:
        scored.append(arguments[1])
        return evaluate(*arguments, **settings)

    monkeypatch.setattr("fastspec.learn.ranking.evaluate", spy)
    first = leaderboard(toy_store(), ["logistic"], folds=4, cells=tmp_path / "cells")
    again = leaderboard(toy_store(), ["logistic", "svm"], folds=4, cells=tmp_path / "cells")
    assert scored == ["logistic", "(majority)", "(header)", "svm"]
    assert [row for row in again if row.model != "svm"] == first
    leaderboard(toy_store(), ["logistic"], folds=3, cells=tmp_path / "cells")
    chunks[:] = ["other"]  # the features are no longer those that were scored
    leaderboard(toy_store(), ["logistic"], folds=4, cells=tmp_path / "cells")
    assert scored[4:] == 2 * ["logistic", "(majority)", "(header)"]


@pytest.mark.usefixtures("chunks")
def test_broken_cell__is_scored_again(tmp_path: Path) -> None:
    first = leaderboard(toy_store(), ["logistic"], folds=4, cells=tmp_path)
    for cell in tmp_path.iterdir():
        cell.write_text("{" if cell == min(tmp_path.iterdir()) else "{}")
    again = leaderboard(toy_store(), ["logistic"], folds=4, cells=tmp_path)
    assert [row.log_loss for row in again] == [row.log_loss for row in first]


def test_leaderboard__is_written_as_a_typed_table(tmp_path: Path) -> None:
    rows = leaderboard(toy_store(), ["logistic"], folds=4)
    table = polars.read_parquet(write_board(rows, tmp_path / "board.parquet"))
    assert table.columns == COLUMNS
    assert [LeaderboardRow(*row) for row in table.rows()] == rows
    assert (table.schema["store"], table.schema["size_bytes"]) == (polars.String, polars.Int64)
    with pytest.raises(LearnError, match="exists already"):
        write_board(rows, tmp_path / "board.parquet")
    with pytest.raises(LearnError, match=r"extension '.csv'; known are: .parquet"):
        write_board(rows, tmp_path / "board.csv")
