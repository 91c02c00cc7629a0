"""`fastspec train`, `evaluate`, `leaderboard` and `predict`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fastspec.cli.output import Json, print_json, show, waiting
from fastspec.cli.parsing import Assignments, Columns, Folds, GroupFrom, LabelFrom, Repeats, Seed, Workers, parse_columns
from fastspec.errors import FastspecError, LearnError, RunFailed, counted

if TYPE_CHECKING:
    from fastspec.learn import Evaluation

Store = Annotated[Path, typer.Argument(help="A store that featurize wrote.")]
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
    json: Json = False,
) -> None:
    """Score a classifier on groups that it has never met, or a trained model on other clips.

    Example: fastspec evaluate sounds.zarr -m logistic --folds 5

    A 'split' column of the corpus is used instead of folds. Below each score stands its 95 % interval over groups, and below the model
    the best that one answer for all clips can do.
    """
    from fastspec import learn
    from fastspec.learn.baseline import Majority
    from fastspec.learn.parameters import parse_assignments
    from fastspec.store import open_store

    if (name is None) == (model is None):
        raise LearnError("give either -m NAME, a classifier to score by folds, or --model MODEL, a trained one")
    opened = open_store(store)
    if model is not None:
        result = learn.evaluate_model(opened, learn.load_bundle(model, threads=threads), seed=seed)
        baseline = learn.majority_beside(result, seed=seed)
    else:
        assert name is not None
        settings = parse_assignments(params or [])
        score = partial(learn.evaluate, opened, folds=folds, repeats=repeats, seed=seed, threads=threads)
        with waiting(f"scoring {name}"):
            result, baseline = score(name, params=settings), score(Majority.name)
    if json:
        print_json("evaluate", [result.to_dict(), baseline.to_dict()])
    else:
        _show_evaluation(result, baseline)


def _show_evaluation(result: "Evaluation", baseline: "Evaluation") -> None:
    """Headline scores, scores of each class, and what is taken for what."""
    from fastspec.learn.ranking import leaderboard_row
    from fastspec.report import confusion_table, leaderboard_table, scores_table

    show(leaderboard_table(leaderboard_row(evaluation)._asdict() for evaluation in (result, baseline)), "")
    show(scores_table(result.scores.to_dict()["per_class"]), "", confusion_table(result.scores.confusion, result.classes))
    show(f"{_scored(len(result.clips), len(set(result.groups)))}{_left_out(result.left_out)}")


def leaderboard(
    stores: Annotated[list[Path], typer.Argument(help="A store that featurize wrote.")],
    models: Annotated[
        list[str] | None, typer.Option("-m", "--model-name", help="A classifier; may be repeated.  [default: all]", show_default=False)
    ] = None,
    folds: Folds = 5,
    repeats: Repeats = 1,
    seed: Seed = 0,
    threads: Threads = 1,
    json: Json = False,
) -> None:
    """Compare classifiers on the same folds; the lowest log-loss comes first.

    Example: fastspec leaderboard sounds.zarr
    """
    from fastspec import learn
    from fastspec.report import leaderboard_table
    from fastspec.store import open_store

    if len(stores) != 1:
        raise FastspecError(f"{len(stores)} stores are given; give one")
    dataset = learn.Dataset.from_store(open_store(stores[0]))
    with waiting("scoring") as tell:
        rows = learn.leaderboard(
            dataset,
            models,
            folds=folds,
            repeats=repeats,
            seed=seed,
            threads=threads,
            on_start=lambda name: tell(f"scoring {name}"),
            on_message=lambda text: show(text, stderr=True),
        )
    plain = [row._asdict() for row in rows]
    if json:
        print_json("leaderboard", plain)
    else:
        show(leaderboard_table(plain), "", f"{_scored(len(dataset), len(set(dataset.groups)))}{_left_out(dataset.left_out)}")


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


def _scored(n_clips: int, n_groups: int) -> str:
    """What was scored; where each recording is a group, nobody has said which belong together."""
    alone = "" if n_groups < n_clips else ": each recording by itself, for --group-from or a column 'group' says which belong together"
    return f"{counted(n_clips, 'clip')} in {counted(n_groups, 'group')}{alone}"


def _left_out(left_out: dict[str, int]) -> str:
    """What took no part, as the end of a sentence."""
    return "; left out: " + ", ".join(f"{n:,} {reason}" for reason, n in left_out.items()) if left_out else ""
