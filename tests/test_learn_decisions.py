"""Probabilities that can be believed, and answers that cost what they should."""

import numpy as np
import pytest

from fastspec.errors import LearnError
from fastspec.learn.decisions import Aims, Cost, Decisions, decide, parse_cost, parse_share

RANDOM = np.random.default_rng(0)
CLASSES = ["murmur", "normal", "other"]


def boastful(n: int = 1500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that are the true ones to the power of 3, so that they are far too sure; labels; groups of five."""
    true = RANDOM.dirichlet([1, 2, 1], size=n)
    labels = np.array([RANDOM.choice(3, p=row) for row in true])
    told = true**3 / (true**3).sum(axis=1, keepdims=True)
    return told, labels, np.array([f"g{i // 5}" for i in range(n)])


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-15)).mean())


def test_temperature__undoes_a_power_of_the_true_probabilities() -> None:
    told, labels, groups = boastful()
    decisions, calibrated = decide(Aims(calibrate="temperature"), told, labels, groups=groups, classes=CLASSES, seed=0)
    assert decisions.calibration is not None
    assert decisions.calibration.to_dict()["scale"] == pytest.approx(1 / 3, rel=0.15)
    assert decisions.calibration.to_dict()["bias"] == [0.0] * 3
    assert (calibrated.argmax(axis=1) == told.argmax(axis=1)).all()
    assert log_loss(calibrated, labels) < 0.8 * log_loss(told, labels)


def test_temperature_of_two_classes__has_no_bias_either() -> None:
    told, labels, groups = boastful()
    pair = np.stack([told[:, 0], 1 - told[:, 0]], axis=1)
    decisions, _ = decide(Aims(calibrate="temperature"), pair, (labels != 0).astype(int), groups=groups, classes=CLASSES[:2], seed=0)
    assert decisions.calibration is not None
    assert decisions.calibration.to_dict()["bias"] == [0.0] * 2


def test_isotonic__makes_each_probability_as_often_true_as_it_says() -> None:
    told, labels, groups = boastful()
    _, calibrated = decide(Aims(calibrate="isotonic"), told, labels, groups=groups, classes=CLASSES, seed=0)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1)
    assert (calibrated > 0).all()
    assert log_loss(calibrated, labels) < 0.8 * log_loss(told, labels)
    sure = calibrated[:, 0] > 0.5
    assert calibrated[sure, 0].mean() == pytest.approx((labels[sure] == 0).mean(), abs=0.06)


def test_calibrated_held_out_probabilities__owe_nothing_to_their_own_group() -> None:
    told, labels, groups = boastful(200)
    _, first = decide(Aims(calibrate="isotonic"), told, labels, groups=groups, classes=CLASSES, seed=0)
    again = decide(Aims(calibrate="isotonic"), told, labels, groups=groups, classes=CLASSES, seed=0).calibrated
    np.testing.assert_array_equal(first, again)
    whole = decide(Aims(calibrate="isotonic"), told, labels, groups=groups, classes=CLASSES, seed=0).decisions.calibrate(told)
    assert log_loss(whole, labels) < log_loss(first, labels)  # what was fitted on these very clips flatters itself


def test_cost__is_missed_over_false() -> None:
    decisions = Decisions(costs={"murmur": Cost(missed=9, false=1)})  # worth an alarm from 1 / (1 + 9)
    shares = np.array([[0.11, 0.89], [0.09, 0.91]])
    assert decisions.answer(shares, ["murmur", "normal"]) == ["murmur", "normal"]


def test_mistakes_among_classes_without_a_cost__count_one() -> None:
    decisions = Decisions(costs={"murmur": Cost(missed=2, false=1)})
    assert decisions.answer(np.array([[0.1, 0.5, 0.4], [0.3, 0.4, 0.3]]), CLASSES) == ["normal", "murmur"]


@pytest.mark.parametrize("least", [0.5, 0.9, 0.95, 1.0])
def test_least_recall__is_reached_by_the_highest_threshold_that_does(least: float) -> None:
    told, labels, groups = boastful()
    limit = decide(Aims(min_recall={"murmur": least}), told, labels, groups=groups, classes=CLASSES, seed=0).decisions.thresholds["murmur"]
    own = told[labels == 0, 0]
    assert (own >= limit).mean() >= least > (own > limit).mean()


def test_least_precision__is_reached_by_the_lowest_threshold_that_does() -> None:
    told, labels, groups = boastful()
    limit = decide(Aims(min_precision={"murmur": 0.6}), told, labels, groups=groups, classes=CLASSES, seed=0).decisions.thresholds["murmur"]
    assert (labels[told[:, 0] >= limit] == 0).mean() >= 0.6
    for lower in np.unique(told[told[:, 0] < limit, 0]):
        assert (labels[told[:, 0] >= lower] == 0).mean() < 0.6


def test_precision_that_nothing_reaches__is_told_with_the_best_there_is() -> None:
    told, groups = np.full((10, 2), 0.5), np.arange(10).astype(str)
    with pytest.raises(LearnError, match=r"no threshold gives 'a' a precision of 0.9 on held-out groups; 0.500 is the best"):
        decide(Aims(min_precision={"a": 0.9}), told, np.arange(10) % 2, groups=groups, classes=["a", "b"], seed=0)


def test_class_with_a_threshold__is_the_answer_from_there_on_and_never_below() -> None:
    decisions = Decisions(thresholds={"murmur": 0.2})
    assert decisions.answer(np.array([[0.2, 0.5, 0.3], [0.19, 0.5, 0.31], [0.15, 0.1, 0.75]]), CLASSES) == ["murmur", "normal", "other"]
    strict = Decisions(thresholds={"murmur": 0.9})
    assert strict.answer(np.array([[0.8, 0.15, 0.05], [0.95, 0.05, 0.0]]), CLASSES) == ["normal", "murmur"]


def test_several_thresholds__prefer_the_class_furthest_above_its_own() -> None:
    decisions = Decisions(thresholds={"murmur": 0.1, "normal": 0.5, "other": 0.5})
    assert decisions.answer(np.array([[0.25, 0.6, 0.15], [0.05, 0.48, 0.47]]), CLASSES) == ["murmur", "normal"]


def test_unknown__is_the_answer_where_nothing_is_sure_and_no_threshold_was_reached() -> None:
    told = np.array([[0.3, 0.5, 0.2], [0.1, 0.8, 0.1]])
    assert Decisions(unknown_below=0.6).answer(told, CLASSES) == ["unknown", "normal"]
    assert Decisions(unknown_below=0.6, thresholds={"murmur": 0.3}).answer(told, CLASSES) == ["murmur", "normal"]


def test_no_rows__have_no_answers() -> None:
    assert Decisions(unknown_below=0.6).answer(np.empty((0, 3)), CLASSES) == []


@pytest.mark.parametrize(
    "aims, told",
    [
        (Aims(calibrate="platt"), "calibrate is 'platt'; known are: isotonic, none, temperature"),  # type: ignore[arg-type]
        (Aims(costs={"murmer": Cost(1, 1)}), "no class 'murmer' to decide about.*did you mean 'murmur'"),
        (Aims(min_recall={"murmur": 0.9}, min_precision={"murmur": 0.9}), "a least recall and a least precision of 'murmur' are given"),
        (Aims(costs={"murmur": Cost(1, 1)}, min_recall={"normal": 0.9}), "costs and thresholds are given"),
        (Aims(min_recall={"murmur": 1.5}), "the least recall of 'murmur' is 1.5; give a number above 0"),
        (Aims(unknown_below=0.0), "unknown_below is 0; give a number above 0"),
        (Aims(costs={"murmur": Cost(-1, 1)}), "costs of 'murmur' are -1 and 1; give numbers above 0"),
    ],
)
def test_aims_that_make_no_sense__are_told(aims: Aims, told: str) -> None:
    with pytest.raises(LearnError, match=told):
        aims.check(CLASSES)


def test_class_called_unknown__leaves_no_room_for_the_answer() -> None:
    with pytest.raises(LearnError, match="a class is called 'unknown'"):
        Aims(unknown_below=0.5).check(["known", "unknown"])


def test_texts_of_the_command_line__are_read_from_their_end() -> None:
    assert parse_cost("a:b:missed=2") == ("a:b", Cost(2.0, 1.0))
    assert parse_share("a=b=0.5") == ("a=b", 0.5)
    for text in ("murmur", "murmur:mised=3", "murmur:missed=x", ":missed=1"):
        with pytest.raises(LearnError, match="cannot be read; give CLASS:missed=NUMBER"):
            parse_cost(text)
    for text in ("murmur", "=0.5", "murmur=much"):
        with pytest.raises(LearnError, match="cannot be read; give CLASS=SHARE"):
            parse_share(text)
