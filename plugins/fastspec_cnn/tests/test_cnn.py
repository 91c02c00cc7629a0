"""The plugin keeps the contract, trains on groups it may see, and stops at the best epoch. Skipped where torch is not installed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastspec.errors import LearnError, PluginError
from fastspec.testing import CHECKS, Check, toy_corpus

pytest.importorskip("torch", reason="torch is not installed: pip install torch")
pytest.importorskip("safetensors", reason="safetensors is not installed: pip install safetensors")

from fastspec_cnn import CNN
from fastspec_cnn.pictures import Scale, paint_pictures

FAST = {"width": 8, "steps": 120}
CORPUS = toy_corpus()


def fit(corpus: Any = CORPUS, **params: Any) -> CNN:
    model = CNN.from_params(FAST | params)
    return model.fit(corpus.features, corpus.valid_frames, corpus.labels, n_classes=3, groups=corpus.groups)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract__is_kept(check: Check) -> None:
    check(CNN, params=FAST)


def test_groups_held_back__are_not_trained_on_and_choose_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from fastspec_cnn import training

    seen: list[Any] = []
    losses: list[float] = []
    states: list[Any] = []
    step, loss = training._step_loss, training._loss

    def spied(network: Any, batch: Any, settings: Any, random: Any) -> Any:
        seen.append(batch.pixels)
        return step(network, batch, settings, random)

    def told(network: Any, clips: Any) -> float:
        losses.append(loss(network, clips))
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        held.append(clips.pixels)
        return losses[-1]

    held: list[Any] = []
    monkeypatch.setattr(training, "_step_loss", spied)
    monkeypatch.setattr(training, "_loss", told)
    model: Any = fit(steps=40, patience=20)
    trained = {tuple(pixels.ravel().tolist()) for batch in seen for pixels in batch}
    kept_back = {tuple(pixels.ravel().tolist()) for pixels in held[0]}
    assert not trained & kept_back
    assert len(trained) + len(kept_back) == len(CORPUS.labels)
    group_of = {}
    scaled = model._fitted.model.scale.apply(paint_pictures(CORPUS.features, CORPUS.valid_frames, frames=64, bands=64))
    for pixels, group in zip(scaled.pixels, CORPUS.groups, strict=True):
        group_of[tuple(pixels.ravel().tolist())] = group
    assert not {group_of[clip] for clip in trained} & {group_of[clip] for clip in kept_back}
    best = states[int(np.argmin(losses))]
    assert all(torch.equal(tensor, best[name]) for name, tensor in model._fitted.model.network.state_dict().items())


def test_training__stops_when_the_loss_stays_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastspec_cnn import training

    told: list[int] = []

    def rising(*_: Any) -> float:
        told.append(1)
        return float(len(told))

    monkeypatch.setattr(training, "_loss", rising)
    fit(patience=4)
    assert len(told) == 5


def test_one_group_a_class__is_trained_to_the_last_step() -> None:
    corpus = CORPUS._replace(groups=CORPUS.labels.astype(np.str_))
    right = fit(corpus).predict_proba(corpus.features, corpus.valid_frames).argmax(axis=1) == corpus.labels
    assert right.mean() > 0.9


def test_many_clips__are_trained_on_for_as_many_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastspec_cnn import training

    steps: list[int] = []
    held_back: set[int] = set()
    step, loss = training._step_loss, training._loss

    def counted(network: Any, batch: Any, *rest: Any) -> Any:
        steps.append(len(batch.codes))
        return step(network, batch, *rest)

    def told(network: Any, clips: Any) -> float:
        held_back.add(len(clips.codes))
        return loss(network, clips)

    monkeypatch.setattr(training, "_step_loss", counted)
    monkeypatch.setattr(training, "_loss", told)
    fit(steps=1, epochs=6, batch_size=8, patience=20)
    assert len(steps) == 6 * (len(CORPUS.labels) - held_back.pop()) // 8


def test_scale__is_that_of_valid_frames_alone() -> None:
    features = np.full((2, 4, 3), 99.0, np.float32)
    features[0, :2], features[1, :4] = 1.0, [[4.0, 4.0, 4.0]] * 4
    pictures = paint_pictures(features, np.array([2, 4], np.int32), frames=8, bands=8)
    scale = Scale.fit(pictures)
    np.testing.assert_allclose(scale.mean, 3.0)
    np.testing.assert_allclose(scale.deviation, np.sqrt(2.0))
    assert not scale.apply(pictures).pixels[0, 2:].any()


def test_picture__is_shrunk_by_means_and_time_runs_equally_fast_in_all_clips() -> None:
    features = np.random.default_rng(0).normal(size=(2, 90, 50)).astype(np.float32)
    pictures = paint_pictures(features, np.array([90, 45], np.int32), frames=30, bands=25)
    assert pictures.lengths.tolist() == [30, 15]
    np.testing.assert_allclose(pictures.pixels[0], features[0].reshape(30, 3, 25, 2).mean(axis=(1, 3)), atol=1e-5)
    np.testing.assert_allclose(pictures.pixels[1, :15], features[1, :45].reshape(15, 3, 25, 2).mean(axis=(1, 3)), atol=1e-5)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": -1.0}, {"dropout": 1.0}, {"mixup": -0.1}, {"mask": 2.0}])
def test_hyper_parameter_out_of_range__is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(PluginError, match=r"^cnn has [a-z_]+ [^\n]*; give [^\n]*$"):
        fit(**wrong)


def test_features_of_another_shape__are_refused() -> None:
    with pytest.raises(LearnError, match="was trained on 12 × 6 features and is given 12 × 5; use its recipe"):
        fit().predict_proba(CORPUS.features[:, :, :5], CORPUS.valid_frames)


def test_weights_of_another_width__are_refused(tmp_path: Path) -> None:
    import json

    fit().save(tmp_path)
    header = json.loads((tmp_path / "classifier.json").read_text())
    header["params"]["width"] = 9
    (tmp_path / "classifier.json").write_text(json.dumps(header))
    with pytest.raises(LearnError, match=r"model\.safetensors of the saved model cannot be read"):
        CNN.load(tmp_path)


def test_random_state_and_threads_of_torch__are_left_as_they_were() -> None:
    import torch

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    fit()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
