"""How the things of every room show themselves at a prompt and in a notebook."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_CELL = "text-align:left;padding:.15em 1em .15em 0;vertical-align:top"


def changed_repr(self: "DataclassInstance") -> str:
    """A `__repr__` of dataclasses that says what is not as by default, and can be evaluated.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Window:
    ...     length: int = 400
    ...     shape: str = "hann"
    ...     __repr__ = changed_repr
    >>> Window(), Window(length=512)
    (Window(), Window(length=512))
    """
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed_fields(self).items())})"


def changed_fields(instance: "DataclassInstance") -> dict[str, Any]:
    """The fields of a dataclass that are not as by default."""
    values = ((field, getattr(instance, field.name)) for field in fields(instance))
    return {field.name: value for field, value in values if value != _default(field)}


def _default(field: Any) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def table_html(title: str, rows: Mapping[str, object]) -> str:
    """A title above a table of names and values, for a notebook; needs no style sheet, whatever is in it is text.

    >>> table_html("store", {"clips": "<3"})[-32:]
    '>&lt;3</td></tr></tbody></table>'
    """
    lines = [
        f'<tr><th scope="row" style="{_CELL}">{escape(name)}</th><td style="{_CELL}">{_cell(value)}</td></tr>'
        for name, value in rows.items()
    ]
    return f'<table><caption style="{_CELL};font-weight:bold">{escape(title)}</caption><tbody>{"".join(lines)}</tbody></table>'


def _cell(value: object) -> str:
    return escape(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
