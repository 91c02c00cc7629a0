"""What a model listens to is found by hiding it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastspec.corpus import read_corpus, read_inputs
from fastspec.errors import LearnError
from fastspec.learn import Bundle, explain, train
from fastspec.learn.explanation import occlude
from fastspec.pipeline import featurize
from fastspec.presets import preset

RECIPE = preset("torchaudio", n_mels=32, clip_s=0.5, log="db")


class Listener:
    """A model that hears the mean of bands 8 to 11 in frames 20 to 29, and nothing else."""

    def predict_proba(self, features: Any, valid_frames: Any) -> Any:  # noqa: ARG002
        share = 1 / (1 + np.exp(-features[:, 20:30, 8:12].mean(axis=(1, 2))))
        return np.stack([1 - share, share], axis=1)


def test_importance__lies_where_the_model_listens_and_nowhere_else() -> None:
    bundle: Any = SimpleNamespace(model=Listener(), band_means=[0.0] * 32)
    features = np.full((60, 32), 2.0, np.float32)
    importance = occlude(bundle, features, 50, index=1)
    assert importance.shape == (60, 32)
    assert importance[20:30, 8:12].min() > 0
    assert not importance[:16].any()
    assert not importance[34:].any()
    assert not importance[:, 16:].any()
    np.testing.assert_allclose(occlude(bundle, features, 50, index=0), -importance, atol=1e-6)
    assert (features == 2.0).all()


def test_hiding_everything_that_is_heard__takes_all_the_log_odds() -> None:
    bundle: Any = SimpleNamespace(model=Listener(), band_means=[0.0] * 32)
    features = np.zeros((1, 32), np.float32)  # one frame, so that a patch is four bands of the whole clip
    features[0, 8:12] = 2.0

    class Short(Listener):
        def predict_proba(self, features: Any, valid_frames: Any) -> Any:
            return super().predict_proba(np.repeat(features, 60, axis=1), valid_frames)

    importance = occlude(SimpleNamespace(**{**vars(bundle), "model": Short()}), features, 1, index=1)  # type: ignore[arg-type]
    assert importance[0, 8:12].tolist() == pytest.approx([1.5, 1.5, 1.5, 1.5])  # patches of which half and all hide it: (1 + 2) / 2


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise with a low or a high tone in its second half."""
    import soundfile

    root, random = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for i in range(24):
        samples = 0.01 * random.standard_normal(8000)
        samples[4000:] += 0.3 * np.sin(2 * np.pi * (400, 3000)[i % 2] * np.arange(4000) / 16000)
        path = root / ("low", "high")[i % 2] / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples, 16000)
    return root


@pytest.fixture(scope="module")
def bundle(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    store = featurize(read_corpus(tones), tmp_path_factory.mktemp("store") / "s.zarr", recipe=RECIPE, workers=0)
    return train(store, "logistic")


def test_tone__is_what_speaks_for_its_class(tones: Path, bundle: Bundle) -> None:
    found = explain(bundle, _one(tones / "high" / "1.wav"))
    assert found.target == "high"
    assert found.importance.shape == found.features.shape == bundle.recipe.shape
    loudest = int(found.features.mean(axis=0).argmax())
    assert abs(int(found.importance.mean(axis=0).argmax()) - loudest) <= 4  # a patch has four bands
    against = explain(bundle, _one(tones / "high" / "1.wav"), target="low")
    np.testing.assert_allclose(against.importance, -found.importance, atol=1e-3)


def test_explanation__is_kept_as_arrays(tones: Path, bundle: Bundle, tmp_path: Path) -> None:
    found = explain(bundle, _one(tones / "low" / "0.wav"))
    with np.load(found.save(tmp_path / "why.npz"), allow_pickle=False) as arrays:
        assert str(arrays["target"]) == "low"
        np.testing.assert_array_equal(arrays["importance"], found.importance)
        np.testing.assert_array_equal(arrays["features"], found.features)


def test_window_of_a_long_recording__is_the_one_that_is_asked_for(tones: Path, bundle: Bundle) -> None:
    windowed = replace(bundle, recipe=bundle.recipe.replace(hop_s=0.1))
    whole, later = (explain(windowed, _one(tones / "low" / "0.wav"), start_s=start_s) for start_s in (0.0, 0.25))
    np.testing.assert_array_equal(later.samples, whole.samples[4000:])


def test_what_cannot_be_explained__is_told(tones: Path, bundle: Bundle) -> None:
    with pytest.raises(LearnError, match="holds 24 recordings; give one"):
        explain(bundle, read_corpus(tones))
    with pytest.raises(LearnError, match=r"knows no class 'hihg'.*did you mean 'high'"):
        explain(bundle, _one(tones / "low" / "0.wav"), target="hihg")
    with pytest.raises(LearnError, match=r"is empty from 9 s: the clip starts at 9 s .*; give another clip"):
        explain(bundle, _one(tones / "low" / "0.wav"), start_s=9.0)


def _one(path: Path) -> Any:
    return read_inputs([str(path)])
