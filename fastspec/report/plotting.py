"""What `fastspec plot` draws: recordings, or what a corpus or a store holds of each class."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fastspec.audio import LoadedClip
from fastspec.corpus import ClipRow, Manifest, read_inputs
from fastspec.corpus.labels import is_audio
from fastspec.errors import choices
from fastspec.frontend import FrontEnd
from fastspec.pipeline import load_rows
from fastspec.report import ReportError
from fastspec.report.corpus_pictures import plot_classes, plot_durations
from fastspec.report.grid import plot_grid
from fastspec.report.kinds import Kind, recipe_of
from fastspec.report.look import Look
from fastspec.report.spectrogram import plot_spectrogram
from fastspec.report.waveform import plot_waveform
from fastspec.scanning import scan
from fastspec.spec import Recipe
from fastspec.store import FeatureStore, open_store
from fastspec.store.ledger import USABLE
from fastspec.store.reading import is_store

Float32 = NDArray[np.float32]
Plot = Kind | Literal["waveform", "grid", "classes", "durations"]

_WITHOUT_FEATURES = ("waveform", "grid", "classes", "durations")
LONGEST_S = 600.0
LONGEST_IN_GRID_S = 10.0
MOST_CLASSES = 12


def plot(
    inputs: Sequence[str],
    *,
    recipe: Recipe,
    kind: Plot | None = None,
    look: Look | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
    each: int = 4,
    title: str | None = None,
    columns: Mapping[str, str] | None = None,
    label_from: str | None = None,
    workers: int = 2,
) -> Figure:
    """Draw recordings, a corpus or a store.

    One recording is drawn with its waveform, of several each is a row. Of a corpus or a store each class is a row with some of its clips,
    unless `kind` asks for "classes" or "durations".

    Args:
        inputs: recordings; or one corpus of any kind that `read_corpus` takes; or one store.
        recipe: what to compute; a store has its own.
        kind: what to draw; None is the recipe's features.
        look: colours, units, whether there is a waveform.
        start_s: where in recordings to begin, in seconds.
        duration_s: how much of them; None is all, at most ten minutes, and ten seconds where clips stand side by side.
        each: clips of each class.
        title: above the picture; None names what is drawn.
        columns: of a table, as `read_corpus` has it.
        label_from: likewise.
        workers: threads that measure durations.

    Raises:
        ReportError: something that cannot be drawn like that.
        CorpusError, StoreError: an input that cannot be read.
    """
    look = look or Look()
    if len(inputs) == 1 and is_store(Path(inputs[0])):
        return _plot_store(open_store(inputs[0]), kind or "grid", look=look, each=each, title=title)
    recipe = recipe_of("features" if kind is None or kind in _WITHOUT_FEATURES else kind, recipe)
    manifest = read_inputs(inputs, label_from=label_from, columns=columns)
    name = title or (Path(manifest.source).name if len(inputs) == 1 else f"{len(inputs)} recordings")
    if kind == "classes":
        return plot_classes(_count(manifest.table["label"]), title=title or f"Classes of {name}")
    if kind == "durations":
        found = scan(manifest, workers=workers).manifest.found
        assert found is not None
        read = found.filter(pl.col("status").is_in(USABLE))
        return plot_durations((read["frames"] / read["sample_rate"]).to_numpy(), title=title or f"Lengths of clips in {name}")
    if kind != "grid" and all(is_audio(path) for path in inputs):
        return _plot_recordings(manifest, kind, recipe, look, start_s=start_s, duration_s=duration_s, title=name)
    if kind == "waveform":
        raise ReportError(f"{manifest.source} is a corpus; give one recording for its waveform, or another --kind")
    longest_s = duration_s or LONGEST_IN_GRID_S
    _, loading = _around(recipe, 0.0, longest_s)
    rows, more = _classes_of(manifest.table["label"])
    chosen = {label: [row for i in spread(members, each) for row in manifest.rows(i, i + 1)] for label, members in rows.items()}
    front = FrontEnd(loading)
    shown = {label: [front(clip.samples) for clip in _load(manifest, some, loading) if clip.usable] for label, some in chosen.items()}
    return _show(plot_grid(shown, loading, title=name + more, look=look), 0.0, longest_s)


def _plot_recordings(
    manifest: Manifest, kind: Plot | None, recipe: Recipe, look: Look, *, start_s: float, duration_s: float | None, title: str
) -> Figure:
    paths = manifest.table["path"].to_list()
    if len(paths) > 1:
        if kind == "waveform":
            raise ReportError(f"{len(paths)} recordings are given; give one for its waveform, or another --kind")
        longest_s = duration_s or LONGEST_IN_GRID_S
        first_s, loading = _around(recipe, start_s, longest_s)
        names = [Path(path).name for path in paths]
        if len(set(names)) < len(names):
            names = paths
        shown = {name: [FrontEnd(loading)(_load_one(manifest, i, first_s, loading))] for i, name in enumerate(names)}
        return _show(plot_grid(shown, loading, title=title, look=look, start_s=first_s), start_s, longest_s)
    longest_s = duration_s or LONGEST_S
    first_s, loading = _around(recipe, start_s, longest_s)
    samples, rate = _load_one(manifest, 0, first_s, loading), recipe.spec.sample_rate
    if kind == "waveform":
        figure = plot_waveform(samples, rate, title=title, look=look, start_s=first_s)
    else:
        figure = plot_spectrogram(samples, rate, FrontEnd(loading)(samples), loading, title=title, look=look, start_s=first_s)
    return _show(figure, start_s, longest_s)


def _around(recipe: Recipe, start_s: float, longest_s: float) -> tuple[float, Recipe]:
    """Where to begin to load a stretch, and the recipe for it: what lies a frame around is loaded too, so that nothing is cut off there."""
    margin_s = recipe.spec.frame_length / recipe.spec.sample_rate
    first_s = max(0.0, start_s - margin_s)
    channel = "mean" if recipe.clip.channel == "each" else recipe.clip.channel
    clip_s = start_s - first_s + longest_s + margin_s
    return first_s, recipe.replace(clip_s=clip_s, hop_s=None, last="pad", crop="start", min_s=0.0, channel=channel)


def _show(figure: Figure, start_s: float, longest_s: float) -> Figure:
    """Show that stretch of what was loaded, or as much of it as there is."""
    axes = figure.axes[0]
    axes.set_xlim(start_s, min(axes.get_xlim()[1], start_s + longest_s))
    return figure


def _load_one(manifest: Manifest, row: int, start_s: float, recipe: Recipe) -> Float32:
    """The samples of a recording from somewhere on; ReportError where there are none."""
    (found,) = manifest.rows(row, row + 1)
    (clip,) = _load(manifest, [found._replace(start_s=start_s)], recipe)
    if not clip.usable:
        raise ReportError(f"{found.path} cannot be drawn, it is {clip.info.status}: {clip.info.reason}; give another recording or --start")
    return clip.samples


def _plot_store(store: FeatureStore, kind: Plot, *, look: Look, each: int, title: str | None) -> Figure:
    name, ledger = title or store.path.name, store.ledger.with_row_index("row").filter(pl.col("status").is_in(USABLE))
    if kind == "classes":
        return plot_classes(_count(ledger["label"]), title=title or f"Classes of {name}")
    if kind not in ("grid", "features"):
        raise ReportError(
            f"{store.path} is a store, which holds features alone; {choices(kind, ('grid', 'classes'))}; else give the recordings"
        )
    rows, more = _classes_of(ledger["label"])
    numbers = {label: ledger["row"].gather(spread(members, each)) for label, members in rows.items()}
    frames = store.valid_frames
    shown = {label: [np.asarray(store.features[i], np.float32)[: frames[i]] for i in some] for label, some in numbers.items()}
    return plot_grid(shown, store.recipe, title=name + more, look=look)


def _load(manifest: Manifest, rows: Sequence[ClipRow], recipe: Recipe) -> Iterator[LoadedClip]:
    return load_rows(rows, recordings=manifest.recordings, recipe=recipe)


def spread(members: Sequence[int], n: int) -> list[int]:
    """At most so many of them, evenly spaced.

    >>> spread([3, 5, 7, 9, 11], 3)
    [3, 7, 11]
    """
    places = np.unique(np.linspace(0, len(members) - 1, min(n, len(members))).round().astype(int))
    return [members[place] for place in places]


def _classes_of(labels: pl.Series) -> tuple[dict[str, list[int]], str]:
    """Positions of the clips of each of the largest classes, by its name, and how to say that there are more."""
    members: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        members.setdefault(label or "no label", []).append(i)
    largest = sorted(members, key=lambda label: (-len(members[label]), label))[:MOST_CLASSES]
    more = f", the largest {len(largest)} of {len(members)} classes" if len(members) > len(largest) else ""
    return {label: members[label] for label in sorted(largest)}, more


def _count(labels: pl.Series) -> list[dict[str, object]]:
    counts = labels.drop_nulls().value_counts()
    return [{"label": label, "clips": clips} for label, clips in counts.rows()]
