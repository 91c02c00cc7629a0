"""The application that all commands belong to."""

from typing import Annotated, Any

import typer

import fastspec
from fastspec.cli import (
    benching,
    demonstration,
    featurizing,
    learning,
    listing,
    picturing,
    predicting,
    reporting,
    scanning,
    serving,
    storing,
    training,
    warming,
)
from fastspec.cli.helping import format_help

_EPILOG = """Start with: fastspec demo

With your own folder: fastspec featurize sounds/ -o sounds.zarr

Exit codes: 0 done; 1 the command's own negative answer, such as damage or no clip that could be read; 2 wrong usage or input; 130
interrupted. What goes wrong is one line on standard error."""

app = typer.Typer(
    name="fastspec",
    help="Audio corpora to feature arrays, fast; classifiers on them, scored honestly.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
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
app.command("train")(training.train)
app.command("evaluate")(learning.evaluate)
app.command("leaderboard")(learning.leaderboard)
app.command("predict")(predicting.predict)
app.command("explain")(predicting.explain)
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


def build_command() -> Any:
    """The application as it is run: with help of our own."""
    command = typer.main.get_command(app)
    _give_help(command)
    return command


def _give_help(command: Any) -> None:
    command.format_help = lambda context, formatter: formatter.write(format_help(command, context))
    for child in getattr(command, "commands", {}).values():
        _give_help(child)
