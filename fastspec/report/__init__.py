"""What people look at: pictures and a page (the extra `report`: matplotlib, Pillow, Jinja) and text tables (rich).

Names are resolved when they are first used: the tables need no matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastspec.errors import FastspecError
from fastspec.installation import extra_command

if TYPE_CHECKING:
    from fastspec.report.benchmark_picture import plot_benchmark as plot_benchmark
    from fastspec.report.benchmark_text import benchmark_parts as benchmark_parts
    from fastspec.report.board import plot_leaderboard as plot_leaderboard
    from fastspec.report.confusion import plot_confusion as plot_confusion
    from fastspec.report.corpus_pictures import plot_classes as plot_classes
    from fastspec.report.corpus_pictures import plot_durations as plot_durations
    from fastspec.report.corpus_text import scan_text as scan_text
    from fastspec.report.doctor_text import doctor_table as doctor_table
    from fastspec.report.grid import plot_grid as plot_grid
    from fastspec.report.images import write_images as write_images
    from fastspec.report.listings import plugins_table as plugins_table
    from fastspec.report.listings import presets_table as presets_table
    from fastspec.report.look import Look as Look
    from fastspec.report.look import parse_size as parse_size
    from fastspec.report.page import check_report as check_report
    from fastspec.report.page import read_board as read_board
    from fastspec.report.page import write_report as write_report
    from fastspec.report.picture import check_picture as check_picture
    from fastspec.report.picture import save_picture as save_picture
    from fastspec.report.plotting import plot as plot
    from fastspec.report.reliability import plot_reliability as plot_reliability
    from fastspec.report.roc import plot_roc as plot_roc
    from fastspec.report.spectrogram import plot_spectrogram as plot_spectrogram
    from fastspec.report.tables import confusion_table as confusion_table
    from fastspec.report.tables import failures_table as failures_table
    from fastspec.report.tables import leaderboard_table as leaderboard_table
    from fastspec.report.tables import ledger_table as ledger_table
    from fastspec.report.tables import parity_table as parity_table
    from fastspec.report.tables import predictions_table as predictions_table
    from fastspec.report.tables import scores_table as scores_table
    from fastspec.report.waveform import plot_waveform as plot_waveform

_HOMES = {
    "Look": "look",
    "benchmark_parts": "benchmark_text",
    "check_picture": "picture",
    "check_report": "page",
    "confusion_table": "tables",
    "doctor_table": "doctor_text",
    "failures_table": "tables",
    "leaderboard_table": "tables",
    "ledger_table": "tables",
    "parity_table": "tables",
    "parse_size": "look",
    "predictions_table": "tables",
    "plot": "plotting",
    "plot_benchmark": "benchmark_picture",
    "plot_classes": "corpus_pictures",
    "plot_confusion": "confusion",
    "plot_durations": "corpus_pictures",
    "plot_grid": "grid",
    "plot_leaderboard": "board",
    "plot_reliability": "reliability",
    "plot_roc": "roc",
    "plot_spectrogram": "spectrogram",
    "plot_waveform": "waveform",
    "read_board": "page",
    "plugins_table": "listings",
    "presets_table": "listings",
    "save_picture": "picture",
    "scan_text": "corpus_text",
    "scores_table": "tables",
    "write_images": "images",
    "write_report": "page",
}

_PACKAGES = {"PIL": "Pillow", "jinja2": "Jinja2", "markupsafe": "Jinja2", "matplotlib": "matplotlib"}

__all__ = ["Look", "ReportError", "benchmark_parts", "check_picture", "check_report", "confusion_table", "doctor_table", "failures_table"]
__all__ += ["leaderboard_table", "ledger_table", "parity_table", "parse_size", "plot", "plot_benchmark", "plot_classes", "plot_confusion"]
__all__ += ["plot_durations", "plot_grid", "plot_leaderboard", "plot_reliability", "plot_roc", "plot_spectrogram", "plot_waveform"]
__all__ += ["read_board", "save_picture", "scan_text", "scores_table", "write_images", "write_report"]


class ReportError(FastspecError):
    """A picture, table or page that cannot be made: matplotlib is missing, shapes disagree, the file's ending is unknown."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fastspec.report' has no attribute {name!r}")
    try:
        home = import_module(f"fastspec.report.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PACKAGES:
            raise
        package = _PACKAGES[missing]
        raise ReportError(f"{name} needs {package}, which is not installed; run: {extra_command('report')}") from None
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
