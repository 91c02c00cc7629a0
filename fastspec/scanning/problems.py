"""What would spoil an evaluation, and what to do about it."""

from collections.abc import Iterator

import polars as pl

from fastspec.corpus import Manifest, RowProblems
from fastspec.corpus.labels import table_format
from fastspec.errors import counted
from fastspec.scanning.header import HeaderTest
from fastspec.scanning.report import Problem, join_copies

_SHOWN = 3
# libsndfile's number of frames where the header gives none is 2^63 - 1; no format can claim as many as this.
_NO_CLAIM = 1 << 62
# Of an MP3 that is whole the header gives an estimate: 0.1 % too much in hundreds from one encoder.
_MP3_SHARE, _MP3_SECONDS = 0.01, 0.1


def find_problems(manifest: Manifest, clips: pl.DataFrame, header: HeaderTest | None) -> list[Problem]:
    """All problems of a corpus; those that spoil an evaluation come first.

    Args:
        manifest: the corpus.
        clips: its rows with what was found, each with a group and a `side` of the split.
        header: what headers alone tell.
    """
    usable = clips.filter(pl.col("status") == "ok")
    problems = [*_find_unreadable(manifest, clips), *_find_copies(usable), *_find_straddling(usable), *_find_lonely(usable)]
    problems += [*_find_leaks(header), *_find_cut(clips), *_find_unread(manifest)]
    return sorted(problems, key=lambda problem: not problem.spoils)


def _find_unreadable(manifest: Manifest, clips: pl.DataFrame) -> Iterator[Problem]:
    failed = ~clips["status"].is_in(["ok", "silent"])
    if not failed.any():
        return
    rows = clips.filter(failed).select("path", "status", "reason").rows()
    texts = [f"{path!r} is {status}: {reason}" for path, status, reason in rows]
    if manifest.origins is None:
        more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
        text = f"{counted(len(texts), 'clip')} of {len(clips):,} cannot be read: {'; '.join(texts[:_SHOWN])}{more}"
    else:
        several, header = manifest.origins["table"].n_unique() > 1, (manifest.problems is not None and manifest.problems.header)
        located = RowProblems(manifest.source, several=several, header=header)
        located.extend((table, row, text) for (table, row), text in zip(manifest.origins.filter(failed).rows(), texts, strict=True))
        text = located.sentence("that cannot be read")
    yield Problem("unreadable", len(texts), text, "mend or remove them")


def _find_copies(clips: pl.DataFrame) -> Iterator[Problem]:
    """Equal audio in several classes, groups, or sides of the split."""
    for kind, column, where, advice in (
        ("conflicting-labels", "label", "with different labels", "decide which label is true, and remove the other rows"),
        ("copies-across-splits", "side", "in different splits", "split again: fastspec split keeps copies together"),
        (
            "copies-across-groups",
            "group",
            "in different groups",
            "remove the copies, or use fastspec split, which keeps them together",
        ),
    ):
        several = clips.drop_nulls(["audio_hash", column]).filter(pl.col(column).n_unique().over("audio_hash") > 1)
        if len(several):
            first = several.filter(pl.col("audio_hash") == several["audio_hash"][0]).unique(column, keep="first", maintain_order=True)
            names = [f"{path!r}" if column == "group" else f"{path!r} ({value})" for path, value in first.select("path", column).rows()[:2]]
            sets = counted(several["audio_hash"].n_unique(), "set")
            text = f"{sets} of clips with equal audio {where}, such as {' and '.join(names)}"
            if column == "group" and not several["side"].has_nulls():
                yield Problem(kind, len(several), text, "no harm to the split that is there; keep them together in any other", spoils=False)
            else:
                yield Problem(kind, len(several), text, advice)


def _find_straddling(clips: pl.DataFrame) -> Iterator[Problem]:
    several = clips.drop_nulls("side").filter(pl.col("side").n_unique().over("group") > 1)
    if len(several):
        text = f"{counted(several['group'].n_unique(), 'group')} in several splits, such as {several['group'][0]!r}"
        yield Problem("groups-across-splits", len(several), text, "split again: fastspec split keeps each group on one side")


def _find_lonely(clips: pl.DataFrame) -> Iterator[Problem]:
    """Classes whose clips are all in one group, or in copies of it."""
    alone = join_copies(clips.drop_nulls("label")).filter(pl.col("group").n_unique().over("label") == 1)
    if len(alone):
        names = alone["label"].unique().sort().to_list()
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        text = f"{counted(len(names), 'class has', 'classes have')} one group only: {', '.join(map(repr, names[:_SHOWN]))}{more}"
        yield Problem("one-group", len(alone), text, "record more groups of each, or leave it out: it is trained or tested, never both")


def _find_leaks(header: HeaderTest | None) -> Iterator[Problem]:
    if header is None or not header.header_leaks:
        return
    what, found = ("format, rate and channels", "encoding") if header.encoding_leaks else ("the length or size of a file", "header")
    accuracy, low, high = (getattr(header, f"{found}{end}") for end in ("", "_low", "_high"))
    text = f"{what} alone predict the label: accuracy {accuracy:.3f} ({low:.3f} to {high:.3f}), the commonest class {header.majority:.3f}"
    if header.encoding_leaks:
        advice = "models can learn how files were made: convert all recordings alike, from before their classes differ"
        yield Problem("header-leak", header.recordings, text, advice)
    else:
        text = text.replace("alone predict", "alone predicts")
        advice = "natural where classes last differently, a leak where they were cut differently"
        yield Problem("length-leak", header.recordings, text, advice, spoils=False)


def _find_cut(clips: pl.DataFrame) -> Iterator[Problem]:
    """Whole recordings that hold less than their header claims."""
    whole = clips.filter(pl.col("status") == "ok", pl.col("start_s") == 0, pl.col("duration_s").is_null())
    claimed, missing = pl.col("header_frames"), pl.col("header_frames") - pl.col("frames")
    plausible = (missing > _MP3_SHARE * claimed) & (missing > _MP3_SECONDS * pl.col("sample_rate"))
    exact = pl.col("format").str.to_lowercase() != "mp3"
    cut = whole.filter(claimed < _NO_CLAIM, missing > 0, exact | plausible).unique("path", keep="first", maintain_order=True)
    if len(cut):
        path, frames, header_frames, rate = cut.select("path", "frames", "header_frames", "sample_rate").row(0)
        example = f"such as {path!r}: {frames / rate:,.4g} s of {header_frames / rate:,.4g} s"
        text = f"{counted(len(cut), 'recording holds', 'recordings hold')} less than the header claims, {example}"
        yield Problem("cut-short", len(cut), text, "they were cut, or not copied to their end: fetch them again", spoils=False)


def _find_unread(manifest: Manifest) -> Iterator[Problem]:
    """Files of a folder that were not read and may have been meant."""
    tables = [name for name in manifest.unread if table_format(name)]
    sounds = [name for name in manifest.unread if not table_format(name)]
    if tables:
        text = f"{counted(len(tables), 'table lies', 'tables lie')} in the folder, not read, such as {tables[0]!r}"
        advice = "labels are names of folders here: give the table instead, if its columns are meant"
        yield Problem("table-beside", len(manifest), text, advice, spoils=False)
    if sounds:
        text = f"{counted(len(sounds), 'file')} left out, of a format that cannot be read, such as {sounds[0]!r}"
        yield Problem("unknown-format", 0, text, "convert them to FLAC or WAV, for instance by ffmpeg", spoils=False)
