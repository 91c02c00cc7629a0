"""How commands print: rich tables on a terminal, plain text elsewhere, one JSON object on request."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Annotated, Any

import typer

import fastspec

if TYPE_CHECKING:
    from fastspec.spec import FeatureSpec

_quiet = ContextVar("quiet", default=False)


def _be_quiet(wanted: bool) -> bool:
    _quiet.set(wanted)
    return wanted


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", callback=_be_quiet, expose_value=False, help="Print nothing but the answer and errors."),
]


def show(*things: Any) -> None:
    """Print texts and tables: the answer that a command is asked for. Lines of text are left whole, so that paths can be copied."""
    _print(things, stderr=False)


def tell(*things: Any) -> None:
    """Print what a command has done, beside or instead of an answer; `--quiet` silences it."""
    if not _quiet.get():
        _print(things, stderr=False)


def warn(text: str) -> None:
    """Print a line on standard error that is neither an answer nor the end of the command; `--quiet` silences it."""
    if not _quiet.get():
        _print([text], stderr=True)


def _print(things: Iterable[Any], *, stderr: bool) -> None:
    from fastspec.cli.console import SafeConsole

    console = SafeConsole(stderr=stderr, highlight=False)
    for thing in things:
        console.print(thing, markup=False, soft_wrap=True) if isinstance(thing, str) else console.print(thing)


def is_watched() -> bool:
    """Whether somebody sees what moves on standard error, and wants to."""
    return not _quiet.get() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Say on a terminal what takes so long; the yielded function changes it. Elsewhere nothing is printed."""
    if not is_watched():
        yield lambda _what: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(escape(what)) as status:
        yield lambda what: status.update(escape(what))


def print_json(command: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print `{command, version, rows}`; numbers that JSON does not have become null."""
    text = as_json(command, rows)
    spoken = (sys.stdout.encoding or "").lower().startswith("utf")
    typer.echo(text if spoken else json.dumps(json.loads(text)))


def as_json(command: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """What `print_json` prints."""
    document = {"command": command, "version": fastspec.__version__, "rows": [_plain(row) for row in rows]}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()  # a name that is no text: its lone surrogates as JSON writes them


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
