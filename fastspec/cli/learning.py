"""`fastspec train`, `evaluate`, `leaderboard` and `predict`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fastspec.cli.output import Json, print_json, show, waiting
from fastspec.cli.parsing import Assignments, Columns, Folds, GroupFrom, LabelFrom, Repeats, Seed, Workers, parse_columns
from fastspec.errors import LearnError, RunFailed, counted

if TYPE_CHECKING:
    from fastspec.learn import Evaluation

Store = Annotated[Path, typer.Argument(help="A store that featurize wrote.")]
By = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="recording|clip",
        help="What is scored.  [default: recordings where they have several clips]",
        show_default=False,
    ),
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads that the model may use.")]


def train(
    store: Store,
    model: Annotated[str, typer.Option("-m", "--model-name", help="A classifier; see 'fastspec plugin list'.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model to write, a folder.", show_default=False)],
    params: Assignments = None,
    seed: Seed = 0,
    threads: Threads = 1,
) -> None:
    """Train a classifier on a store.

    Example: fastspec train sounds.zarr -m lightgbm -o model

    The model's folder holds all that prediction needs: recipe, classes, versions. Test clips of a given split are held out.
    """
    from fastspec import learn
    from fastspec.learn.bundle import check_absent
    from fastspec.learn.parameters import parse_assignments
    from fastspec.store import open_store

    check_absent(output)
    bundle = learn.train(open_store(store), model, params=parse_assignments(params or []), seed=seed, threads=threads)
    bundle.save(output)
    what = f"{counted(bundle.n_clips, 'clip')} of {counted(len(bundle.classes), 'class', 'classes')}"
    show(f"{output}: {model} trained on {what}{_left_out(bundle.left_out)}")


def evaluate(
    store: Store,
    name: Annotated[str | None, typer.Option("-m", "--model-name", help="A classifier, scored by folds.", show_default=False)] = None,
    model: Annotated[Path | None, typer.Option("--model", help="A trained model, scored on other clips.", show_default=False)] = None,
    params: Assignments = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    threads: Threads = 1,
    by: By = None,
    json: Json = False,
) -> None:
    """Score a classifier on groups that it has never met, or a trained model on other clips.

    Example: fastspec evaluate sounds.zarr -m logistic --folds 5

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
    opened = open_store(store)
    if model is not None:
        result = learn.evaluate_model(opened, learn.load_bundle(model, threads=threads), seed=seed, by=unit)
        baselines = [learn.majority_beside(result, seed=seed)]
    else:
        assert name is not None
        settings = parse_assignments(params or [])
        learn.load_plugin(name).from_params(settings)  # a mistake is told before the features are read
        score = partial(learn.evaluate, learn.Dataset.from_store(opened), folds=folds, repeats=repeats, seed=seed, threads=threads, by=unit)
        with waiting(f"scoring {name}"):
            result = score(name, params=settings)
            baselines = [score(baseline) for baseline in reversed(BASELINES)]
    if json:
        print_json("evaluate", [evaluation.to_dict() for evaluation in (result, *baselines)])
    else:
        _show_evaluation(result, baselines)


def _show_evaluation(result: "Evaluation", baselines: list["Evaluation"]) -> None:
    """Headline scores, scores of each class, and what is taken for what."""
    from fastspec.learn.ranking import leaderboard_row
    from fastspec.report import confusion_table, leaderboard_table, scores_table

    show(leaderboard_table(leaderboard_row(evaluation)._asdict() for evaluation in (result, *baselines)), "")
    show(scores_table(result.per_class()), "", confusion_table(result.scores.confusion, result.classes))
    show(f"{_scored(result.n_clips, len(set(result.paths)), len(set(result.groups)), result.by)}{_left_out(result.left_out)}")


def leaderboard(
    stores: Annotated[list[Path], typer.Argument(help="A store that featurize wrote.")],
    models: Annotated[
        list[str] | None, typer.Option("-m", "--model-name", help="A classifier; may be repeated.  [default: all]", show_default=False)
    ] = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    threads: Threads = 1,
    by: By = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .parquet for the rows; finished scores are kept in OUTPUT.cells.", show_default=False),
    ] = None,
    picture: Annotated[Path | None, typer.Option("--picture", help="A .png or .svg of the scores.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Compare classifiers on the same folds; the lowest log-loss comes first.

    Example: fastspec leaderboard sounds.zarr -o board.parquet

    Several stores of one manifest are several front ends, compared on the recordings that all could read. A run that was stopped goes on
    where it was when it is given the same OUTPUT.
    """
    from fastspec import learn
    from fastspec.learn.comparing import align_stores
    from fastspec.learn.ranking import check_board, write_board
    from fastspec.learn.recordings import check_by
    from fastspec.report import check_picture, leaderboard_table, plot_leaderboard, save_picture
    from fastspec.store import open_store

    unit = check_by(by)
    if output:
        check_board(output)
    if picture:
        check_picture(picture)
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
            on_message=lambda text: show(text, stderr=True),
        )
    plain = [row._asdict() for row in rows]
    if output:
        write_board(rows, output)
    if picture:
        save_picture(plot_leaderboard(plain, title=", ".join(map(str, stores))), picture)
    if json:
        print_json("leaderboard", plain)
    else:
        first = datasets[0]
        show(leaderboard_table(plain), "")
        show(f"{_scored(len(first), len(set(first.paths)), len(set(first.groups)), unit)}{_left_out(first.left_out)}")


def predict(
    model: Annotated[Path, typer.Argument(help="A trained model.")],
    inputs: Annotated[list[str], typer.Argument(help="Recordings, and corpora of any kind that featurize reads.", metavar="INPUT...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .csv, .jsonl or .parquet.", show_default=False)],
    label_from: LabelFrom = None,
    group_from: GroupFrom = None,
    columns: Columns = None,
    workers: Workers = 2,
) -> None:
    """Predict the class of recordings, with one probability column a class.

    Example: fastspec predict model new_sounds/ -o predictions.csv
    """
    from fastspec import learn
    from fastspec.corpus import read_inputs
    from fastspec.learn.prediction import check_output

    check_output(output)
    bundle = learn.load_bundle(model)
    manifest = read_inputs(inputs, label_from=label_from, group_from=group_from, columns=parse_columns(columns))
    predictions = learn.predict(bundle, manifest, workers=workers)
    statuses = learn.write_predictions(predictions, output, classes=bundle.classes, labelled=bool(manifest.classes))
    count = ", ".join(f"{n:,} {status}" for status, n in statuses.items())
    show(f"{output}: {counted(sum(statuses.values()), 'clip')} ({count}), one p_ column for each of {len(bundle.classes)} classes")
    if not statuses.get("ok"):
        raise RunFailed(f"no clip could be predicted; the column 'status' of {output} says what each is")


def _scored(n_clips: int, n_recordings: int, n_groups: int, by: str | None) -> str:
    """What was scored; where each recording is a group, nobody has said which belong together."""
    alone = "" if n_groups < n_recordings else ": each recording by itself, for --group-from or a column 'group' says which belong together"
    several = n_recordings < n_clips
    clips = f"{counted(n_clips, 'clip')} of {counted(n_recordings, 'recording')}" if several else counted(n_clips, "clip")
    return f"{clips} in {counted(n_groups, 'group')}{alone}{', scored by recording' if several and by != 'clip' else ''}"


def _left_out(left_out: dict[str, int]) -> str:
    """What took no part, as the end of a sentence."""
    return "; left out: " + ", ".join(f"{n:,} {reason}" for reason, n in left_out.items()) if left_out else ""
