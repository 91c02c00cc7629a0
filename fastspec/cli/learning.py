"""`fastspec evaluate` and `leaderboard`."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from operator import eq
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastspec.cli.completing import complete_plugins
from fastspec.cli.output import Json, Quiet, print_json, show, waiting, warn
from fastspec.cli.parsing import Assignments, By, Folds, Repeats, Seed, Store, Threads, Tune, TuneTime, check_pictured, parse_tuning
from fastspec.cli.predicting import show_answers
from fastspec.errors import LearnError, counted

if TYPE_CHECKING:
    from fastspec.learn import Bundle, Dataset, Evaluation, Tuning
    from fastspec.store import FeatureStore

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
Board = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="F", help="A .parquet for the rows; finished scores are kept in OUTPUT.cells.", show_default=False
    ),
]


def picture_option(flag: str, what: str) -> Any:
    """An option for a picture of something."""
    return typer.Option(flag, metavar="F.png", help=what, show_default=False)


BoardPicture = Annotated[Path | None, picture_option("--picture", "A .png, .svg or .pdf of the scores.")]
Confusion = Annotated[Path | None, picture_option("--confusion", "A .png, .svg or .pdf of what is taken for what.")]
Roc = Annotated[Path | None, picture_option("--roc", "One of ROC curves, each class against the rest.")]
Reliability = Annotated[Path | None, picture_option("--reliability", "One of how far probabilities can be believed.")]


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
    tune: Tune = None,
    tune_time: TuneTime = None,
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
    from fastspec.learn.parameters import parse_assignments
    from fastspec.learn.recordings import check_by
    from fastspec.store import open_store

    if (name is None) == (model is None):
        raise LearnError("give either -m NAME, a classifier to score by folds, or --model MODEL, a trained one")
    tuning = parse_tuning(tune, tune_time)
    if tuning is not None and model is not None:
        raise LearnError(f"{model} is trained already and cannot be tuned; give --tune with -m NAME, or when you train")
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
        settings = {"folds": folds, "repeats": repeats, "seed": seed, "threads": threads, "by": unit}
        result, *baselines = _cross_validate(opened, name, parse_assignments(params or []), tuning, settings)
    _draw_evaluation(result, confusion=confusion, roc=roc, reliability=reliability, seed=seed)
    if json:
        print_json("evaluate", [evaluation.to_dict() for evaluation in (result, *baselines)])
    else:
        _show_evaluation(result, baselines)
        if bundle is not None:
            show_decided(result, bundle)


def _cross_validate(
    store: "FeatureStore", name: str, params: dict[str, str], tuning: "Tuning | None", settings: dict[str, Any]
) -> list["Evaluation"]:
    """The scores of a classifier, and those of the baselines."""
    from fastspec import learn
    from fastspec.learn.baseline import BASELINES

    plugin = learn.load_plugin(name)
    plugin.from_params(params)  # a mistake is told before the features are read
    if tuning is not None:
        tuning.check(plugin, params)
    score: Callable[..., Evaluation] = partial(learn.evaluate, learn.Dataset.from_store(store), **settings)
    with waiting(f"scoring {name}"):
        return [score(name, params=params, tuning=tuning), *(score(baseline) for baseline in reversed(BASELINES))]


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
    for fold, tuned in enumerate(result.tuned, start=1):
        show(f"chosen for fold {fold}: {tuned.describe()}")
    show(f"{_scored(result.n_clips, len(set(result.paths)), len(set(result.groups)), result.by)}{left_out_of(result.left_out)}")


def show_decided(result: "Evaluation", bundle: "Bundle") -> None:
    """The model's answers, where they are decided and not just the likeliest class, whose scores are above."""
    if not bundle.decisions.change_nothing:
        answers = bundle.decisions.answer(result.probabilities, bundle.classes)
        actual = [bundle.classes[label] for label in result.labels]
        right = sum(map(eq, answers, actual)) / len(actual)
        show("", f"the likeliest class is right for {result.scores.accuracy:.1%} (accuracy, above), the model's answers for {right:.1%}:")
        show_answers(Counter(zip(actual, answers, strict=True)), bundle.classes)


def leaderboard(
    stores: Annotated[list[str], typer.Argument(metavar="STORE", help="A store that featurize wrote, or its URL.")],
    models: Compared = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    threads: Threads = 1,
    by: By = None,
    tune: Tune = None,
    tune_time: TuneTime = None,
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

    unit, tuning = check_by(by), parse_tuning(tune, tune_time)
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
            tuning=tuning,
            on_start=lambda name: tell(f"scoring {name}"),
            on_message=warn,
        )
    plain = [row._asdict() for row in rows]
    if output:
        write_board(rows, output)
    if picture:
        _draw_board(plain, picture, title=", ".join(stores))
    if json:
        print_json("leaderboard", plain)
    else:
        _show_board(plain, datasets[0], unit)


def _draw_board(rows: list[dict[str, Any]], picture: Path, *, title: str) -> None:
    from fastspec.report import plot_leaderboard, save_picture

    save_picture(plot_leaderboard(rows, title=title), picture)


def _show_board(rows: list[dict[str, Any]], dataset: "Dataset", unit: str | None) -> None:
    from fastspec.learn.splits import given_split
    from fastspec.report import leaderboard_table

    show(leaderboard_table(rows), "")
    split, trained = given_split(dataset), ""
    tested = range(len(dataset)) if split is None else split.test.tolist()
    if split is not None:
        trained = f"; trained on {_counted_clips(*_sizes(dataset, split.train.tolist()))}, as the given split says"
    show(f"{_scored(*_sizes(dataset, tested), unit)}{trained}{left_out_of(dataset.left_out)}")


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


def left_out_of(left_out: dict[str, int]) -> str:
    """What took no part, as the end of a sentence."""
    return "; left out: " + ", ".join(f"{n:,} {reason}" for reason, n in left_out.items()) if left_out else ""
