"""The main job on real recordings, told as it goes: features, classifiers, a comparison that tells the truth, predictions, pictures.

The corpora are one game's dialogues, spoken by two casts of actors: the same two roles, the same lines, other voices. Folds with whole
levels held out say how well a classifier knows voices that it has heard; only the other cast says whether it knows the roles.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastspec.corpus import Manifest, read_corpus
from fastspec.demo.corpora import CorpusUnavailable, corpus_table, fetch, write_table
from fastspec.errors import FastspecError, RunFailed
from fastspec.learn import (
    Dataset,
    Evaluation,
    Prediction,
    evaluate,
    evaluate_model,
    load_bundle,
    majority_beside,
    plugins,
    predict,
    train,
    write_predictions,
)
from fastspec.learn.baseline import BASELINES, Majority
from fastspec.learn.ranking import leaderboard_row
from fastspec.pipeline import featurize, load_rows, plan_run
from fastspec.presets import preset
from fastspec.report import confusion_table, failures_table, leaderboard_table, plot_confusion, plot_spectrogram, save_picture
from fastspec.spec import Recipe
from fastspec.store import FeatureStore

FOLDS = 5
# Quick, and three ways of learning; `leaderboard` compares all that are installed.
MODELS = ("lightgbm", "gradient-boosting", "logistic")
# A model that loses more than this share of its accuracy with other actors has learned voices, not roles.
TOLERATED_LOSS = 0.10

Show = Callable[..., None]


class Outcome(NamedTuple):
    """A classifier's accuracy: on levels held out of the cast that it knows, and on the other cast, for each cast that it may know.

    `knows` tells whether its accuracy on the other cast is beyond doubt, by the interval, above that of one answer for all clips.
    """

    model: str
    known: tuple[float, float]
    other: tuple[float, float]
    knows: tuple[bool, bool]

    @property
    def worst_loss(self) -> float:
        """What it loses with other actors, in the worse direction."""
        return max(known - other for known, other in zip(self.known, self.other, strict=True))

    @property
    def survives(self) -> bool:
        """Whether it knows something of the other actors and keeps its accuracy with them, whichever cast it was trained on."""
        return all(self.knows) and self.worst_loss <= TOLERATED_LOSS


def run_tour(output: Path, *, corpus: Path | None, workers: int, show: Show) -> list[tuple[Path, str]]:
    """Run the demonstration, and return what was written, each path with what it is.

    Args:
        output: folder for everything that is written; what an earlier demonstration wrote there is replaced.
        corpus: a corpus of one's own; None fetches two casts of actors, or instruments where they cannot be had.
        workers: threads.
        show: prints texts and tables.

    Raises:
        CorpusUnavailable: nothing can be fetched.
        FastspecError: `output` holds something that no demonstration wrote.
        CorpusError: `corpus` cannot be read.
    """
    start = time.perf_counter()
    _claim(output)
    if corpus is not None:
        written = _tour_one(read_corpus(corpus), output, workers=workers, show=show)
    else:
        written = _tour_fetched(output, workers=workers, show=show)
    show(f"\nDone in {time.perf_counter() - start:.0f} s. What was written:")
    for path, what in written:
        show(f"  {path}  {what}")
    return written


def _tour_fetched(output: Path, *, workers: int, show: Show) -> list[tuple[Path, str]]:
    try:
        casts = [_fetched_manifest(name, output, show) for name in ("fish", "fish-nl")]
    except CorpusUnavailable as error:
        show(f"{error}\ntrying the corpus 'instruments' instead")
        return _tour_one(_fetched_manifest("instruments", output, show), output, workers=workers, show=show)
    return _tour_casts(casts, output, workers=workers, show=show)


def _fetched_manifest(name: str, output: Path, show: Show) -> Manifest:
    table = output / f"{name}.csv"
    write_table(corpus_table(name, fetch(name, on_message=show)), table)
    return read_corpus(table)


# --- one corpus --------------------------------------------------------------------------------------------------------------------


def _tour_one(manifest: Manifest, output: Path, *, workers: int, show: Show) -> list[tuple[Path, str]]:
    """Features, classifiers by folds, out-of-fold predictions."""
    store = _featurize(manifest, output / "features.zarr", preset("librosa"), workers=workers, show=show)
    dataset = Dataset.from_store(store)
    evaluations = _evaluate_all(dataset, title="Classifiers on groups that they have never met", show=show)
    best = min((e for e in evaluations if e.model not in BASELINES), key=lambda e: e.scores.log_loss)
    show(f"{best.model}: what is taken for what", confusion_table(best.scores.confusion, best.classes))
    predictions = _replace(output / "predictions.csv")
    write_predictions(_out_of_fold(best), predictions, classes=best.classes, labelled=True)
    model = _replace(output / "model")
    train(store, best.model).save(model)
    title = f"{best.model} on clips of held-out groups"
    pictures = _pictures(best, store, manifest, output, title=title)
    return [
        (Path(str(store.path)), f"features {store.features.shape}"),
        (model, f"{best.model}, trained on all clips"),
        (predictions, "probabilities of each clip, by a model that never saw its group"),
        *pictures,
    ]


def _out_of_fold(evaluation: Evaluation) -> Iterator[Prediction]:
    columns = zip(evaluation.paths, evaluation.start_s.tolist(), evaluation.labels, evaluation.probabilities, strict=True)
    for path, start_s, label, probabilities in columns:
        predicted = evaluation.classes[int(probabilities.argmax())]
        yield Prediction(path, start_s, evaluation.classes[label], predicted, probabilities, "ok")


# --- two casts ---------------------------------------------------------------------------------------------------------------------


def _tour_casts(casts: list[Manifest], output: Path, *, workers: int, show: Show) -> list[tuple[Path, str]]:
    """Each cast by folds; then trained on one cast and asked about the other."""
    names = ["Czech cast", "Dutch cast"]
    recipe = plan_run(casts[0], preset("librosa"), workers=workers).layout.recipe
    paths = [output / "czech.zarr", output / "dutch.zarr"]
    stores = [_featurize(cast, path, recipe, workers=workers, show=show) for cast, path in zip(casts, paths, strict=True)]
    datasets = [Dataset.from_store(store) for store in stores]
    folds = [
        _evaluate_all(dataset, title=f"{name}, whole levels held out", show=show) for dataset, name in zip(datasets, names, strict=True)
    ]
    with _timed("trained each classifier on each cast, asked it about the other", show):
        models, crossed = _cross(stores, output)
    for evaluations, known, other in zip(crossed, names, names[::-1], strict=True):
        _show_board(evaluations, f"Trained on the {known}, asked about the {other}", show)
    outcomes = list(_outcomes(folds, crossed))
    show("", *_verdict(outcomes, names))
    best = max(outcomes, key=lambda outcome: min(outcome.other)).model
    chosen = next(evaluation for evaluation in crossed[0] if evaluation.model == best)
    show("", f"{best}: the {names[1]}, heard by one who knows the {names[0]}", confusion_table(chosen.scores.confusion, chosen.classes))
    predictions = _replace(output / "predictions.csv")
    bundle = load_bundle(models[0][best])
    write_predictions(predict(bundle, casts[1], workers=workers), predictions, classes=bundle.classes, labelled=True)
    return [
        *((Path(str(store.path)), f"features {store.features.shape}, {name}") for store, name in zip(stores, names, strict=True)),
        (output / "models", "each classifier, trained on each cast"),
        (predictions, f"probabilities for the {names[1]}, by {best} trained on the {names[0]}"),
        *_pictures(chosen, stores[1], casts[1], output, title=f"{best}, trained on other actors"),
    ]


def _cross(stores: list[FeatureStore], output: Path) -> tuple[list[dict[str, Path]], list[list[Evaluation]]]:
    """Per direction: where each classifier's model is, and its scores on the other cast."""
    folder = _replace(output / "models")
    folder.mkdir()
    models: list[dict[str, Path]] = [{}, {}]
    crossed: list[list[Evaluation]] = [[], []]
    for direction, (known, other) in enumerate((stores, stores[::-1])):
        for name in _compared():
            bundle = train(known, name)
            models[direction][name] = bundle.save(folder / f"{name}-{Path(known.path.name).stem}")
            crossed[direction].append(evaluate_model(other, bundle))
        crossed[direction].append(majority_beside(crossed[direction][0]))
    return models, crossed


