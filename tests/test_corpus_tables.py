"""Tables of every format, folders of them, Parquet with audio in it, and manifests that are written and read again."""

import gzip
import io
import json
import pickle
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from tables import plant, rows_of, write

from fastspec.corpus import ClipRow, RecordingError, parquet_audio, read_corpus
from fastspec.corpus import rows as rows_room
from fastspec.corpus import table as table_room
from fastspec.errors import CorpusError

ROWS = [
    {"path": "a.wav", "label": "cat", "group": "g", "split": "train", "start_s": 0.1, "duration_s": 2.0},
    {"path": "sub/é.wav", "label": None, "group": None, "split": "test", "start_s": None, "duration_s": None},
]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.ndjson", "t.jsonl.gz", "t.parquet"])
def test_table_of_any_format__has_the_same_rows(tmp_path, name):
    manifest = read_corpus(write(plant(tmp_path, "a.wav", "sub/é.wav") / name, ROWS))
    assert rows_of(manifest) == [ClipRow("a.wav", "cat", "g", "train", 0.1, 2.0), ClipRow("sub/é.wav", None, None, "test", 0.0, None)]
    assert manifest.open("a.wav") == tmp_path / "a.wav"
    assert manifest.problems is not None
    assert len(manifest.problems) == 0


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_columns__are_taken_by_the_table_s_own_names(tmp_path, name):
    rows = [{"filename": "a.wav", "species": 3, "path": "not this one", "onset": 1}]
    file = write(plant(tmp_path, "a.wav") / name, rows)
    manifest = read_corpus(file, columns={"path": "filename", "label": "species", "start_s": "onset"})
    assert rows_of(manifest) == [ClipRow("a.wav", "3", None, None, 1.0, None)]
    with pytest.raises(CorpusError, match=r"no column 'specie' to take as label; known are: .* \(did you mean 'species'\?\)"):
        read_corpus(file, columns={"path": "filename", "label": "specie"})


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_table_without_paths__names_its_columns_and_the_option(tmp_path, name):
    file = write(plant(tmp_path, "a.wav") / name, [{"file": "a.wav", "label": "x"}])
    with pytest.raises(CorpusError, match=r"has no column 'path', but 'file', 'label'; .* --column path=NAME"):
        read_corpus(file)


def test_column_that_a_manifest_does_not_have__is_refused():
    with pytest.raises(CorpusError, match=r"no column 'lable'; known are: .* \(did you mean 'label'\?\)"):
        read_corpus("t.csv", columns={"lable": "x"})


@pytest.mark.parametrize("corpus", ["folder", "corpus.zip"])
def test_columns_of_what_has_none__are_refused(tmp_path, corpus):
    plant(tmp_path / "folder", "a/x.wav")
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as packed:
        packed.writestr("a/x.wav", b"")
    with pytest.raises(CorpusError, match="has no columns to choose from"):
        read_corpus(tmp_path / corpus, columns={"label": "x"})


def test_all_bad_rows_of_a_jsonl__are_reported_together_by_line(tmp_path):
    lines = ['{"path": "a.wav", "start_s": -1}', "", "[1]", "{", '{"path": ["a"]}', '{"path": "a.wav", "start_s": "x", "duration_s": true}']
    lines += [
        '{"path": "a.wav", "label": {"x": 1}, "start_s": 9}',
        '{"path": "gone.wav"}',
        '{"path": "gone.wav", "duration_s": 3}',
        '{"label": 1}',
    ]
    (plant(tmp_path, "a.wav") / "t.jsonl").write_text("\n".join(lines))
    with pytest.raises(CorpusError) as caught:
        read_corpus(tmp_path / "t.jsonl")
    source, _, problems = str(caught.value).partition(" rows to mend: ")
    assert source == f"{tmp_path / 't.jsonl'} has 11"
    assert problems.split("; ") == [
        "row 1 start_s is '-1' and must be 0 or more seconds",
        "row 3 is not a JSON object",
        "row 4 is not a JSON object",
        "row 5 path is a list, not a text or a number",
        "row 6 duration_s is 'true' and must be more than 0 seconds",
        "row 6 start_s is 'x' and must be 0 or more seconds",
        "row 7 label is an object, not a text or a number",
        "row 8 'gone.wav' does not exist",
        "row 9 'gone.wav' does not exist",
        "row 9 repeats row 8",
        "and 1 more",
    ]


