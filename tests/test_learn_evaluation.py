"""Datasets, cross-validation and the leaderboard tell the truth about a store."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from toy_stores import toy_store, windowed_store

from fastspec.errors import LearnError, PluginError
from fastspec.learn import Dataset, evaluate, evaluate_model, leaderboard, majority_beside, train


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
    row = json.loads(json.dumps(evaluate(toy_store(), "(majority)", folds=3).to_dict()))
    assert row["model"] == "(majority)"
    assert row["n_clips"] == 60
    assert np.sum(row["confusion"]) == 60
    assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]


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


def test_plugin_that_requires_what_its_parameters_say__is_refused_with_the_preset_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import asdict

    from fastspec.learn import load_plugin
    from fastspec.presets import preset

    logistic = load_plugin("logistic")
    monkeypatch.setattr(logistic, "required", lambda self: asdict(preset("whisper").spec) if self.C == 3 else {})
    for act in (train, evaluate):
        assert act(toy_store(), "logistic")
        with pytest.raises(LearnError, match=r"; featurize with --preset whisper$"):
            act(toy_store(), "logistic", params={"C": 3.0})


def test_what_a_model_is_built_on__stands_in_its_card(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastspec.learn import load_plugin
    from fastspec.learn.card import model_card

    assert "## Built on" not in model_card(train(toy_store(), "logistic"))
    monkeypatch.setattr(load_plugin("logistic"), "credits", lambda _: ["the weights of somebody, licence CC-BY-4.0"])
    assert "## Built on\n\n- the weights of somebody, licence CC-BY-4.0\n" in model_card(train(toy_store(), "logistic"))


# --- recordings --------------------------------------------------------------------------------------------------------------------


def test_windows__are_scored_as_the_recordings_they_come_from() -> None:
    by_default, by_clip = evaluate(windowed_store(), "logistic", folds=4), evaluate(windowed_store(), "logistic", folds=4, by="clip")
    assert (by_default.by, by_default.n_clips, len(by_default.labels)) == ("recording", 60, 20)
    assert (by_clip.by, by_clip.n_clips, len(by_clip.labels)) == ("clip", 60, 60)
    assert by_default.paths == [f"{i}.wav" for i in range(20)]
    np.testing.assert_allclose(by_default.probabilities, by_clip.probabilities.reshape(20, 3, 2).mean(axis=1))
    assert by_default.scores.log_loss <= by_clip.scores.log_loss
    assert sum(row.support for row in by_default.scores.per_class) == 20


def test_recording_with_clips_of_several_classes__is_scored_by_clip() -> None:
    store = windowed_store(label=["bird", "cat", "bird"] * 20)
    assert evaluate(store, "logistic", folds=4).by == "clip"
    with pytest.raises(LearnError, match=r"0.wav has clips of several classes, so that it cannot be scored as one; score by clip"):
        evaluate(store, "logistic", folds=4, by="recording")
    with pytest.raises(LearnError, match="by is 'speaker'; known are: clip, recording"):
        evaluate(store, "logistic", by="speaker")  # type: ignore[arg-type]


def test_trained_model__is_scored_by_recording_too() -> None:
    other = windowed_store(seed=1)
    result = evaluate_model(other, train(windowed_store(), "logistic"))
    assert (result.by, len(result.labels), len(majority_beside(result).labels)) == ("recording", 20, 20)


# --- baselines ---------------------------------------------------------------------------------------------------------------------


def test_corpus_whose_container_tells_the_class__is_given_away_by_the_header_baseline() -> None:
    rates = [(8000, 16000, 44100)[i % 3] for i in range(60)]
    leaking = evaluate(toy_store(sample_rate=rates), "(header)", folds=4)
    assert (leaking.model, leaking.scores.accuracy) == ("(header)", 1.0)
    assert evaluate(toy_store(), "(header)", folds=4).scores.accuracy < 0.5


def test_header_that_says_nothing__is_no_obstacle() -> None:
    store = toy_store(header_frames=[None] * 60, sample_rate=[None, 16000] * 30, channels=[1, None, 2] * 20)
    assert np.isfinite(evaluate(store, "(header)", folds=4).probabilities).all()


def test_scores_of_each_class__have_intervals() -> None:
    (row, *_) = evaluate(windowed_store(), "logistic", folds=4).per_class()
    assert row["name"] == "bird"
    for name in ("precision", "recall", "f1"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert row["recall_low"] < row["recall_high"]
