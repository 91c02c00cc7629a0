"""`fastspec plot` and `images`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fastspec.cli.output import Json, Quiet, print_json, tell, waiting
from fastspec.cli.parsing import (
    Channel,
    ClipLength,
    Columns,
    Corpus,
    GroupFrom,
    LabelFrom,
    Preset,
    Settings,
    SpecFile,
    WindowHop,
    WindowLength,
    Workers,
    clip_settings,
    parse_columns,
    parse_recipe,
)
from fastspec.cli.progress import interruptible, progress_bar
from fastspec.errors import RunFailed, counted

if TYPE_CHECKING:
    from fastspec.report.images import Images

Inputs = Annotated[list[str], typer.Argument(help="Recordings, or a corpus, or a store.", metavar="FILE...")]
Picture = Annotated[Path, typer.Option("-o", "--output", metavar="F.png", help="A .png, .svg or .pdf.", show_default=False)]
Kind = Annotated[
    Literal["features", "spectrogram", "mel", "mfcc", "chroma", "waveform", "grid", "classes", "durations"] | None,
    typer.Option(
        "--kind",
        metavar="KIND",
        help="features (what the recipe makes), spectrogram, mel, mfcc, chroma, waveform, grid, classes or durations.  "
        "[default: features; of a corpus or store grid]",
        show_default=False,
    ),
]
Start = Annotated[float, typer.Option("--start", metavar="S", min=0, help="Where to begin.")]
Duration = Annotated[float | None, typer.Option("--duration", metavar="S", min=0.001, help="How much.  [default: all]", show_default=False)]
Above = Annotated[bool, typer.Option("--waveform/--no-waveform", help="The waveform above, of one recording.")]
Time = Annotated[Literal["s", "ms"], typer.Option("--time", metavar="s|ms", help="Unit of the time axis.")]
Frequency = Annotated[
    Literal["hz", "khz", "mel"] | None,
    typer.Option("--frequency", metavar="UNIT", help="hz, khz or mel.  [default: khz, or hz below 2 kHz]", show_default=False),
]
Colormap = Annotated[
    str, typer.Option("--colormap", metavar="NAME", help="magma, viridis, inferno, cividis or gray; each reversed with _r.")
]
RangeDb = Annotated[float, typer.Option("--range", metavar="DB", help="From the highest colour down to the lowest.")]
Size = Annotated[str | None, typer.Option("--size", metavar="WxH", help="Pixels, exactly, as in 900x500.", show_default=False)]
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Above the picture.", show_default=False)]
Each = Annotated[int, typer.Option("--each", metavar="N", min=1, max=24, help="Clips of each class in a grid.")]

Folder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.", show_default=False)]
Form = Annotated[Literal["png", "jpg"], typer.Option("--format", metavar="png|jpg", help="Of the pictures.")]
KindOfEach = Annotated[
    Literal["features", "spectrogram", "mel", "mfcc", "chroma"],
    typer.Option("--kind", metavar="KIND", help="features (what the recipe makes), spectrogram, mel, mfcc or chroma."),
]
Axes = Annotated[bool, typer.Option("--axes/--no-axes", help="Axes around, or the bare picture.")]
SizeOfEach = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Pixels.  [default: 900x500; bare: one a frame and band]", show_default=False),
]
AboveEach = Annotated[bool, typer.Option("--waveform", help="The waveform above.")]
Relative = Annotated[bool, typer.Option("--relative", help="Colours from each clip's own peak down, not from full scale.")]
Zipped = Annotated[bool, typer.Option("--zip", help="One zip instead of folders, or one for each split.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the pictures that are there.")]


def plot(
    inputs: Inputs,
    output: Picture,
    kind: Kind = None,
    preset: Preset = None,
    spec: SpecFile = None,
    settings: Settings = None,
    start_s: Start = 0.0,
    duration_s: Duration = None,
    waveform: Above = True,
    time: Time = "s",
    frequency: Frequency = None,
    colormap: Colormap = "magma",
    range_db: RangeDb = 80.0,
    size: Size = None,
    title: Title = None,
    each: Each = 4,
    label_from: LabelFrom = None,
    columns: Columns = None,
    workers: Workers = 2,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Draw recordings, or what is in a corpus or a store.

    Example: fastspec plot cat.wav -o cat.png --kind spectrogram --time ms

    Clips of each class: fastspec plot sounds/ -o grid.png --kind mel

    Several recordings stand below each other, with equal colours. --kind classes and durations count a corpus. --set changes what is
    computed, such as window=gaussian, n_fft=512 or hop_length=256.
    """
    from fastspec.report import Look, check_picture, parse_size, save_picture
    from fastspec.report import plot as draw

    check_picture(output)
    pixels = parse_size(size) if size else None
    look = Look(colormap=colormap, range_db=range_db, time=time, frequency=frequency, waveform=waveform)
    recipe = parse_recipe(preset, spec, settings or [])
    with waiting("drawing"):
        figure = draw(
            inputs,
            recipe=recipe,
            kind=kind,
            look=look,
            start_s=start_s,
            duration_s=duration_s,
            each=each,
            title=title,
            columns=parse_columns(columns),
            label_from=label_from,
            workers=workers,
        )
        save_picture(figure, output, size=pixels)
    if json:
        print_json("plot", [{"output": str(output), "inputs": inputs, "kind": kind}])
    else:
        tell(str(output))


