"""A store says where its corpus lies and how it was read; what reads it again need not be told."""

import json

import numpy as np
import polars as pl
import pytest
import soundfile
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.corpus import Reading, read_corpus
from fastspec.errors import CorpusError, StoreError
from fastspec.pipeline import featurize, read_again, recordings_of, repair, update
from fastspec.presets import preset
from fastspec.store import find_damage, open_store
from fastspec.store.reading import chunk_file
from fastspec.store.source import Source, read_source

RECIPE = preset("torchaudio", n_mels=16, allow_empty_bands=True, clip_s=0.1)
COLUMNS = {"path": "file", "label": "species"}


def write_recordings(folder, names):
    for i, name in enumerate(names):
        soundfile.write(folder / f"{name}.wav", np.random.default_rng(i).uniform(-0.5, 0.5, 1600), 16000)


@pytest.fixture
def table(tmp_path):
    """A table that calls its columns otherwise, and whose groups stand in the names of its files."""
    write_recordings(tmp_path, ["a-1", "a-2", "b-1"])
    rows = {"file": ["a-1.wav", "a-2.wav", "b-1.wav"], "species": ["x", "y", "x"], "genus": ["p", "q", "p"]}
    pl.DataFrame(rows).write_csv(tmp_path / "t.csv")
    return tmp_path / "t.csv"


@pytest.fixture
def store(table, tmp_path):
    return featurize(read_corpus(table, columns=COLUMNS, group_from="^([ab])"), tmp_path / "s.zarr", recipe=RECIPE).path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_store__says_where_its_corpus_lies_and_how_it_was_read(store, table):
    assert json.loads((store / "source.json").read_bytes()) == {"corpus": str(table), "columns": COLUMNS, "group_from": "^([ab])"}
    assert read_source(store) == Source(str(table), Reading(COLUMNS, None, "^([ab])"))


def test_corpus_read_plainly__has_nothing_else_to_say(tmp_path):
    (tmp_path / "c").mkdir()
    write_recordings(tmp_path / "c", ["a"])
    path = featurize(tmp_path / "c", tmp_path / "s.zarr", recipe=RECIPE).path
    assert json.loads((path / "source.json").read_bytes()) == {"corpus": str(tmp_path / "c")}


@pytest.mark.parametrize("text", ['{"corpus": "here"}', '{"corpus": "here", "columns": {}, "label_from": null, "later": 1}'])
def test_store_of_another_version__is_read_as_far_as_it_is_understood(tmp_path, text):
    (tmp_path / "source.json").write_text(text)
    assert read_source(tmp_path) == Source("here", Reading())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"corpus": 3}', '{"corpus": "here", "columns": "path"}'])
def test_damaged_source__is_not_known(tmp_path, text):
    (tmp_path / "source.json").write_text(text)
    assert read_source(tmp_path) == Source()
    with pytest.raises(StoreError, match="does not say where its recordings are; give the corpus"):
        read_again(tmp_path)


def test_repair__reads_the_table_as_it_was_read(store):
    chunk_file(store, 0).unlink()
    assert len(repair(store)) == 1
    assert find_damage(store) == []


def test_repair_by_command__need_not_be_told_the_columns(store, table):
    chunk_file(store, 0).unlink()
    table.rename(table.with_name("moved.csv"))
    result = run("store", "verify", store, "--repair", "--corpus", table.with_name("moved.csv"))
    assert (result.exit_code, find_damage(store)) == (1, [])


def test_update_by_command__keeps_columns_and_patterns(store, table):
    write_recordings(table.parent, ["a-1", "a-2", "b-1", "b-2"])
    rows = {"file": ["a-1.wav", "a-2.wav", "b-1.wav", "b-2.wav"], "species": ["x", "y", "x", "y"], "genus": ["p", "q", "p", "q"]}
    pl.DataFrame(rows).write_csv(table)
    assert run("store", "update", store, table).exit_code == 0
    ledger = open_store(store).ledger
    assert ledger["label"].to_list() == ["x", "y", "x", "y"]
    assert ledger["group"].to_list() == ["a", "a", "b", "b"]


def test_option_that_is_given__wins_and_is_kept_from_then_on(store, table):
    assert run("store", "update", store, table, "--column", "label=genus", "--group-from", "([12])").exit_code == 0
    ledger = open_store(store).ledger
    assert (ledger["label"].to_list(), ledger["group"].to_list()) == (["p", "q", "p"], ["1", "2", "1"])
    assert read_source(store).reading == Reading({"path": "file", "label": "genus"}, None, "([12])")


def test_corpus_that_moved__is_found_where_it_was_updated_from(store, table):
    moved = table.rename(table.with_name("moved.csv"))
    pl.read_csv(moved).with_columns(species=pl.lit("z")).write_csv(moved)
    update(store, moved)
    assert read_source(store).corpus == str(moved)
    assert recordings_of(store).open("a-1.wav") == table.parent / "a-1.wav"


def test_corpus_that_moved_and_is_as_it_was__is_found_where_it_was_updated_from(store, table):
    chunk, moved = chunk_file(store, 0).stat().st_mtime_ns, table.rename(table.with_name("moved.csv"))
    update(store, moved)
    assert chunk_file(store, 0).stat().st_mtime_ns == chunk
    assert read_source(store) == Source(str(moved), Reading(COLUMNS, None, "^([ab])"))


def test_table_that_calls_its_columns_otherwise_now__is_refused_with_what_the_store_says(store, table):
    pl.read_csv(table).rename({"file": "sound"}).write_csv(table)
    with pytest.raises(CorpusError, match=r"no column 'file' to take as path.*the store has it that columns are path=file, label=species"):
        read_again(store)
    assert read_again(store, columns={"path": "sound"}).table["label"].to_list() == ["x", "y", "x"]


def test_table_that_is_not_there__is_told_without_its_columns(store, table):
    table.unlink()
    with pytest.raises(CorpusError, match=r"does not exist(?!.*column)"):
        read_again(store)


def test_folder_in_place_of_the_table__is_read_without_its_columns(store, tmp_path):
    (tmp_path / "c" / "x").mkdir(parents=True)
    write_recordings(tmp_path / "c" / "x", ["a-3"])
    updated = run("store", "update", store, tmp_path / "c", "--group-from", "([ab])-")
    assert updated.exit_code == 0, updated.output
    assert open_store(store).ledger["status"].to_list() == ["removed"] * 3 + ["ok"]
    refused = run("store", "update", store, tmp_path / "c", "--group-from", "([ab])-", "--column", "label=species")
    assert "leave out --column" in str(refused.exception)


def test_report__finds_the_recordings_of_a_table_with_other_columns(store, tmp_path):
    result = run("report", store, "-o", tmp_path / "r.html", "--json")
    assert json.loads(result.stdout)["rows"][0]["silent_because"] is None
