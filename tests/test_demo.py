"""The demonstration: on real recordings, and on a folder of one's own."""

import csv
import json

import naive
import naive_frames
import numpy as np
import pytest
import scipy.fft
import soundfile

from fastspec.audio import change_rate
from fastspec.corpus import read_corpus
from fastspec.demo.tour import run_tour
from fastspec.errors import FastspecError
from fastspec.frontend import FrontEnd
from fastspec.learn import load_bundle
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.spec import FeatureSpec
from fastspec.store import open_store


class Shown:
    """Keeps what a tour shows."""

    def __init__(self):
        self.things = []

    def __call__(self, *things):
        self.things += things

    @property
    def text(self):
        return "\n".join(thing for thing in self.things if isinstance(thing, str))


def test_own_folder__gives_features_scores_model_predictions_and_pictures(tmp_path, write_tone):
    for i in range(12):
        for label, hz in (("low", 300), ("high", 3000)):
            write_tone(tmp_path / "c" / label / f"{i}.wav", seconds=0.3, hz=hz + 20 * i)
    shown = Shown()
    for _ in range(2):  # the second run replaces what the first one wrote
        run_tour(tmp_path / "out", corpus=tmp_path / "c", workers=2, show=shown)
    assert open_store(tmp_path / "out" / "features.zarr").status_counts() == {"ok": 24}
    assert load_bundle(tmp_path / "out" / "model").classes == ["high", "low"]
    with (tmp_path / "out" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(row["label"] == row["predicted"] for row in rows) >= 22
    for name in ("confusion.png", "spectrogram.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
        assert str(tmp_path / "out" / name) in shown.text


def test_folder_of_the_user__is_not_touched(tmp_path, write_tone):
    write_tone(tmp_path / "c" / "a" / "x.wav", seconds=0.3, hz=300)
    (tmp_path / "out" / "model").mkdir(parents=True)
    with pytest.raises(FastspecError, match="holds something that no demonstration wrote"):
        run_tour(tmp_path / "out", corpus=tmp_path / "c", workers=0, show=Shown())
    assert (tmp_path / "out" / "model").is_dir()


@pytest.mark.corpus
def test_two_casts__show_who_survives_other_actors(corpus, tmp_path):
    corpus("fish"), corpus("fish-nl")
    shown = Shown()
    run_tour(tmp_path, corpus=None, workers=2, show=shown)
    czech, dutch = open_store(tmp_path / "czech.zarr"), open_store(tmp_path / "dutch.zarr")
    assert czech.status_counts() == {"ok": 1238}
    assert dutch.status_counts() == {"ok": 1234, "empty": 2}
    assert czech.recipe == dutch.recipe
    assert "Who survives other actors?" in shown.text
    for name in ("logistic", "lightgbm", "gradient-boosting"):
        assert {"czech", "dutch"} == {path.name.rpartition("-")[2] for path in (tmp_path / "models").glob(f"{name}-*")}
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1236
    assert sum(row["status"] == "empty" for row in rows) == 2
    probabilities = [float(row["p_big_fish"]) + float(row["p_small_fish"]) for row in rows if row["status"] == "ok"]
    np.testing.assert_allclose(probabilities, 1, atol=1e-9)


@pytest.mark.corpus
def test_real_recordings__are_the_same_store_for_any_workers(fish, tmp_path):
    manifest = read_corpus(fish)
    recipe = preset("librosa", clip_s=3.0)
    hashes = [
        json.loads((featurize(manifest, tmp_path / f"{w}.zarr", recipe=recipe, workers=w).path / "finished.json").read_text())
        for w in (0, 2)
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.corpus
def test_real_recordings__match_librosa_within_1e_3_db(fish):
    librosa = pytest.importorskip("librosa")
    manifest = read_corpus(fish)
    recipe = preset("librosa", clip_s=3.0)
    front = FrontEnd(recipe)
    compared = 0
    for row in manifest.rows(0, len(manifest))[::100]:
        samples, rate = soundfile.read(row.path, dtype="float32", always_2d=True)
        mono = (
            librosa.resample(samples.mean(axis=1), orig_sr=rate, target_sr=22050, res_type="soxr_hq")
            if rate != 22050
            else samples.mean(axis=1)
        )
        theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=mono, sr=22050)).T
        np.testing.assert_allclose(front(mono), theirs, rtol=0, atol=1e-3)
        compared += 1
    assert compared == 13


@pytest.mark.corpus
def test_real_recordings__are_as_near_to_float64_as_a_float32_transform_can_be(fish):
    """Gate (a), or 1.25 times what the same computation with SciPy's float32 FFT misses it by.

    In bands 60 dB below the frame's energy the rounding of any float32 transform comes near the gate's 2e-5.
    """
    manifest = read_corpus(fish)
    spec = FeatureSpec(win_length=400, log="none")
    front, window, bank = FrontEnd(spec), naive_frames.window(spec), naive.bank(spec)
    for row in manifest.rows(0, len(manifest))[::40]:
        samples = features_input(row.path, spec.sample_rate)
        frames = naive_frames.frames(samples, spec)
        truth = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 @ bank.T
        bound = truth + 1e-6 * spec.n_fft * np.sum((frames * window) ** 2, axis=1, keepdims=True) * bank.max()
        single = np.abs(scipy.fft.rfft((frames * window).astype(np.float32), axis=1).astype(np.complex128)) ** 2 @ bank.T
        missed = [np.max(np.abs(power - truth) / np.maximum(bound, 1e-30)) for power in (front(samples), single)]
        assert missed[0] <= max(2e-5, 1.25 * missed[1])


def features_input(path, sample_rate):
    """The first two seconds of a recording's first channel, as a front end takes them."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return change_rate(np.ascontiguousarray(samples[: 2 * rate, 0]), rate, target_hz=sample_rate, quality="HQ")
