"""The command line: a thin face over the rooms. Each command parses, calls one function and prints; rooms are imported when one runs."""

import sys


def main() -> None:
    """Run the command line. A user's mistake is one line on standard error and exit code 2, a negative answer is 1, Ctrl-C is 130."""
    from fastspec.cli.app import build_command
    from fastspec.errors import FastspecError, printable

    try:
        build_command()()
    except FastspecError as error:
        print(f"fastspec: {printable(' '.join(str(error).split()))}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `fastspec … | head`
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a full disk, a name too long, a folder that went away: nothing that a traceback explains
        where = f" ({error.filename})" if error.filename else ""
        print(f"fastspec: {error.strerror or error}{where}; what was finished until then is kept", file=sys.stderr)  # noqa: T201
        sys.exit(2)
