"""Features of fixed shape become columns, and each row depends on its clip alone."""

import numpy as np
import pytest

from fastspec.learn.pooling import pool_features

RANDOM = np.random.default_rng(0)
CLIPS = RANDOM.normal(size=(7, 12, 5)).astype(np.float32)
VALID = np.array([12, 7, 1, 0, 12, 2, 5], np.int32)


def test_stats__are_numpys_over_the_valid_frames() -> None:
    pooled = pool_features(CLIPS, VALID, how="stats")
    for row, clip, n_valid in zip(pooled, CLIPS.astype(np.float64), VALID, strict=True):
        if n_valid > 1:
            seen = clip[:n_valid]
            expected = [seen.mean(0), seen.std(0), *np.quantile(seen, [0.1, 0.5, 0.9], axis=0), np.abs(np.diff(seen, axis=0)).mean(0)]
            np.testing.assert_allclose(row, np.concatenate(expected), rtol=1e-5, atol=1e-6)


def test_shape__is_the_statistics_of_frames_less_their_mean_over_bands() -> None:
    level = CLIPS.astype(np.float64).mean(axis=2, keepdims=True)
    expected = pool_features((CLIPS - level).astype(np.float32), VALID, how="stats")
    np.testing.assert_allclose(pool_features(CLIPS, VALID, how="shape"), expected, rtol=1e-5, atol=1e-5)


def test_shape_of_logarithmic_features__does_not_change_with_gain_even_one_that_changes_on_the_way() -> None:
    gain_db = RANDOM.normal(scale=20, size=(7, 12, 1)).astype(np.float32)
    louder = pool_features(CLIPS + gain_db, VALID, how="shape")
    np.testing.assert_allclose(louder, pool_features(CLIPS, VALID, how="shape"), atol=2e-5)


def test_stats_of_one_frame__have_no_spread_and_no_movement() -> None:
    row = pool_features(CLIPS[2:3], VALID[2:3], how="stats").reshape(6, 5)
    np.testing.assert_array_equal(row, [CLIPS[2, 0], np.zeros(5), *[CLIPS[2, 0]] * 3, np.zeros(5)])


@pytest.mark.parametrize("how", ["stats", "shape", "flatten"])
def test_clip_without_a_valid_frame__is_zeros(how: str) -> None:
    all_nan = np.full((1, 12, 5), np.nan, np.float32)
    assert not pool_features(CLIPS[3:4], VALID[3:4], how=how).any()  # type: ignore[arg-type]
    assert not pool_features(all_nan, np.array([12], np.int32), how=how).any()  # type: ignore[arg-type]


def test_nan_frames__are_left_out_and_break_the_chain_of_neighbours() -> None:
    clip = np.array([[[1.0], [2.0], [np.nan], [10.0], [13.0]]], np.float32)
    mean, _, _, median, _, movement = pool_features(clip, np.array([5], np.int32), how="stats")[0]
    assert mean == 6.5
    assert median == 6.0
    assert movement == 2.0  # of |2 - 1| and |13 - 10|; nothing spans the gap


def test_flatten__fills_padding_and_nan_with_the_clips_minimum() -> None:
    clip = np.array([[[1.0, 4.0], [np.nan, np.nan], [3.0, 2.0], [-9.0, -9.0]]], np.float32)
    assert pool_features(clip, np.array([3], np.int32), how="flatten").tolist() == [[1, 4, 1, 1, 3, 2, 1, 1]]


@pytest.mark.parametrize("how", ["stats", "shape", "flatten"])
def test_row_of_a_clip__is_the_same_alone_and_in_a_batch(how: str) -> None:
    together = pool_features(CLIPS, VALID, how=how)  # type: ignore[arg-type]
    for clip in range(len(CLIPS)):
        alone = pool_features(CLIPS[clip : clip + 1].copy(), VALID[clip : clip + 1], how=how)  # type: ignore[arg-type]
        np.testing.assert_array_equal(alone[0], together[clip])


def test_read_only_features__are_pooled_and_left_unchanged() -> None:
    clips = CLIPS.copy()
    clips.flags.writeable = False
    pool_features(clips, VALID, how="flatten")
    np.testing.assert_array_equal(clips, CLIPS)
