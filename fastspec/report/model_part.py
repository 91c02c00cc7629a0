"""What a report says of a trained model: scores on clips that it never learned from, its surest mistakes, how it answers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fastspec.errors import counted
from fastspec.learn import Bundle, Evaluation, evaluate_model, majority_beside
from fastspec.learn.card import model_card
from fastspec.learn.evaluation import AllSeen
from fastspec.learn.explanation import occlude
from fastspec.learn.metrics import HEADLINES, class_areas
from fastspec.report import ReportError
from fastspec.report.card_blocks import Block, card_blocks
from fastspec.report.cells import Content, Matrix, Table, clipped, make_matrix, scored
from fastspec.report.clip_views import ClipView, Gallery
from fastspec.report.inline import inline_svg
from fastspec.report.reliability import plot_reliability
from fastspec.report.roc import plot_roc
from fastspec.store import FeatureStore

Float32 = NDArray[np.float32]

MOST_MISTAKES = 8
_MOST_CLASSES = 200
_MOST_ACROSS = 40
_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC, one against the rest",
    "log_loss": "log-loss (lower is better)",
}
_HELD_OUT = "of the kind of clips that it learned from, made when it was trained, by models that had not met their groups"


class Mistake(NamedTuple):
    """A clip that the model is sure to be what it is not.

    Attributes:
        view: the clip, with what spoke for the wrong class.
        actual: its class.
        predicted: the likeliest one.
        sure: the probability of that.
        told: the probability of the actual class.
    """

    view: ClipView
    actual: str
    predicted: str
    sure: float
    told: float


class ModelPart(NamedTuple):
    """A trained model in a report; what is not known without scores is None or empty.

    Attributes:
        name: of the plugin.
        told: where the scores come from, in a sentence.
        headline: scores, with a majority vote beside them where clips were scored.
        per_class: scores of each class.
        confusion: actual classes against the likeliest ones.
        mistaken_pairs: what is most often taken for what, where the matrix has no room.
        answers: actual classes against answers, where those are not just the likeliest class.
        roc: a picture.
        reliability: a picture.
        mistakes: the surest, most certain first.
        card: the model card.
    """

    name: str
    told: str
    headline: Table | None = None
    per_class: Table | None = None
    confusion: Matrix | None = None
    mistaken_pairs: Table | None = None
    answers: Matrix | None = None
    roc: Markup | None = None
    reliability: Markup | None = None
    mistakes: list[Mistake] | None = None
    card: list[Block] | None = None


def describe_model(store: FeatureStore, bundle: Bundle, gallery: Gallery, *, seed: int = 0) -> ModelPart:
    """Score a model on those clips of a store that it has not learned from; where there are none, tell what its bundle knows.

    Raises:
        LearnError: features of another recipe, or classes that the model does not know.
    """
    bundle.check_store(store)
    card, name = card_blocks(model_card(bundle)), bundle.plugin.name
    learned = store.ledger.filter(store.ledger["status"] == "ok")["label"].drop_nulls()
    if learned.is_empty():
        return ModelPart(name, f"The store has no labels to score {name} by.", card=card)
    try:
        result = evaluate_model(store, bundle, seed=seed)
    except AllSeen:
        return _kept_scores(ModelPart(name, "", card=card), bundle)
    return _scored_part(store, bundle, gallery, result, card, seed=seed)


def _kept_scores(part: ModelPart, bundle: Bundle) -> ModelPart:
    """The part with the scores that the bundle holds, where it holds any."""
    seen = "The model learned from every labelled clip of this store, so that its scores here would flatter it."
    metrics: Mapping[str, Any] | None = bundle.metrics
    if metrics is None:
        return part._replace(told=f"{seen} It holds no others: train it with --evaluate, or give a store of other clips.")
    counts = f"{metrics['n_tested']:,} of {counted(metrics['n_groups'], 'group')}, in {metrics['folds']} folds of whole groups"
    rows: list[list[Content]] = [[_NAMES[name], scored(metrics["headline"], name)] for name in HEADLINES]
    return part._replace(
        told=f"{seen} These are {_HELD_OUT}: {counts}.",
        headline=Table("Held-out scores with 95 % intervals over groups", ["score", part.name], rows),
        per_class=_class_table(metrics["per_class"]),
    )


def _scored_part(store: FeatureStore, bundle: Bundle, gallery: Gallery, result: Evaluation, card: list[Block], *, seed: int) -> ModelPart:
    beside, many = majority_beside(result, seed=seed), len(result.classes) > _MOST_ACROSS
    left_out = "".join(f"; {n:,} {clipped(reason)}" for reason, n in result.left_out.items())
    tested = f"{counted(len(result.clips), result.by)} of {counted(len(set(result.groups)), 'group')}"
    told = [scored(result.headline(), name) for name in HEADLINES], [scored(beside.headline(), name) for name in HEADLINES]
    rows: list[list[Content]] = [[_NAMES[name], mine, best] for name, mine, best in zip(HEADLINES, *told, strict=True)]
    heads = ["score", clipped(result.model), "best single answer"]
    return ModelPart(
        name=bundle.plugin.name,
        told=f"Scored on {tested}, none of which it learned from. Left out: {left_out[2:] or 'nothing'}.",
        headline=Table("Scores with 95 % intervals over groups", heads, rows),
        per_class=_class_table(result.per_class()),
        confusion=None if many else make_matrix("Actual classes (rows) against the likeliest", *_square(result)),
        mistaken_pairs=_pairs_table(result) if many else None,
        answers=None if many else _answers(bundle, result),
        roc=_roc(result, seed),
        reliability=_reliability(result),
        mistakes=_mistakes(store, bundle, gallery, result),
        card=card,
    )


def _square(result: Evaluation) -> tuple[list[list[float]], list[str], list[str]]:
    names = [clipped(name, 30) for name in result.classes]
    return result.scores.confusion, names, names


def _class_table(rows: list[dict[str, Any]]) -> Table:
    shown = sorted(rows, key=lambda row: -row["support"])[:_MOST_CLASSES] if len(rows) > _MOST_CLASSES else rows
    cells: list[list[Content]] = [
        [clipped(row["name"]), *(scored(row, name) for name in ("precision", "recall", "f1")), f"{row['support']:,}"] for row in shown
    ]
    caption = "Each class, with 95 % intervals over groups" + (f"; the {len(shown)} largest" if len(shown) < len(rows) else "")
    return Table(caption, ["class", "precision", "recall", "F1", "tested"], cells)


def _pairs_table(result: Evaluation) -> Table:
    counts = np.array(result.scores.confusion)
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")[:20]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, counts.shape), strict=True) if counts[i, j]]
    rows = [
        [clipped(result.classes[i]), clipped(result.classes[j]), f"{counts[i, j]:,.0f}", f"{counts[i, j] / totals[i]:.1%}"]
        for i, j in pairs
    ]
    return Table("The most frequent mistakes", ["actual", "taken for", "number", "of the class"], rows, texts=2)


def _answers(bundle: Bundle, result: Evaluation) -> Matrix | None:
    """What the model's decisions make of the probabilities; None where they are made of nothing else."""
    if bundle.decisions.change_nothing:
        return None
    given = bundle.decisions.answer(result.probabilities, result.classes)
    answers = [*result.classes, *sorted(set(given) - set(result.classes))]
    counts = np.zeros((len(result.classes), len(answers)))
    np.add.at(counts, (result.labels, np.array([answers.index(answer) for answer in given])), 1)
    names = [clipped(name, 30) for name in answers]
    return make_matrix("Actual classes (rows) against the answers", counts, names[: len(result.classes)], names)