def test_half_a_character_in_a_jsonl__is_text_that_shows_it(tmp_path):
    lines = [r'{"path": "a.wav", "label": "\ud800", "group": "fine"}', r'{"path": "caf\udce9.wav"}']
    (plant(tmp_path, "a.wav") / "t.jsonl").write_text("\n".join(lines))
    manifest = read_corpus(tmp_path / "t.jsonl")
    assert rows_of(manifest)[0] == ClipRow("a.wav", r"\ud800", "fine", None, 0.0, None)
    assert manifest.problems.sentence("missing").endswith(r"has 1 row missing: row 2 'caf\\udce9.wav' does not exist")


def test_missing_files__cost_their_rows_and_are_the_manifest_s_problems(tmp_path):
    rows = [{"path": name} for name in ("a.wav", "gone.wav", "sub", "gone/too.wav")]
    file = write(plant(tmp_path, "a.wav", "sub/x.wav") / "t.csv", rows)
    manifest = read_corpus(file)
    said = "2 rows whose file is missing: row 3 'gone.wav' does not exist; row 5 'gone/too.wav' does not exist (row 1 is the header)"
    assert len(manifest) == 4
    assert manifest.problems.sentence("whose file is missing") == f"{file} has {said}"
    with pytest.raises(CorpusError, match="2 rows whose file is missing"):
        read_corpus(file, strict=True)


def test_rows__keep_where_they_come_from(tmp_path):
    rows = [{"path": "a.wav"}, {"path": "b.wav"}, {"path": "a.wav", "start_s": 1}]
    manifest = read_corpus(write(plant(tmp_path, "a.wav", "b.wav") / "t.csv", rows))
    assert manifest.origins is not None
    assert manifest.origins.rows() == [("t.csv", 2), ("t.csv", 4), ("t.csv", 3)]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_table_of_many_rows__is_the_same_however_few_are_read_at_a_time(ending, tmp_path, monkeypatch):
    plant(tmp_path, "a.wav", "b.wav", "c.wav")
    rows = [{"path": f"{'abc'[i % 3]}.wav", "label": "x" if i > 4 else None, "start_s": float(i)} for i in range(10)]
    write(tmp_path / f"good.{ending}", rows)
    write(tmp_path / f"bad.{ending}", [*rows, rows[1], {"path": None, "label": "y", "start_s": -1.0}])
    found = []
    for size in (65_536, 4, 1):
        monkeypatch.setattr(rows_room, "_ROWS", size)
        monkeypatch.setattr(table_room, "_ROWS", size)
        manifest = read_corpus(tmp_path / f"good.{ending}")
        with pytest.raises(CorpusError) as caught:
            read_corpus(tmp_path / f"bad.{ending}")
        found.append((manifest.digest(), manifest.table.schema, manifest.origins.rows(), str(caught.value)))
    assert found[0] == found[1] == found[2]
    assert found[0][-1].count("repeats") == 1


def test_two_durations_from_one_start__repeat_a_clip(tmp_path):
    rows = [{"path": "a.wav", "duration_s": 1}, {"path": "a.wav", "duration_s": 2}]
    with pytest.raises(CorpusError, match="has 1 row to mend: row 3 repeats row 2"):
        read_corpus(write(plant(tmp_path, "a.wav") / "t.csv", rows))


def test_train_beside_test__gives_the_split_and_repetitions_are_found_across(tmp_path):
    plant(tmp_path, "a.wav", "b.wav", "c.wav")
    write(tmp_path / "train.csv", [{"path": "a.wav", "label": "x"}, {"path": "c.wav", "label": "x"}])
    write(tmp_path / "test.csv", [{"path": "b.wav", "label": "y"}])
    assert [(row.path, row.split) for row in rows_of(read_corpus(tmp_path))] == [("b.wav", "test"), ("a.wav", "train"), ("c.wav", "train")]
    write(tmp_path / "test.csv", [{"path": "b.wav", "label": "y"}, {"path": "a.wav", "label": "y"}])
    with pytest.raises(CorpusError, match=r"train.csv row 2 repeats test.csv row 3 \(row 1 is the header\)"):
        read_corpus(tmp_path)


