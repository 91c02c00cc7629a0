"""A corpus as pictures, one a clip, in class folders: what image classifiers are trained on."""

import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import polars as pl
from PIL import Image

from fastspec.corpus import Manifest
from fastspec.corpus.manifest_file import find_addresses
from fastspec.corpus.samples import Samples
from fastspec.errors import choices
from fastspec.frontend import FrontEnd
from fastspec.pipeline import FeatureBatch, Progress, choose_clip_length, cut_clips, map_clips
from fastspec.report import ReportError
from fastspec.report.canvas import Canvas, Float32, Indices, Palette, bare_canvas
from fastspec.report.image_names import INDEX, name_images
from fastspec.report.kinds import Kind, recipe_of
from fastspec.report.levels import check_one_block
from fastspec.report.look import Look, Size, check_size
from fastspec.report.png import encode_png
from fastspec.spec import Recipe
from fastspec.store.files import remove_tree
from fastspec.store.lock import locked
from fastspec.store.place import draft_prefix

Format = Literal["png", "jpg"]

FRAMED_SIZE = (900, 500)
_COLUMNS = ("path", "label", "group", "split", "start_s", "duration_s", "source", "read_from", "status", "reason")
_USABLE = ("ok", "silent")
_JPEG_QUALITY = 92
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Images:
    """Pictures that were written.

    Attributes:
        path: their folder.
        index: a row a clip: path (of the picture in the folder or in its zip, null where there is none), label, group, split, start_s,
            duration_s, source and read_from (where the recording is, from the folder), status and reason as in a ledger.
        size: width and height in pixels.
        recipe: of the features that they show.
    """

    path: Path
    index: pl.DataFrame
    size: Size
    recipe: Recipe

    def status_counts(self) -> dict[str, int]:
        """Clips by status, most frequent first."""
        return dict(self.index["status"].value_counts().sort(["count", "status"], descending=[True, False]).rows())

    @property
    def n_pictures(self) -> int:
        """How many there are."""
        return len(self.index) - self.index["path"].null_count()


def write_images(
    manifest: Manifest,
    output: str | os.PathLike[str],
    *,
    recipe: Recipe,
    kind: Kind = "features",
    form: Format = "png",
    size: Size | None = None,
    axes: bool = True,
    look: Look | None = None,
    relative: bool = False,
    zipped: bool = False,
    overwrite: bool = False,
    workers: int = 2,
    on_progress: Callable[[Progress], None] | None = None,
) -> Images:
    """Write a picture of each clip into `output/class/`, or `output/split/class/`, and an index of them.

    The same clip, recipe and look give the same bytes. Levels count from a full-scale sine, so that two pictures can be compared. The
    folder appears when it is whole. A clip that fails has a row in the index that says why, and no picture.

    Args:
        manifest: what to read.
        output: the folder, which must not exist unless `overwrite` is given.
        recipe: what to compute. Without a `clip_s` one is chosen (`choose_clip_length`).
        kind: what to draw; "features" is what the recipe makes, which must be one block with several bands.
        form: "png" has a palette; "jpg" is smaller and not exact.
        size: width and height in pixels; None is 900x500 with axes, and a pixel a frame and band without.
        axes: whether there are axes around; without them matplotlib is not needed.
        look: colours, units, whether the waveform is drawn above, which needs axes.
        relative: spread the colours over each clip's own levels instead.
        zipped: write `output/images.zip` instead of folders, or a zip for each split.
        overwrite: replace pictures that are there.
        workers: threads; 0 works in the calling one.
        on_progress: called after each group of clips, from the worker's thread.

    Raises:
        ReportError: an output that exists, a recipe or size that cannot be drawn, or an unknown format.
        StoreError: another run is writing there, or nobody can.
        CorpusError: no recording can be decoded, so there is no clip length.
    """
    output, look = Path(output), look or Look(waveform=False)
    recipe = recipe_of(kind, recipe)
    check_one_block(recipe.spec)
    FrontEnd(recipe)  # refuses what cannot be computed before anything is decoded
    if form not in ("png", "jpg"):
        raise ReportError(f"pictures of a corpus cannot have the format {form!r}; {choices(form, ('png', 'jpg'))}")
    if look.waveform and not axes:
        raise ReportError("a waveform is asked for without axes; leave one of the two out")
    with locked(output):
        check_images(output, overwrite=overwrite)
        if recipe.clip.clip_s is None:
            recipe = recipe.replace(clip_s=choose_clip_length(manifest, workers=workers))
        canvas = _make_canvas(recipe, size, look, axes=axes, relative=relative)
        clips = cut_clips(manifest, recipe, workers=workers, on_progress=on_progress)
        index = _begin_index(clips, output, form)
        with _draft(output) as draft:
            home = draft / "pictures" if zipped else draft
            draw = partial(_draw_batch, folder=home, names=index["path"].to_list(), canvas=canvas, form=form)
            index = _end_index(index, map_clips(clips, recipe, draw, workers=workers, waveforms=look.waveform, on_progress=on_progress))
            if zipped:
                _zip_pictures(home, index, draft)
            index.write_csv(draft / INDEX)
    height, width = canvas.background.shape
    return Images(output, index, (width, height), recipe)


