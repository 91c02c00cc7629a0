"""The application that all commands belong to."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

import fastspec
from fastspec.cli import benching, demonstration, featurizing, learning, listing, picturing, reporting, scanning, serving, storing, warming

_CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="fastspec",
    help="Audio corpora to feature arrays, fast; classifiers on them, scored honestly.",
    epilog="Start with: fastspec demo  ·  or with your own folder: fastspec featurize CORPUS -o features.zarr",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fastspec {fastspec.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


app.command("scan")(scanning.scan)
app.command("split")(scanning.split)
app.command("featurize")(featurizing.featurize)
app.command("train")(learning.train)
app.command("evaluate")(learning.evaluate)
app.command("leaderboard")(learning.leaderboard)
app.command("predict")(learning.predict)
app.command("explain")(learning.explain)
app.command("plot")(picturing.plot)
app.command("images")(picturing.images)
app.command("report")(reporting.report)
app.command("serve")(serving.serve)
app.command("bench")(benching.bench)
app.command("doctor")(benching.doctor)
app.command("demo")(demonstration.demo)
app.command("warmup")(warming.warmup)
app.add_typer(listing.preset_app, name="preset")
app.add_typer(listing.plugin_app, name="plugin")
app.add_typer(storing.store_app, name="store")


def build_command() -> Callable[[], None]:
    """The application as it is run. A flag's help does not say that it is a truth value."""
    command = typer.main.get_command(app)
    _hide_types_of_flags(command)
    return command


def _hide_types_of_flags(command: Any) -> None:
    for option in (*command.params, command.get_help_option(typer.Context(command, **_CONTEXT))):
        if getattr(option, "is_flag", False):
            option.metavar = ""
    for child in getattr(command, "commands", {}).values():
        _hide_types_of_flags(child)
