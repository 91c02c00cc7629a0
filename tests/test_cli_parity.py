"""`fastspec preset parity`: what it prints, as a table and as JSON, and what its exit code says."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.errors import SpecError
from fastspec.presets import PRESETS
from fastspec.references import Parity

CLOSE = Parity(
    preset="whisper",
    reference="transformers",
    function="transformers.WhisperFeatureExtractor",
    version="5.23.0",
    versions={"transformers": "5.23.0", "torch": "2.13.0"},
    live=True,
    missing=None,
    error=5.1e-6,
    signal="clipping",
    frame=31,
    band=127,
    unit="log10",
    tolerance=1e-4,
    passed=True,
    reference_error=5.2e-6,
    own_error=8e-7,
)
MISSED = dataclasses.replace(CLOSE, preset="kaldi", error=2.0, unit="ln", passed=False)
FROZEN = dataclasses.replace(CLOSE, preset="nemo", live=False, missing="torch is not installed; for nemo_toolkit: pip install torch")


@pytest.fixture
def parity(monkeypatch):
    """`parity(rows, *arguments)` runs the command where those rows are what is measured."""

    def run(rows, *arguments):
        by_name = {row.preset: row for row in rows}
        monkeypatch.setattr("fastspec.references.measure_parity", lambda name: by_name.get(name, CLOSE))
        return CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"}).invoke(app, ["preset", "parity", *arguments])

    return run


def test_all_presets__are_compared_when_none_is_named(parity):
    result = parity([CLOSE], "--json")
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["rows"]) == len(PRESETS)


def test_table__names_reference_and_version_difference_place_and_what_is_allowed_in_80_columns(parity):
    result = parity([CLOSE], "whisper")
    words = result.stdout.split()
    for word in ("whisper", "transformers", "5.23.0", "5.1e-6", "1.0e-4", "5.2e-6", "log10", "clipping", "31,", "127", "ok"):
        assert word in words
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_preset_that_misses_its_reference__exits_1_and_says_so(parity):
    result = parity([MISSED], "kaldi")
    assert result.exit_code == 1
    assert "MISS" in result.stdout


def test_reference_that_is_not_installed__is_said_with_its_install_command_and_golden_vectors(parity):
    result = parity([FROZEN], "nemo")
    assert result.exit_code == 0
    assert "golden vectors of transformers 5.23.0; torch is not installed; for nemo_toolkit: pip install torch" in " ".join(
        line[:27].strip() for line in result.stdout.splitlines()[2:]
    )
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json__is_one_object_with_a_row_a_preset():
    result = CliRunner().invoke(app, ["preset", "parity", "librosa", "--json"])
    printed = json.loads(result.stdout)
    assert result.exit_code == 0
    assert printed["command"] == "preset parity"
    (row,) = printed["rows"]
    assert set(row) == {field.name for field in dataclasses.fields(Parity)}
    assert (row["preset"], row["reference"], row["unit"], row["passed"]) == ("librosa", "librosa", "dB", True)


def test_unknown_preset__is_refused():
    result = CliRunner().invoke(app, ["preset", "parity", "whispr"])
    assert isinstance(result.exception, SpecError)
    assert "did you mean 'whisper'?" in str(result.exception)
