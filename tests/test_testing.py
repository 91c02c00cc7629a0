"""The conformance kit finds what is wrong with a plugin, and says so."""

import json
import os
import pickle
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from fastspec import testing
from fastspec.errors import PluginError
from fastspec.learn import ColumnClassifier
from fastspec.testing import CHECKS, CheckFailed, check_classifier


@dataclass(kw_only=True, eq=False)
class Centroids(ColumnClassifier):
    """Keeps the contract: the nearest class mean."""

    name = "centroids"
    search_space = {"sharpness": {"low": 0.1, "high": 10.0, "log": True}}
    sharpness: float = 1.0

    def fit_columns(self, columns: Any, codes: Any, *, n_classes: int, groups: Any) -> Any:  # noqa: ARG002
        return np.stack([columns[codes == code].mean(axis=0, dtype=np.float64) for code in range(n_classes)])

    def predict_columns(self, model: Any, columns: Any) -> Any:
        distances = ((columns[:, None] - model) ** 2).mean(axis=2)
        weights = np.exp(-self.sharpness * (distances - distances.min(axis=1, keepdims=True)))
        return weights / weights.sum(axis=1, keepdims=True)

    def save_model(self, model: Any, directory: Any) -> None:
        (directory / "means.json").write_text(json.dumps(model.tolist()))

    def load_model(self, directory: Any) -> Any:
        return np.array(json.loads((directory / "means.json").read_text()))


class Guesses(Centroids):
    def predict_columns(self, model: Any, columns: Any) -> Any:
        return np.full((len(columns), len(model)), 1 / len(model))


class CountsTwice(Centroids):
    def predict_columns(self, model: Any, columns: Any) -> Any:
        return 2 * super().predict_columns(model, columns)


class LooksAtTheBatch(Centroids):
    def predict_columns(self, model: Any, columns: Any) -> Any:
        return super().predict_columns(model, columns - columns.mean(axis=0))


class ForgetsItsSeed(Centroids):
    def fit_columns(self, columns: Any, *args: Any, **kwargs: Any) -> Any:
        return super().fit_columns(columns + np.random.default_rng().normal(size=columns.shape), *args, **kwargs)


class Scribbles(Centroids):
    def make_columns(self, features: Any, valid_frames: Any) -> Any:
        if isinstance(features, np.ndarray) and features.flags.writeable:
            features *= 2
        return super().make_columns(features, valid_frames)


class KnowsNoDisk(Centroids):
    def make_columns(self, features: Any, valid_frames: Any) -> Any:
        return super().make_columns(features.copy(), valid_frames)


class Pickles(Centroids):
    def save_model(self, model: Any, directory: Any) -> None:
        (directory / "means.pkl").write_bytes(pickle.dumps(model))

    def load_model(self, directory: Any) -> Any:
        return pickle.loads((directory / "means.pkl").read_bytes())  # noqa: S301


class Evaluates(Centroids):
    def load_model(self, directory: Any) -> Any:
        exec("import math")  # noqa: S102
        return super().load_model(directory)


class RoundsWhatItSaves(Centroids):
    def save_model(self, model: Any, directory: Any) -> None:
        super().save_model(model.round(1), directory)


class SearchesElsewhere(Centroids):
    search_space = {"sharpness": {"low": 2.0, "high": 10.0}}


class HearsPadding(Centroids):
    def make_columns(self, features: Any, valid_frames: Any) -> Any:
        return super().make_columns(features, np.full_like(valid_frames, features.shape[1]))

    def predict_proba(self, features: Any, valid_frames: Any) -> Any:
        return super().predict_proba(features, np.full_like(valid_frames, features.shape[1]))


class TakesOneClass(Centroids):
    def fit(self, features: Any, valid_frames: Any, labels: Any, *, n_classes: int, groups: Any = None) -> Any:
        labels = labels.copy()
        labels[0] = n_classes - 1 - labels[0]
        return super().fit(features, valid_frames, labels, n_classes=n_classes, groups=groups)


class ShiftsColumns(Centroids):
    def predict_proba(self, features: Any, valid_frames: Any) -> Any:
        return np.roll(super().predict_proba(features, valid_frames), 1, axis=1)


class DropsBrokenClips(Centroids):
    def predict_proba(self, features: Any, valid_frames: Any) -> Any:
        sound = np.isfinite(features).all(axis=(1, 2))
        return super().predict_proba(features[sound], valid_frames[sound])


class WantsManyClips(Centroids):
    def fit_columns(self, columns: Any, codes: Any, **kwargs: Any) -> Any:
        if len(columns) < 20:
            raise ValueError("too few clips")
        return super().fit_columns(columns, codes, **kwargs)


