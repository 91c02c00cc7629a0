"""Datasets, cross-validation and the leaderboard tell the truth about a store."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars
import pytest

from fastspec.errors import LearnError, PluginError
from fastspec.learn import Dataset, evaluate, evaluate_model, leaderboard, majority_beside, train
from fastspec.learn.ranking import LeaderboardRow
from fastspec.spec import Recipe

HEADLINES = ["accuracy", "balanced_accuracy", "macro_f1", "log_loss"]
COLUMNS = ["store", "model", *(name + end for name in HEADLINES for end in ("", "_low", "_high")), "fit_s", "predict_s", "size_bytes"]


def toy_store(clips: int = 60, seed: int = 0, **columns: list[Any]) -> Any:
    """A finished store of clips whose class is the band that is loudest, five clips a group."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips) % 3
    features = random.normal(size=(clips, 6, 3)).astype(np.float32)
    features[np.arange(clips), :, labels] += 4
    ledger = {
        "path": [f"{i}.wav" for i in range(clips)],
        "label": [("bird", "cat", "dog")[label] for label in labels],
        "group": [f"speaker{i // 5}" for i in range(clips)],
        "split": [None] * clips,
        "start_s": [0.0] * clips,
        "status": ["ok"] * clips,
        "audio_hash": [f"{seed:08x}{i:08x}{0:016x}" for i in range(clips)],
    } | columns
    types = {"split": polars.String, "label": polars.String}
    return SimpleNamespace(
        path=f"toy{seed}.zarr",
        recipe=Recipe().replace(clip_s=1.0),
        manifest_digest=f"digest{seed}",
        features=features,
        valid_frames=np.full(clips, 6, np.int32),
        ledger=polars.DataFrame(ledger, schema_overrides=types),
    )


def test_dataset__keeps_labelled_ok_clips_and_counts_the_others() -> None:
    store = toy_store(status=["ok"] * 50 + ["silent"] * 4 + ["unreadable"] * 6, label=[None, "x"] * 30)
    with pytest.raises(LearnError, match="one class only, 'x'"):
        Dataset.from_store(store)
    store = toy_store(status=["ok"] * 50 + ["silent"] * 4 + ["unreadable"] * 6, label=[None, "y", "x"] * 20)
    data = Dataset.from_store(store)
    assert data.left_out == {"silent": 4, "unlabelled": 17, "unreadable": 6}
    assert data.classes == ["x", "y"]
    assert data.paths[:3] == ["1.wav", "2.wav", "4.wav"]
    np.testing.assert_array_equal(data.features[:3], store.features[[1, 2, 4]])
    assert data.labels[:3].tolist() == [1, 0, 1]


def test_store_without_a_usable_clip__is_refused() -> None:
    with pytest.raises(LearnError, match=r"toy0.zarr has no labelled clip of status 'ok'"):
        Dataset.from_store(toy_store(status=["unreadable"] * 60))


def test_separable_classes__are_recognised_in_speakers_never_met() -> None:
    evaluation = evaluate(toy_store(), "logistic", folds=4)
    assert evaluation.scores.accuracy > 0.95
    assert evaluation.probabilities.shape == (60, 3)
    assert evaluation.clips.tolist() == list(range(60))
    low, high = evaluation.intervals["accuracy"]
    assert low <= evaluation.scores.accuracy <= high
    assert evaluation.size_bytes > 0
    assert [row.support for row in evaluation.scores.per_class] == [20, 20, 20]


