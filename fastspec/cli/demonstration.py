"""`fastspec demo`."""

from pathlib import Path
from typing import Annotated

import typer

from fastspec.cli.output import Json, Quiet, print_json, tell
from fastspec.cli.parsing import Workers


def demo(
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", metavar="DIR", help="A folder of your own, with a sub-folder for each class.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where everything is written.")] = Path("out/demo"),
    workers: Workers = 2,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Run the main job on real recordings, from features to pictures.

    Example: fastspec demo

    Three classifiers, an honest comparison, predictions. The recordings are two casts of actors in a game, fetched once by package
    name: who hears one cast, does he know the other?
    """
    from fastspec.demo.tour import run_tour

    written = run_tour(output, corpus=corpus, workers=workers, show=_say_nothing if json else tell)
    if json:
        print_json("demo", [{"output": str(path), "what": what} for path, what in written])


def _say_nothing(*_things: object) -> None:
    pass
