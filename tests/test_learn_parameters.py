"""Hyper-parameters are checked by name and type before anything is fitted."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from fastspec.errors import PluginError
from fastspec.learn.parameters import parse_assignments, read_parameters


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