def images(
    corpus: Corpus,
    output: Folder,
    form: Form = "png",
    kind: KindOfEach = "features",
    axes: Axes = True,
    size: SizeOfEach = None,
    waveform: AboveEach = False,
    time: Time = "s",
    frequency: Frequency = None,
    colormap: Colormap = "magma",
    range_db: RangeDb = 80.0,
    relative: Relative = False,
    zipped: Zipped = False,
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
    overwrite: Overwrite = False,
    json: Json = False,
    _quiet: Quiet = False,
) -> None:
    """Write a picture of every clip, for an image classifier.

    Example: fastspec images sounds/ -o pictures --no-axes --size 224x224

    They lie in class folders, each called as its recording; a split is a folder above the classes. index.csv says what became of each
    clip. Colours count from full scale, so that two pictures can be compared.
    """
    recipe = parse_recipe(preset, spec, settings or [], **clip_settings(clip, window, hop, channel))

    from fastspec.corpus import read_corpus
    from fastspec.report import Look, parse_size, write_images
    from fastspec.report.images import check_images

    look = Look(colormap=colormap, range_db=range_db, time=time, frequency=frequency, waveform=waveform)
    drawn: dict[str, Any] = {"kind": kind, "size": parse_size(size) if size else None, "axes": axes, "look": look, "relative": relative}
    check_images(output, overwrite=overwrite)
    manifest = read_corpus(corpus, label_from=label_from, group_from=group_from, columns=parse_columns(columns))
    with interruptible("nothing was written"), progress_bar("clips", len(manifest), hidden=json) as report:
        run: dict[str, Any] = {"overwrite": overwrite, "workers": workers, "on_progress": report}
        written = write_images(manifest, output, recipe=recipe, form=form, zipped=zipped, **drawn, **run)
    _report(written, json=json)


def _report(written: "Images", *, json: bool) -> None:
    """What came of it; exit code 1 when there is no picture at all."""
    counts = written.status_counts()
    if json:
        row = {"output": str(written.path), "pictures": written.n_pictures, "size": list(written.size), "statuses": counts}
        print_json("images", [row | {"recipe": written.recipe.to_dict(), "digest": written.recipe.digest()}])
    else:
        from fastspec.report import failures_table

        if written.n_pictures < len(written.index):
            tell("", failures_table(written.index.with_columns(path="source")))
        statuses = ", ".join(f"{n:,} {status}" for status, n in counts.items())
        width, height = written.size
        clip_s = written.recipe.clip.clip_s or 0.0
        tell(f"{written.path}: {counted(written.n_pictures, 'picture')} of {width}x{height} pixels, clips of {clip_s:g} s; {statuses}")
    if not written.n_pictures:
        raise RunFailed(f"no clip could be drawn; {written.path / 'index.csv'} says why")