def test_split_column__comes_before_the_name_of_the_table(tmp_path):
    plant(tmp_path, "a.wav", "b.wav", "c.wav")
    write(tmp_path / "train.csv", [{"path": "a.wav", "split": "dev"}, {"path": "c.wav", "split": None}])
    write(tmp_path / "test.csv", [{"path": "b.wav"}])
    assert [row.split for row in rows_of(read_corpus(tmp_path))] == ["test", "dev", "train"]


def test_urls_in_a_table__are_fetched_when_they_are_opened(tmp_path):
    import fsspec

    fsspec.filesystem("memory").pipe("/urls/a.wav", b"sound")
    manifest = read_corpus(write(tmp_path / "t.csv", [{"path": "memory://urls/a.wav"}, {"path": "memory://urls/gone.wav"}]))
    assert manifest.open("memory://urls/a.wav") == b"sound"
    with pytest.raises(RecordingError, match="no such file"):
        manifest.open("memory://urls/gone.wav")


def test_gzipped_table_that_is_a_bomb_or_cut_off__is_refused(tmp_path):
    packed = gzip.compress(b'{"path": "a.wav"}\n' * 4_000_000)
    (tmp_path / "t.jsonl.gz").write_bytes(packed)
    with pytest.raises(CorpusError, match="decompression bomb"):
        read_corpus(tmp_path / "t.jsonl.gz")
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b'{"path": "a.wav"}\n')[:-9])
    with pytest.raises(CorpusError, match="cut off"):
        read_corpus(tmp_path / "t.jsonl.gz")


def test_parquet_that_is_damaged__is_refused(tmp_path):
    file = write(tmp_path / "t.parquet", ROWS)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(CorpusError, match="not a whole Parquet file"):
        read_corpus(file)


def test_parquet_with_binary_values__names_the_column(tmp_path):
    pl.DataFrame({"path": [b"a.wav", b"\xff"]}).write_parquet(plant(tmp_path, "a.wav") / "t.parquet")
    with pytest.raises(CorpusError, match="has binary values in its column 'path'; give --column path=ANOTHER"):
        read_corpus(tmp_path / "t.parquet")


@pytest.mark.parametrize("cell", [{"bytes": "a text", "path": "x"}, {"bytes": b"", "path": 3}])
def test_parquet_with_structs_of_other_types__holds_no_audio(tmp_path, cell):
    pl.DataFrame({"audio": [cell]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(CorpusError, match="has no column 'path', but 'audio'"):
        read_corpus(tmp_path / "t.parquet")


def test_parquet_with_nested_labels__names_the_column(tmp_path):
    pl.DataFrame({"path": ["a.wav"], "label": [["x", "y"]]}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(CorpusError, match="nested values in its column 'label'"):
        read_corpus(tmp_path / "t.parquet")


FEATURES = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "audio": {"sampling_rate": 16000, "_type": "Audio"}}


def write_hugging_face(path: Path, audio: list[tuple[bytes | None, str | None]], labels: list[int | None]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = pl.Series(
        "audio", [{"bytes": data, "path": name} for data, name in audio], dtype=pl.Struct({"bytes": pl.Binary, "path": pl.String})
    )
    table = pl.DataFrame([cells, pl.Series("label", labels, dtype=pl.Int64)])
    table.write_parquet(path, metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})}, row_group_size=16)
    return path


def test_hugging_face_parquet__has_bytes_names_and_named_classes(tmp_path):
    audio = [(b"sound %d" % i, f"{i}.wav") for i in range(100)]
    manifest = read_corpus(write_hugging_face(tmp_path / "t.parquet", audio, [i % 2 for i in range(99)] + [-1]))
    assert rows_of(manifest)[:2] == [ClipRow("0.wav", "cat", None, None, 0.0, None), ClipRow("1.wav", "dog", None, None, 0.0, None)]
    assert rows_of(manifest)[99].label is None
    for opened in (manifest, pickle.loads(pickle.dumps(manifest))):  # noqa: S301
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened.open, [name for _, name in audio])) == [data for data, _ in audio]


