"""Where the picture of each clip goes: split, class, and the recording's name."""

from pathlib import PurePosixPath

import polars as pl

from fastspec.report.file_names import distinct_names, folded, safe_name

UNLABELLED = "_unlabelled"
UNSPLIT = "_unsplit"
INDEX = "index.csv"


def name_images(clips: pl.DataFrame, *, ending: str) -> list[str]:
    """POSIX paths, one a row of a manifest's table, distinct on every file system; they depend on the rows and their order alone.

    A picture bears its recording's name, and where several clips are cut from one, the second at which it begins. Names that are there
    already get a number. Folders stand for classes and, above them, splits, where there are any.

    >>> from fastspec.corpus.manifest import table_of_paths
    >>> name_images(table_of_paths(["a/1.wav", "b/1.wav", "x.ogg"], ["cat", "cat", None]), ending="png")
    ['cat/1.png', 'cat/1-2.png', '_unlabelled/x.png']
    """
    stems = [safe_name(PurePosixPath(path).stem) for path in clips["path"]]
    several = (pl.len().over("path") > 1) | (pl.col("start_s") > 0)
    parts = clips.select(several.alias("several"), "start_s", *(["channel"] if "channel" in clips.columns else []))
    for i, (is_one_of_several, start_s, *channel) in enumerate(parts.rows()):
        if is_one_of_several:
            stems[i] += f"-{start_s:08.3f}s" + "".join(f"-ch{number}" for number in channel if number is not None)
    folders = _folders(clips["split"], UNSPLIT), _folders(clips["label"], UNLABELLED)
    homes = ["".join(f"{folder}/" for folder in pair if folder) for pair in zip(*folders, strict=True)]
    return _number_within(homes, stems, ending)


def _folders(values: pl.Series, missing: str) -> list[str | None]:
    """A folder's name for each value, distinct for distinct values; None where there are no values at all."""
    known = sorted(values.drop_nulls().unique().to_list())
    if not known:
        return [None] * len(values)
    missing, _, *distinct = distinct_names([missing, INDEX, *map(safe_name, known)])
    names = {None: missing, **dict(zip(known, distinct, strict=True))}
    return [names[value] for value in values]


def _number_within(homes: list[str], stems: list[str], ending: str) -> list[str]:
    """The stems made distinct, each within its own folder."""
    members: dict[str, list[int]] = {}
    for i, home in enumerate(homes):
        members.setdefault(folded(home), []).append(i)
    names = list(stems)
    for indices in members.values():
        for i, name in zip(indices, distinct_names(stems[i] for i in indices), strict=True):
            names[i] = f"{homes[i]}{name}.{ending}"
    return names
