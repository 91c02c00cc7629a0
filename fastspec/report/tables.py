"""Text tables for the terminal: 80 columns are enough, and without a terminal they are plain text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import polars

Row = Mapping[str, Any]

_METRICS = {"accuracy": "accuracy", "balanced_accuracy": "balanced", "macro_f1": "macro F1", "roc_auc": "ROC-AUC", "log_loss": "log-loss"}
_USABLE = ("ok", "silent")
_WIDTH = 80
_MOST_SHARES = 3
_PARITY_CAPTION = """differs: our largest difference from the reference, at this frame and band
its own: the reference's largest difference from float64"""


def leaderboard_table(rows: Iterable[Row], *, title: str | None = None) -> Table:
    """Models in the order given: each score above its 95 % interval; the model above what it costs and, of several stores, its own.

    Args:
        rows: leaderboard rows: store, model, accuracy, balanced_accuracy, macro_f1, roc_auc and log_loss each with `_low` and
            `_high`, fit_s, predict_s, size_bytes. What a row lacks is shown as a dash.
        title: above the table.
    """
    rows = list(rows)
    several = len({row.get("store") for row in rows}) > 1
    table = text_table(title, **{"model\nsize · fit · predict": "left"})
    for heading in _METRICS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        costs = (size(row.get("size_bytes")), seconds(row.get("fit_s")), seconds(row.get("predict_s")))
        name = Text(str(row["model"]), "bold").append(f"\n{' · '.join(costs)}", "not bold dim")
        if several:
            name.append(f"\n{row.get('store') or '–'}", "not bold dim")
        table.add_row(name, *(_with_interval(row, metric) for metric in _METRICS))
    if any(_is_nan(row.get("accuracy_low")) for row in rows):
        _say_below(table, "one group was tested: no interval")
    return table


def short_names(rows: Iterable[Row]) -> list[str]:
    """What to call each row of a leaderboard: the model, and its store where there are several.

    >>> short_names([{"model": "svm", "store": "a.zarr"}, {"model": "svm", "store": "b.zarr"}])
    ['svm, a.zarr', 'svm, b.zarr']
    """
    rows = list(rows)
    several = len({row["store"] for row in rows}) > 1
    return [f"{row['model']}, {row['store']}" if several else str(row["model"]) for row in rows]


def scores_table(rows: Iterable[Row], *, title: str | None = None) -> Table:
    """One row a class: precision, recall and F1, each with its 95 % interval where there is one, and how many clips or recordings it has.

    Args:
        rows: mappings with name, precision, recall, f1 (each perhaps with `_low` and `_high`) and support: the evaluation's `per_class`.
        title: above the table.
    """
    table = text_table(title, **{"class": "left", "precision": "right", "recall": "right", "F1": "right", "number": "right"})
    rows = list(rows)
    for row in rows:
        scores = (_with_interval(row, score, between="  ") for score in ("precision", "recall", "f1"))
        table.add_row(Text(str(row["name"]), "bold"), *scores, f"{row['support']:,}")
    if any(row["support"] and _is_nan(row.get("recall_low")) for row in rows):
        _say_below(table, "a class of one group: no interval")
    return table


def confusion_table(
    matrix: ArrayLike, classes: Sequence[str], *, predicted: Sequence[str] | None = None, title: str | None = None
) -> Table:
    """Counts of actual classes (rows) against predicted ones (columns); the most frequent mistakes where 80 columns are too few.

    Args:
        matrix: `(actual classes, predicted classes)` counts, or means of counts over repeats.
        classes: names of the actual classes.
        predicted: names of the predicted ones; None: the same.
        title: above the table.
    """
    answers = classes if predicted is None else predicted
    counts, longest = np.asarray(matrix, np.float64), max(map(len, classes), default=0)
    if longest + sum(max(len(name), 6) + 2 for name in answers) > _WIDTH:
        return _mistakes_table(counts, classes, answers, title)
    table = text_table(title, **{"actual": "left"})
    _say_below(table, "columns: predicted")
    for name in answers:
        table.add_column(Text(name), justify="right")
    for name, row in zip(classes, counts, strict=True):
        cells = (Text(clips(n) if n else "·", "bold" if name == answer else "") for answer, n in zip(answers, row, strict=True))
        table.add_row(Text(name, "bold"), *cells)
    return table


