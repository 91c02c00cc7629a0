"""`fastspec store`: what is in a store, whether it is whole, and bringing it up to date."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fastspec.cli.output import Json, Quiet, format_bytes, format_parts, print_json, show, tell, waiting, warn
from fastspec.cli.parsing import Columns, GroupFrom, LabelFrom, Memory, Store, Workers, parse_bytes, parse_columns
from fastspec.cli.progress import interruptible, progress_bar
from fastspec.errors import RunFailed, counted

store_app = typer.Typer(help="Look into a store, check, repair, update or export it.", no_args_is_help=True)


@store_app.command("info")
def show_store(store: Store, json: Json = False, _quiet: Quiet = False) -> None:
    """Tell what a store holds and what made it.

    Example: fastspec store info sounds.zarr

    Of an unfinished one, how much is done.
    """
    from fastspec.store import Layout, read_ledger
    from fastspec.store.place import locate_store
    from fastspec.store.reading import count_statuses, is_finished

    place = locate_store(store)
    ledger, layout = read_ledger(place), Layout.read(place)
    statuses, classes = count_statuses(ledger), ledger["label"].drop_nulls().unique().sort().to_list()
    row: dict[str, Any] = {
        "store": str(store),
        "finished": is_finished(place),
        "clips_done": len(ledger),
        "shape": list(layout.shape),
        "dtype": layout.dtype,
        "parts": {name: [part.start, part.stop] for name, part in layout.recipe.spec.parts().items()},
        "bytes": layout.total_bytes,
        "statuses": statuses,
        "classes": classes,
        "manifest": layout.manifest_digest,
        "digest": layout.recipe.digest(),
        "recipe": layout.recipe.to_dict(),
        "versions": layout.versions,
    }
    if json:
        print_json("store info", [row])
        return
    clips, frames, bands = layout.shape
    counts = ", ".join(f"{n:,} {status}" for status, n in statuses.items())
    show(f"{store}: {counted(clips, 'clip')} x {counted(frames, 'frame')} x {counted(bands, 'band')}; {counts or 'nothing done yet'}")
    if not row["finished"]:
        show(f"unfinished: {len(ledger):,} of {counted(clips, 'clip')} are done; go on with the command that began it, and --resume")
    show(f"{format_bytes(layout.total_bytes)} in {counted(layout.n_chunks, 'chunk')}; recipe {layout.recipe.digest()[:12]}")
    show(format_parts(layout.recipe.spec))
    show(f"classes: {', '.join(classes) or 'none'}")
    show(", ".join(f"{name} {version}" for name, version in layout.versions.items()), "", layout.recipe.to_toml().rstrip())


@store_app.command("ledger")
def show_ledger(
    store: Store,
    failed: Annotated[bool, typer.Option("--failed", help="Only clips that gave no features.")] = False,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Tell what happened to each clip.

    Example: fastspec store ledger sounds.zarr --failed

    'start s' is where the clip begins in its recording and 'length s' how long the recording is, in seconds as decoded; 'fastspec store
    ledger STORE --json' has all columns. In an unfinished store, the clips that are done.
    """
    import polars as pl

    from fastspec.report import ledger_table
    from fastspec.store import Layout, read_ledger
    from fastspec.store.ledger import USABLE
    from fastspec.store.place import locate_store

    place = locate_store(store)
    ledger = read_ledger(place)
    if (missing := Layout.read(place).n_clips - len(ledger)) and not json:
        warn(f"fastspec: {store} is unfinished, {counted(missing, 'clip')} not done yet")
    if failed:
        ledger = ledger.filter(~pl.col("status").is_in(USABLE))
    if json:
        print_json("store ledger", ledger.iter_rows(named=True))
    else:
        show(ledger_table(ledger))


