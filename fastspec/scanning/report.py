"""A corpus as it is: `fastspec.scan` and what it reports."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from fastspec.corpus import Manifest
from fastspec.corpus.splits import TRAIN_WORDS
from fastspec.learn.dataset import join_groups
from fastspec.pipeline import Progress, survey_clips
from fastspec.scanning.header import HeaderTest, measure_header

CLIPPED_SHARE = 0.001
SILENT_SHARE = 0.5
OFFSET = 0.01
_QUANTILES = {"shortest": 0.0, "p5": 0.05, "median": 0.5, "p95": 0.95, "longest": 1.0}


class Problem(NamedTuple):
    """Something wrong with a corpus.

    Attributes:
        kind: one of unreadable, conflicting-labels, copies-across-groups, copies-across-splits, groups-across-splits, one-group,
            header-leak, length-leak, cut-short, table-beside, unknown-format.
        clips: how many it concerns.
        text: what it is, with an example.
        advice: what to do.
        spoils: whether it makes the scores of an evaluation wrong; otherwise it is worth knowing.
    """

    kind: str
    clips: int
    text: str
    advice: str
    spoils: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class ScanReport:
    """What is in a corpus and what is wrong with it.

    Attributes:
        manifest: the corpus, with what was found in each row.
        clips: rows.
        recordings: that they are cut from.
        groups: recordings without one are a group each.
        hours: of audio in clips that could be read.
        statuses: clips of each status, the most frequent first.
        classes: label, clips, hours and groups of each class, by its name; unlabelled clips are none of them.
        imbalance: clips of the largest class over those of the smallest; None without two classes.
        splits: clips of each split or fold.
        durations_s: the shortest, 5 %, median, 95 % and longest of clips that could be read.
        formats: clips of each format and subtype, the most frequent first.
        sample_rates: clips of each, in Hz.
        channels: clips of each number of channels.
        remarks: name, clips and an example of each kind of clip that may surprise.
        header: what headers alone tell of labels; None where there are no two classes with two groups.
        problems: what spoils an evaluation first.
    """

    manifest: Manifest
    clips: int
    recordings: int
    groups: int
    hours: float
    statuses: dict[str, int]
    classes: list[dict[str, Any]]
    imbalance: float | None
    splits: dict[str, int]
    durations_s: dict[str, float]
    formats: dict[str, int]
    sample_rates: dict[str, int]
    channels: dict[str, int]
    remarks: list[dict[str, Any]]
    header: HeaderTest | None
    problems: list[Problem]

    @property
    def spoiling(self) -> list[Problem]:
        """The problems that make the scores of an evaluation wrong."""
        return [problem for problem in self.problems if problem.spoils]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the rows."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("manifest", "header", "problems")}
        header = None if self.header is None else asdict(self.header)
        return {"corpus": self.manifest.source, **plain, "header": header, "problems": [problem._asdict() for problem in self.problems]}

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the manifest with what was found in each row, as `Manifest.write` does; `read_corpus` reads it again."""
        return self.manifest.write(path)


def scan(manifest: Manifest, *, workers: int = 2, on_progress: Callable[[Progress], None] | None = None) -> ScanReport:
    """Read every recording of a corpus once and tell what is in it, and what would spoil an evaluation.

    Bad recordings cost their rows and are reported. Memory does not grow with the recordings.

    Args:
        manifest: what to read.
        workers: threads; 0 works in the calling one.
        on_progress: called after each recording, from the worker's thread.

    >>> import numpy as np, fastspec
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (3, 8000))
    >>> sounds = [("a", noise[0], 8000, "cat"), ("b", noise[1], 8000, "dog"), ("copy", noise[0], 8000, "dog")]
    >>> report = fastspec.scan(fastspec.read_corpus(sounds))
    >>> report.clips, report.hours * 3600, [problem.kind for problem in report.problems]
    (3, 3.0, ['conflicting-labels', 'copies-across-groups', 'one-group'])
    """
    return report_of(manifest, survey_clips(manifest, workers=workers, on_progress=on_progress))


