"""Figures without pyplot, so that no global state is touched and any thread may draw; and files written whole or not at all."""

import io
import os
from pathlib import Path
from threading import Lock
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fastspec.report import ReportError
from fastspec.report.look import Size, check_size

# What each format would put in besides the picture: timestamps and program versions, which differ between equal pictures.
_NO_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
}
_DPI = 200
_saving = Lock()


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure of that size in inches, laid out by its contents."""
    figure = Figure(figsize=(width_in, height_in), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def soften(axes: Axes) -> None:
    """Thin grey frame and small ticks: the data should be the darkest thing in a picture."""
    axes.tick_params(which="both", labelsize=8, width=0.6, length=3, color="0.4")
    axes.tick_params(which="minor", length=1.5)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
        spine.set_color("0.4")


def check_picture(path: str | os.PathLike[str]) -> Path:
    """`path`, when its ending is that of a picture. ReportError otherwise."""
    target = Path(path)
    if target.suffix.lower().removeprefix(".") not in _NO_METADATA:
        raise ReportError(f"{target.name!r} is no picture file; give a name that ends in .png, .svg or .pdf")
    return target


def save_picture(figure: Figure, path: str | os.PathLike[str], *, size: Size | None = None) -> Path:
    """Write a figure as `.png`, `.svg` or `.pdf`, whole or not at all; equal figures give equal bytes.

    Args:
        figure: to be written.
        path: where.
        size: width and height in pixels, exactly; the figure is as wide in inches as before, so that its letters keep their share. None
            is what the figure has, less its margins.

    Raises:
        ReportError: another ending, a size that cannot be, or a place that cannot be written to.
    """
    target = check_picture(path)
    kind = target.suffix.lower().removeprefix(".")
    if size:
        set_size(figure, size)
    margins: dict[str, Any] = {} if size else {"bbox_inches": "tight", "pad_inches": 0.06}
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        # The salt of an SVG's ids is a global setting of matplotlib, hence the lock.
        with _saving, matplotlib.rc_context({"svg.hashsalt": "fastspec", "pdf.fonttype": 42}):
            figure.savefig(temporary, format=kind, dpi=figure.dpi, metadata=_NO_METADATA[kind], **margins)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ReportError(f"cannot write the picture {target}: {error.strerror}; give a folder that exists and is writable") from None
    return target


def render_svg(figure: Figure) -> str:
    """A figure as SVG without a background, its letters as text; equal figures give equal texts."""
    text = io.StringIO()
    with _saving, matplotlib.rc_context({"svg.hashsalt": "fastspec", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", transparent=True, bbox_inches="tight", pad_inches=0.06, metadata=_NO_METADATA["svg"])
    return text.getvalue()


def set_size(figure: Figure, size: Size) -> None:
    """Make a figure so many pixels wide and high, as wide in inches as it was."""
    width, height = check_size(size)
    figure.set_dpi(width / figure.get_figwidth())
    # Half a pixel more: the canvas rounds down, and a product of rounded numbers may lie below its integer.
    figure.set_size_inches((width + 0.5) / figure.dpi, (height + 0.5) / figure.dpi)
