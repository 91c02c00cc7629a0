"""The linear heads: the same model whether fitted among columns or among clips, its strength chosen on whole groups; a discriminant."""

import numpy as np
import pytest

from fastspec.errors import LearnError
from fastspec.learn.head import Head, fit_discriminant, fit_head

RANDOM = np.random.default_rng(0)
CODES = np.arange(60) % 3
COLUMNS = (RANDOM.normal(size=(60, 60)) + 2 * np.eye(60)[CODES] @ RANDOM.normal(size=(60, 60))).astype(np.float32)


def fit(columns: np.ndarray, *, strengths: tuple[float, ...] = (0.01,), groups: np.ndarray | None = None) -> Head:
    return fit_head(columns, CODES, blocks=[columns.shape[1]], groups=groups, strengths=strengths, seed=0)


def discriminate(columns: np.ndarray, codes: np.ndarray, groups: np.ndarray | None = None) -> Head:
    return fit_discriminant(columns, codes, groups=groups, seed=0)


def test_fewer_clips_than_columns__give_the_model_that_columns_alone_give() -> None:
    idle = np.zeros((60, 40), np.float32)  # adds nothing but columns
    with_idle = np.hstack([COLUMNS, idle])
    np.testing.assert_allclose(fit(with_idle).predict(with_idle), fit(COLUMNS).predict(COLUMNS), atol=1e-4)


def test_columns_of_another_unit__give_the_same_probabilities() -> None:
    scaled = COLUMNS * np.float32(1000) + np.float32(5)
    np.testing.assert_allclose(fit(scaled).predict(scaled), fit(COLUMNS).predict(COLUMNS), atol=1e-4)


def test_strength__is_chosen_by_what_groups_say_that_were_held_out() -> None:
    # Columns follow the group and nothing else, so that only the weakest model is not certain of what it cannot know.
    groups = np.repeat([f"g{i:02}" for i in range(20)], 3)
    codes = np.repeat(np.arange(20) % 2, 3)
    columns = np.repeat(RANDOM.normal(size=(20, 30)), 3, axis=0).astype(np.float32)
    chosen, honest = (fit_head(columns, codes, blocks=[30], groups=named, strengths=(1e-4, 1e2), seed=0) for named in (None, groups))
    assert chosen.predict(columns).max(axis=1).mean() > 0.95
    assert honest.predict(columns).max(axis=1).mean() < 0.75


@pytest.mark.parametrize("strengths, middle", [((1e-3, 1e-1, 1e1), 1e-1), ((1e-3, 1e-1), 1e-3)])
def test_groups_too_few_for_folds__take_the_middle_strength(strengths: tuple[float, ...], middle: float) -> None:
    one_group_a_class = CODES.astype(np.str_)
    taken = fit(COLUMNS, strengths=strengths, groups=one_group_a_class)
    np.testing.assert_array_equal(taken.coefficients, fit(COLUMNS, strengths=(middle,)).coefficients)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_discriminant__is_the_rule_of_bayes_for_normal_classes_of_one_covariance(n_classes: int) -> None:
    # Of many clips hardly anything is shrunk: logits are x S⁻¹ m - m S⁻¹ m / 2 + ln p, by the definition.
    random = np.random.default_rng(1)
    codes = np.arange(20000) % n_classes
    columns = random.normal(size=(20000, 4)) @ (np.eye(4) + 0.3 * random.normal(size=(4, 4))) + np.eye(4)[codes]
    means = np.array([columns[codes == code].mean(axis=0) for code in range(n_classes)])
    inverse = np.linalg.inv(np.mean([np.cov(columns[codes == code].T) for code in range(n_classes)], axis=0))
    logits = columns @ inverse @ means.T - np.einsum("ij,jk,ik->i", means, inverse, means) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = discriminate(columns.astype(np.float32), codes).predict(columns.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_discriminant__ignores_the_unit_of_a_column_and_one_that_is_constant() -> None:
    scaled = COLUMNS * np.float32(1000) + np.float32(5)
    expected = discriminate(COLUMNS, CODES).predict(COLUMNS)
    np.testing.assert_allclose(discriminate(scaled, CODES).predict(scaled), expected, atol=1e-4)
    with_constant = np.hstack([COLUMNS, np.ones((60, 1), np.float32)])
    np.testing.assert_array_equal(discriminate(with_constant, CODES).predict(with_constant).argmax(axis=1), expected.argmax(axis=1))


def test_discriminant_of_more_columns_than_its_covariance_has_room_for__is_refused() -> None:
    with pytest.raises(LearnError, match=r"^a discriminant is given 8200 columns and takes 8192; give features of fewer bands$"):
        fit_discriminant(np.zeros((4, 8200), np.float32), np.arange(4) % 2, groups=None, seed=0)


def test_discriminant__is_as_sure_as_groups_that_were_held_out_allow_and_answers_the_same() -> None:
    groups = np.repeat([f"g{i:02}" for i in range(20)], 3)
    codes = np.repeat(np.arange(20) % 2, 3)
    columns = np.repeat(RANDOM.normal(size=(20, 30)), 3, axis=0).astype(np.float32)
    fooled, honest = (discriminate(columns, codes, named).predict(columns) for named in (None, groups))
    assert fooled.max(axis=1).mean() > 0.95
    assert honest.max(axis=1).mean() < 0.75
    np.testing.assert_array_equal(fooled.argmax(axis=1), honest.argmax(axis=1))


def test_discriminant_of_more_columns_than_clips__is_that_of_scikit_learn() -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.preprocessing import StandardScaler

    columns = np.hstack([COLUMNS, COLUMNS[:, ::-1] ** 2, np.ones((60, 1), np.float32)])
    points = StandardScaler().fit_transform(columns.astype(np.float64))
    expected = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(points, CODES).decision_function(points)
    found = discriminate(columns, CODES, CODES.astype(np.str_)).logits(columns)  # one group a class: nothing to scale by
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)
    assert np.abs(expected).max() > 5


def test_discriminant_of_one_clip_a_class__answers_the_nearest() -> None:
    head = discriminate(COLUMNS[:3], CODES[:3])
    assert head.predict(COLUMNS[:3] * np.float32(1.1)).argmax(axis=1).tolist() == [0, 1, 2]