def _roc(result: Evaluation, seed: int) -> Markup | None:
    areas = class_areas(result.labels, result.probabilities, groups=result.groups, seed=seed)
    names = [clipped(name, 30) for name in result.classes]
    try:
        figure = plot_roc(result.labels, result.probabilities, names, areas=areas, title="Each class against the rest")
    except ReportError:  # one class alone, or too many of them: the tables say all there is to say
        return None
    known = [f"{name} {area['roc_auc']:.3f}" for name, area in zip(names, areas, strict=True) if area["roc_auc"] == area["roc_auc"]]
    return inline_svg(figure, name="roc", told=f"ROC curves, with the area under each: {', '.join(known)}.")


def _reliability(result: Evaluation) -> Markup:
    sure, right = result.probabilities.max(axis=1), result.probabilities.argmax(axis=1) == result.labels
    told = f"Reliability: the model is sure of {sure.mean():.1%} on average and right in {right.mean():.1%}."
    curves = {"as the model says": result.probabilities}
    return inline_svg(plot_reliability(result.labels, curves, title="How far it can be believed"), name="reliability", told=told)


def _mistakes(store: FeatureStore, bundle: Bundle, gallery: Gallery, result: Evaluation) -> list[Mistake]:
    """The surest ones; of a recording that was tested as one, its first clip."""
    likeliest = result.probabilities.argmax(axis=1)
    sure = result.probabilities.max(axis=1)
    wrong = np.flatnonzero(likeliest != result.labels)
    surest = wrong[np.argsort(-sure[wrong], kind="stable")][:MOST_MISTAKES]
    # The dataset that was scored holds the labelled clips of status "ok", in the order of the store.
    known = np.flatnonzero(((store.ledger["status"] == "ok") & store.ledger["label"].is_not_null()).to_numpy())
    clips = {int(i): int(known[result.clips[i]]) for i in surest}
    importances = {clip: _importance(store, bundle, clip, int(likeliest[i])) for i, clip in clips.items()}
    views = gallery.show(list(clips.values()), importances)
    return [
        Mistake(
            view=view,
            actual=clipped(result.classes[result.labels[i]]),
            predicted=clipped(result.classes[likeliest[i]]),
            sure=float(sure[i]),
            told=float(result.probabilities[i, result.labels[i]]),
        )
        for i, view in zip(clips, views, strict=True)
    ]


def _importance(store: FeatureStore, bundle: Bundle, clip: int, index: int) -> Float32:
    return occlude(bundle, np.asarray(store.features[clip], np.float32), int(store.valid_frames[clip]), index=index)
