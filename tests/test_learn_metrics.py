"""Scores are scikit-learn's, and intervals come from drawing groups."""

import io

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table
from sklearn import metrics as reference

from fastspec.learn.metrics import HEADLINES, bootstrap, class_areas, score
from fastspec.learn.ranks import ClassRanks
from fastspec.report import leaderboard_table, scores_table

RANDOM = np.random.default_rng(0)
CLASSES = ["a", "b", "c", "d"]
LABELS = RANDOM.choice(4, size=200, p=[0.5, 0.3, 0.15, 0.05])
PROBABILITIES = RANDOM.dirichlet([1, 1, 1, 0.2], size=200) * 0.5 + 0.5 * np.eye(4)[LABELS] * RANDOM.random((200, 1))
PROBABILITIES /= PROBABILITIES.sum(axis=1, keepdims=True)
GUESSES = PROBABILITIES.argmax(axis=1)


def test_scores__equal_scikit_learns() -> None:
    scores = score(LABELS, PROBABILITIES[None], classes=CLASSES)
    assert scores.accuracy == pytest.approx(reference.accuracy_score(LABELS, GUESSES))
    assert scores.balanced_accuracy == pytest.approx(reference.balanced_accuracy_score(LABELS, GUESSES))
    assert scores.macro_f1 == pytest.approx(reference.f1_score(LABELS, GUESSES, average="macro"))
    assert scores.log_loss == pytest.approx(reference.log_loss(LABELS, PROBABILITIES))
    assert scores.confusion == reference.confusion_matrix(LABELS, GUESSES).tolist()
    assert scores.roc_auc == pytest.approx(reference.roc_auc_score(LABELS, PROBABILITIES, multi_class="ovr"))
    expected = reference.precision_recall_fscore_support(LABELS, GUESSES, zero_division=0)
    for row, *numbers in zip(scores.per_class, *expected, strict=True):
        assert [row.precision, row.recall, row.f1, row.support] == pytest.approx(numbers)


def test_impossible_probability_of_the_true_class__costs_a_finite_log_loss() -> None:
    probabilities = np.array([[0.0, 1.0], [0.0, 1.0]])
    scores = score(np.array([0, 1]), probabilities[None], classes=["a", "b"])
    assert scores.log_loss == pytest.approx(reference.log_loss([0, 1], probabilities))
    assert scores.per_class[0].precision == 0.0


def test_class_that_does_not_occur__is_left_out_of_the_means_unless_predicted() -> None:
    labels = np.array([0, 0, 1])
    scores = score(labels, np.eye(4)[[0, 0, 1]][None], classes=CLASSES)
    assert (scores.balanced_accuracy, scores.macro_f1) == (1.0, 1.0)
    wrong = score(labels, np.eye(4)[[0, 3, 1]][None], classes=CLASSES)
    assert wrong.macro_f1 == pytest.approx(reference.f1_score(labels, [0, 3, 1], average="macro", zero_division=0))


def test_repeats__are_averaged() -> None:
    perfect, wrong = np.eye(2)[[0, 1]], np.eye(2)[[1, 0]]
    scores = score(np.array([0, 1]), np.stack([perfect, wrong]), classes=["a", "b"])
    assert scores.accuracy == 0.5
    assert scores.confusion == [[0.5, 0.5], [0.5, 0.5]]


