"""Manifests that are written and read again."""

import os
import zipfile
from pathlib import Path

import polars as pl
import pytest
from tables import plant, rows_of, write

from fastspec.corpus import manifest_file, read_corpus
from fastspec.errors import CorpusError


@pytest.mark.parametrize("name", ["m.parquet", "m.csv", "m.jsonl"])
def test_manifest__is_written_and_read_again_from_another_folder(tmp_path, name, monkeypatch):
    plant(tmp_path / "corpus", "a/x.wav", 'b/é, "y".wav')
    manifest = read_corpus(tmp_path / "corpus")
    (tmp_path / "tables").mkdir()
    monkeypatch.chdir(tmp_path)
    again = read_corpus(manifest.write(Path("tables") / name))
    assert [row._replace(path="") for row in rows_of(again)] == [row._replace(path="") for row in rows_of(manifest)]
    assert again.table["path"].to_list() == ["../corpus/a/x.wav", '../corpus/b/é, "y".wav']
    assert [Path(again.open(path)).resolve() for path in again.table["path"]] == [manifest.open(path) for path in manifest.table["path"]]
    assert [file.name for file in (tmp_path / "tables").iterdir()] == [name]


def test_manifest_of_an_archive__says_what_the_rows_are_read_from(tmp_path):
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as packed:
        packed.writestr("a/x.wav", b"x")
        packed.writestr("b/y.wav", b"y")
    manifest = read_corpus(tmp_path / "c.zip")
    again = read_corpus(manifest.write(tmp_path / "m.csv"))
    assert (tmp_path / "m.csv").read_text().splitlines()[1] == "a/x.wav,a,,,0.0,,c.zip"
    assert rows_of(again) == rows_of(manifest)
    (tmp_path / "deeper").mkdir()
    third = read_corpus(again.write(tmp_path / "deeper" / "m.jsonl"))
    assert [third.open(path) for path in third.table["path"]] == [b"x", b"y"]


def test_manifests_joined_by_hand__read_from_several_places(tmp_path):
    for name in ("c", "d"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as packed:
            packed.writestr("x.wav", name)
    plant(tmp_path, "x.wav")
    write(
        tmp_path / "m.csv",
        [{"path": "x.wav", "read_from": "c.zip"}, {"path": "x.wav", "read_from": "d.zip"}, {"path": "x.wav", "read_from": None}],
    )
    manifest = read_corpus(tmp_path / "m.csv")
    assert manifest.table["path"].to_list() == ["c.zip/x.wav", "d.zip/x.wav", "x.wav"]
    assert [manifest.open(path) for path in manifest.table["path"]] == [b"c", b"d", tmp_path / "x.wav"]


def test_manifest__of_names_that_are_not_unicode_finds_them_again(tmp_path):
    plant(tmp_path / "c", "a/x.wav")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/c/a/caf\xe9.wav")).write_bytes(b"cafe")
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    again = read_corpus(read_corpus(tmp_path / "c").write(tmp_path / "m.parquet"))
    assert {Path(again.open(path)).read_bytes() for path in again.table["path"]} == {b"", b"cafe"}


def test_manifest_with_a_place_or_an_ending_that_it_cannot_have__is_refused(tmp_path):
    manifest = read_corpus(plant(tmp_path, "a/x.wav"))
    with pytest.raises(CorpusError, match=r"m.xlsx has an ending that a manifest cannot have; known are: .csv, .jsonl, .parquet"):
        manifest.write(tmp_path / "m.xlsx")
    with pytest.raises(CorpusError, match="cannot be written"):
        manifest.write(tmp_path / "nowhere" / "m.csv")


def test_manifest_that_fails_half_way__leaves_the_old_one(tmp_path, monkeypatch):
    manifest = read_corpus(plant(tmp_path, "a/x.wav"))
    before = manifest.write(tmp_path / "m.csv").read_bytes()

    def fail(_, file):
        Path(file).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(manifest_file._WRITERS, ".csv", fail)
    with pytest.raises(CorpusError, match="No space left"):
        manifest.write(tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "m.csv"]


def test_column_fold__is_the_split_and_is_written_again(tmp_path, write_tone):
    for name in "xyz":
        write_tone(tmp_path / f"{name}.wav")
    (tmp_path / "t.csv").write_text("path,part\nx.wav,1\ny.wav,2.0\nz.wav,1\n")
    manifest = read_corpus(tmp_path / "t.csv", columns={"fold": "part"})
    assert manifest.table["split"].to_list() == ["fold-1", "fold-2", "fold-1"]
    written = manifest.write(tmp_path / "m.parquet")
    assert pl.read_parquet(written)["fold"].to_list() == [1, 2, 1]
    assert read_corpus(written).digest() == manifest.digest()
