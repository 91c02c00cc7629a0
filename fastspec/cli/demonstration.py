"""`fastspec demo`."""

from pathlib import Path
from typing import Annotated

import typer

from fastspec.cli.output import show
from fastspec.cli.parsing import Workers


def demo(
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="A folder of your own, with a sub-folder for each class.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where everything is written.")] = Path("out/demo"),
    workers: Workers = 2,
) -> None:
    """Run the main job on real recordings: features, three classifiers, an honest comparison, predictions, pictures.

    Example: fastspec demo

    The recordings are two casts of actors in a game, fetched once by package name: who hears one cast, does he know the other?
    """
    from fastspec.demo.tour import run_tour

    run_tour(output, corpus=corpus, workers=workers, show=show)