def report_of(manifest: Manifest, found: pl.DataFrame) -> ScanReport:
    """What to tell of a manifest with these findings, a row for each of its rows, in the columns of `FOUND`."""
    from fastspec.scanning.problems import find_problems

    clips = _describe(manifest, found)
    read = clips.filter(pl.col("status").is_in(["ok", "silent"]))
    header = measure_header(join_copies(clips.filter(pl.col("status") == "ok", pl.col("label").is_not_null())))
    classes = _classes(clips)
    sizes = [row["clips"] for row in classes]
    quantiles = {name: read["seconds"].quantile(q, "linear") for name, q in _QUANTILES.items()}
    return ScanReport(
        manifest=replace(manifest, found=found),
        clips=len(clips),
        recordings=clips["path"].n_unique(),
        groups=clips["group"].n_unique(),
        hours=float(read["seconds"].sum()) / 3600,
        statuses=_counts(clips["status"]),
        classes=classes,
        imbalance=max(sizes) / min(sizes) if len(sizes) > 1 else None,
        splits=_counts(clips["split"]),
        durations_s={name: seconds for name, seconds in quantiles.items() if seconds is not None},
        formats=_counts(clips.select(pl.format("{} {}", "format", "subtype").str.strip_chars()).to_series()),
        sample_rates=_counts(clips["sample_rate"]),
        channels=_counts(clips["channels"]),
        remarks=_remarks(clips),
        header=header,
        problems=find_problems(manifest, clips, header),
    )


def _describe(manifest: Manifest, found: pl.DataFrame) -> pl.DataFrame:
    """The rows with what was found, a group for each, `seconds`, and `side`: the split, validation being training."""
    return (
        manifest.table.select("path", "label", "group", "split", "start_s", "duration_s")
        .hstack(found)
        .with_columns(
            pl.coalesce("group", "path").alias("group"),
            pl.col("group").is_not_null().alias("grouped"),
            (pl.col("frames") / pl.col("sample_rate")).alias("seconds"),
            pl.when(pl.col("split").is_in(list(TRAIN_WORDS))).then(pl.lit("train")).otherwise("split").alias("side"),
        )
    )


def join_copies(clips: pl.DataFrame) -> pl.DataFrame:
    """The clips with groups that hold copies joined into one. All of them have audio."""
    if clips.is_empty():
        return clips
    names = (clips[name].to_numpy().astype(np.str_) for name in ("group", "audio_hash"))
    return clips.with_columns(pl.Series("group", join_groups(*names)))


def _classes(clips: pl.DataFrame) -> list[dict[str, Any]]:
    columns = (pl.len().alias("clips"), (pl.col("seconds").sum() / 3600).alias("hours"), pl.col("group").n_unique().alias("groups"))
    return clips.drop_nulls("label").group_by("label").agg(columns).sort("label").to_dicts()


def _counts(values: pl.Series) -> dict[str, int]:
    counts = values.drop_nulls().value_counts().sort("count", values.name, descending=[True, False])
    return {str(value): count for value, count in counts.rows()}


def _remarks(clips: pl.DataFrame) -> list[dict[str, Any]]:
    kinds = {
        "silent: every sample is 0": pl.col("status") == "silent",
        "half of it or more is exactly 0": (pl.col("status") == "ok") & (pl.col("silent") >= SILENT_SHARE),
        f"clipped: {CLIPPED_SHARE:.1%} of samples or more": pl.col("clipped") >= CLIPPED_SHARE,
        f"offset (DC) of {OFFSET:.0%} of full scale or more": pl.col("dc").abs() >= OFFSET,
        "a dead channel": pl.col("reason").str.contains(" is dead") & (pl.col("status") == "ok"),
        "channels in antiphase": pl.col("reason").str.contains("in antiphase") & (pl.col("status") == "ok"),
        "NaN or infinite samples": pl.col("nonfinite") > 0,
        "copies of an earlier clip": pl.col("duplicate_of").is_not_null(),
    }
    found = [(name, clips.filter(condition)["path"]) for name, condition in kinds.items()]
    return [{"remark": name, "clips": len(paths), "example": paths[0]} for name, paths in found if len(paths)]
