"""Every plugin that ships with fastspec keeps the contract and does what is its own; all are found through the registry like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastspec.errors import LearnError, PluginError
from fastspec.learn import Classifier, SklearnClassifier, StoredFeatures, load_plugin
from fastspec.learn.calibration import Calibration
from fastspec.testing import CHECKS, Check, CheckResult, check_classifier, toy_corpus

# Few trees keep the tests short.
FAST: dict[str, dict[str, Any]] = {
    "extra-trees": {"n_estimators": 30},
    "gradient-boosting": {"n_estimators": 20},
    "lda": {},
    "lightgbm": {"n_estimators": 30},
    "logistic": {},
    "rocket": {"n_features": 840},
    "svm": {},
}
CORPUS = toy_corpus()


def fit(name: str, corpus: Any = CORPUS, **params: Any) -> Classifier:
    model = load_plugin(name).from_params(FAST[name] | params)
    return model.fit(corpus.features, corpus.valid_frames, corpus.labels, n_classes=3, groups=corpus.groups)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", FAST)
def test_contract__is_kept(name: str, check: Check) -> None:
    check(load_plugin(name), params=FAST[name])


@pytest.mark.parametrize("name", [name for name in FAST if name != "rocket"])
def test_contract__is_kept_on_flattened_features(name: str) -> None:
    results = check_classifier(name, params=FAST[name] | {"pool": "flatten"})
    assert results == [CheckResult(check.__name__, "passed", "") for check in CHECKS]


@pytest.mark.parametrize(
    "name, wrong", [("gradient-boosting", {"learning_rate": -1.0}), ("lightgbm", {"num_leaves": 1}), ("logistic", {"C": -1.0})]
)
def test_hyper_parameter_out_of_range__is_refused_in_one_line(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match=f"^{name} cannot be fitted: [^\n]*$"):
        fit(name, **wrong)


def test_lda_of_more_columns_than_its_covariance_has_room_for__is_refused() -> None:
    features = np.zeros((4, 100, 82), np.float32)
    model = load_plugin("lda").from_params({"pool": "flatten"})
    with pytest.raises(PluginError, match=r"^lda is given 8200 columns and takes at most 8192; use pool=stats"):
        model.fit(features, np.full(4, 100, np.int32), np.array([0, 0, 1, 1]), n_classes=2)


def test_lda_with_all_its_covariance_shrunk_away__answers_the_nearest_mean() -> None:
    random = np.random.default_rng(0)
    columns = random.normal(size=(60, 1, 5)).astype(np.float32) + np.repeat(np.arange(3.0), 20)[:, None, None].astype(np.float32)
    labels, valid = np.repeat(np.arange(3), 20), np.ones(60, np.int32)
    model = load_plugin("lda").from_params({"pool": "flatten", "shrinkage": 1.0}).fit(columns, valid, labels, n_classes=3)
    points = (columns[:, 0] - columns.mean(axis=(0, 1))) / columns.std(axis=(0, 1))
    means = np.stack([points[labels == label].mean(axis=0) for label in range(3)])
    nearest = ((points[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(model.predict_proba(columns, valid).argmax(axis=1), nearest)


@pytest.mark.parametrize("name", ["extra-trees", "gradient-boosting"])
def test_forged_tree__whose_children_lie_outside_is_refused(name: str, tmp_path: Path) -> None:
    model: Any = fit(name)
    tree = np.ravel(model._fitted.model.estimator.estimators_)[0].tree_
    tree.children_left[0] = 1_000_000
    model.save(tmp_path)
    with pytest.raises(LearnError, match="nodes point outside"):
        load_plugin(name).load(tmp_path)


HEADER = '{"files": {}, "n_classes": 2, "params": {}, "present": [0, 5], "seed": 0}'


@pytest.mark.parametrize("spoil", ['{"present": [0, 1]}', "[]", "no json", HEADER])
def test_spoiled_header_of_a_saved_model__is_refused(spoil: str, tmp_path: Path) -> None:
    fit("logistic").save(tmp_path)
    (tmp_path / "classifier.json").write_text(spoil)
    with pytest.raises(LearnError, match=r"classifier\.json of the saved model"):
        load_plugin("logistic").load(tmp_path)


# --- any scikit-learn classifier --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "sklearn.discriminant_analysis:LinearDiscriminantAnalysis",
        "sklearn.ensemble:RandomForestClassifier",
        "sklearn.linear_model:RidgeClassifier",
        "sklearn.linear_model:SGDClassifier",
        "sklearn.naive_bayes:GaussianNB",
        "sklearn.svm:LinearSVC",
        "sklearn.tree:DecisionTreeClassifier",
    ],
)
def test_scikit_learn_classifier__becomes_a_plugin_in_three_lines(path: str) -> None:
    class Plugin(SklearnClassifier):
        name = "mine"
        estimator = path

    failed = [result for result in check_classifier(Plugin) if result.outcome != "passed"]
    assert not failed


def test_thread_cap_and_seed__reach_the_estimator() -> None:
    forest = load_plugin("extra-trees")(seed=5, threads=2)
    built = forest.build()  # type: ignore[attr-defined]
    assert (built.random_state, built.n_jobs) == (5, 2)


# --- calibration ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [(0.5, -0.5), (0.0, 0.0, 0.0)])
def test_calibration__recovers_the_scale_and_bias_that_labels_were_drawn_by(bias: tuple[float, ...]) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(20000, len(bias)))
    truth = Calibration(2.0, bias)
    labels = (truth.apply(scores).cumsum(axis=1) > random.uniform(size=(20000, 1))).argmax(axis=1)
    found = Calibration.fit(scores, labels)
    assert found.scale == pytest.approx(2.0, abs=0.05)
    assert found.bias == pytest.approx(bias, abs=0.05)


def test_calibration__of_many_classes_never_moves_the_likeliest() -> None:
    random = np.random.default_rng(1)
    scores, labels = random.normal(size=(60, 5)), random.integers(5, size=60)
    labels[:10] = np.arange(10) % 5
    np.testing.assert_array_equal(Calibration.fit(scores + np.eye(5)[labels], labels).apply(scores).argmax(axis=1), scores.argmax(axis=1))


def test_calibration__of_perfectly_separated_scores_is_not_certain() -> None:
    labels = np.arange(20) % 2
    scores = np.stack([1 - labels, labels], axis=1).astype(float)
    right = Calibration.fit(scores, labels).apply(scores)[np.arange(20), labels]
    assert (right > 0.85).all()
    assert (right < 0.95).all()  # Platt: (n + 1) / (n + 2) with n = 10


def test_svm__is_calibrated_on_groups_that_it_had_not_met() -> None:
    # Labels follow the group and nothing else, so that a clip of another group can only be guessed.
    random = np.random.default_rng(0)
    groups, labels = np.repeat([f"g{i}" for i in range(20)], 10), np.repeat(np.arange(20) % 2, 10)
    voice = np.repeat(random.normal(size=(20, 1, 6)), 10, axis=0)
    features = (voice + 0.01 * random.normal(size=(200, 12, 6))).astype(np.float32)
    valid = np.full(200, 12, np.int32)
    svm = load_plugin("svm")
    honest = svm().fit(features, valid, labels, n_classes=2, groups=groups).predict_proba(features, valid)
    flattered = svm().fit(features, valid, labels, n_classes=2).predict_proba(features, valid)
    assert flattered.max(axis=1).mean() > 0.9
    assert honest.max(axis=1).mean() < 0.75


# --- LightGBM ---------------------------------------------------------------------------------------------------------------------


def test_lightgbm__makes_the_same_model_of_features_on_disk_and_reads_each_block_twice(tmp_path: Path) -> None:
    class Counted(np.ndarray[Any, Any]):
        reads = 0

        def __getitem__(self, index: Any) -> Any:
            if isinstance(index, np.ndarray):
                Counted.reads += len(index)
            return super().__getitem__(index)

    for place, features in (("memory", CORPUS.features), ("disk", StoredFeatures(CORPUS.features.view(Counted)))):
        (tmp_path / place).mkdir()
        fit("lightgbm", CORPUS._replace(features=features)).save(tmp_path / place)  # type: ignore[arg-type]
    assert Counted.reads == 2 * len(CORPUS.labels)
    assert (tmp_path / "memory" / "model.txt").read_bytes() == (tmp_path / "disk" / "model.txt").read_bytes()
