"""How a report is asked for and written: leaderboards, what is refused, the command, what it is made of."""

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from hatchling.builders.wheel import WheelBuilder
from report_pages import RECIPE, Page, make_model, make_store, tone, write_corpus
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.corpus import read_corpus
from fastspec.errors import LearnError
from fastspec.learn import Bundle, leaderboard
from fastspec.learn.ranking import write_board
from fastspec.report import ReportError, read_board, write_report
from fastspec.report.card_blocks import card_blocks
from fastspec.report.sound import encode_sound
from fastspec.scanning import scan, scan_store
from fastspec.store import FeatureStore, open_store


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[FeatureStore, Bundle]:
    return make_model(tmp_path_factory.mktemp("made"))


def test_leaderboard__is_shown_in_its_order(made, tmp_path):
    rows = leaderboard(made[0], ["logistic"])
    write_report(made[0], tmp_path / "r.html", board=read_board(write_board(rows, tmp_path / "b.parquet")))
    text = Page(tmp_path / "r.html").text
    names = [row.model for row in rows]
    assert sorted(names, key=text.rindex) == names
    assert f"{rows[0].log_loss:.3f}" in text


def test_table_that_is_no_leaderboard__is_refused(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "b.parquet")
    with pytest.raises(ReportError, match="no column 'store'"):
        read_board(tmp_path / "b.parquet")
    with pytest.raises(ReportError, match="cannot be read"):
        read_board(tmp_path / "nothing.parquet")


def test_output_that_exists__is_refused_unless_it_is_a_report_to_overwrite(made, tmp_path):
    output = tmp_path / "r.html"
    write_report(made[0], output)
    with pytest.raises(ReportError, match="--overwrite"):
        write_report(made[0], output)
    write_report(made[0], output, overwrite=True)
    output.write_text("<p>mine")
    with pytest.raises(ReportError, match="no report that fastspec made"):
        write_report(made[0], output, overwrite=True)
    assert output.read_text() == "<p>mine"
    with pytest.raises(ReportError, match=r"ends in \.html"):
        write_report(made[0], tmp_path / "r.pdf")


def test_failure_on_the_way__leaves_nothing(made, tmp_path, monkeypatch):
    monkeypatch.setattr("fastspec.report.page.LIMIT_BYTES", 1000)
    with pytest.raises(ReportError, match="more than 1,000"):
        write_report(made[0], tmp_path / "r.html")
    assert not list(tmp_path.iterdir())


def test_command__writes_a_page_and_says_what(made, tmp_path):
    store, bundle = made
    bundle.save(tmp_path / "model")
    command = ["report", str(store.path), str(tmp_path / "model"), "-o", str(tmp_path / "r.html"), "-m", "logistic", "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["rows"]
    assert row["path"] == str(tmp_path / "r.html")
    assert row["size_bytes"] == (tmp_path / "r.html").stat().st_size
    assert "Leaderboard" in Page(tmp_path / "r.html").text


def test_command__refuses_a_board_beside_classifiers(made, tmp_path):
    command = ["report", str(made[0].path), "-o", str(tmp_path / "r.html"), "-m", "logistic", "--board", "b.parquet"]
    assert isinstance(CliRunner().invoke(app, command).exception, LearnError)


def test_missing_jinja__is_one_line_that_says_what_to_install():
    code = "import sys; sys.modules['jinja2'] = None; from fastspec.report import write_report"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert re.search(r"write_report needs Jinja2, which is not installed; run: pip install .*\[report\]", done.stderr)


def test_wheel__holds_templates_and_style(tmp_path):
    root = Path(__file__).resolve().parents[1]
    shutil.copytree(root, tmp_path / "src", ignore=shutil.ignore_patterns(".*", "__pycache__", "out", "tests", "bench"))
    (wheel,) = WheelBuilder(str(tmp_path / "src")).build(directory=str(tmp_path), versions=["standard"])
    names = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if "report/templates" in name}
    assert names == {path.name for path in (root / "fastspec/report/templates").iterdir()}


def test_card__becomes_blocks_with_code_and_tables():
    heading, table, items = card_blocks(
        "# m\n\n## Scores\n\n| score | value |\n|---|---:|\n| recall of `a b` | 0.5 |\n\n- the answer is `x`\n"
    )
    assert heading.lines[0][0].text == "Scores"
    assert table.table.rows == [["recall of a b", "0.5"]]
    assert [(span.text, span.code) for span in items.lines[0]] == [("the answer is ", False), ("x", True)]


@pytest.mark.parametrize("rate", [4000, 8000, 11000, 44100, 192000])
def test_sound_of_any_rate__is_heard_at_its_pitch(rate):
    data = encode_sound(tone(500.0, seconds=1.0, rate=rate), rate)
    heard, heard_rate = soundfile.read(io.BytesIO(data))
    peak = np.abs(np.fft.rfft(heard)).argmax() * heard_rate / len(heard)
    assert peak == pytest.approx(500, abs=3)


def test_sound_that_is_no_sound__is_encoded_all_the_same():
    for samples in (np.float32([0.5]), np.float32([np.nan, np.inf, -np.inf] * 100)):
        heard, _ = soundfile.read(io.BytesIO(encode_sound(samples, 16000)))
        assert np.isfinite(heard).all()


def test_ledger__tells_what_a_scan_tells(tmp_path):
    corpus = write_corpus(tmp_path / "sounds", {"low": 300.0, "high": 2400.0})
    shutil.copy(corpus / "low" / "g0-0.wav", corpus / "high" / "g1-copy.wav")
    (corpus / "low" / "g0-broken.wav").write_bytes(b"RIFF no wave")
    store = make_store(corpus, tmp_path / "s.zarr", recipe=RECIPE.replace(clip_s=1.0))
    known, told = scan(read_corpus(corpus, group_from=r"(g\d)-")).to_dict(), scan_store(open_store(store.path)).to_dict()
    for name in ("clips", "recordings", "groups", "hours", "statuses", "classes", "imbalance", "durations_s", "sample_rates", "channels"):
        assert told[name] == known[name], name
    assert {problem["kind"] for problem in told["problems"]} == {problem["kind"] for problem in known["problems"]}
