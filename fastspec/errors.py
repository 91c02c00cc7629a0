"""One small tree of exceptions. Every message says what was given, what is allowed and what to do.

The command line prints the message of a `FastspecError` on one line and exits with its `exit_code`; anything else is a bug
and shows its traceback.
"""

from collections.abc import Iterable
from difflib import get_close_matches

# C0 and C1, but for tab and line feed.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


class FastspecError(Exception):
    """Base of every error that a user can cause and can mend."""

    exit_code = 2


class SpecError(FastspecError, ValueError):
    """A recipe that cannot be computed: unknown field, impossible setting, unknown preset."""


class SamplesError(FastspecError, ValueError):
    """Samples that a front end cannot take: wrong shape, dtype, rate or no samples at all."""


class CorpusError(FastspecError):
    """A corpus that cannot be read: nothing there, no audio in it, a broken table, an unsafe archive."""


class StoreError(FastspecError):
    """A feature store that cannot be created, resumed or opened."""


class PluginError(FastspecError):
    """A classifier plugin that is unknown, broken, or given a parameter it does not have."""


class LearnError(FastspecError):
    """Data that cannot be learned from, or a bundle that cannot be trusted or does not fit."""


class WorkerError(FastspecError):
    """A scheduler or worker that cannot do its part: not there, other versions, ended in the middle."""


class RunFailed(FastspecError):
    """The command ran and its own answer is negative: every clip failed, damage was found."""

    exit_code = 1


class Interrupted(FastspecError):
    """Ctrl-C, with what is left behind and how to go on."""

    exit_code = 130


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "clip"), counted(2000, "clip"), counted(2, "class", "classes")
    ('1 clip', '2,000 clips', '2 classes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def brief(text: str, *, most: int = 500) -> str:
    """A text as a message shows it: of a long one the beginning and the end.

    >>> brief("a path"), brief("a very long path", most=8)
    ('a path', 'a ve…path')
    """
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2) :]}"


def printable(text: str) -> str:
    r"""A text with the characters made visible that would colour, overwrite or rename a terminal.

    >>> printable("\x1b[2Jcat\n")
    '\\x1b[2Jcat\n'
    """
    return text.translate(_CONTROLS)


def choices(given: str, allowed: Iterable[str]) -> str:
    """The tail of an error about one name out of several: what is allowed, and the nearest of them.

    >>> choices("whispr", ["kaldi", "whisper"])
    "known are: kaldi, whisper (did you mean 'whisper'?)"
    """
    names = sorted(allowed)
    near = get_close_matches(given, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"known are: {brief(', '.join(names), most=2000)}{hint}"
