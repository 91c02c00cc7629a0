"""`fastspec train`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastspec.cli.completing import complete_plugins
from fastspec.cli.learning import left_out_of, picture_option, show_decided
from fastspec.cli.output import Json, Quiet, print_json, show, tell, waiting, warn
from fastspec.cli.parsing import Assignments, By, Folds, Seed, Store, Threads, Tune, TuneTime, check_pictured, parse_tuning
from fastspec.errors import counted

if TYPE_CHECKING:
    from fastspec.learn import Aims, Bundle
    from fastspec.learn.training import HeldOut


Classifier = Annotated[
    str,
    typer.Option(
        "-m",
        "--model-name",
        metavar="NAME",
        autocompletion=complete_plugins,
        help="A classifier; see 'fastspec plugin list'.",
        show_default=False,
    ),
]
ModelFolder = Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="The model to write, a folder.", show_default=False)]
AlsoScored = Annotated[bool, typer.Option("--evaluate", help="Score it by folds of whole groups; the model card tells.")]
Calibrate = Annotated[
    str, typer.Option("--calibrate", metavar="METHOD", help="temperature, isotonic or none: make probabilities true on held-out groups.")
]
Cost = Annotated[
    list[str] | None,
    typer.Option("--cost", metavar="CLASS:missed=N,false=M", help="Answer what costs least; may be repeated.", show_default=False),
]
MinRecall = Annotated[
    list[str] | None,
    typer.Option("--min-recall", metavar="CLASS=SHARE", help="A threshold that misses no more; may be repeated.", show_default=False),
]
MinPrecision = Annotated[
    list[str] | None,
    typer.Option("--min-precision", metavar="CLASS=SHARE", help="A threshold that is as often right.", show_default=False),
]
UnknownBelow = Annotated[
    float | None, typer.Option("--unknown-below", metavar="SHARE", help="Answer 'unknown' below that probability.", show_default=False)
]
BelievedPicture = Annotated[Path | None, picture_option("--picture", "A .png, .svg or .pdf of how far probabilities can be believed.")]


def train(
    store: Store,
    model: Classifier,
    output: ModelFolder,
    params: Assignments = None,
    seed: Seed = 0,
    threads: Threads = 1,
    by: By = None,
    scored: AlsoScored = False,
    folds: Folds = 5,
    calibrate: Calibrate = "none",
    cost: Cost = None,
    min_recall: MinRecall = None,
    min_precision: MinPrecision = None,
    unknown_below: UnknownBelow = None,
    tune: Tune = None,
    tune_time: TuneTime = None,
    picture: BelievedPicture = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Train a classifier on a store.

    Example: fastspec train sounds.zarr -m lightgbm -o model

    Few missed: fastspec train sounds.zarr -m svm -o model --min-recall cat=0.9

    Tuned: fastspec train sounds.zarr -m lightgbm -o model --tune 50

    The model's folder holds all that prediction needs: recipe, classes, decisions, versions; its README.md tells about it. Test clips of
    a given split are held out.
    """
    from fastspec.learn.bundle import check_absent
    from fastspec.learn.parameters import parse_assignments
    from fastspec.learn.recordings import check_by
    from fastspec.learn.training import train as fit
    from fastspec.store import open_store

    check_absent(output)
    check_pictured(picture)
    aims = _aims(calibrate, cost, min_recall=min_recall, min_precision=min_precision, unknown_below=unknown_below)
    told: list[HeldOut] = []
    with waiting(f"training {model}"):
        bundle = fit(
            open_store(store),
            model,
            params=parse_assignments(params or []),
            seed=seed,
            threads=threads,
            by=check_by(by),
            aims=aims,
            folds=folds if scored or picture or aims.need_held_out else None,
            on_held_out=told.append,
            tuning=parse_tuning(tune, tune_time),
        )
    bundle.save(output)
    _draw_reliability(told, bundle, picture)
    _report(bundle, store, output=output, held_out=told, json=json)


def _aims(
    calibrate: str, cost: list[str] | None, *, min_recall: list[str] | None, min_precision: list[str] | None, unknown_below: float | None
) -> "Aims":
    """What the options say that answers should be like."""
    from fastspec.learn import Aims
    from fastspec.learn.decisions import parse_cost, parse_share

    return Aims(
        calibrate=None if calibrate == "none" else calibrate,  # type: ignore[arg-type] # a wrong word is told with the right ones
        costs=dict(map(parse_cost, cost or [])),
        min_recall=dict(map(parse_share, min_recall or [])),
        min_precision=dict(map(parse_share, min_precision or [])),
        unknown_below=unknown_below,
    )


def _report(bundle: "Bundle", store: str, *, output: Path, held_out: list["HeldOut"], json: bool) -> None:
    """What was trained, for machines or for people."""
    if json:
        print_json("train", [{"store": store, "output": str(output)} | _trained_row(bundle)])
    else:
        _show_trained(bundle, output, held_out=held_out)


def _show_trained(bundle: "Bundle", output: Path, *, held_out: list["HeldOut"]) -> None:
    """What was trained, on what it is built, and what held-out groups say about it."""
    what = f"{counted(bundle.n_clips, 'clip')} of {counted(len(bundle.classes), 'class', 'classes')}"
    tell(f"{output}: {bundle.plugin.name} trained on {what}{left_out_of(bundle.left_out)}")
    if bundle.tuned is not None:
        tell(f"chosen by {counted(bundle.tuned.trials, 'trial')}: {bundle.tuned.describe()}")
    for credit in bundle.model.credits():
        tell(f"built on {credit}")
    for scores in held_out:
        _show_held_out(scores, bundle)


def _trained_row(bundle: "Bundle") -> dict[str, Any]:
    """What a model is, and its scores on held-out groups where they were asked for."""
    return {
        "model": bundle.plugin.name,
        "classes": bundle.classes,
        "clips": bundle.n_clips,
        "left_out": bundle.left_out,
        "params": bundle.model.params(),
        "tuned": None if bundle.tuned is None else bundle.tuned._asdict(),
        "built_on": bundle.model.credits(),
        "by": bundle.by,
        "decisions": bundle.decisions.to_dict(),
        "metrics": bundle.metrics,
        "digest": bundle.recipe.digest(),
    }


def _show_held_out(held_out: "HeldOut", bundle: "Bundle") -> None:
    """What held-out groups say about the model, and about its answers where they are not just the likeliest class."""
    from fastspec.learn.ranking import leaderboard_row
    from fastspec.report import leaderboard_table

    before, result = held_out.raw.scores.log_loss, held_out.calibrated
    show("", leaderboard_table([leaderboard_row(result)._asdict()]))
    if result.scores.log_loss > before:
        told = f"log-loss {result.scores.log_loss:.3f} on groups that the calibration had not met, {before:.3f} without it"
        warn(f"fastspec: calibrated, the probabilities are worse: {told}; train again without --calibrate, or with more groups")
    show_decided(result, bundle)


def _draw_reliability(held_out: list["HeldOut"], bundle: "Bundle", picture: Path | None) -> None:
    """The picture, where one is asked for."""
    if picture is None:
        return
    from fastspec.report import plot_reliability, save_picture

    for raw, calibrated in held_out:
        curves = {"as the model says": raw.probabilities}
        if bundle.decisions.calibration is not None:
            curves["calibrated"] = calibrated.probabilities
        save_picture(plot_reliability(raw.labels, curves, title=f"{raw.model} on groups that it had not met"), picture)