@store_app.command("verify")
def verify(
    store: Store,
    repair: Annotated[bool, typer.Option("--repair", help="Compute what is damaged again.")] = False,
    corpus: Annotated[
        str | None,
        typer.Option(
            "--corpus", metavar="CORPUS", help="Where the recordings are now, for --repair; else where they were.", show_default=False
        ),
    ] = None,
    columns: Columns = None,
    workers: Workers = 2,
    memory: Memory = "1GiB",
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Compare a store with the hashes that were taken when it was written.

    Example: fastspec store verify sounds.zarr --repair

    Exit code 1 means that damage was found, even where it was repaired.
    """
    from fastspec.pipeline import repair as repair_store
    from fastspec.store import find_damage
    from fastspec.store.place import locate_store

    how: dict[str, Any] = {"columns": parse_columns(columns), "workers": workers, "memory_bytes": parse_bytes(memory)}
    with waiting("repairing" if repair else "comparing"):
        damage = repair_store(store, corpus, **how) if repair else find_damage(locate_store(store))
    if json:
        print_json("store verify", [found._asdict() | {"repaired": repair} for found in damage])
    else:
        for found in damage:
            show(f"{'repaired' if repair else 'damaged'}: {found.file}: {found.reason}")
        if not damage:
            show(f"{store} is whole")
    if damage:
        advice = "all of it was repaired" if repair else f"repair it with 'fastspec store verify {store} --repair'"
        raise RunFailed(f"{store} was damaged in {counted(len(damage), 'place')}; {advice}")


@store_app.command("update")
def update(
    store: Store,
    corpus: Annotated[str, typer.Argument(help="What the store was made from, as it is now.")],
    label_from: LabelFrom = None,
    group_from: GroupFrom = None,
    columns: Columns = None,
    workers: Workers = 2,
    memory: Memory = "1GiB",
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Bring a store up to date with its recordings.

    Example: fastspec store update sounds.zarr sounds/

    What is new or changed is computed, what is gone is marked. The recipe stays what it is, and so do --column, --label-from and
    --group-from where they are not given. Clips keep their numbers; new ones come last.
    """
    from fastspec import pipeline
    from fastspec.store import Layout
    from fastspec.store.place import locate_store

    place, memory_bytes = locate_store(store), parse_bytes(memory)
    n_before = Layout.read(place).n_clips
    manifest = pipeline.read_again(place, corpus, columns=parse_columns(columns), label_from=label_from, group_from=group_from)
    kept = f"go on with the same command: {store} cannot be read until it has ended"
    with interruptible(kept), progress_bar("clips", len(manifest), hidden=json) as report:
        updated = pipeline.update(store, manifest, workers=workers, memory_bytes=memory_bytes, on_progress=report)
    counts = updated.status_counts()
    if json:
        print_json("store update", [{"store": str(store), "clips": len(updated), "new": len(updated) - n_before, "statuses": counts}])
    else:
        statuses = ", ".join(f"{n:,} {status}" for status, n in counts.items())
        tell(f"{store}: {counted(len(updated), 'clip')}: {statuses}; {len(updated) - n_before:,} new")


@store_app.command("export")
def export(
    store: Store,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="F", help="The file to write.", show_default=False)],
    format: Annotated[  # noqa: A002
        Literal["npy", "parquet"] | None,
        typer.Option("--format", metavar="npy|parquet", help="Else by the file's ending.", show_default=False),
    ] = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write the features as one file; row i is row i of the ledger.

    Example: fastspec store export sounds.zarr -o sounds.npy

    npy is the array (clips, frames, bands); parquet has the ledger's columns too.
    """
    from fastspec.store import export as export_store
    from fastspec.store import open_store

    opened = open_store(store)
    with waiting(f"writing {output}"):
        written = export_store(opened, output, format=format)
    n_bytes = written.stat().st_size
    if json:
        print_json("store export", [{"store": str(store), "output": str(written), "clips": len(opened), "bytes": n_bytes}])
    else:
        tell(f"{written}: {format_bytes(n_bytes)}")
