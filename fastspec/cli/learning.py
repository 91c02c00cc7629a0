"""`fastspec train`, `evaluate` and `leaderboard`."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastspec.cli.completing import complete_plugins
from fastspec.cli.output import Json, Quiet, print_json, show, tell, waiting, warn
from fastspec.cli.parsing import Assignments, By, Folds, Repeats, Seed, Store, Threads, check_pictured
from fastspec.cli.predicting import show_answers
from fastspec.errors import LearnError, counted

if TYPE_CHECKING:
    from fastspec.learn import Aims, Bundle, Dataset, Evaluation
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
Scored = Annotated[
    str | None,
    typer.Option(
        "-m", "--model-name", metavar="NAME", autocompletion=complete_plugins, help="A classifier, scored by folds.", show_default=False
    ),
]
Compared = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--model-name",
        metavar="NAME",
        autocompletion=complete_plugins,
        help="A classifier; may be repeated.  [default: all]",
        show_default=False,
    ),
]
Trained = Annotated[
    Path | None, typer.Option("--model", metavar="MODEL", help="A trained model, scored on other clips.", show_default=False)
]
ModelFolder = Annotated[Path, typer.Option("-o", "--output", metavar="MODEL", help="The model to write, a folder.", show_default=False)]
Board = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="F", help="A .parquet for the rows; finished scores are kept in OUTPUT.cells.", show_default=False
    ),
]
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


def _picture(flag: str, what: str) -> Any:
    """An option for a picture of something."""
    return typer.Option(flag, metavar="F.png", help=what, show_default=False)


BelievedPicture = Annotated[Path | None, _picture("--picture", "A .png, .svg or .pdf of how far probabilities can be believed.")]
BoardPicture = Annotated[Path | None, _picture("--picture", "A .png, .svg or .pdf of the scores.")]
Confusion = Annotated[Path | None, _picture("--confusion", "A .png, .svg or .pdf of what is taken for what.")]
Roc = Annotated[Path | None, _picture("--roc", "One of ROC curves, each class against the rest.")]
Reliability = Annotated[Path | None, _picture("--reliability", "One of how far probabilities can be believed.")]


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
    picture: BelievedPicture = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Train a classifier on a store.

    Example: fastspec train sounds.zarr -m lightgbm -o model

    Few missed: fastspec train sounds.zarr -m svm -o model --min-recall cat=0.9

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
        )
    bundle.save(output)
    held_out = told[0] if told else None
    if held_out is not None and picture:
        _draw_reliability(held_out, bundle, picture)
    if json:
        print_json("train", [{"store": store, "output": str(output)} | _trained_row(bundle)])
    else:
        _show_trained(bundle, held_out, output)


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


def _show_trained(bundle: "Bundle", held_out: "HeldOut | None", output: Path) -> None:
    """What was trained, on what it is built, and what held-out groups say about it."""
    what = f"{counted(bundle.n_clips, 'clip')} of {counted(len(bundle.classes), 'class', 'classes')}"
    tell(f"{output}: {bundle.plugin.name} trained on {what}{_left_out(bundle.left_out)}")
    for credit in bundle.model.credits():
        tell(f"built on {credit}")
    if held_out is not None:
        _show_held_out(held_out, bundle)


def _trained_row(bundle: "Bundle") -> dict[str, Any]:
    """What a model is, and its scores on held-out groups where they were asked for."""
    return {
        "model": bundle.plugin.name,
        "classes": bundle.classes,
        "clips": bundle.n_clips,
        "left_out": bundle.left_out,
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
    _show_decided(result, bundle)


def _show_decided(result: "Evaluation", bundle: "Bundle") -> None:
    """The model's answers, where they are decided and not just the likeliest class, whose scores are above."""
    if not bundle.decisions.change_nothing:
        answers = bundle.decisions.answer(result.probabilities, bundle.classes)
        actual = [bundle.classes[label] for label in result.labels]
        right = sum(map(eq, answers, actual)) / len(actual)
        show("", f"the likeliest class is right for {result.scores.accuracy:.1%} (accuracy, above), the model's answers for {right:.1%}:")
        show_answers(Counter(zip(actual, answers, strict=True)), bundle.classes)


