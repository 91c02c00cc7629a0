"""`fastspec featurize`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fastspec.cli.output import Json, Quiet, format_bytes, format_duration, print_json, show, tell, warn
from fastspec.cli.parsing import (
    Channel,
    ClipLength,
    Columns,
    GroupFrom,
    LabelFrom,
    Memory,
    Preset,
    Settings,
    SpecFile,
    WindowHop,
    WindowLength,
    Workers,
    clip_settings,
    parse_bytes,
    parse_columns,
    parse_recipe,
    parse_share,
)
from fastspec.cli.planning import report_plan
from fastspec.cli.progress import progress_bar
from fastspec.errors import Interrupted, RunFailed, counted
from fastspec.timing import Stopwatch

if TYPE_CHECKING:
    from fastspec.corpus import Manifest
    from fastspec.pipeline import Plan
    from fastspec.spec import Recipe
    from fastspec.store import FeatureStore, Layout
    from fastspec.store.place import Place


Corpus = Annotated[
    str,
    typer.Argument(
        help="A folder of class folders, an archive of one, a table with 'path', a recording, Kaldi, lhotse, shards, or a URL of any."
    ),
]
Output = Annotated[str, typer.Option("-o", "--output", metavar="STORE", help="The store to write: a folder or a URL.", show_default=False)]
Where = Annotated[str, typer.Option("--scheduler", metavar="WHERE", help="threads, processes, or tcp://HOST:PORT of a Dask scheduler.")]
Dtype = Annotated[
    Literal["float32", "float16"],
    typer.Option("--dtype", metavar="TYPE", help="Of the store, float32 or float16; float16 for logarithmic features only."),
]
Compression = Annotated[
    Literal["none", "zstd"], typer.Option("--compression", metavar="none|zstd", help="Of the store; zstd is smaller and slower.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an unfinished store.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the store that is there.")]
OnlyPlan = Annotated[bool, typer.Option("--plan", help="Print what it would take, and write nothing.")]
Profile = Annotated[bool, typer.Option("--profile", help="Print where the workers' time went.")]
OnError = Annotated[
    Literal["skip", "fail"], typer.Option("--on-error", metavar="skip|fail", help="A clip that fails: its row says why, or the run ends.")
]
Isolate = Annotated[
    bool, typer.Option("--isolate", help="Decode in processes that are replaced: what crashes or hangs one costs its rows.")
]
Timeout = Annotated[float, typer.Option("--timeout", metavar="S", help="How many seconds an isolated decoder may give no sound.")]
MaxFailed = Annotated[str | None, typer.Option("--max-failed", metavar="N%", help="Exit code 1 when more clips fail.", show_default=False)]


def featurize(
    corpus: Corpus,
    output: Output,
    preset: Preset = None,
    spec: SpecFile = None,
    settings: Settings = None,
    clip: ClipLength = None,
    window: WindowLength = None,
    hop: WindowHop = None,
    channel: Channel = None,
    label_from: LabelFrom = None,
    group_from: GroupFrom = None,
    columns: Columns = None,
    workers: Workers = 2,
    scheduler: Where = "threads",
    memory: Memory = "1GiB",
    dtype: Dtype = "float32",
    compression: Compression = "none",
    resume: Resume = False,
    overwrite: Overwrite = False,
    only_plan: OnlyPlan = False,
    profile: Profile = False,
    on_error: OnError = "skip",
    isolate: Isolate = False,
    timeout: Timeout = 60.0,
    max_failed: MaxFailed = None,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Compute the features of every clip of a corpus into a store.

    Example: fastspec featurize sounds/ -o sounds.zarr --preset librosa --clip 3

    Windows: fastspec featurize long/ -o long.zarr --window 3 --hop 1.5

    Before a large run: fastspec featurize s3://b/s.zip -o s3://b/s.zarr --plan

    The last window is padded; --set last=drop or last=shift drops it or
    moves it back. --set pad=reflect pads otherwise (zeros, edge, wrap, repeat),
    --set crop=center cuts otherwise (start, end), --set min_s=0.5 refuses
    shorter clips.

    A recording that cannot be read costs its rows, not the run: the ledger says why. Killed at any instant, the run goes on with --resume,
    and decodes what it was at as --isolate does, so that a recording that brought it down costs its rows too.
    """
    recipe = parse_recipe(preset, spec, settings or [], **clip_settings(clip, window, hop, channel))
    memory_bytes, share = parse_bytes(memory), parse_share(max_failed) if max_failed else 1.0

    from fastspec import pipeline
    from fastspec.store.place import locate_store

    stopwatch, start, place = Stopwatch() if profile else None, time.perf_counter(), locate_store(output)
    pipeline.check_output(place, resume=resume, overwrite=overwrite, flags=True)
    with _telling_what_is_kept(place), pipeline.open_scheduler(scheduler, workers=workers) as pool:
        shared: dict[str, Any] = {"workers": workers, "scheduler": pool, "dtype": dtype, "compression": compression}
        shared |= {"isolate": isolate, "timeout_s": timeout}
        read = partial(_read_corpus, corpus, label_from=label_from, group_from=group_from, columns=columns)
        plan, found = _plan(read(), recipe, output=place if resume else None, hidden=json, **shared)
        if only_plan:
            report_plan(pipeline.forecast(plan, output, workers=workers, memory_bytes=memory_bytes, resume=resume), output, json=json)
            return
        shared |= {"memory_bytes": memory_bytes, "resume": resume, "overwrite": overwrite, "on_error": on_error}
        store = _run(plan, output, found=found, hidden=json, stopwatch=stopwatch, **shared)
    _report(store, seconds=time.perf_counter() - start, profile=stopwatch.seconds() if stopwatch else None, json=json)
    pipeline.check_failed(store, max_failed=share)


