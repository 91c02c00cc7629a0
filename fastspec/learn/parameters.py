"""A plugin's hyper-parameters: its keyword-only constructor arguments, read from JSON values or from `name=text`."""

import inspect
import math
from collections.abc import Mapping
from types import NoneType
from typing import Any, get_args

from fastspec.errors import PluginError, choices

# For each hyper-parameter {"low": …, "high": …, "log": …} or {"choices": […]}: data that JSON can hold.
Space = Mapping[str, Mapping[str, Any]]

_RUN_ARGUMENTS = ("seed", "threads")
_ARTICLES = {NoneType: "none", bool: "true or false", int: "a whole number", float: "a finite number", str: "a string"}


def hyper_parameters(plugin: type) -> dict[str, inspect.Parameter]:
    """The hyper-parameters of a plugin class: every constructor argument but `seed` and `threads`."""
    arguments = inspect.signature(plugin, eval_str=True).parameters
    return {name: argument for name, argument in arguments.items() if name not in _RUN_ARGUMENTS}


def read_parameters(plugin: type, params: Mapping[str, Any]) -> dict[str, Any]:
    """`params` checked against the plugin's hyper-parameters; texts are read as the type that each one has.

    Raises:
        PluginError: a name that the plugin does not have, or a value of the wrong type.
    """
    known = hyper_parameters(plugin)
    label = getattr(plugin, "name", plugin.__name__)
    for name in params:
        if name not in known:
            raise PluginError(f"{label} has no parameter {name!r}; {choices(name, known)}")
    return {name: _read_value(f"{label} parameter {name}", value, _annotation(known[name])) for name, value in params.items()}


def check_space(plugin: type) -> None:
    """That a plugin's `search_space` is sound: known names, values of the parameter's type, limits in order, the default inside.

    Raises:
        PluginError: what is not.
    """
    space: Space = getattr(plugin, "search_space", {})
    for name, entry in space.items():
        where = f"search_space of {getattr(plugin, 'name', plugin.__name__)}, {name}"
        values = entry["choices"] if set(entry) == {"choices"} else _limits(where, entry)
        for value in values:
            read_parameters(plugin, {name: value})
        default = hyper_parameters(plugin)[name].default
        if not (default in values if "choices" in entry else values[0] <= default <= values[1]):
            raise PluginError(f"{where}: the default {default!r} lies outside {dict(entry)!r}; widen that")


def _limits(where: str, entry: Mapping[str, Any]) -> list[Any]:
    low: Any = entry.get("low")
    high: Any = entry.get("high")
    numbers = type(low) in (int, float) and type(low) is type(high)
    if not (numbers and set(entry) <= {"low", "high", "log"} and low < high and (low > 0 or not entry.get("log"))):
        raise PluginError(f"{where}: {dict(entry)!r} is no range; give choices, or low below high (above 0 where log is true)")
    return [low, high]


def parse_assignments(assignments: list[str]) -> dict[str, str]:
    """The names and texts of `-p name=text` options.

    >>> parse_assignments(["C=0.1", "pool=flatten"])
    {'C': '0.1', 'pool': 'flatten'}
    """
    parts = [text.partition("=") for text in assignments]
    for text, (name, equals, _) in zip(assignments, parts, strict=True):
        if not name or not equals:
            raise PluginError(f"parameter {text!r} is not an assignment; give name=value, as in -p pool=flatten")
    return {name: value for name, _, value in parts}


def _annotation(argument: inspect.Parameter) -> Any:
    return type(argument.default) if argument.annotation is inspect.Parameter.empty else argument.annotation


def _read_value(where: str, value: Any, annotation: Any) -> Any:
    """`value` as the annotation has it; a text is parsed unless the annotation takes strings."""
    parts = [part for option in get_args(annotation) or (annotation,) for part in get_args(option) or (option,)]
    words = [part for part in parts if isinstance(part, str)]
    kinds = [part for part in parts if isinstance(part, type)]
    if value in words:
        return value
    if isinstance(value, str) and str not in kinds:
        value = _parse(value, kinds)
    if float in kinds and type(value) is int:
        value = float(value)
    if type(value) in kinds and (type(value) is not float or math.isfinite(value)):
        return value
    if words:
        raise PluginError(f"{where} is {value!r}; {choices(str(value), words)}")
    raise PluginError(f"{where} is {value!r}; give {' or '.join(_ARTICLES.get(kind, kind.__name__) for kind in kinds)}")


def _parse(text: str, kinds: list[type]) -> Any:
    """The first reading of `text` that one of `kinds` allows; the text itself where none does."""
    word = {"none": (NoneType, None), "true": (bool, True), "false": (bool, False)}.get(text.lower())
    if word and word[0] in kinds:
        return word[1]
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    return text