class NeedsClips(Centroids):
    def predict_proba(self, features: Any, valid_frames: Any) -> Any:
        features.max()
        return super().predict_proba(features, valid_frames)


class PredictsUnfitted(Centroids):
    def predict_proba(self, features: Any, valid_frames: Any) -> Any:
        if self._fitted is None:
            return np.full((len(features), 2), 0.5)
        return super().predict_proba(features, valid_frames)


class ForgivesDamage(Centroids):
    @classmethod
    def load(cls, directory: Any) -> Any:
        try:
            return super().load(directory)
        except Exception:
            return cls()


def burn() -> None:
    for _ in range(60):
        np.sort(np.arange(100_000)[::-1] % 9973)


class TakesMoreThreads(Centroids):
    def fit_columns(self, *args: Any, **kwargs: Any) -> Any:
        helper = threading.Thread(target=burn)
        helper.start()
        helper.join()
        return super().fit_columns(*args, **kwargs)


def failures(plugin: Any) -> dict[str, str]:
    return {result.check: result.reason for result in check_classifier(plugin) if result.outcome == "failed"}


def test_plugin_that_keeps_the_contract__passes_every_check() -> None:
    results = check_classifier(Centroids)
    assert [result.check for result in results] == [check.__name__ for check in CHECKS]
    assert {result.outcome for result in results} == {"passed"}


@pytest.mark.parametrize(
    "plugin, check, told",
    [
        (Guesses, "check_learns_separable_classes", "of fresh clips of 2 separable classes are right"),
        (CountsTwice, "check_learns_separable_classes", "do not sum to 1"),
        (ShiftsColumns, "check_order_of_classes", "of the training clips are right"),
        (ShiftsColumns, "check_class_missing_from_training", "never saw have a probability above 0"),
        (TakesOneClass, "check_one_class", "fit takes clips of one class alone"),
        (WantsManyClips, "check_tiny_data", "ValueError: too few clips"),
        (DropsBrokenClips, "check_broken_clips", r"shape \(58, 3\); it must be \(60, 3\)"),
        (HearsPadding, "check_padding_is_ignored", "after valid_frames"),
        (NeedsClips, "check_no_clips", "ValueError"),
        (LooksAtTheBatch, "check_one_clip_is_its_row_in_a_batch", "alone and .* in a batch"),
        (ForgetsItsSeed, "check_determinism", "equal seeds and clips give other bytes"),
        (Scribbles, "check_input_is_left_alone", "changes the features"),
        (KnowsNoDisk, "check_out_of_core", "AttributeError"),
        (RoundsWhatItSaves, "check_save_and_load", "gives other probabilities"),
        (Pickles, "check_loading_executes_nothing", "means.pkl is a pickle"),
        (Evaluates, "check_loading_executes_nothing", "audit events exec"),
        (ForgivesDamage, "check_damaged_model_is_refused", "cut in the middle is loaded"),
        (SearchesElsewhere, "check_hyper_parameters", "the default 1.0 lies outside"),
        (PredictsUnfitted, "check_error_before_fit", "predict_proba of a model that was never fitted raises nothing"),
        (TakesMoreThreads, "check_thread_cap", "with threads=1, other threads took"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_fault__is_found_and_told(plugin: Any, check: str, told: str) -> None:
    with pytest.raises(CheckFailed, match=told):
        getattr(testing, check)(plugin)
    assert check in failures(plugin)


def test_every_check__is_seen_to_fail_above() -> None:
    mark = test_fault__is_found_and_told.pytestmark[0]  # type: ignore[attr-defined]
    assert {row[1] for row in mark.args[1]} == {check.__name__ for check in CHECKS}


def test_known_failure__is_named_with_its_reason() -> None:
    class Excused(Pickles):
        known_failures = {"check_loading_executes_nothing": "the format is pickle by birth"}

    outcomes = {result.check: result for result in check_classifier(Excused)}
    assert outcomes["check_loading_executes_nothing"][1:] == ("known failure", "the format is pickle by birth")
    testing.check_loading_executes_nothing(Excused)


def test_known_failure_that_passes__fails() -> None:
    class Modest(Centroids):
        known_failures = {"check_determinism": "it was once so"}

    assert failures(Modest) == {"check_determinism": "passes, although known_failures names it (it was once so); take it off that list"}


def test_plugin_by_name__is_looked_up() -> None:
    with pytest.raises(PluginError, match="unknown classifier 'no-such'"):
        check_classifier("no-such")


def test_kit__needs_no_test_framework(tmp_path: Any) -> None:
    import subprocess
    import sys

    code = "import sys, fastspec.testing; print('pytest' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ, cwd=tmp_path)
    assert run.stdout.strip() == "False"
