"""`fastspec predict` and `explain`."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastspec.cli.output import Json, Quiet, print_json, show, tell, waiting
from fastspec.cli.parsing import By, Columns, GroupFrom, LabelFrom, Model, Workers, check_pictured, parse_columns
from fastspec.errors import RunFailed, counted

if TYPE_CHECKING:
    from fastspec.learn import Prediction
    from fastspec.learn.prediction import Tally


def predict(
    model: Model,
    inputs: Annotated[list[str], typer.Argument(help="Recordings, and corpora of any kind that featurize reads.", metavar="INPUT...")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="F.csv", help="A .csv, .jsonl or .parquet.", show_default=False)],
    label_from: LabelFrom = None,
    group_from: GroupFrom = None,
    columns: Columns = None,
    workers: Workers = 2,
    by: By = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Predict the class of recordings, with a probability for each.

    Example: fastspec predict model new_sounds/ -o predictions.csv

    A store of the model's recipe is taken too. Where labels are known, a table of actual against predicted classes follows.
    """
    from fastspec import learn
    from fastspec.corpus import read_inputs
    from fastspec.learn.prediction import Tally, check_output, telling_columns
    from fastspec.learn.recordings import check_by
    from fastspec.store import open_store
    from fastspec.store.place import locate_store
    from fastspec.store.reading import is_store

    check_output(output)
    bundle, unit, also = learn.load_bundle(model), check_by(by), []
    if len(inputs) == 1 and is_store(locate_store(inputs[0])):
        store = open_store(inputs[0])
        predictions, labelled = learn.predict_store(bundle, store, by=unit), any(label is not None for label in store.labels)
    else:
        manifest = read_inputs(inputs, label_from=label_from, group_from=group_from, columns=parse_columns(columns))
        predictions, labelled = learn.predict(bundle, manifest, workers=workers, by=unit), bool(manifest.classes)
        also = telling_columns(bundle, manifest)
    tally = Tally()
    with waiting("predicting") as on_step:
        told = tally.watch(_telling(predictions, on_step))
        statuses = learn.write_predictions(told, output, classes=bundle.classes, labelled=labelled, also=also)
    if json:
        answers = [{"label": label, "predicted": answer, "number": n} for (label, answer), n in sorted(tally.answers.items())]
        row = {"output": str(output), "classes": bundle.classes, "statuses": statuses, "answers": answers, "seen": tally.seen}
        print_json("predict", [row | {"predicted": tally.predicted, "first": [_plain(one, bundle.classes) for one in tally.first]}])
    else:
        _tell_predicted(tally, statuses, bundle.classes, output)
    if not statuses.get("ok"):
        raise RunFailed(f"no clip could be predicted; the column 'status' of {output} says what each is")


def _telling(predictions: Iterable["Prediction"], on_step: Callable[[str], None]) -> Iterator["Prediction"]:
    """The predictions, while a terminal is told how many there are."""
    for n, prediction in enumerate(predictions, start=1):
        on_step(counted(n, "prediction"))
        yield prediction


def _plain(prediction: "Prediction", classes: list[str]) -> dict[str, Any]:
    """What is written of a prediction, its probabilities by class."""
    told = prediction.probabilities
    probabilities = None if told is None else dict(zip(classes, told.tolist(), strict=True))
    kept = ("path", "start_s", "label", "predicted", "status")
    return {name: getattr(prediction, name) for name in kept} | {"probabilities": probabilities}


def _tell_predicted(tally: "Tally", statuses: dict[str, int], classes: list[str], output: Path) -> None:
    """Each answer where they are few, else how often each was given; then where they are, and what is known of how true they are."""
    from fastspec.report import predictions_table

    count = ", ".join(f"{n:,} {status}" for status, n in statuses.items())
    columns = f"one p_ column for each of {counted(len(classes), 'class', 'classes')}"
    if sum(statuses.values()) == len(tally.first):
        show(predictions_table([_plain(prediction, classes) for prediction in tally.first]), "")
    elif tally.predicted:
        show(f"answers: {', '.join(f'{n:,} {answer}' for answer, n in tally.predicted.most_common())}")
    tell(f"{output}: {counted(sum(statuses.values()), 'row')} ({count}), {columns}")
    if tally.answers:
        show_answers(tally.answers, classes)
    if tally.seen:
        tell(f"the model learned from {tally.seen:,} of these, which flatters it: see 'fastspec evaluate'")


def show_answers(counts: "Counter[tuple[str, str]]", classes: list[str]) -> None:
    """Actual classes against answers, 'unknown' among them where it was given."""
    from fastspec.report import confusion_table

    actual = sorted({label for label, _ in counts})
    answers = [*classes, *sorted({answer for _, answer in counts} - set(classes))]
    matrix = [[counts[label, answer] for answer in answers] for label in actual]
    show("", confusion_table(matrix, actual, predicted=answers))


def explain(
    model: Model,
    clip: Annotated[str, typer.Argument(help="A recording.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="F.png", help="A .png, .svg, .pdf or .npz.", show_default=False)],
    start_s: Annotated[float, typer.Option("--start", metavar="S", min=0, help="Where the clip begins, in seconds.")] = 0.0,
    target: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="The class to explain.  [default: the likeliest]", show_default=False)
    ] = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Show what in a clip speaks for a class.

    Example: fastspec explain model sounds/cat/1.wav -o why.png

    Parts of it are hidden, and the model is asked again. The picture's arrays (importance, features, probabilities) lie beside it as .npz.
    """
    from fastspec import learn
    from fastspec.corpus import read_inputs
    from fastspec.corpus.folder import as_text

    picture = None if output.suffix == ".npz" else output
    check_pictured(picture)
    bundle = learn.load_bundle(model)
    with waiting("explaining"):
        found = learn.explain(bundle, read_inputs([clip]), start_s=start_s, target=target)
    share = found.probabilities[bundle.classes.index(found.target)]
    if picture:
        from fastspec.report import plot_spectrogram, save_picture

        title = f"{as_text(Path(clip).name)}: what speaks for {found.target} ({share:.0%})"
        arrays = (found.samples, bundle.recipe.spec.sample_rate, found.features, bundle.recipe)
        save_picture(plot_spectrogram(*arrays, title=title, importance=found.importance), picture)
    found.save(output.with_suffix(".npz"))
    if json:
        shares = dict(zip(bundle.classes, map(float, found.probabilities), strict=True))
        print_json("explain", [{"output": str(output), "clip": clip, "start_s": start_s, "class": found.target, "probabilities": shares}])
    else:
        tell(f"{output}: what speaks for {found.target}, which has a probability of {share:.3f}")
