"""The length that clips are given, and what shorter recordings are padded with."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from signals import write_noise

from fastspec.corpus import read_corpus
from fastspec.errors import CorpusError
from fastspec.frontend import FrontEnd
from fastspec.pipeline import choose_clip_length, featurize, plan_run, stream_features
from fastspec.presets import preset


def test_clip_length__is_the_95th_percentile_rounded_up_to_a_tenth(tmp_path):
    for i in range(20):
        write_noise(tmp_path / "c" / f"{i}.wav", seconds=0.61 if i else 5.0, seed=i)
    assert choose_clip_length(read_corpus(tmp_path / "c")) == 0.9  # 0.61 + 0.05 * (5 - 0.61), between the two longest
    for i in range(20, 60):
        write_noise(tmp_path / "c" / f"{i}.wav", seconds=0.61, seed=i)
    assert choose_clip_length(read_corpus(tmp_path / "c")) == 0.7


def test_clip_length__is_at_most_ten_seconds_and_at_least_a_tenth(tmp_path):
    write_noise(tmp_path / "long" / "a.wav", seconds=11)
    write_noise(tmp_path / "short" / "a.wav", seconds=0.01)
    assert choose_clip_length(read_corpus(tmp_path / "long")) == 10.0
    assert choose_clip_length(read_corpus(tmp_path / "short")) == 0.1


def test_clip_length__is_measured_in_the_order_of_the_corpus(tmp_path):
    """A compressed tar is read forwards: going back to its start for each recording would take minutes."""
    for i in range(80):
        write_noise(tmp_path / "c" / f"{i:02}.wav", seconds=0.1, seed=i)
    manifest, opened = read_corpus(tmp_path / "c"), []

    class Watched:
        def open(self, path):
            opened.append(path)
            return manifest.open(path)

    choose_clip_length(replace(manifest, recordings=Watched()), workers=0)
    assert opened == sorted(opened)
    assert len(opened) == 80


def test_clip_length__is_frozen_in_the_store(tmp_path):
    write_noise(tmp_path / "c" / "a.wav", seconds=0.42)
    manifest = read_corpus(tmp_path / "c")
    open_recipe = preset("torchaudio")
    assert plan_run(manifest, open_recipe).layout.recipe.clip.clip_s == 0.5
    store = featurize(manifest, tmp_path / "s.zarr", recipe=open_recipe)
    assert store.recipe.clip.clip_s == 0.5
    assert featurize(manifest, tmp_path / "s.zarr", recipe=open_recipe, resume=True).recipe == store.recipe


def test_corpus_that_cannot_be_decoded__has_no_clip_length(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not audio at all")
    with pytest.raises(CorpusError, match=r"none of 1 sampled recordings.*a\.wav"):
        featurize(read_corpus(tmp_path), tmp_path / "s.zarr", recipe=preset("librosa"))
    assert not (tmp_path / "s.zarr").exists()


@pytest.fixture
def short_clip(tmp_path):
    """A corpus of one recording of 0.3 s at 16 kHz, and its samples."""
    write_noise(tmp_path / "corpus" / "a" / "short.wav", seconds=0.3)
    return read_corpus(tmp_path / "corpus"), soundfile.read(tmp_path / "corpus" / "a" / "short.wav", dtype="float32")[0]


def features_of(manifest, recipe):
    (batch,) = stream_features(manifest, recipe, workers=1)
    return batch.features[0], batch.valid_frames[0]


def test_clip_padded_by_frames__has_its_own_features_and_then_zeros(short_clip):
    manifest, samples = short_clip
    recipe = preset("nemo", clip_s=1.0)
    ours, valid = features_of(manifest, recipe)
    assert (ours.shape, valid) == ((100, 80), 30)
    np.testing.assert_array_equal(ours[:30], FrontEnd(recipe)(samples))
    assert (ours[30:] == 0).all()


def test_ast_preset__pads_to_1024_frames_with_what_its_reference_pads_with(short_clip):
    manifest, samples = short_clip
    padding = (0 - -4.2677393) / (2 * 4.5689974)  # zeros, which are normalised; tests/test_references.py asks the reference
    ours, valid = features_of(manifest, preset("ast"))
    assert (ours.shape, valid) == ((1024, 128), 28)
    np.testing.assert_array_equal(ours[:28], FrontEnd(preset("ast"))(samples))
    np.testing.assert_allclose(ours[28:], padding, rtol=1e-6)


def test_clip_padded_by_frames__is_normalised_padding_in_mel_bands_and_zero_in_other_blocks(short_clip):
    manifest, samples = short_clip
    recipe = preset("ast", features=("mfcc", "mel", "rms"), deltas=1)
    ours, valid = features_of(manifest, recipe)
    np.testing.assert_array_equal(ours[:28], FrontEnd(recipe)(samples))
    filler = np.zeros(recipe.spec.n_bands, np.float32)
    filler[recipe.spec.parts()["mel"]] = 4.2677393 / (2 * 4.5689974)
    np.testing.assert_allclose(ours[valid:], np.tile(filler, (1024 - 28, 1)), rtol=1e-6)


def test_clip_padded_by_repetition__comes_as_often_as_it_fits_and_then_zeros(short_clip):
    manifest, samples = short_clip
    recipe = preset("torchaudio", clip_s=1.0, pad="repeat")
    ours, _ = features_of(manifest, recipe)
    repeated = np.concatenate([samples, samples, samples, np.zeros(1600, np.float32)])
    np.testing.assert_array_equal(ours, FrontEnd(recipe)(repeated))