@contextmanager
def _draft(output: Path) -> Iterator[Path]:
    """A folder that becomes `output` at the end of the block; nothing of it stays where the block does not end."""
    draft = None
    try:
        draft = Path(tempfile.mkdtemp(dir=output.parent, prefix=draft_prefix(output)))
        draft.chmod(0o755)
        yield draft
        if output.exists():
            remove_tree(output)
        draft.rename(output)
    except OSError as error:
        raise ReportError(f"{output} cannot be written: {error.strerror or error}; nothing was; choose a folder that has room") from None
    finally:
        if draft is not None:
            shutil.rmtree(draft, ignore_errors=True)


def check_images(output: Path, *, overwrite: bool) -> None:
    """That pictures may be written to `output`: nothing is there, or pictures and leave to replace them; ReportError otherwise."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not _is_ours(output):
        raise ReportError(f"{output} exists and is no folder of pictures that fastspec made, so it is not touched; choose another name")
    if not overwrite:
        raise ReportError(f"{output} exists and is finished; give --overwrite to replace it, or another name")


def _is_ours(output: Path) -> bool:
    try:
        with (output / INDEX).open(encoding="utf8") as file:
            return file.readline().strip() == ",".join(_COLUMNS)
    except (OSError, UnicodeDecodeError):
        return False


def _make_canvas(recipe: Recipe, size: Size | None, look: Look, *, axes: bool, relative: bool) -> Canvas:
    if size:
        check_size(size)
    if not axes:
        return bare_canvas(recipe, size=size, look=look, relative=relative)
    from fastspec.report.frame import framed_canvas

    return framed_canvas(recipe, size=size or FRAMED_SIZE, look=look, relative=relative)


def _begin_index(clips: Manifest, output: Path, form: Format) -> pl.DataFrame:
    """The index before anything is drawn: where each picture is going to be, and where its recording is."""
    table, folder = clips.table, output.absolute()
    if isinstance(clips.recordings, Samples):
        sources = table.select(pl.lit(None, pl.String).alias("read_from"), pl.col("path"))
    else:
        sources = find_addresses(clips, folder)
    return table.select(
        pl.Series("path", name_images(table, ending=form)),
        "label",
        pl.col("group").fill_null(pl.col("path")),
        "split",
        "start_s",
        "duration_s",
        sources["path"].alias("source"),
        sources["read_from"],
    )


def _draw_batch(batch: FeatureBatch, *, folder: Path, names: list[str], canvas: Canvas, form: Format) -> list[tuple[str, str | None]]:
    """Write the pictures of some clips; status and reason of each."""
    waveforms: Sequence[Float32 | None] = batch.waveforms or [None] * len(batch.rows)
    for row, features, samples in zip(batch.rows, batch.features, waveforms, strict=True):
        if row["status"] in _USABLE:
            path = folder / names[row["clip"]]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_encode(canvas.draw(features, samples), canvas.palette, form))
    return [(row["status"], row["reason"]) for row in batch.rows]


def _encode(picture: Indices, palette: Palette, form: Format) -> bytes:
    if form == "png":
        return encode_png(picture, palette.colours)
    data = io.BytesIO()
    Image.fromarray(palette.colours[picture]).save(data, "JPEG", quality=_JPEG_QUALITY)
    return data.getvalue()


def _end_index(index: pl.DataFrame, told: Iterator[list[tuple[str, str | None]]]) -> pl.DataFrame:
    outcomes = pl.DataFrame([row for batch in told for row in batch], schema={"status": pl.String, "reason": pl.String}, orient="row")
    drawn = pl.col("status").is_in(_USABLE)
    return index.hstack(outcomes).with_columns(pl.when(drawn).then("path").alias("path")).select(_COLUMNS)


def _zip_pictures(home: Path, index: pl.DataFrame, folder: Path) -> None:
    """Move the pictures into one zip, or one for each split, in the order of the clips; equal pictures give equal zips."""
    split = index["split"].null_count() < len(index)
    with ExitStack() as opened:
        archives: dict[str, zipfile.ZipFile] = {}
        for name in index["path"].drop_nulls().to_list():
            archive, _, inner = name.partition("/") if split else ("images", "", name)
            if archive not in archives:
                archives[archive] = opened.enter_context(zipfile.ZipFile(folder / f"{archive}.zip", "x"))
            entry = zipfile.ZipInfo(inner, _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            archives[archive].writestr(entry, (home / name).read_bytes())
    shutil.rmtree(home, ignore_errors=True)
