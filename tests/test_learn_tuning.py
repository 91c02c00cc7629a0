"""Hyper-parameters are looked for inside a declared space, on training clips alone, and what was chosen is told."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_learn_evaluation import toy_store

from fastspec.errors import LearnError, PluginError
from fastspec.learn import Dataset, Tuning, evaluate, leaderboard, load_bundle, load_plugin, train
from fastspec.learn import tuning as tuning_module
from fastspec.learn.splits import folds_of
from fastspec.learn.tuning import search, tune_model

SPACE = {"a": {"low": -4.0, "high": 4.0}, "b": {"choices": ["far", "near"]}}


def hard_store() -> Any:
    """Clips of which one in five bears another's label, so that strong and weak penalties differ."""
    wrong = set(np.random.default_rng(1).permutation(90)[:18].tolist())
    store = toy_store(90, label=[("bird", "cat", "dog")[(i + (i in wrong)) % 3] for i in range(90)])
    store.recipe = store.recipe.replace(n_mels=3)
    return store


def tuned(name: str = "logistic", *, trials: int = 6, **params: Any) -> Any:
    model = load_plugin(name).from_params(params)
    return tune_model(model, Dataset.from_store(hard_store()), Tuning(trials), given=params, by="clip")


def bowl(params: dict[str, Any]) -> float:
    return (params["a"] - 2) ** 2 + (params["b"] == "far")


def test_search__finds_the_bottom_of_a_bowl_and_repeats_itself() -> None:
    found = search(SPACE, bowl, Tuning(60), seed=0)
    assert found.chosen["b"] == "near"
    assert abs(found.chosen["a"] - 2) < 0.3
    assert found == search(SPACE, bowl, Tuning(60), seed=0)


def test_first_trial__is_what_was_asked_for_and_is_kept_when_nothing_is_better() -> None:
    found = search(SPACE, bowl, Tuning(10), first={"a": 2.0, "b": "near"}, seed=0)
    assert found.chosen == {"a": 2.0, "b": "near"}
    assert found.log_loss == found.log_loss_before == 0


def test_setting_that_comes_again__is_not_computed_again() -> None:
    tried: list[str] = []
    search({"b": SPACE["b"]}, lambda params: float(len(tried.append(params["b"]) or tried)), Tuning(20), seed=0)  # type: ignore[func-returns-value]
    assert sorted(tried) == ["far", "near"]


def test_time_limit__begins_no_other_trial_but_has_made_one() -> None:
    found = search(SPACE, bowl, Tuning(1000, limit_s=1e-9), first={"a": 0.0, "b": "far"}, seed=0)
    assert found.trials == 1
    assert found.log_loss_before == 5


def test_tuning__is_at_least_as_good_on_its_folds_as_what_the_plugin_has() -> None:
    model, found = tuned(trials=12)
    assert found.log_loss < found.log_loss_before
    assert found.trials == 12
    assert model.params() == load_plugin("logistic")().params() | found.chosen
    assert tuned(trials=12)[1] == found