def _outcomes(folds: list[list[Evaluation]], crossed: list[list[Evaluation]]) -> Iterator[Outcome]:
    boards = [{e.model: e for e in evaluations} for evaluations in (*folds, *crossed)]
    chances = [board[Majority.name].scores.accuracy for board in boards[2:]]
    for model in (name for name in boards[0] if name not in BASELINES):
        first, second, *others = (board[model].scores.accuracy for board in boards)
        knows = [board[model].intervals["accuracy"][0] > chance for board, chance in zip(boards[2:], chances, strict=True)]
        yield Outcome(model, (first, second), (others[0], others[1]), (knows[0], knows[1]))


def _verdict(outcomes: Iterable[Outcome], names: list[str]) -> Iterator[str]:
    """Plain words on who knows the roles and who only the voices."""
    yield "Who survives other actors? Accuracy on held-out levels of the cast it knows -> on the other cast:"
    yield f"  {'model':18} {'knows the ' + names[0]:22} {'knows the ' + names[1]:22}"
    for o in sorted(outcomes, key=lambda o: -min(o.other)):
        columns = " ".join(f"{f'{known:.3f} -> {other:.3f}':22}" for known, other in zip(o.known, o.other, strict=True))
        yield f"  {o.model:18} {columns} {'survives' if o.survives else 'does not survive'}"
    yield f"(survives: loses at most {TOLERATED_LOSS:.0%} either way, and is better than one answer for all;"
    yield " one that does not has learned these voices, not the roles)"


