"""How commands print: rich tables on a terminal, plain text elsewhere, one JSON object on request."""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

import fastspec

if TYPE_CHECKING:
    from fastspec.spec import FeatureSpec

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def show(*things: Any, stderr: bool = False) -> None:
    """Print texts and tables. Lines of text are left whole, so that paths can be copied."""
    from fastspec.cli.console import SafeConsole

    console = SafeConsole(stderr=stderr, highlight=False)
    for thing in things:
        console.print(thing, markup=False, soft_wrap=True) if isinstance(thing, str) else console.print(thing)


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Say on a terminal what takes so long; the yielded function changes it. Elsewhere nothing is printed."""
    if not sys.stderr.isatty():
        yield lambda _what: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(what)) as status:
        yield lambda what: status.update(escape(what))


def print_json(command: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print `{command, version, rows}`; numbers that JSON does not have become null."""
    typer.echo(as_json(command, rows))


def as_json(command: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """What `print_json` prints."""
    document = {"command": command, "version": fastspec.__version__, "rows": [_plain(row) for row in rows]}
    return json.dumps(document, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def format_parts(spec: "FeatureSpec") -> str:
    """Where each part of a spec's bands stands.

    >>> from fastspec.spec import FeatureSpec
    >>> format_parts(FeatureSpec(features=("mel", "rms"), deltas=1))
    '162 bands: mel 0 to 79, mel_delta 80 to 159, rms 160, rms_delta 161'
    """
    places = [f"{name} {p.start}" + (f" to {p.stop - 1}" if p.stop - p.start > 1 else "") for name, p in spec.parts().items()]
    return f"{spec.n_bands} bands: {', '.join(places)}"


def format_bytes(count: float) -> str:
    """Bytes in binary units, as disks and memory are given.

    >>> format_bytes(1536), format_bytes(3 << 30)
    ('1.5 KiB', '3.0 GiB')
    """
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TiB"


def format_duration(seconds: float) -> str:
    """A stretch of time in the two units that matter.

    >>> format_duration(3.21), format_duration(75), format_duration(7300)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
