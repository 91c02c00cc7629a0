"""The command line: a thin face over the rooms. Each command parses, calls one function and prints; rooms are imported when one runs."""

import os
import sys
from typing import Any


def main() -> None:
    """Run the command line.

    A user's mistake is one line on standard error and exit code 2, a negative answer is 1, Ctrl-C is 130. Who reads no further, as in
    `fastspec … | head`, is told nothing.
    """
    _open_streams()
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        code = _fail("", 1)
    except OSError as error:  # a full disk, a name too long, a folder that went away: nothing that a traceback explains
        where = f" ({error.filename})" if error.filename else ""
        code = _fail(f"{error.strerror or error}{where}; what was finished until then is kept", 2)
    sys.exit(code)


def _run() -> int:
    """The command's exit code."""
    from fastspec.errors import FastspecError

    try:
        _check_names(sys.argv[1:])
        from fastspec.cli.app import build_command

        code = build_command().main(prog_name="fastspec", standalone_mode=False)
    except FastspecError as error:
        from fastspec.cli.wording import as_typed

        return _fail(as_typed(str(error), sys.argv[1:]), error.exit_code)
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if not hasattr(error, "format_message"):  # of typer, about how it was called
            raise
        return _explain_usage(error)
    return _fail("interrupted", 130) if code == 130 else code or 0


def _check_names(arguments: list[str]) -> None:
    """Recordings may have names that are no text; outputs and all else may not, for they are written into files and web pages."""
    from fastspec.errors import FastspecError

    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            if not os.path.lexists(argument):
                raise FastspecError(f"{argument!r} is no text in UTF-8, nor the name of something that is there; give another") from None


def _explain_usage(error: Any) -> int:
    message, context = error.format_message().strip().replace("Value error, ", ""), getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{message}\n")
        return 2
    help_of = context.command_path if context else "fastspec"
    return _fail(f"{message[:1].lower()}{message[1:].rstrip('.')}; see '{help_of} --help'", 2)


def _fail(message: str, code: int) -> int:
    """Say on one line what went wrong, if anything is to be said; nothing is left to be printed at exit, where it might fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if message:
        from fastspec.errors import printable

        print(f"fastspec: {printable(' '.join(message.split()))}", file=sys.stderr)  # noqa: T201
    return code


def _open_streams() -> None:
    """Output that was closed is swallowed; what its encoding lacks, or a name that is no text, is escaped."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
