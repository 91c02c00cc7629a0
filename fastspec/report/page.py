"""A store, and a model of it, as one HTML file that needs nothing else: no network, no script, no other file."""

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import fastspec
from fastspec.learn import Bundle, LeaderboardRow
from fastspec.report import ReportError
from fastspec.report.board import plot_leaderboard
from fastspec.report.cells import Content, Scored, Table, clipped, path_end, scored
from fastspec.report.clip_views import COLUMNS, PICTURE, WAVE_HEIGHT, Gallery
from fastspec.report.corpus_part import describe_corpus
from fastspec.report.inline import inline_svg
from fastspec.report.model_part import describe_model
from fastspec.report.plotting import spread
from fastspec.report.sound import LONGEST_S
from fastspec.report.tables import short_names, size
from fastspec.store import FeatureStore
from fastspec.store.files import write_atomically
from fastspec.store.ledger import USABLE

LIMIT_BYTES = 5_000_000
_MEDIA_BYTES = 3_800_000
_MARK = '<meta name="generator" content="fastspec '
_MOST_CLASSES = 24
_MOST_CLIPS = 48
_MOST_OF_A_CLASS = 4
_MOST_ON_BOARD = 60
_BOARD = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC-AUC",
    "log_loss": "log-loss",
}


class Report(NamedTuple):
    """A report that was written.

    Attributes:
        path: of the file.
        size_bytes: of it.
        clips: that are shown.
        sounds: that can be played.
        silent_because: why there are none, where the recordings could not be had.
    """

    path: Path
    size_bytes: int
    clips: int
    sounds: int
    silent_because: str | None


def write_report(
    store: FeatureStore,
    output: str | os.PathLike[str],
    *,
    bundle: Bundle | None = None,
    board: Sequence[Mapping[str, Any]] = (),
    corpus: str | None = None,
    overwrite: bool = False,
    seed: int = 0,
) -> Report:
    """Write what is in a store, and how good a model is, as one HTML file of less than 5 MB; equal inputs give equal bytes.

    Args:
        store: finished.
        output: the file, which must not exist unless `overwrite` is given.
        bundle: a model, scored on those clips that it has not learned from.
        board: rows of a leaderboard.
        corpus: where the recordings are; None is where they were. Where they are gone there are no sounds.
        overwrite: replace a report that is there.
        seed: of intervals.

    Raises:
        ReportError: an output that exists, or that cannot be written.
        LearnError: a model of another recipe or of other classes.
        CorpusError: `corpus` cannot be read.
    """
    target = check_report(output, overwrite=overwrite)
    if bundle is not None:
        bundle.check_store(store)
    gallery = Gallery(store, budget_bytes=_MEDIA_BYTES, corpus=corpus)
    model = None if bundle is None else describe_model(store, bundle, gallery, seed=seed)
    shown, more = _gallery_rows(store)
    views = iter(gallery.show([clip for _, clips in shown for clip in clips]))
    classes = [(clipped(label), list(islice(views, len(clips)))) for label, clips in shown]
    page = (
        _environment()
        .get_template("report.html")
        .render(
            store=store,
            name=clipped(store.path.name),
            corpus=describe_corpus(store),
            gallery=gallery,
            classes=classes,
            more_classes=more,
            board=_board_table(board),
            board_picture=_board_picture(board),
            model=model,
            recipe=store.recipe.to_toml(),
            versions=_versions(store, bundle),
            version=fastspec.__version__,
            picture_size=PICTURE,
            wave_size=(COLUMNS, WAVE_HEIGHT),
            longest_s=LONGEST_S,
        )
    )
    data = page.encode()
    if len(data) > LIMIT_BYTES:
        raise ReportError(f"the report would have {len(data):,} bytes, more than {LIMIT_BYTES:,}; give a shorter --board")
    try:
        write_atomically(target, data)
    except OSError as error:
        raise ReportError(f"the report cannot be written to {target}: {error.strerror or error}; choose another place") from None
    every = [view for _, some in classes for view in some] + [found.view for found in (model.mistakes if model else None) or ()]
    return Report(target, len(data), len(every), sum(view.sound is not None for view in every), gallery.silent_because)


