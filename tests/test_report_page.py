"""`fastspec report`: one HTML file that says what is so, needs nothing else, and that everybody can read."""

import base64
import io
import re
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image
from report_pages import RECIPE, Page, make_model, make_store, tone, write_corpus

from fastspec.corpus import read_corpus
from fastspec.errors import FastspecError, LearnError
from fastspec.learn import Bundle, evaluate_model, train
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.report import write_report
from fastspec.store import FeatureStore

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[FeatureStore, Bundle]:
    return make_model(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def page(made, tmp_path_factory) -> Page:
    store, bundle = made
    return Page(write_report(store, tmp_path_factory.mktemp("page") / "r.html", bundle=bundle).path)


def test_page__has_what_was_promised(page):
    headings = "Corpus Problems Classes Clips Splits Model: logistic Most confident mistakes Model card Recipe"
    assert all(heading in page.text for heading in headings.split())
    assert "9 clips of 1 group, none of which it learned from" in page.text
    assert 'features = [ "mel", ]' in page.text.replace("[\n", "[ ")


def test_page__can_be_read_with_a_screen_reader_and_a_keyboard(page):
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert len(page.all("h1")) == len(page.all("main")) == len(page.all("header")) == len(page.all("nav")) == 1
    assert page.all("html") == [{"lang": "en"}]
    assert page.all("img")
    assert all(attrs["alt"] for attrs in page.all("img"))
    assert page.all("audio")
    assert all(attrs["aria-label"] and "controls" in attrs for attrs in page.all("audio"))
    assert all(attrs["aria-label"] for attrs in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(attrs.get("scope") in ("row", "col") for attrs in page.all("th"))
    assert len(page.all("label")) == len(page.all("input")) == 3
    targets = [attrs["href"][1:] for attrs in page.all("a")]
    assert targets[0] == "main"  # the skip link comes first
    assert set(targets) <= set(ids)
    labelled = [attrs["aria-labelledby"] for attrs in page.all("section")]
    assert set(labelled) <= set(ids)


def test_headings__leave_no_level_out(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_page__asks_for_nothing_and_runs_nothing(page):
    text = page.source
    assert "http:" not in text
    assert "https:" not in text
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL))
    assert not page.all("script") + page.all("link") + page.all("iframe") + page.all("base")
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
    for _, attrs in page.elements:
        for name in ("src", "href"):
            assert attrs.get(name, "#")[:1] == "#" or attrs[name].startswith("data:")
    assert all(found.startswith("#") for found in re.findall(r"url\(['\"]?([^)]*)", text))
    (policy,) = [attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"


def test_pictures_and_sounds__are_those_of_the_clips(page):
    kinds = {attrs["src"].partition(";")[0] for attrs in page.all("img")}
    assert kinds == {"data:image/png"}
    images = [Image.open(io.BytesIO(base64.b64decode(attrs["src"].partition(",")[2]))) for attrs in page.all("img")]
    assert {image.size for image in images} == {(320, 128)}
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(page.all("audio")[-1]["src"].partition(",")[2])))
    assert rate == 8000
    assert 0.2 < len(heard) / rate < 1.5


def test_scores__are_those_of_evaluation_on_clips_that_the_model_has_not_learned_from(page, made):
    result = evaluate_model(*made)
    assert f"{result.scores.accuracy:.3f}" in page.text
    assert "27 kept for training" in page.text


def test_surest_mistakes__come_first_and_are_explained(page):
    told = [float(share) for share in re.findall(r"([\d.]+) % sure", page.text)]
    assert told == sorted(told, reverse=True)
    assert told
    explained = [attrs for attrs in page.all("img") if "speaks for the wrong class" in attrs["alt"]]
    assert len(explained) == len(told)


def test_store_that_the_model_learned_from__is_not_scored(tmp_path):
    store = make_store(write_corpus(tmp_path / "sounds", {"low": 300.0, "high": 2400.0}), tmp_path / "s.zarr")
    write_report(store, tmp_path / "held.html", bundle=train(store, "logistic", folds=2))
    write_report(store, tmp_path / "none.html", bundle=train(store, "logistic"))
    held, none = Page(tmp_path / "held.html").text, Page(tmp_path / "none.html").text
    assert "learned from every labelled clip of this store" in held
    assert "2 folds of whole groups" in held
    assert "Held-out scores with 95 % intervals" in held
    assert "It holds no others" in none
    assert "Most confident mistakes" not in held + none


