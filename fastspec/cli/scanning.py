"""`fastspec scan` and `split`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fastspec.cli.output import Json, Quiet, print_json, show, tell
from fastspec.cli.parsing import Columns, Corpus, GroupFrom, LabelFrom, Seed, Workers, parse_columns
from fastspec.cli.progress import interruptible, progress_bar
from fastspec.errors import CorpusError, LearnError, RunFailed, counted

if TYPE_CHECKING:
    from fastspec.corpus import Manifest
    from fastspec.scanning import ScanReport


Found = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="F", help="A manifest with what was found: .parquet, .csv or .jsonl.", show_default=False),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 1 when something would spoil an evaluation.")]
Pictures = Annotated[
    Path | None, typer.Option("--pictures", metavar="DIR", help="Draw classes and durations into a folder.", show_default=False)
]
Scanned = Annotated[str, typer.Argument(metavar="MANIFEST", help="A manifest that scan wrote, or whatever featurize reads.")]
Divided = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="F",
        help="The manifest to write: .parquet, .csv, .jsonl; a folder for the sides of --test.",
        show_default=False,
    ),
]
Folds = Annotated[
    int | None, typer.Option("--folds", metavar="N", help="So many folds, in the column 'fold'.  [default: 5]", show_default=False)
]
TestShare = Annotated[
    float | None, typer.Option("--test", metavar="SHARE", help="Or 'train' and 'test' in the column 'split'.", show_default=False)
]


def scan(
    corpus: Corpus,
    output: Found = None,
    strict: Strict = False,
    pictures: Pictures = None,
    label_from: LabelFrom = None,
    group_from: GroupFrom = None,
    columns: Columns = None,
    workers: Workers = 2,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Tell what is in a corpus, and what would spoil an evaluation.

    Example: fastspec scan sounds/ -o clips.parquet --strict

    Each recording is decoded once. Counts, classes, formats, lengths; silence, clipping, offset, dead and opposed channels; files that
    cannot be read; copies across classes, groups and splits; and how well the file header alone predicts the label.
    """
    from fastspec.corpus import read_corpus
    from fastspec.corpus.manifest_file import check_output
    from fastspec.scanning import scan as run

    if output is not None:
        check_output(output)
    manifest = read_corpus(corpus, label_from=label_from, group_from=group_from, columns=parse_columns(columns))
    with interruptible("nothing was written"), progress_bar("clips", len(manifest), hidden=json) as report:
        scanned = run(manifest, workers=workers, on_progress=report)
    written = [scanned.write(output)] if output else []
    if pictures is not None:
        written += _draw(scanned, pictures)
    _print(scanned, written, json=json)
    if strict and scanned.spoiling:
        kinds = ", ".join(problem.kind for problem in scanned.spoiling)
        raise RunFailed(f"{counted(len(scanned.spoiling), 'problem')} would spoil an evaluation of {corpus}: {kinds}")


def split(
    corpus: Scanned,
    output: Divided,
    folds: Folds = None,
    test: TestShare = None,
    seed: Seed = 0,
    label_from: LabelFrom = None,
    group_from: GroupFrom = None,
    columns: Columns = None,
    workers: Workers = 2,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write folds or a split into a manifest; groups stay together.

    Example: fastspec split clips.parquet -o split.parquet --folds 5

    Two tables to be read apart: fastspec split sounds/ -o sides --test 0.2

    Whole groups and all copies stay on one side, and classes are spread evenly. Evaluation uses these folds instead of its own. A
    manifest that was not scanned is decoded first, to find the copies. OUTPUT without an ending becomes a folder with train.csv and
    test.csv: what is chosen and trained by the first has never seen the second.
    """
    from fastspec.corpus import read_corpus
    from fastspec.corpus.manifest_file import check_output, write_sides
    from fastspec.scanning import split_folds, split_test

    if folds is not None and test is not None:
        raise LearnError("--folds is given with --test; give --folds for cross-validation, or --test for one split")
    if test is None and not output.suffix:
        advice = f"give --test 0.2 for them, or {output}.csv for the column 'fold' that --folds writes"
        raise LearnError(f"{output} has no ending, as a folder of train.csv and test.csv has none; {advice}")
    check_output(output, folder=test is not None)
    manifest = read_corpus(corpus, label_from=label_from, group_from=group_from, columns=parse_columns(columns))
    hidden = json or manifest.found is not None
    with interruptible("nothing was written"), progress_bar("clips", len(manifest), hidden=hidden) as report:
        if test is None:
            divided = split_folds(manifest, 5 if folds is None else folds, seed=seed, workers=workers, on_progress=report)
        else:
            divided = split_test(manifest, test, seed=seed, workers=workers, on_progress=report)
    if output.suffix:
        divided.write(output)
    else:
        write_sides(divided, output)
    rows = _sides(divided)
    if json:
        print_json("split", rows)
    else:
        had_split = manifest.table["split"].null_count() < len(manifest)
        _tell_sides(rows, output, replaced=corpus if had_split else None)


def _tell_sides(rows: list[dict[str, Any]], output: Path, *, replaced: str | None) -> None:
    """What each side has, and whose split it takes the place of."""
    for row in rows:
        tell(f"{row['split']}: {counted(row['clips'], 'clip')} ({row['share']:.1%}) of {counted(row['classes'], 'class', 'classes')}")
    if replaced is not None:
        tell(f"the split that {replaced} had is replaced")
    tell(f"{output}: {counted(sum(row['clips'] for row in rows), 'clip')}; whole groups and their copies stay together")


def _sides(manifest: "Manifest") -> list[dict[str, Any]]:
    """Each side of a split or each fold: clips, their share, classes."""
    import polars as pl

    sides = manifest.table.group_by("split").agg(pl.len().alias("clips"), pl.col("label").drop_nulls().n_unique().alias("classes"))
    sides = sides.sort(pl.col("split").str.extract(r"(\d+)").cast(pl.Int64), "split")
    return sides.with_columns((pl.col("clips") / len(manifest)).alias("share")).to_dicts()


def _draw(scanned: "ScanReport", folder: Path) -> list[Path]:
    """The pictures that there is something to draw for."""
    import polars as pl

    from fastspec.report import plot_classes, plot_durations, save_picture

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(f"{folder} cannot be made: {error.strerror}; choose another folder") from None
    found, written = scanned.manifest.found, list[Path]()
    corpus = scanned.manifest.source.rstrip("/").rpartition("/")[2]
    if scanned.classes:
        written.append(save_picture(plot_classes(scanned.classes, title=f"Classes of {corpus}"), folder / "classes.png"))
    if found is not None and scanned.durations_s:
        lengths = found.filter(pl.col("status").is_in(["ok", "silent"])).select(pl.col("frames") / pl.col("sample_rate")).to_series()
        written.append(save_picture(plot_durations(lengths.to_numpy(), title=f"Lengths of clips in {corpus}"), folder / "durations.png"))
    return written


def _print(scanned: "ScanReport", written: list[Path], *, json: bool) -> None:
    if json:
        print_json("scan", [scanned.to_dict()])
        return
    from fastspec.report import scan_text

    show(scan_text(scanned.to_dict()))
    if not scanned.problems:
        show("", "nothing found that would spoil an evaluation")
    if not scanned.classes:
        show("", "no labels: put classes into sub-folders, or give --label-from RE or a table's column 'label'")
    if written:
        tell("", *(f"wrote {path}" for path in written))
