"""Corpora as folders and tables. Nothing here decodes: an empty file named .wav is as good as a recording."""

import os
import pickle
from pathlib import Path

import polars as pl
import pytest

from fastspec.corpus import ClipRow, RecordingError, read_corpus
from fastspec.errors import CorpusError


def plant(root: Path, *names: str) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return root


def write_csv(root: Path, text: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / "a.wav").touch()
    file = root / "clips.csv"
    file.write_text(text, encoding="utf-8")
    return file


def labels_of(corpus: Path) -> dict[str, str | None]:
    return {row.path: row.label for row in read_corpus(corpus).rows(0, 100)}


def test_folder__labels_are_the_first_sub_folders_and_paths_are_sorted_by_code_points(tmp_path):
    corpus = plant(tmp_path, "b/1.wav", "B/2.flac", "a/deep/er/3.OGG", "é/4.mp3", "loose.wav")
    assert labels_of(corpus) == {"B/2.flac": "B", "a/deep/er/3.OGG": "a", "b/1.wav": "b", "loose.wav": None, "é/4.mp3": "é"}
    assert list(labels_of(corpus)) == ["B/2.flac", "a/deep/er/3.OGG", "b/1.wav", "loose.wav", "é/4.mp3"]


def test_folder__row_is_the_whole_recording(tmp_path):
    assert read_corpus(plant(tmp_path, "cat/a.wav")).rows(0, 1) == [ClipRow("cat/a.wav", "cat", None, None, 0.0, None)]


def test_folder_that_wraps_the_corpus__does_not_become_the_label(tmp_path):
    corpus = plant(tmp_path, "fish/small/a.ogg", "fish/big/b.ogg", "fish/c.ogg")
    assert labels_of(corpus) == {"fish/big/b.ogg": "big", "fish/c.ogg": None, "fish/small/a.ogg": "small"}


def test_folder_with_one_class_only__keeps_that_class(tmp_path):
    assert labels_of(plant(tmp_path, "fish/a.ogg", "fish/b.ogg")) == {"fish/a.ogg": "fish", "fish/b.ogg": "fish"}


def test_folder_beside_a_loose_recording__is_a_class(tmp_path):
    assert labels_of(plant(tmp_path, "fish/small/a.ogg", "c.ogg")) == {"c.ogg": None, "fish/small/a.ogg": "fish"}


def test_other_files__are_counted_and_hidden_ones_are_not_seen(tmp_path):
    manifest = read_corpus(plant(tmp_path, "a/x.wav", "a/notes.txt", "LICENSE", ".git/y.wav", "a/._x.wav", "__MACOSX/a/x.wav"))
    assert (len(manifest), manifest.ignored) == (1, 2)


