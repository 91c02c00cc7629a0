"""Features kept in 16 bits: which may be, how exactly, and that a store knows what it holds."""

import json

import numpy as np
import pytest
import soundfile
import zarr
from signals import golden_signals
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.corpus import read_corpus
from fastspec.errors import SpecError, StoreError
from fastspec.frontend import FrontEnd
from fastspec.pipeline import featurize, plan_run
from fastspec.presets import PRESETS, preset
from fastspec.spec import FeatureSpec, check_dtype
from fastspec.spec.precision import MAX_FLOAT16
from fastspec.store import open_store

RECIPE = preset("librosa", clip_s=0.5, n_mels=40)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    for i, label in enumerate("abab"):
        (root / label).mkdir(exist_ok=True)
        soundfile.write(root / label / f"{i}.wav", golden_signals(11025, 22050)["noise"] * 1e-4 * (i + 1), 22050, subtype="FLOAT")
    (root / "a" / "broken.wav").write_bytes(b"RIFF and nothing that follows")
    return read_corpus(root)


def test_half_precision__misses_by_at_most_half_a_step_at_80_db(manifest, tmp_path):
    whole = featurize(manifest, tmp_path / "whole.zarr", recipe=RECIPE).features[:]
    half = featurize(manifest, tmp_path / "half.zarr", recipe=RECIPE, dtype="float16").features[:]
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, whole.astype(np.float16))
    np.testing.assert_array_equal(np.isnan(half), np.isnan(whole))
    assert 64 < np.nanmax(np.abs(whole)) < 128
    assert np.nanmax(np.abs(half.astype(np.float32) - whole)) <= 2**-5


def test_half_precision_store__is_half_as_large_and_says_so(manifest, tmp_path):
    path = tmp_path / "half.zarr"
    store = featurize(manifest, path, recipe=RECIPE, dtype="float16", workers=0)
    whole, half = (plan_run(manifest, RECIPE, dtype=dtype).layout for dtype in ("float32", "float16"))
    assert half.clip_bytes * 2 == whole.clip_bytes
    assert half.chunk_clips == whole.chunk_clips * 2
    assert zarr.open_array(path / "features", mode="r").dtype == np.float16
    assert (store.dtype, open_store(path).dtype, json.loads((path / "fastspec.json").read_text())["dtype"]) == ("float16",) * 3


def test_store__has_the_same_bytes_for_any_workers_in_half_precision(manifest, tmp_path):
    stores = [featurize(manifest, tmp_path / f"{n}.zarr", recipe=RECIPE, dtype="float16", workers=n) for n in (0, 2)]
    first, second = ([p.read_bytes() for p in sorted((s.path / "features").rglob("*")) if p.is_file()] for s in stores)
    assert first == second


def test_resume_with_another_dtype__is_refused(manifest, tmp_path):
    featurize(manifest, tmp_path / "out.zarr", recipe=RECIPE)
    with pytest.raises(StoreError, match="dtype is float32 there and float16 here"):
        featurize(manifest, tmp_path / "out.zarr", recipe=RECIPE, dtype="float16", resume=True)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"log": "none"}, "has 'mel', which is linear"),
        ({"features": "stft", "log": "none"}, "has 'stft', which is linear"),
        *(({"features": ("mel", block)}, f"has '{block}', which is linear") for block in ("pcen", "chroma", "centroid", "zcr", "rms")),
        ({"normalize": "fixed", "norm_std": 1e-6}, "'mel' may reach .*, above 65504"),
        ({"features": "mfcc", "lifter": 1e4}, "'mfcc' may reach"),
    ],
)
def test_features_that_float16_cannot_hold__are_refused_before_anything_is_read(fields, words, manifest, tmp_path):
    with pytest.raises(SpecError, match=f"dtype is float16 and .*{words}"):
        featurize(manifest, tmp_path / "out.zarr", recipe=preset("kaldi", **fields), dtype="float16")
    assert not (tmp_path / "out.zarr").exists()


def test_unknown_dtype__is_refused():
    with pytest.raises(SpecError, match="known are: float16, float32"):
        check_dtype(FeatureSpec(), "float64")


@pytest.mark.parametrize("name", sorted(name for name, recipe in PRESETS.items() if recipe.spec.log != "none"))
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e9])
def test_logarithmic_preset__never_leaves_float16(name, level):
    spec = PRESETS[name].spec.replace(deltas=2)
    check_dtype(spec, "float16")
    samples = golden_signals(spec.sample_rate // 4, spec.sample_rate)["alternation"] * np.float32(level)
    assert np.abs(FrontEnd(spec)(samples)).max() <= MAX_FLOAT16


def test_command_line__stores_half_precision_and_refuses_it_for_linear_features(manifest, tmp_path):
    corpus = str(manifest.source)
    options = ["featurize", corpus, "--clip", "0.5", "--dtype", "float16", "-o"]
    done = CliRunner().invoke(app, [*options, str(tmp_path / "half.zarr"), "--set", "features=mel,mfcc", "--set", "deltas=1"])
    assert done.exit_code == 0, done.output
    assert open_store(tmp_path / "half.zarr").features.shape[2] == 2 * (128 + 20)
    told = CliRunner().invoke(app, ["store", "info", str(tmp_path / "half.zarr"), "--json"])
    row = json.loads(told.output)["rows"][0]
    assert row["dtype"] == "float16"
    assert row["parts"] == {"mel": [0, 128], "mel_delta": [128, 256], "mfcc": [256, 276], "mfcc_delta": [276, 296]}
    refused = CliRunner().invoke(app, [*options, str(tmp_path / "linear.zarr"), "--preset", "torchaudio"])
    assert isinstance(refused.exception, SpecError)
    assert not (tmp_path / "linear.zarr").exists()
