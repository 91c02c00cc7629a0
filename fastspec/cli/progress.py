"""How far a run is, on a terminal, and what is told where it is interrupted."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastspec.cli.output import is_watched
from fastspec.errors import Interrupted

if TYPE_CHECKING:
    from fastspec.pipeline import Progress


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Ctrl-C in the block as one line, with what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted; {kept}") from None


@contextmanager
def progress_bar(unit: str, total: int, *, hidden: bool) -> Iterator["Callable[[Progress], None] | None"]:
    """A bar with clips a second, hours of audio a second and the time left; nothing where nobody watches."""
    if hidden or not is_watched():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        BarColumn(),
        TextColumn(f"{{task.completed:,}}/{{task.total:,}} {unit}"),
        TextColumn("{task.fields[rates]}"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task, start = bar.add_task("run", total=total, rates=""), time.perf_counter()

        def report(progress: "Progress") -> None:
            seconds = max(time.perf_counter() - start, 1e-3)
            rates = f"{progress.new_clips / seconds:,.0f}/s"
            rates += f", {progress.audio_s / 3600 / seconds:.2f} h/s" if progress.audio_s else ""
            rates += f", {progress.failed:,} failed" if progress.failed else ""
            bar.update(task, completed=progress.clips, total=progress.total, rates=rates)

        yield report
