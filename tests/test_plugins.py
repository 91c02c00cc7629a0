"""What every plugin that ships with fastspec does, found through the registry like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from fastspec.errors import LearnError, PluginError
from fastspec.learn import Classifier, load_plugin

NAMES = ["gradient-boosting", "lightgbm", "logistic"]
# n_estimators keeps the tests short
FAST: dict[str, dict[str, Any]] = {"gradient-boosting": {"n_estimators": 20}, "lightgbm": {"n_estimators": 30}, "logistic": {}}


def toy(n_classes: int = 3, clips: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips whose class is the band that is loudest, read-only."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips) % n_classes
    features = random.normal(size=(clips, 8, 4)).astype(np.float32)
    features[np.arange(clips), :, labels] += 3
    features.flags.writeable = False
    return features, random.integers(4, 9, size=clips).astype(np.int32), labels


def make(name: str, **params: Any) -> Classifier:
    return load_plugin(name).from_params(FAST[name] | params)


@pytest.mark.parametrize("pool", ["stats", "flatten"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_separable_classes__are_learned_with_normalised_probabilities(name: str, n_classes: int, pool: str) -> None:
    features, valid, labels = toy(n_classes)
    before = features.copy()
    model = make(name, pool=pool).fit(features, valid, labels, n_classes=n_classes)
    fresh, fresh_valid, fresh_labels = toy(n_classes, seed=1)
    probabilities = model.predict_proba(fresh, fresh_valid)
    assert probabilities.dtype == np.float64
    assert probabilities.shape == (60, n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == fresh_labels).mean() > 0.9
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize("name", NAMES)
def test_clips_with_nan_frames_or_none_valid__are_taken(name: str) -> None:
    features, valid, labels = toy()
    features, valid = features.copy(), valid.copy()
    features[3, 2] = np.nan
    features[4] = np.nan
    valid[5] = 0
    for pool in ("stats", "flatten"):
        model = make(name, pool=pool).fit(features, valid, labels, n_classes=3)
        assert np.isfinite(model.predict_proba(features, valid)).all()


@pytest.mark.parametrize("name", NAMES)
def test_class_absent_from_training__keeps_its_column_at_zero(name: str) -> None:
    features, valid, labels = toy(3)
    kept = labels != 1
    model = make(name).fit(features[kept], valid[kept], labels[kept], n_classes=4)
    probabilities = model.predict_proba(features, valid)
    assert probabilities.shape == (60, 4)
    assert not probabilities[:, [1, 3]].any()
    assert (probabilities[kept].argmax(axis=1) == labels[kept]).all()


@pytest.mark.parametrize("name", NAMES)
def test_one_class__is_refused(name: str) -> None:
    features, valid, labels = toy()
    with pytest.raises(LearnError, match="1 class; give clips of two classes or more"):
        make(name).fit(features, valid, np.zeros_like(labels), n_classes=2)


@pytest.mark.parametrize("name", NAMES)
def test_prediction_before_fit__is_refused(name: str, tmp_path: Path) -> None:
    features, valid, _ = toy()
    with pytest.raises(LearnError, match="has not learned anything yet"):
        make(name).predict_proba(features, valid)
    with pytest.raises(LearnError, match="has not learned anything yet"):
        make(name).save(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_no_clips__give_no_rows(name: str) -> None:
    features, valid, labels = toy()
    model = make(name).fit(features, valid, labels, n_classes=3)
    assert model.predict_proba(features[:0], valid[:0]).shape == (0, 3)


@pytest.mark.parametrize("name", NAMES)
def test_one_clip__has_the_probabilities_of_its_row_in_a_batch(name: str) -> None:
    features, valid, labels = toy()
    model = make(name).fit(features, valid, labels, n_classes=3)
    together = model.predict_proba(features, valid)
    for clip in (0, 17, 59):
        np.testing.assert_allclose(model.predict_proba(features[clip : clip + 1], valid[clip : clip + 1])[0], together[clip], rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds__give_equal_models_byte_for_byte(name: str, tmp_path: Path) -> None:
    features, valid, labels = toy()
    for run in ("first", "again"):
        (tmp_path / run).mkdir()
        make(name).fit(features, valid, labels, n_classes=3).save(tmp_path / run)
    first = {path.name: path.read_bytes() for path in (tmp_path / "first").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_saved_model__predicts_the_same_after_loading(name: str, n_classes: int, tmp_path: Path) -> None:
    features, valid, labels = toy(n_classes)
    model = load_plugin(name).from_params(FAST[name] | {"pool": "flatten"}, seed=3).fit(features, valid, labels, n_classes=n_classes)
    model.save(tmp_path)
    loaded = load_plugin(name).load(tmp_path)
    assert loaded.params() == model.params()
    assert loaded.seed == 3
    np.testing.assert_array_equal(loaded.predict_proba(features, valid), model.predict_proba(features, valid))


@pytest.mark.parametrize("name", NAMES)
def test_hyper_parameters__round_trip_and_unknown_ones_are_refused(name: str) -> None:
    plugin = load_plugin(name)
    model = plugin.from_params({"pool": "flatten"}, seed=7, threads=2)
    assert plugin.from_params(model.params(), seed=7).params() == model.params()
    assert (model.seed, model.threads) == (7, 2)
    with pytest.raises(PluginError, match=f"{name} has no parameter 'pools'; .*did you mean 'pool'"):
        plugin.from_params({"pools": "stats"})


@pytest.mark.parametrize(
    "name, wrong", [("gradient-boosting", {"learning_rate": -1.0}), ("lightgbm", {"num_leaves": 1}), ("logistic", {"C": -1.0})]
)
def test_hyper_parameter_out_of_range__is_refused_in_one_line(name: str, wrong: dict[str, Any]) -> None:
    features, valid, labels = toy()
    with pytest.raises(PluginError, match=f"^{name} cannot be fitted: [^\n]*$"):
        make(name, **wrong).fit(features, valid, labels, n_classes=3)


def test_thread_cap__holds_while_the_model_works() -> None:
    from fastspec.learn import SklearnClassifier

    seen: list[int] = []

    class Spy(SklearnClassifier):
        name = "spy"

        def build(self) -> Any:
            from sklearn.dummy import DummyClassifier

            seen.extend(pool["num_threads"] for pool in threadpool_info())
            return DummyClassifier()

    features, valid, labels = toy()
    Spy(threads=1).fit(features, valid, labels, n_classes=3)
    assert seen
    assert set(seen) == {1}


def test_forged_tree__whose_children_lie_outside_is_refused(tmp_path: Path) -> None:
    features, valid, labels = toy()
    model = make("gradient-boosting").fit(features, valid, labels, n_classes=3)
    tree: Any = model._fitted.model.estimators_[0, 0].tree_  # type: ignore[attr-defined]
    tree.children_left[0] = 1_000_000
    model.save(tmp_path)
    with pytest.raises(LearnError, match="nodes point outside"):
        load_plugin("gradient-boosting").load(tmp_path)


@pytest.mark.parametrize("spoil", ['{"present": [0, 1]}', "[]", "no json", '{"n_classes": 2, "params": {}, "present": [0, 5], "seed": 0}'])
def test_spoiled_header_of_a_saved_model__is_refused(spoil: str, tmp_path: Path) -> None:
    features, valid, labels = toy()
    make("logistic").fit(features, valid, labels, n_classes=3).save(tmp_path)
    (tmp_path / "classifier.json").write_text(spoil)
    with pytest.raises(LearnError, match=r"classifier\.json of the saved model"):
        load_plugin("logistic").load(tmp_path)
