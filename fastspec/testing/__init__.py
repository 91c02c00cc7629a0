"""The conformance kit: whether a classifier keeps the contract of `fastspec.learn.Classifier`.

In a plugin's own tests, by pytest or anything else that calls functions:

    @pytest.mark.parametrize("check", CHECKS)
    def test_contract(check):
        check(MyClassifier)

A check raises `CheckFailed`. What a plugin cannot keep, it names in `known_failures`, each with the reason; a known failure that passes
fails, so that the list stays true.
"""

from typing import Literal, NamedTuple

from fastspec.learn.classifier import Classifier
from fastspec.learn.registry import load_plugin
from fastspec.testing.kit import Check, CheckFailed, Params, ToyCorpus, toy_corpus
from fastspec.testing.predicting import (
    check_broken_clips,
    check_class_missing_from_training,
    check_determinism,
    check_input_is_left_alone,
    check_learns_separable_classes,
    check_no_clips,
    check_one_class,
    check_one_clip_is_its_row_in_a_batch,
    check_order_of_classes,
    check_out_of_core,
    check_padding_is_ignored,
    check_thread_cap,
    check_tiny_data,
)
from fastspec.testing.saving import (
    check_damaged_model_is_refused,
    check_error_before_fit,
    check_hyper_parameters,
    check_loading_executes_nothing,
    check_save_and_load,
)

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailed",
    "CheckResult",
    "Params",
    "ToyCorpus",
    "check_broken_clips",
    "check_class_missing_from_training",
    "check_classifier",
    "check_damaged_model_is_refused",
    "check_determinism",
    "check_error_before_fit",
    "check_hyper_parameters",
    "check_input_is_left_alone",
    "check_learns_separable_classes",
    "check_loading_executes_nothing",
    "check_no_clips",
    "check_one_class",
    "check_one_clip_is_its_row_in_a_batch",
    "check_order_of_classes",
    "check_out_of_core",
    "check_padding_is_ignored",
    "check_save_and_load",
    "check_thread_cap",
    "check_tiny_data",
    "toy_corpus",
]


class CheckResult(NamedTuple):
    """What one check found: `reason` says why it failed, or why the failure is known."""

    check: str
    outcome: Literal["passed", "failed", "known failure"]
    reason: str


def check_classifier(plugin: type[Classifier] | str, *, params: Params | None = None) -> list[CheckResult]:
    """Run every check.

    Args:
        plugin: a class, or the name of an installed plugin.
        params: hyper-parameters to check it with, such as a small number of trees.

    Raises:
        PluginError: no such plugin, or one that cannot be imported.
    """
    found = load_plugin(plugin) if isinstance(plugin, str) else plugin
    return [_run(check, found, params) for check in CHECKS]


def _run(check: Check, plugin: type[Classifier], params: Params | None) -> CheckResult:
    name = check.__name__
    try:
        check(plugin, params=params)
    except CheckFailed as error:
        return CheckResult(name, "failed", str(error))
    known = plugin.known_failures.get(name)
    return CheckResult(name, "passed" if known is None else "known failure", known or "")


CHECKS: tuple[Check, ...] = (
    check_learns_separable_classes,
    check_order_of_classes,
    check_class_missing_from_training,
    check_one_class,
    check_tiny_data,
    check_broken_clips,
    check_padding_is_ignored,
    check_no_clips,
    check_one_clip_is_its_row_in_a_batch,
    check_determinism,
    check_input_is_left_alone,
    check_out_of_core,
    check_save_and_load,
    check_loading_executes_nothing,
    check_damaged_model_is_refused,
    check_hyper_parameters,
    check_error_before_fit,
    check_thread_cap,
)
