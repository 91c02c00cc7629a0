"""Samples too large for float32 arithmetic: NaN where they are heard, never a number that looks like silence."""

import numpy as np
import pytest

from fastspec.frontend import FrontEnd
from fastspec.presets import preset
from fastspec.spec import FeatureSpec

SPECS = {
    "log": FeatureSpec(win_length=400),
    "linear": FeatureSpec(win_length=400, log="none"),
    "kaldi": preset("kaldi").spec,
    "librosa": preset("librosa").spec,
    "stft": FeatureSpec(features="stft", log="none"),
    "blocks": FeatureSpec(features=("mel", "centroid", "rms", "zcr")),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_one_huge_sample__costs_the_frames_that_hear_it_and_no_other(spec):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16000).astype(np.float32)
    whole = FrontEnd(spec)(samples)
    samples[8000] = 3e38
    lost = np.isnan(FrontEnd(spec)(samples))
    hop = spec.hop_length
    assert lost[8000 // hop].all()
    assert (lost.all(axis=1) == lost.any(axis=1)).all()
    assert 0 < lost.any(axis=1).sum() <= spec.n_fft // hop + 2
    assert np.isfinite(whole).all()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_largest_usable_samples__give_numbers(spec):
    front = FrontEnd(spec)
    limit = 1e6 if spec.sample_scale > 1 else 1e9
    samples = (limit * np.sign(np.sin(np.arange(4000)))).astype(np.float32)
    assert np.isfinite(front(samples)).all()


@pytest.mark.parametrize("length", [1, 15, 16, 63, 64, 65, 1000])
def test_position_of_a_huge_sample__does_not_matter(length):
    front = FrontEnd(FeatureSpec(n_fft=64, hop_length=32, n_mels=4))
    for place in {0, length // 2, length - 1}:
        samples = np.zeros(length, np.float32)
        samples[place] = -1e38
        assert np.isnan(front(samples)).any()
