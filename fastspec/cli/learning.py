"""`fastspec train`, `evaluate`, `leaderboard` and `predict`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fastspec.cli.output import Json, print_json, show
from fastspec.cli.parsing import Folds, GroupFrom, LabelFrom, Repeats, Seed, Workers
from fastspec.errors import FastspecError, LearnError

if TYPE_CHECKING:
    from fastspec.learn import Evaluation

Store = Annotated[Path, typer.Argument(help="A store that featurize wrote.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("-p", "--param", metavar="NAME=VALUE", help="A parameter of the plugin; may be repeated.", show_default=False),
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
    show(f"{output}: {model} trained on {bundle.n_clips:,} clips of {len(bundle.classes)} classes{_left_out(bundle.left_out)}")


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

    A 'split' column of the corpus is used instead of folds. Brackets hold 95 % intervals over groups.
    """
    from fastspec import learn
    from fastspec.learn.parameters import parse_assignments
    from fastspec.store import open_store

    if (name is None) == (model is None):
        raise LearnError("give either -m NAME, a classifier to score by folds, or --model MODEL, a trained one")
    opened = open_store(store)
    if model is not None:
        result = learn.evaluate_model(opened, learn.load_bundle(model, threads=threads), seed=seed)
    else:
        assert name is not None
        settings = parse_assignments(params or [])
        result = learn.evaluate(opened, name, params=settings, folds=folds, repeats=repeats, seed=seed, threads=threads)
    if json:
        print_json("evaluate", [result.to_dict()])
    else:
        show_evaluation(result)


def show_evaluation(result: "Evaluation") -> None:
    """Headline scores, scores of each class, and what is taken for what."""
    from fastspec.report import confusion_table, leaderboard_table, scores_table

    row = {
        "store": result.store,
        "model": result.model,
        "fit_s": result.fit_s,
        "predict_s": result.predict_s,
        "size_bytes": result.size_bytes,
    }
    show(leaderboard_table([row | result.headline()]), "")
    show(scores_table(result.scores.to_dict()["per_class"]), "", confusion_table(result.scores.confusion, result.classes))
    show(f"{len(result.clips):,} clips{_left_out(result.left_out)}")


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
    rows = learn.leaderboard(open_store(stores[0]), models, folds=folds, repeats=repeats, seed=seed, threads=threads)
    plain = [row._asdict() for row in rows]
    if json:
        print_json("leaderboard", plain)
    else:
        show(leaderboard_table(plain))


def predict(
    model: Annotated[Path, typer.Argument(help="A trained model.")],
    inputs: Annotated[list[str], typer.Argument(help="Recordings, folders, a .zip, or a .csv with 'path'.", metavar="INPUT...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A .csv, .jsonl or .parquet.", show_default=False)],
    label_from: LabelFrom = None,
    group_from: GroupFrom = None,
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
    manifest = read_inputs(inputs, label_from=label_from, group_from=group_from)
    predictions = learn.predict(bundle, manifest, workers=workers)
    count = learn.write_predictions(predictions, output, classes=bundle.classes, labelled=bool(manifest.classes))
    show(f"{output}: {count:,} clips, one p_ column for each of {len(bundle.classes)} classes")


def _left_out(left_out: dict[str, int]) -> str:
    """What took no part, as the end of a sentence."""
    return "; left out: " + ", ".join(f"{n:,} {reason}" for reason, n in left_out.items()) if left_out else ""
