"""What a report says of a store's corpus: facts, problems, failures, classes, lengths and splits, all from the ledger."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from markupsafe import Markup

from fastspec.errors import LearnError, counted
from fastspec.learn.dataset import join_groups
from fastspec.learn.splits import make_folds
from fastspec.report.cells import Bar, Content, Table, clipped, path_end
from fastspec.report.corpus_pictures import plot_durations
from fastspec.report.corpus_text import scan_facts
from fastspec.report.inline import inline_svg
from fastspec.report.tables import seconds
from fastspec.scanning import Problem, ScanReport, scan_store
from fastspec.store import FeatureStore
from fastspec.store.ledger import USABLE

MOST_CLASSES = 100
MOST_ACROSS = 12
_FOLDS = 5
_EXAMPLES = 3
_MOST_SPLITS = 20


class CorpusPart(NamedTuple):
    """A corpus in a report.

    Attributes:
        facts: what is in it, by name.
        lead: the same in a sentence.
        spoiling: problems that make scores wrong.
        worth_knowing: other problems.
        failures: what gave no features, and why; None where everything did.
        remarks: what may surprise; None where nothing does.
        classes: clips of each; None without labels.
        durations: a picture of how long recordings are; None where no header says.
        splits: which clips are in which split or fold; None where there can be none.
        split_told: what that is, in a sentence.
    """

    facts: dict[str, str]
    lead: str
    spoiling: list[Problem]
    worth_knowing: list[Problem]
    failures: Table | None
    remarks: Table | None
    classes: Table | None
    durations: Markup | None
    splits: Table | None
    split_told: str


def describe_corpus(store: FeatureStore) -> CorpusPart:
    """Everything that the ledger of a store tells; nothing is decoded."""
    scan = scan_store(store)
    splits, told = _splits(store)
    return CorpusPart(
        facts=_facts(store, scan),
        lead=_lead(scan),
        spoiling=scan.spoiling,
        worth_knowing=[problem for problem in scan.problems if not problem.spoils],
        failures=_failures(store.ledger),
        remarks=_remarks(scan),
        classes=_classes(scan),
        durations=_durations(store.ledger),
        splits=splits,
        split_told=told,
    )


def _lead(scan: ScanReport) -> str:
    classes = counted(len(scan.classes), "class", "classes") if scan.classes else "no labels"
    recordings, groups = counted(scan.recordings, "recording"), counted(scan.groups, "group")
    return f"{counted(scan.clips, 'clip')} of {recordings} in {groups}: {_length(scan.hours)}, {classes}."


def _facts(store: FeatureStore, scan: ScanReport) -> dict[str, str]:
    frames, bands = store.recipe.shape
    clip_s, hop_s = store.recipe.clip.clip_s, store.recipe.clip.hop_s
    cut = f"clips of {clip_s:g} s" + ("" if hop_s is None else f", one every {hop_s:g} s")
    features = f"{'+'.join(store.recipe.spec.features)}: {frames:,} frames of {bands:,} bands, {store.dtype}; {cut}"
    facts = scan_facts(scan.to_dict() | {"corpus": Path(scan.manifest.source).name})
    return {name: clipped(text, 300) for name, text in (facts | {"features": features}).items() if text}


def _failures(ledger: pl.DataFrame) -> Table | None:
    failed = ledger.filter(~pl.col("status").is_in(USABLE))
    if failed.is_empty():
        return None
    rows = []
    for (status,), clips in failed.group_by(["status"], maintain_order=True):
        shown = [
            f"{path_end(path)}: {clipped(reason or 'no reason')}" for path, reason in clips[:_EXAMPLES].select("path", "reason").rows()
        ]
        more = [f"and {len(clips) - _EXAMPLES:,} more"] if len(clips) > _EXAMPLES else []
        rows.append((len(clips), [str(status), "\n".join([*shown, *more]), f"{len(clips):,}"]))
    ordered = [row for _, row in sorted(rows, key=lambda row: -row[0])]
    return Table(f"{counted(len(failed), 'clip')} of {len(ledger):,} without features", ["status", "such as", "clips"], ordered, texts=2)


def _remarks(scan: ScanReport) -> Table | None:
    rows = [[row["remark"], path_end(row["example"]), f"{row['clips']:,}"] for row in scan.remarks]
    return Table("What may surprise", ["remark", "such as", "clips"], rows, texts=2) if rows else None


def _classes(scan: ScanReport) -> Table | None:
    if not scan.classes:
        return None
    ordered = sorted(scan.classes, key=lambda row: (-row["clips"], row["label"]))
    shown, most = ordered[:MOST_CLASSES], ordered[0]["clips"]
    rows: list[list[Content]] = [
        [clipped(row["label"]), Bar(100 * row["clips"] / most, f"{row['clips']:,}"), _length(row["hours"]), f"{row['groups']:,}"]
        for row in shown
    ]
    caption = f"Clips of {counted(len(ordered), 'class', 'classes')}" + (f", the largest {len(shown)}" if len(ordered) > len(shown) else "")
    return Table(caption, ["class", "clips", "length", "groups"], rows)


def _length(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 0.1 else seconds(3600 * hours)


def _durations(ledger: pl.DataFrame) -> Markup | None:
    recordings = ledger.unique("path", keep="first", maintain_order=True).filter(pl.col("header_frames") > 0)
    lengths = (recordings["header_frames"] / recordings["sample_rate"]).to_numpy()
    if not len(lengths):
        return None
    told = f"A histogram of how long {len(lengths):,} recordings are: half of them {float(np.median(lengths)):.2f} s or more."
    return inline_svg(plot_durations(lengths, title="Recordings, by what their headers say"), name="durations", told=told)


def _splits(store: FeatureStore) -> tuple[Table | None, str]:
    """The splits that the corpus gives, or else the folds that scores are made by."""
    clips = store.ledger.filter(pl.col("status") == "ok")
    if clips["split"].null_count() < len(clips):
        names = clips["split"].fill_null("none")
        return _split_table(
            clips, names, "The split that the corpus gives"
        ), "Scores are those of test clips, by models that never heard them."
    clips = clips.drop_nulls("label")
    if clips.is_empty():
        return None, "The clips have no labels, so that there is nothing to split."
    groups = join_groups(*(clips[name].to_numpy().astype(np.str_) for name in ("group", "audio_hash")))
    classes, labels = np.unique(clips["label"].to_numpy().astype(np.str_), return_inverse=True)
    fewest = min(len(set(groups[labels == k])) for k in range(len(classes)))
    try:
        folds = make_folds(labels, groups, n_folds=min(_FOLDS, fewest), seed=0, classes=classes.tolist())
    except LearnError as error:
        return None, f"No split is given, and there are no folds: {clipped(error, 300)}."
    fold_of = np.zeros(len(clips), np.int64)
    for number, fold in enumerate(folds, 1):
        fold_of[fold.test] = number
    return (
        _split_table(clips.with_columns(pl.Series("group", groups)), pl.Series(fold_of), f"{len(folds)} folds of whole groups"),
        "No split is given. By folds each clip is tested once, by a model that heard nothing of its group, nor a copy of it.",
    )


def _split_table(clips: pl.DataFrame, names: pl.Series, caption: str) -> Table:
    known = clips["label"].drop_nulls().value_counts().sort(["count", "label"], descending=[True, False])["label"].to_list()
    shown: Sequence[str] = known if len(known) <= MOST_ACROSS else []
    rows = [[*_split_row(name, part, len(clips), shown)] for name, part in _parts(clips, names)]
    return Table(caption, ["", "clips", "share", "groups", *map(clipped, shown)], rows)


def _parts(clips: pl.DataFrame, names: pl.Series) -> Iterator[tuple[Any, pl.DataFrame]]:
    for name in names.unique().sort().to_list()[:_MOST_SPLITS]:
        yield name, clips.filter(names == name)


def _split_row(name: object, part: pl.DataFrame, total: int, classes: Sequence[str]) -> Iterator[str]:
    yield from (clipped(name), f"{len(part):,}", f"{len(part) / total:.1%}", f"{part['group'].n_unique():,}")
    yield from (f"{int((part['label'] == label).sum()):,}" for label in classes)
