"""Scores, confusions, ledgers and failures as tables of text."""

import numpy as np
import polars as pl
import pytest
from consoles import text, words

from fastspec.report import (
    ReportError,
    confusion_table,
    failures_table,
    leaderboard_table,
    ledger_table,
    plot_confusion,
    scores_table,
)


def leaderboard_row(model: str, *, store: str = "fish.zarr") -> dict[str, object]:
    metrics = {"accuracy": 0.981, "balanced_accuracy": 0.972, "macro_f1": 0.963, "roc_auc": 0.954, "log_loss": 12.345}
    row: dict[str, object] = {"store": store, "model": model, "fit_s": 12.3, "predict_s": 0.042, "size_bytes": 1_234_567}
    for name, value in metrics.items():
        row |= {name: value, f"{name}_low": value - 0.01, f"{name}_high": value + 0.01}
    return row


def test_leaderboard__shows_scores_intervals_times_and_size():
    shown = words(leaderboard_table([leaderboard_row("gradient-boosting")]))
    for word in ("gradient-boosting", ".981", ".971–.991", ".972", ".963", ".954", "12.3", "12.3–12.4", "1.2", "MB", "12", "42", "ms"):
        assert word in shown
    assert "fish.zarr" not in shown


def test_leaderboard_of_several_stores__names_them():
    shown = words(leaderboard_table([leaderboard_row("lightgbm"), leaderboard_row("lightgbm", store="other.zarr")]))
    assert {"fish.zarr", "other.zarr"} <= set(shown)


def test_leaderboard_row_without_intervals__has_dashes_for_what_it_lacks():
    shown = words(leaderboard_table([{"model": "(majority)", "accuracy": 0.5}]))
    assert shown.count("–") == 7


def test_scores__have_one_row_a_class():
    rows = [{"name": "big [red] fish", "precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 1200}]
    assert text(scores_table(rows, title="fish")).splitlines()[-1].split() == ["big", "[red]", "fish", "1.00", ".500", ".667", "1,200"]


def test_confusion_of_few_classes__is_a_table_of_counts():
    shown = text(confusion_table(np.array([[590, 10], [0, 1638]]), ["big_fish", "small_fish"]))
    assert [line.split() for line in shown.splitlines()] == [
        ["actual", "big_fish", "small_fish"],
        ["─" * 32],
        ["big_fish", "590", "10"],
        ["small_fish", "·", "1,638"],
        ["columns:", "predicted"],
    ]


def test_confusion_averaged_over_repeats__shows_one_decimal():
    matrix = [[9.5, 0.5], [0.0, 8.0]]
    assert {"9.5", "0.5", "·", "8"} <= set(words(confusion_table(matrix, ["a", "b"])))
    cells = plot_confusion(matrix, ["a", "b"], title="two repeats").axes[0].texts
    assert [cell.get_text() for cell in cells] == ["95%\n9.5", "5%\n0.5", "100%\n8"]


def test_confusion_of_many_classes__is_a_list_of_mistakes():
    matrix = np.eye(15, dtype=np.int64) * 90
    matrix[3, 7], matrix[7, 3] = 10, 20
    shown = text(confusion_table(matrix, [f"instrument-{i}" for i in range(15)]))
    assert [line.split() for line in shown.splitlines()[2:]] == [
        ["instrument-7", "instrument-3", "20", "18.2%"],
        ["instrument-3", "instrument-7", "10", "10.0%"],
    ]


def ledger() -> pl.DataFrame:
    rows = [("ok", "", 32000), ("unreadable", "Format not recognised.", None), ("empty", "no frames", 0), ("silent", "", 16000)]
    rows += [("unreadable", "File contains data in an unknown format.", None)] * 4
    columns = [
        {"clip": i, "path": f"a-folder/of-recordings/with-a-name-{i}.ogg", "label": None if i == 3 else "big_fish", "start_s": 0.5}
        | {"status": status, "reason": reason, "decoded_frames": frames, "sample_rate": 16000 if frames else None}
        for i, (status, reason, frames) in enumerate(rows)
    ]
    return pl.DataFrame(columns)


@pytest.mark.parametrize("rows", [ledger(), ledger().to_dicts()], ids=["polars", "dicts"])
def test_ledger__has_path_label_length_status_and_reason(rows):
    shown = words(ledger_table(rows))
    assert shown.count("unreadable") == 5
    for word in ("a-folder/of-recordings/with-a-name", "big_fish", "2.00", "0.50", "silent", "recognised."):
        assert any(word in cell or cell in word for cell in shown)


def test_failures__are_counted_by_status_with_examples_of_reasons():
    shown = text(failures_table(ledger(), examples=2))
    lines = [line.split() for line in shown.splitlines()]
    assert lines[2][:2] == ["unreadable", "5"]
    assert ["…", "and", "3", "more"] in lines
    assert "with-a-name-2.ogg" in shown
    assert "no frames" in shown
    assert "with-a-name-0.ogg" not in shown
    assert "with-a-name-3.ogg" not in shown


def test_tables__fit_80_columns_and_are_plain_text_without_a_terminal():
    board = [leaderboard_row("gradient-boosting", store="a-rather/long/path-of-a-store.zarr"), leaderboard_row("lightgbm")]
    classes = [f"class {i}" for i in range(9)]
    tables = [
        leaderboard_table(board),
        ledger_table(ledger()),
        failures_table(ledger()),
        confusion_table(np.full((9, 9), 1234567), classes),
        scores_table([{"name": "x" * 100, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1}]),
    ]
    for table in tables:
        shown = text(table)
        assert "\x1b" not in shown
        assert max(map(len, shown.splitlines())) <= 80


def test_confusion_with_an_answer_that_is_no_class__has_a_column_for_it():
    shown = text(confusion_table([[5, 1, 2], [0, 7, 0]], ["a", "b"], predicted=["a", "b", "unknown"]))
    assert [line.split() for line in shown.splitlines()][2:4] == [["a", "5", "1", "2"], ["b", "·", "7", "·"]]


def test_leaderboard_picture__has_a_line_for_each_row_from_the_top():
    from fastspec.report import plot_leaderboard

    axes = plot_leaderboard([leaderboard_row("svm"), leaderboard_row("(majority)")], title="x").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["svm", "(majority)"]
    assert axes.get_ylim() == (1.5, -0.5)
    with pytest.raises(ReportError, match="empty"):
        plot_leaderboard([], title="x")