def test_links__files_are_followed_loops_and_repetitions_are_not(tmp_path):
    elsewhere = plant(tmp_path / "elsewhere", "far.wav", "deep/deeper.wav")
    corpus = plant(tmp_path / "corpus", "a/x.wav")
    (corpus / "a/linked.wav").symlink_to(elsewhere / "far.wav")
    (corpus / "a/broken.wav").symlink_to(corpus / "nothing.wav")
    (corpus / "self.wav").symlink_to(corpus / "self.wav")
    (corpus / "a/up").symlink_to(corpus, target_is_directory=True)
    (corpus / "parent").symlink_to(tmp_path, target_is_directory=True)
    (corpus / "b").symlink_to(elsewhere, target_is_directory=True)
    (corpus / "c").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "deep/loop").symlink_to(elsewhere / "deep", target_is_directory=True)
    assert list(labels_of(corpus)) == ["a/linked.wav", "a/x.wav", "b/deep/deeper.wav", "b/far.wav"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_fifo__is_no_recording_in_a_folder_and_refused_when_opened(tmp_path):
    manifest = read_corpus(plant(tmp_path, "a/x.wav"))
    os.mkfifo(tmp_path / "a/pipe.wav")
    assert list(labels_of(tmp_path)) == ["a/x.wav"]
    with pytest.raises(RecordingError, match="not a regular file"):
        manifest.open("a/pipe.wav")


def test_name_that_is_not_unicode__is_escaped_and_opens(tmp_path):
    plant(tmp_path, "a/x.wav")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/caf\xe9.wav")).write_bytes(b"cafe")
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    manifest = read_corpus(tmp_path)
    assert manifest.table["path"].to_list() == ["a/caf\\xe9.wav", "a/x.wav"]
    assert Path(manifest.open("a/caf\\xe9.wav")).read_bytes() == b"cafe"


def test_open__gives_the_file_or_says_why_not(tmp_path, monkeypatch):
    manifest = read_corpus(plant(tmp_path, "a/x.wav"))
    assert manifest.open("a/x.wav") == tmp_path / "a/x.wav"
    for path, reason in {"a/gone.wav": "no such file", "a/x.wav/y": "no such file", "a": "not a regular file", "a\0": "NUL"}.items():
        with pytest.raises(RecordingError, match=reason) as caught:
            manifest.open(path)
        assert caught.value.code == "unreadable"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(RecordingError, match="permission denied"):
        manifest.open("a/x.wav")


def test_errors__survive_pickling():
    error = pickle.loads(pickle.dumps(RecordingError("unreadable", "no such file")))  # noqa: S301
    assert (error.code, error.reason) == ("unreadable", "no such file")


@pytest.mark.parametrize(
    "names, message",
    [
        ([], r"no audio files that can be read; give"),
        (["a.txt", "b/c.md"], r"no audio files that can be read \(2 other files\); give"),
        (["a/x.m4a", "b/y.m4a", "z.txt"], r"can be read \(3 other files, such as 'a/x.m4a'\); give"),
        (["clips.csv"], r"can be read \(1 other file, such as 'clips.csv'\); .* a table by its own name"),
    ],
)
def test_folder_without_audio__is_refused(tmp_path, names, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(plant(tmp_path, *names))


def test_folder_that_cannot_be_listed__is_refused_by_name(tmp_path, monkeypatch):
    plant(tmp_path, "a/x.wav", "secret/y.wav")
    scandir = os.scandir

    def guarded(folder):
        if Path(folder).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(CorpusError, match="secret cannot be read: Permission denied"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(
    "name, message", [("gone", "does not exist"), ("gone.wav", "does not exist"), ("list.xlsx", "not a kind of corpus")]
)
def test_what_is_no_corpus__is_refused_with_what_is_allowed(tmp_path, name, message):
    plant(tmp_path, "list.xlsx")
    with pytest.raises(CorpusError, match=rf"{message}.* give a folder .* \.zip .*\.csv"):
        read_corpus(tmp_path / name)


def test_single_recording__is_a_corpus_of_one_beside_what_else_lies_there(tmp_path):
    plant(tmp_path, "a/x.wav", "a/y.wav")
    manifest = read_corpus(tmp_path / "a" / "x.wav")
    assert (manifest.table["path"].to_list(), manifest.classes, manifest.source) == (["x.wav"], [], str(tmp_path / "a" / "x.wav"))
    assert manifest.open("x.wav") == tmp_path / "a" / "x.wav"
    with pytest.raises(CorpusError, match="has no columns to choose from"):
        read_corpus(tmp_path / "a" / "x.wav", columns={"label": "species"})


@pytest.mark.parametrize(
    "mark, message", [("fastspec.json", "is a store .* recordings that it was made of"), ("bundle.json", "is a trained model")]
)
def test_what_fastspec_wrote_itself__is_named_and_not_read_as_a_table(tmp_path, mark, message):
    plant(tmp_path, mark, "ledger.parquet")
    with pytest.raises(CorpusError, match=message):
        read_corpus(tmp_path)


def test_digest__depends_on_rows_and_order_and_not_on_the_place(tmp_path):
    here, there = (plant(tmp_path / place, "a/x.wav", "b/y.wav") for place in ("here", "there"))
    assert read_corpus(here).digest() == read_corpus(there).digest()
    assert read_corpus(here).digest() != read_corpus(here, label_from="([xy])").digest()
    plant(there, "b/z.wav")
    assert read_corpus(here).digest() != read_corpus(there).digest()


def test_manifest__says_what_it_holds(tmp_path):
    manifest = read_corpus(plant(tmp_path, "a/x.wav", "b/y.wav", "z.wav", "README"))
    assert manifest.classes == ["a", "b"]
    assert repr(manifest) == f"<Manifest of {str(tmp_path)!r}: 3 recordings, 2 classes, 1 other file ignored>"


def test_patterns__group_1_is_the_value_and_no_match_is_none(tmp_path):
    corpus = plant(tmp_path, "k1/kick-01.wav", "k1/snare-02.wav", "k2/noise.wav")
    rows = read_corpus(corpus, label_from=r"/(\w+)-\d", group_from="^([^/]+)/").rows(0, 3)
    assert [(row.label, row.group) for row in rows] == [("kick", "k1"), ("snare", "k1"), (None, "k2")]


@pytest.mark.parametrize(
    "pattern, message",
    [("(", "not a valid regular expression"), ("a/", "has no group"), ("(nowhere)", "finds nothing in any of 1 path, such as 'a/x.wav'")],
)
@pytest.mark.parametrize("option", ["label_from", "group_from"])
def test_pattern_that_cannot_be_meant__is_refused(tmp_path, option, pattern, message):
    plant(tmp_path, "a/x.wav")
    with pytest.raises(CorpusError, match=f"{option} is .*{message}"):
        read_corpus(tmp_path, **{option: pattern})


def test_csv__columns_types_and_defaults(tmp_path):
    text = "\ufeffnotes,path,label,group,split,start_s,duration_s\nx,a.wav,cat,g,train, 1.5,2\n,sub/b.wav,,,,,\n"
    manifest = read_corpus(write_csv(tmp_path, text))
    assert manifest.rows(0, 9) == [
        ClipRow("a.wav", "cat", "g", "train", 1.5, 2.0),
        ClipRow("sub/b.wav", None, None, None, 0.0, None),
    ]
    assert manifest.table.schema["start_s"] == manifest.table.schema["duration_s"] == pl.Float64


def test_csv__paths_are_relative_to_it_or_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    absolute = tmp_path / "elsewhere.wav"
    absolute.touch()
    manifest = read_corpus(write_csv(tmp_path / "table", f"path\na.wav\n{absolute}\n"))
    assert manifest.open("a.wav") == tmp_path / "table/a.wav"
    assert manifest.open(str(absolute)) == absolute


def test_csv__clips_of_a_recording_are_brought_together_in_the_order_of_rows(tmp_path):
    text = "path,start_s\na.wav,4\nb.wav,0\na.wav,1\nc.wav,0\nb.wav,9\n"
    rows = read_corpus(write_csv(tmp_path, text)).rows(0, 9)
    assert [(row.path, row.start_s) for row in rows] == [("a.wav", 4), ("a.wav", 1), ("b.wav", 0), ("b.wav", 9), ("c.wav", 0)]


def test_csv__blank_rows_are_left_out_and_do_not_shift_the_numbers(tmp_path):
    file = write_csv(tmp_path, "path,start_s\na.wav,\n\n,\na.wav,late\n\n")
    with pytest.raises(CorpusError, match="has 1 row to mend: row 5 start_s is 'late'"):
        read_corpus(file)


def test_csv__all_bad_rows_are_reported_together(tmp_path):
    text = "path,start_s,duration_s\n,1,\na.wav,-1,\na.wav,nan,\na.wav,0,0\na.wav,x,inf\na.wav,,5\na.wav,0.0,5.0\n"
    with pytest.raises(CorpusError) as caught:
        read_corpus(write_csv(tmp_path, text))
    problems = str(caught.value).split(" to mend: ")[1].removesuffix(" (row 1 is the header)").split("; ")
    assert problems == [
        "row 2 has no path",
        "row 3 start_s is '-1' and must be 0 or more seconds",
        "row 4 start_s is 'nan' and must be 0 or more seconds",
        "row 5 duration_s is '0' and must be more than 0 seconds",
        "row 6 duration_s is 'inf' and must be more than 0 seconds",
        "row 6 start_s is 'x' and must be 0 or more seconds",
        "row 8 repeats row 7",
    ]


def test_csv__only_the_first_ten_problems_are_shown(tmp_path):
    text = "path,start_s\n" + "a.wav,-1\n" * 13
    with pytest.raises(CorpusError, match="row 11 start_s is '-1' and must be 0 or more seconds; and 3 more") as caught:
        read_corpus(write_csv(tmp_path, text))
    assert "row 12" not in str(caught.value)


def test_csv__a_missing_file_costs_its_row_and_all_missing_is_an_error(tmp_path):
    manifest = read_corpus(write_csv(tmp_path, "path\na.wav\ngone.wav\n"))
    with pytest.raises(RecordingError, match="no such file"):
        manifest.open("gone.wav")
    with pytest.raises(CorpusError, match=r"none of the 4 files .* such as 'p', 'q', 'r'; paths are relative to"):
        read_corpus(write_csv(tmp_path, "path\np\nq\nr\ns\n"))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty"),
        ("path,label\n", "a header and no rows"),
        ("path\n\n\n", "a header and no rows"),
        ("file,label\na.wav,x\n", "has no column 'path', but 'file', 'label'"),
        ("path|label\na.wav|x\n", r"columns end at commas in a .csv and at tabs in a .tsv, not at '\|'"),
        ("path,label,label\na.wav,x,y\n", "has two columns 'label'; rename one of them"),
        ('path\n"a.wav\n', "has 1 row to mend: row 2 has quotes that do not match: unexpected end of data"),
        ('path,label\nb.wav,x\n"a.wav"x,y\n', "has 1 row to mend: row 3 has quotes that do not match: ',' expected"),
    ],
)
def test_csv_that_is_no_table_of_clips__is_refused(tmp_path, text, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(write_csv(tmp_path, text))


@pytest.mark.parametrize("header", [" path, label ,Start_S", "PATH,Label,start_s"])
def test_csv__names_of_columns_may_have_spaces_around_and_capitals(tmp_path, header):
    manifest = read_corpus(write_csv(tmp_path, f"{header}\na.wav,x,2\n"))
    assert manifest.rows(0, 1) == [ClipRow("a.wav", "x", None, None, 2.0, None)]


def test_csv__a_column_asked_for_by_name_keeps_it(tmp_path):
    manifest = read_corpus(write_csv(tmp_path, "Path,Label,label\na.wav,x,y\n"), columns={"path": "Path", "label": "Label"})
    assert manifest.classes == ["x"]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv__of_a_spreadsheet_may_have_semicolons_or_tabs(tmp_path, separator):
    manifest = read_corpus(write_csv(tmp_path, "path,label\na.wav,x y\n".replace(",", separator)))
    assert manifest.rows(0, 1) == [ClipRow("a.wav", "x y", None, None, 0.0, None)]


def test_csv__rows_with_too_many_fields_are_reported_together(tmp_path):
    text = 'path,label\na.wav,x\nb, or c.wav,x\n"d,e.wav",x\na.wav,x,y,z\n'
    with pytest.raises(CorpusError, match=r"has 2 rows to mend: row 3 has 3 fields and the header 2: .*; row 5 has 4 fields"):
        read_corpus(write_csv(tmp_path, text))


def test_csv__a_monstrous_cell_does_not_fill_the_message(tmp_path):
    with pytest.raises(CorpusError, match="none of the 2 files") as caught:
        read_corpus(write_csv(tmp_path, f"path\n{'x' * 1_000_000}\n{'y' * 1_000_000}\n"))
    assert len(str(caught.value)) < 2000
    with pytest.raises(CorpusError, match="has 1 row to mend") as caught:
        read_corpus(write_csv(tmp_path, f"path,start_s\na.wav,{'9' * 1_000_000}x\n"))
    assert len(str(caught.value)) < 2000


def test_csv_in_another_encoding__is_refused_with_the_line(tmp_path):
    file = write_csv(tmp_path, "path\n")
    file.write_bytes("path,label\na.wav,x\na.wav,é\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"is not UTF-8 \(line 3\)"):
        read_corpus(file)