def test_setting_with_which_fitting_diverges__loses(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin: Any = load_plugin("logistic")
    answer = plugin.predict_proba
    monkeypatch.setattr(plugin, "predict_proba", lambda self, *a: answer(self, *a) * (np.nan if self.class_weight is None else 1))
    found = tuned(trials=8)[1]
    assert found.chosen["class_weight"] == "balanced"
    assert found.log_loss < found.log_loss_before == pytest.approx(-np.log(1e-15))


def test_parameters_that_are_given__stay() -> None:
    model, found = tuned("svm", trials=3, C="7", kernel="linear")
    assert model.params()["C"] == 7
    assert set(found.chosen) == {"class_weight"}


@pytest.mark.parametrize("name", ["logistic", "lightgbm"])
def test_pooling_once__changes_nothing_of_what_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once = tuned(name, trials=2)[1]
    monkeypatch.setattr(tuning_module, "_pool_once", lambda _, dataset: (dataset, {}))
    assert tuned(name, trials=2)[1] == once


def test_evaluation__tunes_anew_in_each_fold_on_its_training_groups_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    fit = Dataset.fit

    def spied(self: Dataset, model: Any, rows: Any) -> None:
        seen.append(set(self.groups[rows]))
        fit(self, model, rows)

    monkeypatch.setattr(Dataset, "fit", spied)
    dataset = Dataset.from_store(hard_store())
    result = evaluate(dataset, "logistic", folds=3, tuning=Tuning(2))
    assert len(result.tuned) == 3
    assert len(result.to_dict()["tuned"]) == 3
    per_fold = len(seen) // 3
    for i, (train_rows, test_rows) in enumerate(folds_of(dataset, n_folds=3, seed=0)):
        *inner, outer = seen[i * per_fold : (i + 1) * per_fold]
        assert outer == set(dataset.groups[train_rows])
        assert len(inner) >= 3
        for groups in inner:
            assert groups < outer
            assert not groups & set(dataset.groups[test_rows])


def test_windows__are_tuned_by_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    mean = tuning_module.mean_of_recordings
    monkeypatch.setattr(tuning_module, "mean_of_recordings", lambda *a: rows.append(len(a[1])) or mean(*a))
    store = toy_store(path=[f"{i // 6 * 3 + i % 3}.wav" for i in range(60)])
    result = evaluate(store, "logistic", folds=3, tuning=Tuning(1))
    assert result.by == "recording"
    assert rows


def test_trained_model__holds_what_was_chosen_and_its_card_tells_it(tmp_path: Path) -> None:
    bundle = train(hard_store(), "logistic", tuning=Tuning(4))
    loaded = load_bundle(bundle.save(tmp_path / "model"))
    assert loaded.tuned == bundle.tuned
    assert loaded.tuned is not None
    assert {name: loaded.model.params()[name] for name in loaded.tuned.chosen} == loaded.tuned.chosen
    card = (tmp_path / "model" / "README.md").read_text()
    assert "C, class_weight were tuned: the best of 4 tried on 3 folds of whole groups of the training clips." in card
    train(hard_store(), "logistic", tuning=Tuning(4)).save(tmp_path / "again")
    assert (tmp_path / "again" / "bundle.json").read_bytes() == (tmp_path / "model" / "bundle.json").read_bytes()


def test_model_that_misstates_its_tuning__is_refused(tmp_path: Path) -> None:
    folder = train(hard_store(), "logistic").save(tmp_path / "model")
    header = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(header | {"tuned": {"chosen": 3}}))
    with pytest.raises(LearnError, match=r"bundle.json does not say how the model was tuned; train the model again"):
        load_bundle(folder)


def test_classifier_without_a_search_space__cannot_be_tuned() -> None:
    for tune in (lambda: train(hard_store(), "lda", tuning=Tuning(2)), lambda: evaluate(hard_store(), "lda", tuning=Tuning(2))):
        with pytest.raises(PluginError, match=r"^lda declares no search space, so that there is nothing to tune; leave tuning out$"):
            tune()


def test_leaderboard__tunes_who_can_be_tuned_and_tells_who_cannot() -> None:
    told: list[str] = []
    asked: dict[str, Any] = {"folds": 3, "on_message": told.append}
    plain, better = (leaderboard(hard_store(), ["lda", "logistic"], tuning=tuning, **asked) for tuning in (None, Tuning(8)))
    assert told == ["lda declares no search space and is not tuned"]
    losses = [{row.model: row.log_loss for row in rows} for rows in (plain, better)]
    assert losses[0]["lda"] == losses[1]["lda"]
    assert losses[0]["logistic"] != losses[1]["logistic"]
    with pytest.raises(PluginError, match="no search space is declared by lda"):
        leaderboard(hard_store(), ["lda"], tuning=Tuning(2))


@pytest.mark.parametrize(
    "tuning, params, told",
    [
        (Tuning(0), {}, "^tuning by 0 trials finds nothing; give 1 or more$"),
        (Tuning(3, limit_s=0.0), {}, "^tuning for 0 s finds nothing; give more than 0 s$"),
        (Tuning(3), {"C": 1.0, "class_weight": None}, "every parameter that logistic searches is given"),
    ],
)
def test_tuning_that_finds_nothing__is_refused_before_anything_is_read(tuning: Tuning, params: dict[str, Any], told: str) -> None:
    with pytest.raises(PluginError, match=told):
        evaluate(hard_store(), "logistic", params=params, tuning=tuning)


def test_class_of_one_group__is_refused_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dataset, "fit", lambda *_: pytest.fail("fitted"))
    store = toy_store(group=[("x", "y")[i // 30] for i in range(60)])
    with pytest.raises(LearnError, match="logistic cannot be tuned: a class has clips of one group only among those that it learns from"):
        evaluate(store, "logistic", folds=2, tuning=Tuning(2))


def test_optuna_that_is_missing__is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(PluginError, match=r"tuning needs Optuna, which is not installed; .*\[tune\]"):
        tuned()
