"""What recipes, manifests, stores and models show at a prompt and in a notebook."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import fastspec
from fastspec import ClipPolicy, FeatureSpec, Recipe, learn

LABELS = ("<b>cat & dog</b>", "bird")


@pytest.fixture(scope="module")
def manifest():
    noise = np.random.default_rng(7).standard_normal((8, 16_000)).astype(np.float32)
    return fastspec.read_corpus([(f"{i}", samples, 16_000, LABELS[i % 2]) for i, samples in enumerate(noise)])


@pytest.fixture(scope="module")
def store(manifest, tmp_path_factory):
    return fastspec.featurize(manifest, tmp_path_factory.mktemp("display") / "s.zarr", recipe=Recipe().replace(clip_s=1.0), workers=0)


def cells(thing):
    """Names and values of a table, as a browser would read it."""
    return {row[0].text: row[1].text for row in ET.fromstring(thing._repr_html_()).iter("tr")}


@pytest.mark.parametrize("recipe", [Recipe(), fastspec.preset("whisper"), fastspec.preset("librosa", clip_s=3.0)])
def test_recipe__shows_what_is_not_as_by_default_and_can_be_evaluated(recipe):
    assert eval(repr(recipe), {"Recipe": Recipe, "FeatureSpec": FeatureSpec, "ClipPolicy": ClipPolicy}) == recipe
    assert repr(Recipe()) == "Recipe()"
    assert cells(recipe)["features"].startswith(f"mel, {recipe.spec.n_bands} bands")


def test_recipe_without_a_frame_in_its_clip__is_shown():
    assert cells(Recipe().replace(clip_s=0.001, center=False))["clips"] == "0.001 s, 0 frames"


def test_manifest_and_store__are_tables_in_which_labels_are_text(manifest, store):
    assert cells(manifest)["clips of each"] == f"{LABELS[0]} 4, bird 4" or cells(manifest)["clips of each"] == f"bird 4, {LABELS[0]} 4"
    assert cells(store)["features"] == "8 clips × 101 frames × 80 bands, float32"
    assert cells(store)["clips"] == "8 ok"


def test_model__is_one_line_and_a_table(store):
    bundle = learn.train(store, "logistic")
    assert repr(bundle) == "<Bundle of logistic: 2 classes, learned from 8 clips>"
    assert cells(bundle)["classes"] == ", ".join(sorted(LABELS))