def test_intervals__hold_the_score_and_are_wider_for_fewer_groups() -> None:
    scores = score(LABELS, PROBABILITIES[None], classes=CLASSES)
    clips = bootstrap(LABELS, PROBABILITIES[None], groups=np.arange(200).astype(str), seed=0)
    eight = bootstrap(LABELS, PROBABILITIES[None], groups=(np.argsort(GUESSES == LABELS).argsort() // 25).astype(str), seed=0)
    for name in HEADLINES:
        low, high = clips.headline[name]
        assert low < getattr(scores, name) < high
    assert np.ptp(eight.headline["accuracy"]) > 2 * np.ptp(clips.headline["accuracy"])


def test_interval_of_accuracy__is_the_binomial_one_for_independent_clips() -> None:
    low, high = bootstrap(LABELS, PROBABILITIES[None], groups=np.arange(200).astype(str), seed=0, n_resamples=4000).headline["accuracy"]
    share = (GUESSES == LABELS).mean()
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(share * (1 - share) / 200), rel=0.1)


def test_seed__decides_the_interval() -> None:
    groups = np.arange(200).astype(str)
    first, again, other = (bootstrap(LABELS, PROBABILITIES[None], groups=groups, seed=s) for s in (0, 0, 1))
    assert first == again != other


def test_area_under_the_curve__counts_ties_half_and_weighs_each_clip_as_often_as_its_group_was_drawn() -> None:
    scores = np.round(PROBABILITIES, 1)  # many equal ones
    groups = np.arange(200) % 7
    drawn = np.array([[2, 1, 0, 1, 3, 0, 1], [1, 1, 1, 1, 1, 1, 1]], np.float64)
    areas = ClassRanks.sort(LABELS, scores[None], groups=groups).mean_auc(drawn)
    for weights, area in zip(drawn, areas[0], strict=True):
        each = [reference.roc_auc_score(k == LABELS, scores[:, k], sample_weight=weights[groups]) for k in range(4)]
        assert area == pytest.approx(np.mean(each))


def test_area_of_one_class_alone__is_not_a_number() -> None:
    scores = score(np.array([1, 1]), np.array([[[0.2, 0.8], [0.6, 0.4]]]), classes=["a", "b"])
    assert np.isnan(scores.roc_auc)
    assert np.isnan(bootstrap(np.array([1, 1]), np.full((1, 2, 2), 0.5), groups=np.array(["x", "y"]), seed=0).headline["roc_auc"]).all()


def test_interval_of_a_recall__is_the_binomial_one_and_wider_for_the_rarer_class() -> None:
    common, *_, rare = bootstrap(LABELS, PROBABILITIES[None], groups=np.arange(200).astype(str), seed=0, n_resamples=2000).per_class
    of_class = LABELS == 0
    share = (GUESSES[of_class] == 0).mean()
    assert np.ptp(common["recall"]) / 2 == pytest.approx(1.96 * np.sqrt(share * (1 - share) / of_class.sum()), rel=0.15)
    assert np.ptp(rare["recall"]) > 2 * np.ptp(common["recall"])


def test_one_group__has_scores_and_no_intervals() -> None:
    (low, high), *_ = bootstrap(LABELS, PROBABILITIES[None], groups=np.full(200, "g"), seed=0).headline.values()
    assert np.isnan([low, high]).all()
    table = drawn(leaderboard_table([{"model": "svm", "accuracy": 0.75, "accuracy_low": low, "accuracy_high": high}]))
    assert ".750" in table
    assert "one group was tested: no interval" in table


def test_class_of_one_group__has_no_interval_beside_classes_that_have() -> None:
    groups = np.where(LABELS == 0, "g", np.arange(200).astype(str))
    alone, *others = bootstrap(LABELS, PROBABILITIES[None], groups=groups, seed=0).per_class
    assert np.isnan([*alone["precision"], *alone["recall"], *alone["f1"]]).all()
    assert all(np.ptp(other["recall"]) > 0 for other in others)
    areas = class_areas(LABELS, PROBABILITIES, groups=groups, seed=0)
    assert [bool(np.isnan(area["roc_auc_low"])) for area in areas] == [True, False, False, False]
    assert 0.5 < areas[0]["roc_auc"] < 1
    row = {"name": "a", "precision": 0.5, "recall": 0.5, "f1": 0.5, "recall_low": alone["recall"][0], "support": 3}
    assert "a class of one group: no interval" in drawn(scores_table([row]))


def drawn(table: Table) -> str:
    Console(width=80, file=(text := io.StringIO())).print(table)
    return text.getvalue()
