"""Checks of what a classifier learns and predicts."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fastspec.errors import LearnError, PluginError
from fastspec.learn.classifier import Classifier
from fastspec.learn.stored import StoredFeatures
from fastspec.testing.kit import CheckFailed, Params, contents, fitted, honouring_known_failures, predict, require, saved, toy_corpus

_OTHER_THREADS_S, _OTHER_THREADS_SHARE = 0.1, 0.3


@honouring_known_failures
def check_learns_separable_classes(plugin: type[Classifier], params: Params) -> None:
    """Two and three classes that a child could tell apart are told apart on fresh clips."""
    for n_classes in (2, 3):
        fresh = toy_corpus(n_classes=n_classes, seed=1)
        model = fitted(plugin, params, toy_corpus(n_classes=n_classes), n_classes=n_classes)
        right = (predict(model, fresh, n_classes=n_classes).argmax(axis=1) == fresh.labels).mean()
        require(right >= 0.9, f"{right:.0%} of fresh clips of {n_classes} separable classes are right; 90 % are expected")


@honouring_known_failures
def check_order_of_classes(plugin: type[Classifier], params: Params) -> None:
    """Column k of the probabilities is class k, in whatever order the classes come."""
    corpus = toy_corpus()
    order = np.argsort(-corpus.labels, kind="stable")
    probabilities = predict(fitted(plugin, params, corpus.keep(order)), corpus)
    right = (probabilities.argmax(axis=1) == corpus.labels).mean()
    require(right >= 0.9, f"{right:.0%} of the training clips are right when the last class comes first; 90 % are expected")


@honouring_known_failures
def check_class_missing_from_training(plugin: type[Classifier], params: Params) -> None:
    """A class that a fold lacks keeps its column, at probability 0."""
    corpus = toy_corpus()
    probabilities = predict(fitted(plugin, params, corpus.keep(corpus.labels != 1), n_classes=4), corpus, n_classes=4)
    require(not probabilities[:, [1, 3]].any(), "classes that training never saw have a probability above 0")
    kept = corpus.labels != 1
    require((probabilities.argmax(axis=1) == corpus.labels)[kept].mean() >= 0.9, "the columns of the other classes have moved")


@honouring_known_failures
def check_one_class(plugin: type[Classifier], params: Params) -> None:
    """Clips of one class alone are refused by a LearnError."""
    corpus = toy_corpus()
    try:
        fitted(plugin, params, corpus._replace(labels=np.zeros_like(corpus.labels)))
    except LearnError:
        return
    raise CheckFailed("fit takes clips of one class alone; raise a LearnError that says so")


@honouring_known_failures
def check_tiny_data(plugin: type[Classifier], params: Params) -> None:
    """Two clips a class are learned from; one clip a class is learned from or refused by a LearnError or PluginError."""
    corpus = toy_corpus()
    predict(fitted(plugin, params, corpus.keep(np.arange(6))), corpus)
    try:
        single = fitted(plugin, params, corpus.keep(np.arange(3)))
    except (LearnError, PluginError):
        return
    predict(single, corpus)


@honouring_known_failures
def check_broken_clips(plugin: type[Classifier], params: Params) -> None:
    """Frames of NaN, a clip of nothing else, and a clip without a valid frame are taken in fit and in predict_proba."""
    corpus = toy_corpus()
    features, valid_frames = corpus.features.copy(), corpus.valid_frames.copy()
    features[3, 2], features[4], valid_frames[5] = np.nan, np.nan, 0
    spoiled = corpus._replace(features=features, valid_frames=valid_frames)
    predict(fitted(plugin, params, spoiled), spoiled)


@honouring_known_failures
def check_padding_is_ignored(plugin: type[Classifier], params: Params) -> None:
    """Frames that are not valid, which hold padding, change no prediction but by rounding, whatever is in them."""
    corpus = toy_corpus()
    model = fitted(plugin, params, corpus)
    features = corpus.features.copy()
    features[np.arange(features.shape[1]) >= corpus.valid_frames[:, None]] = 50.0
    same = np.allclose(predict(model, corpus), predict(model, corpus._replace(features=features)), rtol=1e-5, atol=1e-7)
    require(same, "other values in the frames after valid_frames give other probabilities")


@honouring_known_failures
def check_no_clips(plugin: type[Classifier], params: Params) -> None:
    """No clips give no rows."""
    corpus = toy_corpus()
    model = fitted(plugin, params, corpus)
    predict(model, corpus.keep(np.arange(0)))


@honouring_known_failures
def check_one_clip_is_its_row_in_a_batch(plugin: type[Classifier], params: Params) -> None:
    """A clip has the same probabilities alone as in a batch, but for rounding."""
    corpus = toy_corpus()
    model = fitted(plugin, params, corpus)
    together = predict(model, corpus)
    for clip in (0, 17, 59):
        alone = predict(model, corpus.keep(np.array([clip])))[0]
        require(np.allclose(alone, together[clip], rtol=1e-5, atol=1e-7), f"clip {clip} has {alone} alone and {together[clip]} in a batch")


@honouring_known_failures
def check_determinism(plugin: type[Classifier], params: Params) -> None:
    """Equal seeds and clips give equal models: the same probabilities, the same bytes when saved. Predicting changes nothing."""
    corpus = toy_corpus()
    first, again = fitted(plugin, params, corpus, seed=5), fitted(plugin, params, corpus, seed=5)
    with saved(first) as one, saved(again) as other:
        require(contents(one) == contents(other), "equal seeds and clips give other bytes when saved")
    probabilities = predict(first, corpus)
    require(np.array_equal(probabilities, predict(again, corpus)), "equal seeds and clips give other probabilities")
    require(np.array_equal(probabilities, predict(first, corpus)), "predicting a second time gives other probabilities")


@honouring_known_failures
def check_input_is_left_alone(plugin: type[Classifier], params: Params) -> None:
    """Features that are read-only or mapped from a file are taken, and those that are not stay as they were."""
    corpus = toy_corpus()
    expected = predict(fitted(plugin, params, corpus), corpus)  # read-only
    writable = corpus._replace(features=corpus.features.copy())
    predict(fitted(plugin, params, writable), writable)
    require(np.array_equal(writable.features, corpus.features), "fit or predict_proba changes the features")
    with TemporaryDirectory() as directory:
        np.save(Path(directory) / "features.npy", corpus.features)
        mapped = corpus._replace(features=np.load(Path(directory) / "features.npy", mmap_mode="r"))
        same = np.array_equal(predict(fitted(plugin, params, mapped), mapped), expected)
        del mapped
    require(same, "features mapped from a file give other probabilities than the same in memory")


@honouring_known_failures
def check_out_of_core(plugin: type[Classifier], params: Params) -> None:
    """A plugin that declares `out_of_core` says the same of features on disk as of the same in memory."""
    corpus = toy_corpus()
    stored: Any = corpus._replace(features=StoredFeatures(corpus.features))  # type: ignore[arg-type]
    if not plugin.out_of_core:
        return
    expected = predict(fitted(plugin, params, corpus), corpus)
    require(np.array_equal(predict(fitted(plugin, params, stored), stored), expected), "features on disk give other probabilities")


@honouring_known_failures
def check_thread_cap(plugin: type[Classifier], params: Params) -> None:
    """With threads=1 no other thread does any work worth mentioning: CPU time of the process against that of the calling thread."""
    corpus = toy_corpus(clips=300, frames=40)
    model = fitted(plugin, params, toy_corpus())  # pays for imports and compilation
    process, thread = time.process_time(), time.thread_time()
    for _ in range(3):
        model = fitted(plugin, params, corpus)
        predict(model, corpus)
    own = time.thread_time() - thread
    others = time.process_time() - process - own
    told = f"with threads=1, other threads took {others:.2f} s of CPU time beside {own:.2f} s of its own; obey threads"
    require(others < max(_OTHER_THREADS_S, _OTHER_THREADS_SHARE * own), told)
