"""Hyper-parameters are checked by name and type before anything is fitted."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from fastspec.errors import PluginError
from fastspec.learn.parameters import check_space, parse_assignments, read_parameters


@dataclass(kw_only=True)
class Plugin:
    name = "toy"
    n_trees: int = 10
    rate: float = 0.1
    balanced: bool = False
    depth: int | None = None
    features: Literal["sqrt", "log2"] | float | None = "sqrt"
    note: str = ""
    seed: int = 0
    threads: int = 1


class Unannotated:
    name = "bare"

    def __init__(self, *, rate=0.5, seed=0, threads=1):
        self.rate, self.seed, self.threads = rate, seed, threads


@pytest.mark.parametrize(
    "name, given, read",
    [
        ("n_trees", "20", 20),
        ("n_trees", 20, 20),
        ("rate", "1e-3", 1e-3),
        ("rate", 1, 1.0),
        ("balanced", "True", True),
        ("depth", "none", None),
        ("depth", "4", 4),
        ("features", "log2", "log2"),
        ("features", "0.25", 0.25),
        ("features", "none", None),
        ("note", "12", "12"),
    ],
)
def test_value__is_read_as_the_parameters_type(name: str, given: Any, read: Any) -> None:
    value = read_parameters(Plugin, {name: given})[name]
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(
    "name, given, told",
    [
        ("n_trees", "many", "toy parameter n_trees is 'many'; give a whole number"),
        ("n_trees", 1.5, "give a whole number"),
        ("n_trees", True, "give a whole number"),
        ("rate", "nan", "give a finite number"),
        ("balanced", "1", "give true or false"),
        ("depth", "deep", "give a whole number or none"),
        ("features", "sqr", r"known are: log2, sqrt \(did you mean 'sqrt'\?\)"),
        ("n_tree", 5, r"toy has no parameter 'n_tree'; known are: .*did you mean 'n_trees'"),
        ("seed", 5, "toy has no parameter 'seed'"),
        ("note", ["a"], "give a string"),
    ],
)
def test_wrong_name_or_value__is_refused(name: str, given: Any, told: str) -> None:
    with pytest.raises(PluginError, match=told):
        read_parameters(Plugin, {name: given})


def test_parameter_without_annotation__has_the_type_of_its_default() -> None:
    assert read_parameters(Unannotated, {"rate": "2"}) == {"rate": 2.0}


@pytest.mark.parametrize("text", ["C", "=3", ""])
def test_option_that_assigns_nothing__is_refused(text: str) -> None:
    with pytest.raises(PluginError, match="give name=value"):
        parse_assignments([text])


def test_value_with_an_equals_sign__is_kept() -> None:
    assert parse_assignments(["note=a=b"]) == {"note": "a=b"}


def searched(**space: Any) -> type:
    return type("Searched", (Plugin,), {"search_space": space})


def test_search_space__of_ranges_and_choices_is_taken() -> None:
    check_space(searched(n_trees={"low": 5, "high": 20}, rate={"low": 0.01, "high": 1.0, "log": True}, depth={"choices": [None, 3]}))
    check_space(Plugin)


@pytest.mark.parametrize(
    "space, told",
    [
        ({"n_tree": {"low": 1, "high": 20}}, "toy has no parameter 'n_tree'"),
        ({"n_trees": {"low": 20, "high": 5}}, "is no range; give choices, or low below high"),
        ({"n_trees": {"low": 5}}, "is no range"),
        ({"n_trees": {"low": 1, "high": 20, "step": 2}}, "is no range"),
        ({"rate": {"low": 0.0, "high": 1.0, "log": True}}, "above 0 where log is true"),
        ({"n_trees": {"low": 0.5, "high": 20.0}}, "n_trees is 0.5; give a whole number"),
        ({"n_trees": {"low": 20, "high": 50}}, "search_space of toy, n_trees: the default 10 lies outside"),
        ({"features": {"choices": ["log2", "cubic"]}}, "features is 'cubic'"),
        ({"features": {"choices": ["log2"]}}, "the default 'sqrt' lies outside"),
    ],
)
def test_search_space__that_contradicts_the_parameters_is_refused(space: dict[str, Any], told: str) -> None:
    with pytest.raises(PluginError, match=told):
        check_space(searched(**space))