def _draw_reliability(held_out: "HeldOut", bundle: "Bundle", picture: Path) -> None:
    from fastspec.report import plot_reliability, save_picture

    curves = {"as the model says": held_out.raw.probabilities}
    if bundle.decisions.calibration is not None:
        curves["calibrated"] = held_out.calibrated.probabilities
    title = f"{held_out.raw.model} on groups that it had not met"
    save_picture(plot_reliability(held_out.raw.labels, curves, title=title), picture)


def evaluate(
    store: Store,
    name: Scored = None,
    model: Trained = None,
    params: Assignments = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    threads: Threads = 1,
    by: By = None,
    confusion: Confusion = None,
    roc: Roc = None,
    reliability: Reliability = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Score a classifier on groups that it has never met.

    Example: fastspec evaluate sounds.zarr -m logistic --folds 5

    A trained model on other clips: fastspec evaluate other.zarr --model model

    A 'split' column of the corpus is used instead of folds. Below each score stands its 95 % interval over groups; below the model stand
    what headers alone tell (length, sample rate, channels), and the best that one answer for all clips can do.
    """
    from fastspec import learn
    from fastspec.learn.baseline import BASELINES
    from fastspec.learn.parameters import parse_assignments
    from fastspec.learn.recordings import check_by
    from fastspec.store import open_store

    if (name is None) == (model is None):
        raise LearnError("give either -m NAME, a classifier to score by folds, or --model MODEL, a trained one")
    unit = check_by(by)
    for picture in (confusion, roc, reliability):
        check_pictured(picture)
    opened = open_store(store)
    if model is not None:
        bundle = learn.load_bundle(model, threads=threads)
        with waiting(f"scoring {model}"):
            result = learn.evaluate_model(opened, bundle, seed=seed, by=unit)
        baselines = [learn.majority_beside(result, seed=seed)]
    else:
        assert name is not None
        bundle = None
        settings = parse_assignments(params or [])
        learn.load_plugin(name).from_params(settings)  # a mistake is told before the features are read
        score = partial(learn.evaluate, learn.Dataset.from_store(opened), folds=folds, repeats=repeats, seed=seed, threads=threads, by=unit)
        with waiting(f"scoring {name}"):
            result = score(name, params=settings)
            baselines = [score(baseline) for baseline in reversed(BASELINES)]
    _draw_evaluation(result, confusion=confusion, roc=roc, reliability=reliability, seed=seed)
    if json:
        print_json("evaluate", [evaluation.to_dict() for evaluation in (result, *baselines)])
    else:
        _show_evaluation(result, baselines)
        if bundle is not None:
            _show_decided(result, bundle)


def _draw_evaluation(result: "Evaluation", *, confusion: Path | None, roc: Path | None, reliability: Path | None, seed: int) -> None:
    """The pictures that were asked for."""
    if not (confusion or roc or reliability):
        return
    from fastspec import report
    from fastspec.learn.metrics import class_areas

    title = f"{result.model} on {Path(result.store).name}"
    if confusion:
        report.save_picture(report.plot_confusion(result.scores.confusion, result.classes, title=title), confusion)
    if roc:
        areas = class_areas(result.labels, result.probabilities, groups=result.groups, seed=seed)
        report.save_picture(report.plot_roc(result.labels, result.probabilities, result.classes, areas=areas, title=title), roc)
    if reliability:
        curves = {"as the model says": result.probabilities}
        report.save_picture(report.plot_reliability(result.labels, curves, title=title), reliability)


def _show_evaluation(result: "Evaluation", baselines: list["Evaluation"]) -> None:
    """Headline scores, scores of each class, and what is taken for what."""
    from fastspec.learn.ranking import leaderboard_row
    from fastspec.report import confusion_table, leaderboard_table, scores_table

    show(leaderboard_table(leaderboard_row(evaluation)._asdict() for evaluation in (result, *baselines)), "")
    show(scores_table(result.per_class()), "", confusion_table(result.scores.confusion, result.classes))
    show(f"{_scored(result.n_clips, len(set(result.paths)), len(set(result.groups)), result.by)}{_left_out(result.left_out)}")


def leaderboard(
    stores: Annotated[list[str], typer.Argument(metavar="STORE", help="A store that featurize wrote, or its URL.")],
    models: Compared = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    threads: Threads = 1,
    by: By = None,
    output: Board = None,
    picture: BoardPicture = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Compare classifiers on the same folds, lowest log-loss first.

    Example: fastspec leaderboard sounds.zarr -o board.parquet

    Several stores of one manifest are several front ends, compared on the recordings that all could read. A run that was stopped goes on
    where it was when it is given the same OUTPUT.
    """
    from fastspec import learn
    from fastspec.learn.comparing import align_stores
    from fastspec.learn.ranking import check_board, write_board
    from fastspec.learn.recordings import check_by
    from fastspec.store import open_store

    unit = check_by(by)
    if output:
        check_board(output)
    check_pictured(picture)
    datasets = align_stores([open_store(store) for store in stores])
    with waiting("scoring") as tell:
        rows = learn.leaderboard(
            datasets,
            models,
            folds=folds,
            repeats=repeats,
            seed=seed,
            threads=threads,
            by=unit,
            cells=output and output.with_name(f"{output.name}.cells"),
            on_start=lambda name: tell(f"scoring {name}"),
            on_message=warn,
        )
    plain = [row._asdict() for row in rows]
    if output:
        write_board(rows, output)
    if picture:
        from fastspec.report import plot_leaderboard, save_picture

        save_picture(plot_leaderboard(plain, title=", ".join(map(str, stores))), picture)
    if json:
        print_json("leaderboard", plain)
    else:
        _show_board(plain, datasets[0], unit)


def _show_board(rows: list[dict[str, Any]], dataset: "Dataset", unit: str | None) -> None:
    from fastspec.learn.splits import given_split
    from fastspec.report import leaderboard_table

    show(leaderboard_table(rows), "")
    split, trained = given_split(dataset), ""
    tested = range(len(dataset)) if split is None else split.test.tolist()
    if split is not None:
        trained = f"; trained on {_counted_clips(*_sizes(dataset, split.train.tolist()))}, as the given split says"
    show(f"{_scored(*_sizes(dataset, tested), unit)}{trained}{_left_out(dataset.left_out)}")


def _sizes(dataset: "Dataset", clips: Sequence[int]) -> tuple[int, int, int]:
    """How many clips these are, of how many recordings and groups."""
    return len(clips), len({dataset.paths[clip] for clip in clips}), len({dataset.groups[clip] for clip in clips})


def _scored(n_clips: int, n_recordings: int, n_groups: int, by: str | None) -> str:
    """What was scored; where each recording is a group, nobody has said which belong together."""
    alone = (
        ""
        if n_groups < n_recordings
        else ": each recording is a group by itself, since nothing says which belong together (--group-from, or a column 'group')"
    )
    by_recording = n_recordings < n_clips and by != "clip"
    return f"{_counted_clips(n_clips, n_recordings, n_groups)}{alone}{', scored by recording' if by_recording else ''}"


def _counted_clips(n_clips: int, n_recordings: int, n_groups: int) -> str:
    recordings = f" of {counted(n_recordings, 'recording')}" if n_recordings < n_clips else ""
    return f"{counted(n_clips, 'clip')}{recordings} in {counted(n_groups, 'group')}"


def _left_out(left_out: dict[str, int]) -> str:
    """What took no part, as the end of a sentence."""
    return "; left out: " + ", ".join(f"{n:,} {reason}" for reason, n in left_out.items()) if left_out else ""
