"""How two manifests differ, in a sentence: the first few rows of each kind."""

from collections.abc import Iterable

import polars as pl

from fastspec.errors import counted

_SHOWN = 3


def describe_changes(there: pl.DataFrame, here: pl.DataFrame) -> str:
    """What `here` has otherwise than `there`: recordings, else their labels, groups, splits and stretches, else their order.

    >>> there = pl.DataFrame({"path": ["a.wav", "b.wav"], "label": ["x", "y"]})
    >>> describe_changes(there, there.with_columns(path=pl.Series(["a.wav", "c.wav"])))
    '1 recording is only there (b.wav), 1 recording is only here (c.wav)'
    >>> describe_changes(there, there.with_columns(label=pl.Series(["x", "z"])))
    'b.wav has the label y there and z here'
    """
    missing = [_name_some(a.join(b, on="path", how="anti")["path"], w) for a, b, w in ((there, here, "there"), (here, there, "here"))]
    if any(missing):
        return ", ".join(filter(None, missing))
    columns = [name for name in ("label", "group", "split", "start_s", "duration_s") if name in there.columns and name in here.columns]
    first = [table.unique("path", keep="first", maintain_order=True).select("path", *columns) for table in (there, here)]
    both = first[0].join(first[1], on="path", suffix="_here", maintain_order="left")
    changes = [
        f"{row['path']} has the {name} {row[name]} there and {row[name + '_here']} here"
        for name in columns
        for row in both.filter(pl.col(name).ne_missing(pl.col(name + "_here"))).head(_SHOWN).iter_rows(named=True)
    ]
    return ", ".join(changes[:_SHOWN]) or "the same recordings are in another order or cut otherwise"


def _name_some(paths: Iterable[str], where: str) -> str:
    names = list(dict.fromkeys(paths))
    if not names:
        return ""
    more = ", …" if len(names) > _SHOWN else ""
    return f"{counted(len(names), 'recording is', 'recordings are')} only {where} ({', '.join(names[:_SHOWN])}{more})"