def _mistakes_table(counts: NDArray[np.float64], classes: Sequence[str], answers: Sequence[str], title: str | None) -> Table:
    """The twenty most frequent confusions, with their share of the actual class."""
    table = text_table(title, actual="left", **{"taken for": "left", "clips": "right", "share": "right"})
    mistakes = [(float(n), i, j) for (i, j), n in np.ndenumerate(counts) if classes[i] != answers[j] and n]
    for n, i, j in sorted(mistakes, key=lambda m: (-m[0], m[1], m[2]))[:20]:
        table.add_row(Text(classes[i], "bold"), Text(answers[j]), clips(n), f"{n / counts[i].sum():.1%}")
    return table


def ledger_table(rows: "polars.DataFrame | Iterable[Row]", *, title: str | None = None) -> Table:
    """What happened to each clip: its path, the reason where there is one, label, start, decoded length of the recording, status.

    Args:
        rows: a ledger, or mappings with its columns.
        title: above the table.
    """
    table = text_table(title, clip="right", path="left", label="left", **{"start s": "right", "length s": "right", "status": "left"})
    for row in _mappings(rows):
        status = Text(row["status"], "" if row["status"] in _USABLE else "bold red")
        path = Text(row["path"], overflow="fold")
        if row.get("reason"):
            path.append(f"\n{row['reason']}", "dim")
        label = Text(row["label"] or "–", overflow="fold")
        table.add_row(str(row["clip"]), path, label, f"{row['start_s']:.2f}", _length(row), status)
    return table


def failures_table(rows: "polars.DataFrame | Iterable[Row]", *, title: str | None = None, examples: int = 3) -> Table:
    """Clips that gave no features: how many of each status, and the first few paths with the reason of each.

    Args:
        rows: a ledger, or mappings with its columns; usable rows are left out.
        title: above the table.
        examples: paths shown for each status.
    """
    failed = [row for row in _mappings(rows) if row["status"] not in _USABLE]
    table = text_table(title, status="left", clips="right", examples="left")
    for status, count in Counter(row["status"] for row in failed).most_common():
        shown = [row for row in failed if row["status"] == status][:examples]
        cell = Text(overflow="fold")
        for i, row in enumerate(shown):
            cell.append("\n" if i else "").append(row["path"]).append(f"  {row['reason'] or ''}".rstrip(), "dim")
        if count > len(shown):
            cell.append(f"\n… and {count - len(shown):,} more", "dim")
        table.add_row(Text(status, "bold red"), f"{count:,}", cell)
    return table


def predictions_table(rows: Iterable[Row], *, title: str | None = None) -> Table:
    """One row an answer: the recording, where in it, the class, and the likeliest classes with their probabilities.

    Args:
        rows: mappings with path, start_s, predicted, status, and probabilities, a mapping of each class, or None.
        title: above the table.
    """
    rows = list(rows)
    late = any(row["start_s"] for row in rows)
    table = text_table(title, path="left", **({"start s": "right"} if late else {}), answer="left", probabilities="left")
    for row in rows:
        shares = sorted((row["probabilities"] or {}).items(), key=lambda share: -share[1])
        more = f", … {len(shares) - _MOST_SHARES} more" if len(shares) > _MOST_SHARES else ""
        told = ", ".join(f"{name} {share:.3f}" for name, share in shares[:_MOST_SHARES]) + more
        answer = Text(row["predicted"], "bold") if row["predicted"] else Text(row["status"], "bold red")
        table.add_row(Text(row["path"], overflow="fold"), *([f"{row['start_s']:.2f}"] if late else []), answer, Text(told))
    return table