@contextmanager
def _telling_what_is_kept(place: "Place") -> Iterator[None]:
    """Ctrl-C in the block as one line, with how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"go on with the same command and --resume, {place} keeps what is done" if place.exists() else "nothing written yet"
        raise Interrupted(f"interrupted; {kept}") from None


def _read_corpus(corpus: str, *, label_from: str | None, group_from: str | None, columns: list[str] | None) -> "Manifest":
    """The manifest; a warning where rows of tables name files that are missing."""
    from fastspec.corpus import read_corpus

    manifest = read_corpus(corpus, label_from=label_from, group_from=group_from, columns=parse_columns(columns))
    if manifest.problems:
        warn(f"fastspec: {manifest.problems.sentence('whose file is missing')}; those clips will have no features")
    return manifest


def _plan(manifest: "Manifest", recipe: "Recipe", *, isolate: bool, timeout_s: float, hidden: bool, **settings: Any) -> tuple["Plan", str]:
    """What a run will write, and what was found: recordings are measured where the clips depend on how long they are.

    Of the rows that were read the plan alone is left, which the run uses up.
    """
    from fastspec.pipeline import Isolation, plan_run

    with (
        progress_bar("recordings", len(manifest), hidden=hidden or not recipe.clip.needs_lengths) as report,
        Isolation(manifest.recordings, always=isolate, timeout_s=timeout_s) as isolation,
    ):
        return plan_run(manifest, recipe, recordings=isolation.recordings(), on_progress=report, **settings), repr(manifest)[1:-1]


def _run(plan: "Plan", output: str, *, found: str, hidden: bool, **settings: Any) -> "FeatureStore":
    """Say what was found and what is about to be written, and write it."""
    from fastspec.pipeline import featurize

    if not hidden:
        tell(found, _describe(plan.layout))
        if not plan.clips.classes:
            tell("no labels: put classes into sub-folders, or give --label-from RE or a table's column 'label'; features need none")
    with progress_bar("clips", len(plan.clips), hidden=hidden) as report:
        return featurize(plan, output, recipe=plan.layout.recipe, on_progress=report, **settings)


def _describe(layout: "Layout") -> str:
    """What is about to be written, in one line."""
    (clips, frames, bands), policy = layout.shape, layout.recipe.clip
    windows = "" if policy.hop_s is None else f" every {policy.hop_s:g} s"
    return (
        f"clips of {policy.clip_s:g} s{windows} -> ({clips}, {frames}, {bands}) {layout.dtype}, "
        f"{format_bytes(layout.total_bytes)} in {counted(layout.n_chunks, 'chunk')}; recipe {layout.recipe.digest()[:12]}"
    )


def _report(store: "FeatureStore", *, seconds: float, profile: dict[str, float] | None, json: bool) -> None:
    """What came of it; exit code 1 when no clip has features."""
    counts, remarks = store.status_counts(), store.remark_counts()
    usable = counts.get("ok", 0) + counts.get("silent", 0)
    audio_s = usable * (store.recipe.clip.clip_s or 0.0)
    if json:
        row = {
            "store": str(store.path),
            "shape": list(store.features.shape),
            "dtype": store.dtype,
            "statuses": counts,
            "remarks": remarks,
            "seconds": seconds,
            "profile": profile,
        }
        print_json("featurize", [row | {"recipe": store.recipe.to_dict(), "digest": store.recipe.digest()}])
    else:
        from fastspec.report import failures_table

        if usable < len(store):
            tell("", failures_table(store.ledger))
        if remarks:
            tell("", *(f"{counted(n, 'clip')}: {remark}" for remark, n in remarks.items()))
        statuses = ", ".join(f"{n:,} {status}" for status, n in counts.items())
        pace = f"{format_duration(audio_s)} of clips in {format_duration(seconds)}, {audio_s / max(seconds, 1e-9):,.0f} × real time"
        tell(f"\n{store.path}: {statuses}; {pace}")
        if profile:
            show("", *_profile_lines(profile))
    if not usable:
        raise RunFailed(f"no clip of {store.path} has features; the reasons are in its ledger: fastspec store ledger {store.path}")


def _profile_lines(profile: dict[str, float]) -> list[str]:
    """Seconds of all workers together, and their share of the whole."""
    total = sum(profile.values())
    rows = [*profile.items(), ("all", total)]
    return [f"{name:10}{seconds:10.3f} s{seconds / max(total, 1e-9):8.1%}" for name, seconds in rows]
