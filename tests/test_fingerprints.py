"""What tells a recording from its earlier self, without decoding it."""

import zipfile
from pathlib import Path

import polars as pl
import pytest

from fastspec.corpus import Manifest, fingerprints, read_corpus
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