# --- steps of both -----------------------------------------------------------------------------------------------------------------


def _featurize(manifest: Manifest, path: Path, recipe: Recipe, *, workers: int, show: Show) -> FeatureStore:
    with _timed(f"{len(manifest):,} clips of {manifest.source} to {path}", show):
        store = featurize(manifest, path, recipe=recipe, workers=workers, overwrite=True)
    statuses = store.status_counts()
    if statuses.get("ok", 0) < len(store):
        show(failures_table(store.ledger))
    if not statuses.get("ok"):
        raise RunFailed(f"no clip of {manifest.source} could be read; see the reasons above")
    return store


def _evaluate_all(dataset: Dataset, *, title: str, show: Show) -> list[Evaluation]:
    """The compared classifiers and the baselines, on the same folds."""
    fewest = min(len(set(dataset.groups[dataset.labels == label])) for label in range(len(dataset.classes)))
    folds = max(2, min(FOLDS, fewest))
    names = _compared()
    with _timed(f"scored {', '.join(names)} and two baselines by {folds} folds", show):
        evaluations = [evaluate(dataset, name, folds=folds) for name in (*names, *BASELINES)]
    _show_board(evaluations, title, show)
    return evaluations


def _compared() -> list[str]:
    """Those of `MODELS` that are installed and not hidden, or else whatever is."""
    installed = [plugin.name for plugin in plugins()]
    return [name for name in MODELS if name in installed] or installed


def _show_board(evaluations: list[Evaluation], title: str, show: Show) -> None:
    rows = sorted((leaderboard_row(evaluation)._asdict() for evaluation in evaluations), key=lambda row: row["log_loss"])
    show("", leaderboard_table(rows, title=title), "")


def _pictures(evaluation: Evaluation, store: FeatureStore, manifest: Manifest, output: Path, *, title: str) -> list[tuple[Path, str]]:
    """The confusion matrix, and the spectrogram of the clip that the model is surest of."""
    confusion = save_picture(plot_confusion(evaluation.scores.confusion, evaluation.classes, title=title), output / "confusion.png")
    surest = int(evaluation.probabilities.max(axis=1).argmax())
    clip = store.ledger.filter(
        (store.ledger["path"] == evaluation.paths[surest]) & (store.ledger["start_s"] == evaluation.start_s[surest])
    ).row(0, named=True)["clip"]
    samples = next(load_rows(manifest.rows(clip, clip + 1), recordings=manifest.recordings, recipe=store.recipe)).samples
    features = np.asarray(store.features[clip, : store.valid_frames[clip]], np.float32)
    name = f"{evaluation.classes[evaluation.labels[surest]]}: {Path(evaluation.paths[surest]).name}"
    figure = plot_spectrogram(samples, store.recipe.spec.sample_rate, features, store.recipe, title=name)
    spectrogram = save_picture(figure, output / "spectrogram.png")
    return [(confusion, "what is taken for what"), (spectrogram, "one clip as the classifiers see it")]


def _claim(output: Path) -> None:
    """Make the folder and mark it as a demonstration's: only in such a one is anything replaced."""
    marker = output / ".fastspec-demo"
    if output.exists() and not marker.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FastspecError(f"{output} holds something that no demonstration wrote; give -o a new folder")
    output.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _replace(path: Path) -> Path:
    """`path`, without what an earlier demonstration left there."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


@contextmanager
def _timed(what: str, show: Show) -> Iterator[None]:
    start = time.perf_counter()
    yield
    show(f"{what} ({time.perf_counter() - start:.1f} s)")
