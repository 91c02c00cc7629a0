"""What the fields of a spec or a clip policy may hold, read from their annotations."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_origin

from fastspec.errors import SpecError, choices

ARTICLES = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


def field_names(*classes: type) -> list[str]:
    """The fields of dataclasses, in order."""
    return [f.name for cls in classes for f in fields(cls)]


def check_names(given: Mapping[str, Any], *classes: type) -> None:
    """Raise SpecError for the first name that is no field of the classes."""
    allowed = field_names(*classes)
    for name in given:
        if name not in allowed:
            raise SpecError(f"unknown field {name!r}; {choices(name, allowed)}")


def field_kinds(annotation: Any) -> tuple[Any, ...]:
    """The types that a field takes; a Literal stands for its values."""
    return tuple(
        k for part in get_args(annotation) or (annotation,) for k in ((part,) if isinstance(part, type) else get_args(part) or (part,))
    )


def check_types(thing: Any) -> None:
    """Each field holds a value of its annotation; whole numbers become floats where a float is meant, so that digests agree."""
    for f in fields(thing):
        value, kinds = getattr(thing, f.name), field_kinds(f.type)
        words = [k for k in kinds if isinstance(k, str)]
        if is_list(f.type):
            object.__setattr__(thing, f.name, _as_words(f.name, value, words))
        elif value is None and type(None) in kinds:
            continue
        elif words:
            if value not in words:
                raise SpecError(f"{f.name} is {value!r}; {choices(str(value), words)}")
        elif float in kinds and isinstance(value, int | float) and not isinstance(value, bool):
            if value != value or value in (float("inf"), float("-inf")):
                raise SpecError(f"{f.name} is {value}; give a finite number")
            object.__setattr__(thing, f.name, float(value))
        elif not any(type(value) is k for k in kinds):
            wanted = " or ".join(ARTICLES[k] for k in kinds if k in ARTICLES)
            raise SpecError(f"{f.name} is {value!r}; give {wanted}")


def is_list(annotation: Any) -> bool:
    """Whether a field holds several values."""
    return get_origin(annotation) is tuple


def _as_words(name: str, value: Any, words: list[str]) -> tuple[str, ...]:
    """One word or several as a tuple, so that digests agree."""
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise SpecError(f"{name} is {value!r}; give a name or a list of names")
    for word in given:
        if word not in words:
            raise SpecError(f"{name} has {word!r}; {choices(str(word), words)}")
    return tuple(given)