def test_equal_inputs__give_equal_bytes(made, tmp_path):
    for name in ("a.html", "b.html"):
        write_report(made[0], tmp_path / name, bundle=made[1])
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_hostile_names__are_text_everywhere(tmp_path):
    safe = HOSTILE.replace("/", "∕")  # a folder's name has no slash
    store = make_store(write_corpus(tmp_path / "sounds", {safe: 300.0, "plain": 2400.0}), tmp_path / "<b>s.zarr", split=True)
    bundle = train(store, "logistic", folds=2)
    scores = {
        name + end: 0.5 for name in ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss") for end in ("", "_low", "_high")
    }
    board = [{"store": "s", "model": HOSTILE, **scores, "fit_s": 1.0, "predict_s": 1.0, "size_bytes": 1}]
    write_report(store, tmp_path / "r.html", bundle=bundle, board=board)
    page = Page(tmp_path / "r.html")
    assert not page.all("script")
    assert not page.all("b")[: -len(page.all("i")) or None]  # but for those of bars
    assert safe in page.text
    assert HOSTILE in page.text


def test_endless_names_and_controls__stay_short_and_printable(tmp_path):
    sounds = [(f"{'p' * 5000}\x07{i}", tone(300.0 + 500 * (i % 2), seed=i), 8000, ("x" * 20000 + "\n\x00", "b")[i % 2]) for i in range(6)]
    store = featurize(read_corpus(sounds), tmp_path / "s.zarr", recipe=RECIPE, workers=0)
    write_report(store, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf8")
    assert "xxx" in text
    assert "x" * 200 not in text
    assert "p" * 200 not in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", text)


def test_failed_clips__are_told_with_their_reasons(tmp_path):
    corpus = write_corpus(tmp_path / "sounds", {"low": 300.0, "high": 2400.0})
    (corpus / "low" / "g0-broken.wav").write_bytes(b"RIFF no wave")
    soundfile.write(corpus / "high" / "g1-silent.wav", np.zeros(4000), 8000)
    write_report(make_store(corpus, tmp_path / "s.zarr"), tmp_path / "r.html")
    text = Page(tmp_path / "r.html").text
    assert "1 clip of 14 without features" in text
    assert "g0-broken.wav" in text
    assert "silent: every sample is 0" in text
    assert "Would spoil an evaluation: 1 clip of 14 cannot be read" in text


def test_store_of_nothing_but_failures__has_a_report(tmp_path):
    for i in range(3):
        (tmp_path / "sounds" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sounds" / "a" / f"{i}.wav").write_bytes(b"RIFF no wave")
    write_report(make_store(tmp_path / "sounds", tmp_path / "s.zarr", group_from=None), tmp_path / "r.html")
    assert "No clip has features" in Page(tmp_path / "r.html").text


@pytest.mark.parametrize("label", [None, "only"])
def test_store_without_classes_or_with_one__has_a_report(tmp_path, label):
    sounds = [(f"{i}.wav", tone(300.0, seed=i), 8000, label) for i in range(4)]
    store = featurize(read_corpus(sounds), tmp_path / "s.zarr", recipe=RECIPE, workers=0)
    write_report(store, tmp_path / "r.html")
    text = Page(tmp_path / "r.html").text
    assert ("no labels." in text) == (label is None)
    assert ("Clips of 1 class" in text) == (label is not None)


def test_model_and_a_store_without_labels__has_the_card_and_no_scores(tmp_path, made):
    store = featurize(read_corpus([("a", tone(300.0), 8000, None)]), tmp_path / "s.zarr", recipe=RECIPE, workers=0)
    write_report(store, tmp_path / "r.html", bundle=made[1])
    text = Page(tmp_path / "r.html").text
    assert "no labels to score logistic by" in text
    assert "Model card" in text


def test_model_of_another_recipe__is_refused_by_field(tmp_path, made):
    store = make_store(write_corpus(tmp_path / "sounds", {"low": 300.0}), tmp_path / "s.zarr", recipe=RECIPE.replace(n_mels=20))
    with pytest.raises(LearnError, match="n_mels 16 against 20"):
        write_report(store, tmp_path / "r.html", bundle=made[1])
    assert not (tmp_path / "r.html").exists()


def test_recordings_that_are_gone__leave_a_report_without_sounds(tmp_path):
    corpus = write_corpus(tmp_path / "sounds", {"low": 300.0, "high": 2400.0})
    store = make_store(corpus, tmp_path / "s.zarr")
    corpus.rename(tmp_path / "moved")
    written = write_report(store, tmp_path / "gone.html")
    page = Page(tmp_path / "gone.html")
    assert (written.sounds, page.all("audio")) == (0, [])
    assert "Without waveforms and sounds: the corpus is not where it was" in page.text
    assert page.all("img")
    assert write_report(store, tmp_path / "found.html", corpus=str(tmp_path / "moved")).sounds == 8
    with pytest.raises(FastspecError, match="nowhere"):
        write_report(store, tmp_path / "never.html", corpus=str(tmp_path / "nowhere"))


def test_recording_that_is_another_now__is_not_played(tmp_path):
    corpus = write_corpus(tmp_path / "sounds", {"low": 300.0, "high": 2400.0}, each=2)
    store = make_store(corpus, tmp_path / "s.zarr")
    soundfile.write(corpus / "low" / "g0-0.wav", tone(1000.0), 8000)
    assert write_report(store, tmp_path / "r.html").sounds == 3


@pytest.mark.parametrize("features", ["mfcc", "chroma", "stft", ("mel", "rms"), "zcr"])
def test_features_of_any_kind__are_drawn_where_they_have_bands(tmp_path, features):
    recipe = RECIPE.replace(features=features, n_mfcc=13)
    store = make_store(write_corpus(tmp_path / "sounds", {"low": 300.0, "high": 2400.0}, each=2), tmp_path / "s.zarr", recipe=recipe)
    write_report(store, tmp_path / "r.html")
    page = Page(tmp_path / "r.html")
    assert len(page.all("img")) == (0 if features == "zcr" else 4)
    assert len(page.all("audio")) == 4


def test_report_of_thousands_of_clips_in_many_classes__is_small(tmp_path):
    quiet = np.random.default_rng(0).normal(0, 0.2, (3000, 400)).astype(np.float32)
    store = featurize(
        read_corpus([(f"{i:05}.wav", samples, 8000, f"class {i % 60}") for i, samples in enumerate(quiet)]),
        tmp_path / "s.zarr",
        recipe=RECIPE,
        workers=0,
    )
    assert write_report(store, tmp_path / "s.html").size_bytes < 2_000_000
    assert "36 smaller classes are not shown" in Page(tmp_path / "s.html").text


def test_sounds_of_many_classes__stay_within_the_budget(tmp_path):
    loud = np.random.default_rng(0).normal(0, 0.2, (24, 6 * 24000)).astype(np.float32)
    for i, samples in enumerate(loud):
        for copy in range(2):
            (tmp_path / "sounds" / f"{i}").mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "sounds" / f"{i}" / f"{copy}.wav", np.roll(samples, copy), 24000)
    recipe = RECIPE.replace(clip_s=6.0, sample_rate=24000)
    store = featurize(read_corpus(tmp_path / "sounds"), tmp_path / "a.zarr", recipe=recipe, workers=2)
    written = write_report(store, tmp_path / "a.html")
    assert written.clips == 48
    assert written.sounds == 48
    assert written.size_bytes < 5_000_000


def test_budget_that_is_spent__leaves_clips_without_sound(tmp_path, made, monkeypatch):
    monkeypatch.setattr("fastspec.report.page._MEDIA_BYTES", 20_000)
    written = write_report(made[0], tmp_path / "r.html")
    assert 0 < len(Page(tmp_path / "r.html").all("img")) < 12
    assert written.sounds < written.clips


@pytest.mark.corpus
def test_real_recordings__have_a_report_with_sounds_and_scores(fish, tmp_path):
    manifest = read_corpus(fish)
    some = manifest.table.filter(pl.int_range(pl.len()) % 6 == 0)
    side = pl.when(pl.col("group").hash(0) % 3 == 0).then(pl.lit("test")).otherwise(pl.lit("train"))
    store = featurize(
        manifest.with_table(some.with_columns(side.alias("split"))), tmp_path / "s.zarr", recipe=preset("librosa", clip_s=2.0), workers=2
    )
    written = write_report(store, tmp_path / "r.html", bundle=train(store, "logistic"))
    page = Page(tmp_path / "r.html")
    assert written.sounds >= 8
    assert written.size_bytes < 5_000_000
    assert "none of which it learned from" in page.text
    assert len(page.all("audio")) == written.sounds