def test_hugging_face_parquet__keeps_few_blocks_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_audio, "BLOCK_ROWS", 2)
    manifest = read_corpus(write_hugging_face(tmp_path / "t.parquet", [(b"%d" % i, f"{i}.wav") for i in range(60)], [0] * 60))
    assert [manifest.open(f"{i}.wav") for i in range(60)] == [b"%d" % i for i in range(60)]
    assert len(manifest.recordings._reader._blocks) == 8


def test_hugging_face_parquet__names_that_are_missing_or_repeated_get_the_row(tmp_path):
    manifest = read_corpus(write_hugging_face(tmp_path / "t.parquet", [(b"0", "x.wav"), (b"1", "x.wav"), (b"2", None)], [0, 0, 1]))
    assert manifest.table["path"].to_list() == ["1/x.wav", "2/x.wav", "3/audio"]
    assert [manifest.open(path) for path in manifest.table["path"]] == [b"0", b"1", b"2"]


def test_hugging_face_parquet__without_bytes_leads_to_files(tmp_path):
    plant(tmp_path, "x.wav")
    manifest = read_corpus(write_hugging_face(tmp_path / "t.parquet", [(None, "x.wav"), (None, "gone.wav"), (None, None)], [0, 0, 0]))
    assert manifest.open("1/x.wav") == tmp_path / "x.wav"
    for path, reason in {"2/gone.wav": "no such file", "3/audio": "neither bytes nor a path", "x": "no such row"}.items():
        with pytest.raises(RecordingError, match=reason):
            manifest.open(path)


def test_hugging_face_folder__has_splits_and_the_same_names_in_them_do_not_mix(tmp_path):
    for split in ("train", "test"):
        write_hugging_face(tmp_path / f"data/{split}-00000-of-00001.parquet", [(split.encode(), "x.wav")], [0])
    plant(tmp_path, "README.md")
    manifest = read_corpus(tmp_path)
    assert [(row.path, row.split) for row in rows_of(manifest)] == [
        ("test-00000-of-00001.parquet/x.wav", "test"),
        ("train-00000-of-00001.parquet/x.wav", "train"),
    ]
    assert [manifest.open(row.path) for row in rows_of(manifest)] == [b"test", b"train"]


def test_zip_behind_a_url__is_read_in_place():
    import fsspec

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/x.wav", b"x")
    fsspec.filesystem("memory").pipe("/z/c.zip", packed.getvalue())
    manifest = read_corpus("memory://z/c.zip")
    assert [(row.path, row.label) for row in rows_of(manifest)] == [("a/x.wav", "a")]
    assert manifest.open("a/x.wav") == b"x"


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_labels_groups_and_splits__are_stripped(tmp_path, write_tone, ending):
    for name in "xyz":
        write_tone(tmp_path / f"{name}.wav")
    columns = {"path": ["x.wav", "y.wav", "z.wav"], "label": ["a", " a", "  "], "group": ["g ", "g", None], "split": ["Train ", "test", ""]}
    table = pl.DataFrame(columns)
    {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}[ending](tmp_path / f"t.{ending}")
    rows = read_corpus(tmp_path / f"t.{ending}").table.select("label", "group", "split").rows()
    assert rows == [("a", "g", "train"), ("a", "g", "test"), (None, None, None)]


def test_split_or_fold_that_means_nothing__is_refused_by_row(tmp_path, write_tone):
    write_tone(tmp_path / "x.wav")
    rows = ["x.wav,train,,0", "x.wav,banana,,1", "x.wav,,3,2", "x.wav,,third,3", "x.wav,fold-2,,4"]
    (tmp_path / "t.csv").write_text("path,split,fold,start_s\n" + "\n".join(rows))
    with pytest.raises(CorpusError) as error:
        read_corpus(tmp_path / "t.csv")
    assert str(error.value) == (
        f"{tmp_path / 't.csv'} has 2 rows to mend: row 3 split is 'banana', which is not train, validation, test or a numbered fold; "
        "row 5 fold is 'third', which is not train, validation, test or a numbered fold (row 1 is the header)"
    )
