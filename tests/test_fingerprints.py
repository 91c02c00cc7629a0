"""What tells a recording from its earlier self, without decoding it."""

import os
import zipfile
from pathlib import Path

import polars as pl
import pytest

from fastspec.corpus import Manifest, fingerprints, read_corpus
from fastspec.corpus.folder import Files
from fastspec.corpus.inputs import join_manifests
from fastspec.corpus.manifest import table_of_paths


@pytest.fixture
def inputs(write_tone, tmp_path: Path) -> tuple[Path, Path]:
    """A folder and a zip of three recordings each, all of other sizes."""
    folder = tmp_path / "dogs"
    files = [write_tone(folder / f"{name}.wav", seconds=seconds) for name, seconds in [("c", 0.1), ("a", 0.2), ("b", 0.3)]]
    with zipfile.ZipFile(tmp_path / "cats.zip", "w") as archive:
        for i, file in enumerate(files):
            archive.writestr(f"cat/{i}.wav", file.read_bytes() + bytes(2 * i))
    return folder, tmp_path / "cats.zip"


def test_several_inputs_are_told_as_each_alone(inputs):
    apart = [read_corpus(place) for place in inputs]
    joined = join_manifests(apart, inputs)
    mixed = joined.with_table(joined.table[[4, 0, 5, 2, 2, 1, 3, 0]])
    alone = pl.concat([fingerprints(manifest) for manifest in apart])
    assert alone.n_unique() == 6
    assert alone.null_count() == 0
    assert fingerprints(joined).to_list() == alone.to_list()
    assert fingerprints(mixed).to_list() == alone.gather([4, 0, 5, 2, 2, 1, 3, 0]).to_list()


def test_a_file_that_changes_is_another(inputs):
    folder, _ = inputs
    before = fingerprints(read_corpus(folder)).to_list()
    (folder / "b.wav").write_bytes((folder / "b.wav").read_bytes() + b"more")
    after = fingerprints(read_corpus(folder)).to_list()
    assert [was == now for was, now in zip(before, after, strict=True)] == [True, False, True]


def test_what_is_not_there_has_none(inputs):
    folder, archive = inputs
    for place, known in [(folder, "a.wav"), (archive, "cat/0.wav")]:
        told = fingerprints(Manifest(table_of_paths([known, "gone.wav"], [None, None]), str(place), read_corpus(place).recordings))
        assert told.is_null().to_list() == [False, True]


@pytest.mark.parametrize("more", [[], ["12:30.wav", "memory://far.wav", "s3://"]])
def test_files_are_looked_at_as_python_does(write_tone, tmp_path, monkeypatch, more):
    names = ["plain.wav", "é.wav", "far/below.wav", "before 1970.wav"]
    for i, name in enumerate(names):
        write_tone(tmp_path / name, seconds=0.1 + 0.1 * i)
    os.utime(tmp_path / names[3], ns=(0, -1_500_000_001))
    (tmp_path / os.fsdecode(b"\xff.wav")).write_bytes(b"no sound")
    (tmp_path / "link.wav").symlink_to("plain.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    manifest = read_corpus(tmp_path)
    (tmp_path / "12:30.wav").write_bytes(b"no sound either")
    paths = [*manifest.table["path"], *more, "gone.wav", "loop.wav", "far", "nul\0.wav", str(tmp_path / "plain.wav"), "plain.wav/below"]
    told = manifest.recordings.fingerprints(paths)
    missing = {path for path, one in zip(paths, told, strict=True) if one is None}
    assert missing == {*more[1:], "gone.wav", "loop.wav", "nul\0.wav", "plain.wav/below"}
    assert told[paths.index("link.wav")] == told[paths.index("plain.wav")] == told[paths.index(str(tmp_path / "plain.wav"))]
    monkeypatch.setattr("fastspec.kernels.read.can_read", lambda: False)
    assert manifest.recordings.fingerprints(paths) == told


@pytest.mark.parametrize("count", [255, 256, 257, 5000])
def test_many_files__are_each_told_in_order(tmp_path, count):
    (tmp_path / "one.wav").write_bytes(b"12345")
    paths = ["one.wav" if i % 7 else f"gone{i}.wav" for i in range(count)]
    told = Files(tmp_path).fingerprints(paths)
    assert [one is None for one in told] == [i % 7 == 0 for i in range(count)]
    assert {one.partition("-")[0] for one in told if one} == {"5"}
