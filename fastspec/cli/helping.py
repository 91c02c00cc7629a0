"""What `--help` prints: one line a command, options under headings, and examples that can be copied."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

_WIDEST = 100
_TERM = 24
_INDENT = "  "

# A command with more options than this has them under headings; so has every command that comes later, for these go by name.
_FEW = 8
_OPTIONS, _OUTPUT = "Options", "Output"
_HEADINGS = {
    "Corpus": ("--label-from", "--group-from", "--column"),
    "Features": ("--preset", "--spec", "--set", "--dtype", "--compression"),
    "Clips": ("--clip", "--window", "--hop", "--channel", "--start", "--duration"),
    "Evaluation": ("--by", "--evaluate", "--folds", "--test", "--repeats", "--seed", "--confusion", "--roc", "--reliability"),
    "Decisions": ("--calibrate", "--cost", "--min-recall", "--min-precision", "--unknown-below"),
    "Picture": ("--waveform", "--time", "--frequency", "--colormap", "--range", "--relative", "--size", "--axes", "--title", "--each"),
    "Run": (
        *("--workers", "--threads", "--scheduler", "--memory", "--resume", "--overwrite", "--plan"),
        *("--on-error", "--max-failed", "--isolate", "--timeout"),
    ),
    _OUTPUT: ("--profile", "--json", "--quiet", "--help"),
}
_HEADING_OF = {option: heading for heading, options in _HEADINGS.items() for option in options}


def format_help(command: Any, context: Any) -> str:
    """The help of a command or a group, as wide as the terminal but no wider than can be read."""
    console = Console(highlight=False)
    width = min(console.width, _WIDEST)
    with console.capture() as capture:
        for line in _lines(command, context, width):
            console.print(line, soft_wrap=True)
    return capture.get()


def _lines(command: Any, context: Any, width: int) -> Iterator[Text]:
    shown = [param for param in command.get_params(context) if not getattr(param, "hidden", False)]
    arguments = [param for param in shown if param.param_type_name == "argument"]
    options = sorted((param for param in shown if param.param_type_name == "option"), key=lambda option: not option.required)
    commands = getattr(command, "commands", {})
    usage = [context.command_path, *map(_argument, arguments), "[OPTIONS]", *(["COMMAND"] if commands else [])]
    yield Text.assemble(("Usage: ", "bold"), " ".join(usage))
    for paragraph in (command.help or "").split("\n\n"):
        yield Text()
        yield from _wrap(paragraph, width)
    children = [(name, _first_paragraph(child)) for name, child in commands.items() if not child.hidden]
    yield from _table("Commands", children, _column(children), width)
    tables = {"Arguments": [(_argument(argument), argument.help or "") for argument in arguments]}
    for heading, below in _by_heading(options).items():
        tables[heading] = [(_option(option), _description(option)) for option in below]
    column = _column(row for rows in tables.values() for row in rows)
    for heading, rows in tables.items():
        yield from _table(heading, rows, column, width)
    for paragraph in (command.epilog or "").split("\n\n"):
        yield Text()
        yield from _wrap(paragraph, width)


def _by_heading(options: list[Any]) -> dict[str, list[Any]]:
    """Options in the order of the headings; what is the command's own, and what it requires, comes first."""
    if len(options) <= _FEW:
        return {_OPTIONS: options}
    found = {heading: list[Any]() for heading in (_OPTIONS, *_HEADINGS)}
    for option in options:
        known = [_HEADING_OF[name] for name in option.opts if name in _HEADING_OF]
        heading = option.rich_help_panel or (known[0] if known and not option.required else _OPTIONS)
        found[heading].append(option)
    return found


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    several = "..." if argument.nargs != 1 and not name.endswith("...") else ""
    return f"{name}{several}" if argument.required else f"[{name}{several}]"


def _option(option: Any) -> str:
    names = sorted((*option.opts, *option.secondary_opts), key=lambda name: name.startswith("--"))
    indent = "" if len(names[0]) == 2 else "    "
    return f"{indent}{', '.join(names)}{'' if option.is_flag else f' {option.metavar or option.name.upper()}'}"


def _description(option: Any) -> str:
    """What an option is for, whether it must be given, and what it is otherwise."""
    if option.required:
        return f"{option.help}  [required]"
    told = option.show_default and option.default is not None and not option.is_flag
    return f"{option.help or ''}  [default: {option.default}]" if told else option.help or ""


def _first_paragraph(command: Any) -> str:
    return (command.help or "").partition("\n\n")[0]


def _column(rows: Iterable[tuple[str, str]]) -> int:
    return min(_TERM, max((len(term) for term, _ in rows), default=0))


def _table(heading: str, rows: list[tuple[str, str]], column: int, width: int) -> Iterator[Text]:
    """Terms, and beside each what it is; below it where the term is too long for that."""
    if not rows:
        return
    yield Text()
    yield Text(heading, "bold")
    margin = " " * (column + 2 * len(_INDENT))
    for term, description in rows:
        described = textwrap.wrap(" ".join(description.split()), width - len(margin), break_on_hyphens=False)
        beside = len(term) <= column
        first = described.pop(0) if beside and described else ""
        yield _dim_brackets(Text.assemble(_INDENT, (term.ljust(column if first else 0), "cyan"), _INDENT if first else "", first))
        yield from (_dim_brackets(Text(f"{margin}{line}")) for line in described)


def _dim_brackets(line: Text) -> Text:
    line.highlight_regex(r"\[(default|required)[^\]]*\]?$", "dim")
    return line


def _wrap(paragraph: str, width: int) -> Iterator[Text]:
    """A paragraph; commands to copy stay whole where they fit."""
    for line in textwrap.wrap(" ".join(paragraph.split()), width, break_on_hyphens=False):
        text = Text(line)
        text.highlight_regex(r"(?<=: )fastspec .*", "cyan")
        yield text