def check_report(output: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """`output`, when a report can be written there: a name in .html, and nothing there but a report that may be replaced.

    Raises:
        ReportError: otherwise.
    """
    path = Path(output)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ReportError(f"{path.name!r} is no name of a report; give one that ends in .html")
    if not path.exists():
        return path
    if not path.is_file() or not _is_ours(path):
        raise ReportError(f"{path} exists and is no report that fastspec made, so it is not touched; choose another name")
    if not overwrite:
        raise ReportError(f"{path} exists; give --overwrite to replace it, or another name")
    return path


def read_board(path: Path) -> list[dict[str, Any]]:
    """The rows of a leaderboard that `fastspec leaderboard -o` wrote.

    Raises:
        ReportError: no such file, or another table.
    """
    try:
        board = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ReportError(
            f"the leaderboard {path} cannot be read ({type(error).__name__}); give one of 'fastspec leaderboard -o'"
        ) from None
    missing = [name for name in LeaderboardRow._fields if name not in board.columns]
    if missing:
        raise ReportError(f"{path} has no column {missing[0]!r}, so it is no leaderboard; give one of 'fastspec leaderboard -o'")
    return board.select(LeaderboardRow._fields).to_dicts()


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return _MARK.encode() in file.read(2000)


def _environment() -> Environment:
    # Labels, paths and reasons come from strangers: everything is escaped but pictures of our own, which are Markup.
    environment = Environment(
        loader=PackageLoader("fastspec.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"clipped": clipped, "path_end": path_end}
    environment.tests |= {"scored": lambda cell: isinstance(cell, Scored), "bar": lambda cell: hasattr(cell, "percent")}
    return environment


def _gallery_rows(store: FeatureStore) -> tuple[list[tuple[str, list[int]]], int]:
    """Some clips of each of the largest classes, by its name; and how many classes are left out."""
    members: dict[str, list[int]] = {}
    for clip, status, label in store.ledger.select("clip", "status", "label").rows():
        if status in USABLE:
            members.setdefault("no label" if label is None else label, []).append(clip)
    largest = sorted(members, key=lambda label: (-len(members[label]), label))[:_MOST_CLASSES]
    each = max(1, min(_MOST_OF_A_CLASS if len(largest) > 1 else 2 * _MOST_OF_A_CLASS, _MOST_CLIPS // max(1, len(largest))))
    return [(label, spread(members[label], each)) for label in sorted(largest)], len(members) - len(largest)


def _board_table(board: Sequence[Mapping[str, Any]]) -> Table | None:
    if not board:
        return None
    several = len({row["store"] for row in board}) > 1
    names = [path_end(name) for name in short_names(board)] if several else [clipped(row["model"]) for row in board]
    rows: list[list[Content]] = [
        [name, *(scored(row, score) for score in _BOARD), size(row["size_bytes"])]
        for name, row in zip(names, board[:_MOST_ON_BOARD], strict=False)
    ]
    return Table("Scores with 95 % intervals over groups; the lowest log-loss comes first", ["model", *_BOARD.values(), "size"], rows)


def _board_picture(board: Sequence[Mapping[str, Any]]) -> Markup | None:
    if not board:
        return None
    best = clipped(board[0]["model"])
    told = f"Each model's log-loss, balanced accuracy and ROC-AUC with intervals; {best} has the lowest log-loss."
    return inline_svg(plot_leaderboard(board[:_MOST_ON_BOARD], title="Leaderboard"), name="board", told=told)


def _versions(store: FeatureStore, bundle: Bundle | None) -> Table:
    made = {name: str(version) for name, version in store.versions.items()}
    trained = {} if bundle is None else {name: str(version) for name, version in bundle.versions.items()}
    heads = ["", "store"] if bundle is None else ["", "store", "model"]
    rows = [[clipped(name), *(clipped(of.get(name, "–")) for of in (made, trained)[: len(heads) - 1])] for name in sorted(made | trained)]
    return Table("What made them", heads, rows, texts=3)