def parity_table(rows: Iterable[Row], *, title: str | None = None) -> Table:
    """One row a preset: our largest difference from its reference and where, what is allowed, and the reference's own from float64.

    Args:
        rows: fields of `references.Parity`.
        title: above the table.
    """
    table = text_table(title, **{"preset, reference": "left"})
    for heading in ("differs", "allowed", "its own", "unit", "where", ""):
        table.add_column(heading, justify="left" if heading in ("unit", "where") else "right", no_wrap=True)
    for row in rows:
        name = Text(row["preset"], "bold").append(f"\n{_reference(row)}", "not bold dim")
        numbers = (power_of_ten(row[field]) for field in ("error", "tolerance", "reference_error"))
        where = f"{row['signal']} {row['frame']}, {row['band']}"
        table.add_row(name, *numbers, row["unit"], where, Text("ok", "green") if row["passed"] else Text("MISS", "bold red"))
    _say_below(table, _PARITY_CAPTION)
    return table


def _reference(row: Row) -> str:
    name = f"{row['reference']} {row['version']}"
    if row["live"]:
        return name
    return f"golden vectors of {name}; {row['missing']}"


def text_table(title: str | None, **columns: Any) -> Table:
    """An open table with a line below its headings; `columns` maps headings to their alignment."""
    heading = None if title is None else Text(title, "bold")
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, justify in columns.items():
        table.add_column(name, justify=justify, overflow="fold")
    return table


def _say_below(table: Table, text: str) -> None:
    """A remark of whole lines, wider than the table where it must be."""
    table.caption_justify, table.caption = "left", Text(text, "dim", no_wrap=True, overflow="ignore")


def _mappings(rows: "polars.DataFrame | Iterable[Row]") -> Iterable[Row]:
    iter_rows = getattr(rows, "iter_rows", None)
    return rows if iter_rows is None else iter_rows(named=True)  # type: ignore[return-value]


def _with_interval(row: Row, metric: str, *, between: str = "\n") -> Text:
    cell = Text(_number(row.get(metric)))
    low, high = row.get(f"{metric}_low"), row.get(f"{metric}_high")
    if low is not None and high is not None and not _is_nan(low):
        cell.append(f"{between}{_number(low)}–{_number(high)}", "dim")
    return cell


def _is_nan(value: float | None) -> bool:
    return value is not None and value != value


def _number(value: float | None) -> str:
    """Four characters: three decimals without the zero in front below 1, fewer decimals from there on; a dash for what is not known.

    >>> _number(0.9876), _number(0.9999), _number(1.0), _number(12.3456), _number(None), _number(float("nan"))
    ('.988', '1.00', '1.00', '12.3', '–', '–')
    """
    if value is None or _is_nan(value):
        return "–"
    if value < 0.9995:
        return f"{value:.3f}".removeprefix("0")
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"


def power_of_ten(value: float) -> str:
    """Two digits and the exponent.

    >>> power_of_ten(0.000123), power_of_ten(0.0)
    ('1.2e-4', '0')
    """
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits}e{int(exponent)}" if value and exponent else digits.removesuffix(".0")


def _length(row: Row) -> str:
    frames, rate = row.get("decoded_frames"), row.get("sample_rate")
    return f"{frames / rate:.2f}" if frames and rate else "–"


def clips(count: float) -> str:
    """A count of clips, or its mean over repeats.

    >>> clips(1200.0), clips(12.333)
    ('1,200', '12.3')
    """
    return f"{count:,.0f}" if count == round(count) else f"{count:,.1f}"


def seconds(value: float | None) -> str:
    """A duration with three significant digits at most.

    >>> seconds(0.0421), seconds(2.34), seconds(75.2), seconds(None)
    ('42 ms', '2.3 s', '75 s', '–')
    """
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 10 else f"{value:,.0f} s"


def size(value: float | None) -> str:
    """Bytes in decimal units.

    >>> size(512), size(41_300), size(2_340_000), size(None)
    ('512 B', '41 kB', '2.3 MB', '–')
    """
    if value is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.1f} {unit}" if value < 10 * scale else f"{value / scale:.0f} {unit}"
    return f"{value:.0f} B"
