"""The plugin `rocket`: MiniRocket's features are those of the library that its authors help to keep, and no padding is heard."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastspec.errors import LearnError, PluginError
from fastspec.testing import toy_corpus
from fastspec_rocket import Rocket
from fastspec_rocket.kernel import KERNELS, transform
from fastspec_rocket.transform import Transform, spread_dilations

# Written by bench/golden_minirocket.py; "made_by" names the versions.
LIBRARY = np.load(Path(__file__).parent / "golden" / "minirocket.npz")
CORPUS = toy_corpus()


def naive_response(clip: Any, bands: Any, dilation: int, kernel: Any) -> Any:
    """`(frames,)` float64 of one combination, by the definition: nine weights, 2 at three places and -1 at six, zeros outside."""
    weights = np.full(9, -1.0)
    weights[list(kernel)] = 2.0
    spread = np.zeros(8 * dilation + 1)
    spread[::dilation] = weights
    padded = np.pad(clip[bands].sum(axis=0, dtype=np.float64), 4 * dilation)
    return np.correlate(padded, spread, "valid")


def test_features__are_those_of_the_library_for_the_same_draws() -> None:
    clips, expected = LIBRARY["clips"], LIBRARY["features"]
    starts = np.concatenate([[0], np.cumsum(LIBRARY["bands_per_combination"])]).astype(np.int32)
    arrays = (KERNELS, LIBRARY["dilations"], LIBRARY["per_dilation"], starts, LIBRARY["bands"], LIBRARY["biases"])
    found = np.empty_like(expected)
    for clip, row in zip(clips, found, strict=True):
        transform(clip, *arrays, row)
    # The sums are added in another order, so that a response may fall on the other side of a bias which was drawn from one.
    differing = np.abs(found - expected) > 1e-6
    assert differing.mean() < 0.01
    assert np.abs(found - expected).max() < 1.5 / 5  # one frame of the shortest stretch, which has 5


def test_dilations__are_those_of_the_library() -> None:
    dilations, per_dilation = spread_dilations(431, 10000)
    np.testing.assert_array_equal(dilations, LIBRARY["many_dilations"])
    np.testing.assert_array_equal(per_dilation, LIBRARY["many_per_dilation"])


@pytest.mark.parametrize("frames", [1, 8, 9, 30])
def test_features__are_shares_of_responses_above_the_bias(frames: int) -> None:
    random = np.random.default_rng(frames)
    clip = random.normal(size=(4, frames)).astype(np.float32)
    bands, starts = np.array([0, 2, 3] * 168, np.int32), np.arange(0, 3 * 168 + 1, 3, dtype=np.int32)
    biases = random.normal(size=168).astype(np.float32)
    out = np.empty(168, np.float32)
    transform(clip, KERNELS, np.array([1, 3], np.int32), np.array([1, 1], np.int32), starts, bands, biases, out)
    for combination, share in enumerate(out):
        j, k = divmod(combination, 84)
        dilation, margin = (1, 3)[j], (4, 12)[j]
        response = naive_response(clip, [0, 2, 3], dilation, KERNELS[k])
        if (j + k) % 2 and frames > 2 * margin:
            response = response[margin:-margin]
        assert share == pytest.approx((response > biases[combination]).mean(), abs=1e-6)


def test_level_of_a_band__does_not_move_the_kernels_but_for_the_edges() -> None:
    fitted = Transform.fit(CORPUS.features, CORPUS.valid_frames, n_features=840, seed=0)
    assert fitted.mean.shape == fitted.scale.shape == (6,)
    louder = Transform.fit(CORPUS.features + 100, CORPUS.valid_frames, n_features=840, seed=0)
    np.testing.assert_allclose(louder.mean, fitted.mean + 100, rtol=1e-5)
    np.testing.assert_allclose(louder.scale, fitted.scale, rtol=1e-4)


def test_normalisation__is_by_the_valid_frames_of_training_clips() -> None:
    features, valid = CORPUS.features.copy(), CORPUS.valid_frames
    features[np.arange(12) >= valid[:, None]] = 1e6
    heard = np.concatenate([clip[:n] for clip, n in zip(CORPUS.features, valid, strict=True)]).astype(np.float64)
    fitted = Transform.fit(features, valid, n_features=84, seed=0)
    np.testing.assert_allclose(fitted.mean, heard.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(fitted.scale, heard.std(axis=0), rtol=1e-5)


def fit(**params: Any) -> Rocket:
    model = Rocket.from_params({"n_features": 840} | params)
    return model.fit(CORPUS.features, CORPUS.valid_frames, CORPUS.labels, n_classes=3, groups=CORPUS.groups)


def test_clips_of_other_bands__are_refused() -> None:
    with pytest.raises(LearnError, match="trained on 6 bands and is given 5"):
        fit().predict_proba(CORPUS.features[:, :, :5], CORPUS.valid_frames)


@pytest.mark.parametrize("wrong", [{"n_features": 10}, {"C": 0.0}])
def test_hyper_parameter_out_of_range__is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match="give 84 features or more, and C above 0"):
        fit(**wrong)


@pytest.mark.parametrize("name, value", [("bands", 6), ("band_starts", -1), ("dilations", 0), ("per_dilation", 5)])
def test_model_whose_arrays_lead_outside__is_refused(name: str, value: int, tmp_path: Path) -> None:
    model: Any = fit()
    getattr(model._fitted.model[0], name)[0] = value
    model.save(tmp_path)
    with pytest.raises(LearnError, match="contradicts itself"):
        Rocket.load(tmp_path)
