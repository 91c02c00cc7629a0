"""Scores are scikit-learn's, and intervals come from drawing groups."""

import numpy as np
import pytest
from sklearn import metrics as reference

from fastspec.learn.metrics import HEADLINES, bootstrap, score

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
        low, high = clips[name]
        assert low < getattr(scores, name) < high
    assert np.ptp(eight["accuracy"]) > 2 * np.ptp(clips["accuracy"])


def test_interval_of_accuracy__is_the_binomial_one_for_independent_clips() -> None:
    low, high = bootstrap(LABELS, PROBABILITIES[None], groups=np.arange(200).astype(str), seed=0, n_resamples=4000)["accuracy"]
    share = (GUESSES == LABELS).mean()
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(share * (1 - share) / 200), rel=0.1)


def test_seed__decides_the_interval() -> None:
    groups = np.arange(200).astype(str)
    first, again, other = (bootstrap(LABELS, PROBABILITIES[None], groups=groups, seed=s) for s in (0, 0, 1))
    assert first == again != other
