"""The front end as a step of a scikit-learn pipeline."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastspec import FeatureTransformer
from fastspec.errors import SamplesError, SpecError
from fastspec.frontend import FrontEnd
from fastspec.presets import preset

RECIPE = preset("torchaudio", log="db", clip_s=0.5)


def tones(n, samples=8000):
    hz = np.where(np.arange(n) % 2, 300, 2500) + 5 * np.arange(n)
    return np.sin(2 * np.pi * np.outer(hz, np.arange(samples)) / 16000).astype(np.float32)


def test_arrays__give_the_features_of_the_front_end():
    np.testing.assert_array_equal(FeatureTransformer(RECIPE).fit_transform(tones(3)), FrontEnd(RECIPE).batch(tones(3)))


def test_paths__give_the_features_of_their_first_clip(tmp_path, write_tone):
    paths = [write_tone(tmp_path / f"{i}.wav", seconds=s, subtype="FLOAT") for i, s in enumerate((0.2, 0.5, 2.0))]
    features = FeatureTransformer(RECIPE).fit_transform([paths[0], str(paths[1]), paths[2]])
    assert features.shape == (3, *RECIPE.shape)
    whole = (0.5 * np.sin(2 * np.pi * 440 / 16000 * np.arange(8000))).astype(np.float32)
    np.testing.assert_array_equal(features[1], FrontEnd(RECIPE)(whole))


def test_waveforms_of_several_lengths__are_padded_and_pooled_over_their_own_frames():
    transformer = FeatureTransformer(RECIPE, pool="stats").fit(None)
    short, long = tones(1, 4000)[0], tones(1, 12000)[0]
    pooled = transformer.transform([short, long])
    assert pooled.shape == (2, 768)
    np.testing.assert_array_equal(pooled[0], transformer.transform([short])[0])


def test_pipeline__learns_and_survives_cloning():
    pipeline = make_pipeline(FeatureTransformer(RECIPE, pool="stats"), StandardScaler(), LogisticRegression())
    labels = np.arange(20) % 2
    assert clone(pipeline).fit(tones(20), labels).score(tones(20), labels) == 1.0
    assert clone(pipeline).set_params(featuretransformer__pool="flatten").fit(tones(20), labels).score(tones(20), labels) == 1.0


@pytest.mark.parametrize("clips, words", [("a.wav", "a list of paths"), ([], "a list of paths"), ([np.zeros((2, 2))], r"\(2, 2\)")])
def test_what_are_no_clips__is_refused(clips, words):
    with pytest.raises(SamplesError, match=words):
        FeatureTransformer(RECIPE).fit(None).transform(clips)


def test_recording_that_cannot_be_read__is_named(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"not audio")
    with pytest.raises(SamplesError, match=r"bad\.wav is unreadable"):
        FeatureTransformer(RECIPE).fit(None).transform([tmp_path / "bad.wav"])


def test_paths_without_a_clip_length__are_refused(tmp_path, write_tone):
    with pytest.raises(SpecError, match="clip_s is not set"):
        FeatureTransformer("librosa").fit(None).transform([write_tone(tmp_path / "a.wav")])