def test_labels_that_say_nothing_but_the_speaker__are_not_recognised_in_other_speakers() -> None:
    store = toy_store(label=[("a", "b")[i // 5 % 2] for i in range(60)])
    # each speaker has a voice of his own, which tells the class only of clips by the same speaker
    store.features[:] = np.random.default_rng(1).normal(size=(12, 1, 3)).repeat(5, axis=0).astype(np.float32)
    assert evaluate(store, "lightgbm", folds=4).scores.accuracy < 0.8
    leaky = toy_store(label=[("a", "b")[i // 5 % 2] for i in range(60)], group=[f"{i}.wav" for i in range(60)])
    leaky.features[:] = store.features
    assert evaluate(leaky, "lightgbm", folds=4).scores.accuracy > 0.9


def test_given_split__tests_its_test_clips_only() -> None:
    split = ["test" if i // 5 % 3 == 0 else "train" for i in range(60)]
    evaluation = evaluate(toy_store(split=split), "logistic", folds=4)
    assert evaluation.clips.tolist() == [i for i in range(60) if split[i] == "test"]


def test_repeats__use_other_folds_and_equal_seeds_give_equal_scores() -> None:
    store = toy_store()
    once, again, twice = (evaluate(store, "logistic", folds=3, repeats=r, seed=0) for r in (1, 1, 2))
    np.testing.assert_array_equal(once.probabilities, again.probabilities)
    assert once.intervals == again.intervals
    assert not np.array_equal(once.probabilities, twice.probabilities)


def test_wrong_parameter_or_count__is_told_before_features_are_read() -> None:
    store = SimpleNamespace()  # reading anything of it would raise AttributeError
    with pytest.raises(PluginError, match="logistic has no parameter 'c'"):
        evaluate(store, "logistic", params={"c": 1})  # type: ignore[arg-type]
    with pytest.raises(LearnError, match="repeats is 0"):
        evaluate(store, "logistic", repeats=0)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="unknown classifier 'nothing'"):
        leaderboard(store, ["nothing"])  # type: ignore[arg-type]


def test_evaluation__becomes_plain_json() -> None:
    import json

    row = json.loads(json.dumps(evaluate(toy_store(), "(majority)", folds=3).to_dict()))
    assert row["model"] == "(majority)"
    assert row["n_clips"] == 60
    assert np.sum(row["confusion"]) == 60
    assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]


def test_leaderboard__ranks_by_log_loss_with_the_majority_baseline() -> None:
    rows = leaderboard(toy_store(), ["logistic"], folds=3)
    assert [row.model for row in rows] == ["logistic", "(majority)"]
    assert rows[0].log_loss < rows[1].log_loss == pytest.approx(np.log(3), rel=0.05)
    assert list(LeaderboardRow._fields) == COLUMNS
    assert {row.store for row in rows} == {"toy0.zarr"}


def test_leaderboard_without_names__holds_every_installed_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTSPEC_PLUGINS", "logistic,lightgbm")
    rows = leaderboard(toy_store(), folds=3)
    assert {row.model for row in rows} == {"logistic", "lightgbm", "(majority)"}


def test_trained_model__is_scored_on_another_store() -> None:
    evaluation = evaluate_model(toy_store(seed=1), train(toy_store(), "logistic"))
    assert evaluation.scores.accuracy > 0.95
    assert (evaluation.store, evaluation.fit_s) == ("toy1.zarr", None)


def test_model_trained_on_a_store__is_not_scored_on_the_same_clips() -> None:
    bundle = train(toy_store(), "logistic")
    with pytest.raises(LearnError, match=r"was trained on the clips of toy0.zarr.*-m logistic"):
        evaluate_model(toy_store(), bundle)


def test_sounds_of_the_training__are_left_out_under_whatever_names() -> None:
    bundle = train(toy_store(), "logistic")
    other = toy_store(seed=1)
    mixed = other.ledger["audio_hash"].to_list()
    mixed[:10] = toy_store().ledger["audio_hash"].to_list()[:10]
    result = evaluate_model(toy_store(seed=1, audio_hash=mixed), bundle)
    assert len(result.clips) == 50
    assert result.left_out == {"seen in training": 10}


def test_majority_beside_a_model__is_scored_on_the_same_clips() -> None:
    result = evaluate_model(toy_store(seed=1), train(toy_store(), "logistic"))
    baseline = majority_beside(result)
    assert baseline.model == "(majority)"
    assert baseline.scores.accuracy == pytest.approx(1 / 3)
    assert baseline.scores.log_loss == pytest.approx(np.log(3))
    assert len(baseline.clips) == len(result.clips)


def test_copies_of_a_recording__tie_their_groups_together() -> None:
    hashes = toy_store().ledger["audio_hash"].to_list()
    hashes[7] = hashes[0]  # of speaker1 and of speaker0
    groups = Dataset.from_store(toy_store(audio_hash=hashes)).groups
    assert set(groups[:10]) == {"speaker0"}
    assert groups[10] == "speaker2"


def test_negative_seed__is_refused() -> None:
    with pytest.raises(LearnError, match="seed is -1; give 0 or more"):
        evaluate(toy_store(), "logistic", seed=-1)


def test_model_trained_with_a_given_split__is_scored_on_the_test_clips_that_it_never_saw() -> None:
    split = ["test" if i // 5 % 3 == 0 else "train" for i in range(60)]
    bundle = train(toy_store(split=split), "logistic")
    assert (bundle.n_clips, bundle.left_out) == (40, {"held out for test": 20})
    assert len(evaluate_model(toy_store(split=split), bundle).clips) == 20


def test_features_of_another_recipe__are_refused_with_the_fields() -> None:
    other = toy_store(seed=1)
    other.recipe = other.recipe.replace(n_mels=64)
    with pytest.raises(LearnError, match="n_mels 80 against 64"):
        evaluate_model(other, train(toy_store(), "logistic"))


def test_class_that_the_model_does_not_know__is_named() -> None:
    other = toy_store(seed=1, label=["cow"] * 60)
    with pytest.raises(LearnError, match="class 'cow', which the model was not trained on; known are: bird, cat, dog"):
        evaluate_model(other, train(toy_store(), "logistic"))


def test_store_with_one_class__can_be_scored_but_not_learned_from() -> None:
    other = toy_store(seed=1, label=["cat"] * 60)
    assert evaluate_model(other, train(toy_store(), "logistic")).scores.accuracy == pytest.approx(1 / 3, abs=0.05)


def test_large_features__stay_on_disk_and_give_the_same_scores() -> None:
    from fastspec.learn import StoredFeatures

    store = toy_store(status=["ok"] * 50 + ["silent"] * 10)
    expected = {name: evaluate(store, name).probabilities for name in ("lightgbm", "logistic")}
    on_disk = Dataset.from_store(store, in_memory_bytes=100)
    assert isinstance(on_disk.features, StoredFeatures)
    for name, probabilities in expected.items():
        np.testing.assert_array_equal(evaluate(on_disk, name).probabilities, probabilities)


def test_plugin_that_requires_another_recipe__is_refused_with_the_settings_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastspec.learn import load_plugin

    monkeypatch.setattr(load_plugin("logistic"), "requires", {"n_mels": 96, "sample_rate": 44100})
    told = "logistic needs features of another recipe than toy0.zarr holds: sample_rate 44100, not 16000, n_mels 96, not 80; featurize with"
    for act in (train, evaluate):
        with pytest.raises(LearnError, match=told + " --set sample_rate=44100 --set n_mels=96"):
            act(toy_store(), "logistic")
    monkeypatch.setattr(load_plugin("logistic"), "requires", {"n_mels": 80, "clip_s": 1.0})
    assert train(toy_store(), "logistic").n_clips == 60


def test_leaderboard__of_nobody_in_particular_leaves_out_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastspec.learn import load_plugin

    monkeypatch.setenv("FASTSPEC_PLUGINS", "logistic,svm")
    monkeypatch.setattr(load_plugin("svm"), "requires", {"n_mels": 96})
    told: list[str] = []
    rows = leaderboard(toy_store(), on_message=told.append)
    assert [row.model for row in rows] == ["logistic", "(majority)"]
    assert len(told) == 1
    assert told[0].startswith("left out: svm needs features of another recipe")
    with pytest.raises(LearnError, match="svm needs features of another recipe"):
        leaderboard(toy_store(), ["svm"])
