"""What a browser shows of a report and of a model's page, for README: of drums whose kits the model has not heard."""

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.browser import Page, find_browser, open_page
from bench.recordings import make_drums
from bench.tutorials import run_commands
from fastspec.corpus import read_corpus

_REPORT = (1280, 1500)
_PAGE_WIDTH = 1100
_COMMANDS = """fastspec split drums -o sides --group-from '([^/]+)--' --test 0.3
fastspec featurize sides/train.csv -o train.zarr --clip 1
fastspec featurize sides/test.csv -o test.zarr --spec train.zarr
fastspec train train.zarr -m logistic -o model
fastspec report test.zarr model -o report.html"""
_ASKED = ("ride", "tom", "hihat")  # the last is shown
_ANSWERED = f"document.querySelectorAll('#rows tr').length === {len(_ASKED)} && document.querySelector('#legend').innerText"


def draw_screens(folder: Path, *, few: bool = False) -> list[Path]:
    """Write `report.png` and `page.png`; returns where.

    Args:
        folder: where.
        few: by a model of a few recordings, to see that all works.

    Raises:
        CorpusUnavailable: the recordings cannot be fetched.
        RunFailed: there is no browser, or a command of fastspec fails.
    """
    find_browser()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        make_drums(home, few=few)
        run_commands([shlex.split(line) for line in _COMMANDS.splitlines()], home)
        with open_page(home / "profile") as page, _serving(home / "model") as address:
            page.resize(*_REPORT)
            page.open((home / "report.html").as_uri(), ready="document.readyState === 'complete'")
            report = page.screenshot(folder / "report.png")
            page.resize(_PAGE_WIDTH, 700)
            page.open(address)
            _ask(page, home / "sides" / "test.csv")
            page.resize(_PAGE_WIDTH, page.run("document.documentElement.scrollHeight"))
            return [report, page.screenshot(folder / "page.png")]


def _ask(page: Page, table: Path) -> None:
    """Give the page a recording of each of some classes, and wait for the answers."""
    tested = read_corpus(table)
    paths = {label: path for path, label in tested.table.select("path", "label").iter_rows()}
    page.pick("#files", *(tested.recordings.open(paths[label]) for label in _ASKED))
    page.wait(_ANSWERED)


@contextmanager
def _serving(model: Path) -> Iterator[str]:
    """The address of a model's page, while it is served."""
    code = "from fastspec.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", str(model), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["rows"][0]["address"]
        finally:
            server.terminate()
