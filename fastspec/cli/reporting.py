"""`fastspec report`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fastspec.cli.output import Json, Quiet, print_json, tell, waiting
from fastspec.cli.parsing import Folds, Seed, Store
from fastspec.errors import LearnError, counted


def report(
    store: Store,
    model: Annotated[Path | None, typer.Argument(help="A trained model, to be scored on clips that it has not learned from.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="F.html", help="The .html to write.", show_default=False)] = ...,  # type: ignore[assignment] # required
    board: Annotated[
        Path | None,
        typer.Option("--board", metavar="F", help="A leaderboard that 'fastspec leaderboard -o' wrote.", show_default=False),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "-m", "--model-name", metavar="NAME", help="Score a classifier by folds for a leaderboard; may be repeated.", show_default=False
        ),
    ] = None,
    folds: Folds = 5,
    seed: Seed = 0,
    corpus: Annotated[
        str | None,
        typer.Option("--corpus", metavar="CORPUS", help="Where the recordings are.  [default: where they were]", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the report that is there.")] = False,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write a store and how good a model is as one HTML file.

    Example: fastspec report sounds.zarr model -o report.html

    It has pictures and sounds, needs no network and runs no script. Where the recordings are gone it has no sounds, and says so.
    """
    from fastspec import learn
    from fastspec.report import check_report, read_board, write_report
    from fastspec.store import open_store

    if board and names:
        raise LearnError("both --board and -m are given; give a leaderboard that there is, or classifiers to score")
    check_report(output, overwrite=overwrite)
    opened = open_store(store)
    bundle = None if model is None else learn.load_bundle(model)
    rows: list[dict[str, Any]] = read_board(board) if board else []
    with waiting("reading the store") as on_step:
        if names:
            scored = learn.leaderboard(opened, names, folds=folds, seed=seed, on_start=lambda name: on_step(f"scoring {name}"))
            rows = [row._asdict() for row in scored]
        on_step("writing the report")
        written = write_report(opened, output, bundle=bundle, board=rows, corpus=corpus, overwrite=overwrite, seed=seed)
    if json:
        print_json("report", [written._asdict() | {"path": str(written.path)}])
        return
    sounds = f"without sounds: {written.silent_because}" if written.silent_because else counted(written.sounds, "sound")
    tell(f"{written.path}: {written.size_bytes / 1e6:.1f} MB, {counted(written.clips, 'clip')}, {sounds}")
