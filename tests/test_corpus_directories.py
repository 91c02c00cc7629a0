"""Kaldi data directories and lhotse's manifests; nothing in them is ever run."""

import gzip
import json
from pathlib import Path

import pytest

from fastspec.corpus import ClipRow, Manifest, read_corpus
from fastspec.errors import CorpusError


def lay_out(folder: Path, **files: str) -> Path:
    """A Kaldi directory of these files, beside two empty recordings."""
    folder.mkdir(exist_ok=True)
    for name in ("one.wav", "two.flac"):
        (folder / name).touch()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return folder


def rows_of(manifest: Manifest) -> list[ClipRow]:
    return manifest.rows(0, len(manifest))


def test_kaldi__without_segments_a_row_is_a_recording(tmp_path):
    corpus = lay_out(tmp_path / "k", wav_scp="r1 one.wav\nr2\ttwo.flac\n\n", text="r1 ДА нет\nr2 no\n", utt2spk="r1 s1\nr2 s2\n")
    manifest = read_corpus(corpus)
    assert rows_of(manifest) == [ClipRow("one.wav", "ДА нет", "s1", None, 0.0, None), ClipRow("two.flac", "no", "s2", None, 0.0, None)]
    assert manifest.open("two.flac") == corpus / "two.flac"


def test_kaldi__segments_are_the_rows_and_an_end_of_minus_1_is_the_end(tmp_path):
    segments = "u1 r1 1.1 3.2\nu2 r2 0 -1\nu3 r1 0 1\n"
    corpus = lay_out(tmp_path / "k", wav_scp="r1 one.wav\nr2 two.flac\n", segments=segments, utt2spk="u1 s1\nu2 s2\nu3 s1\n")
    assert rows_of(read_corpus(corpus)) == [
        ClipRow("one.wav", None, "s1", None, 1.1, 2.1),
        ClipRow("one.wav", None, "s1", None, 0.0, 1.0),
        ClipRow("two.flac", None, "s2", None, 0.0, None),
    ]


def test_kaldi__labels_come_from_the_first_usual_file_or_the_one_asked_for(tmp_path):
    files = {"wav_scp": "r1 one.wav\n", "text": "r1 words\n", "utt2lang": "r1 cs\n", "utt2gender": "r1 f\n"}
    corpus = lay_out(tmp_path / "k", **files)
    assert read_corpus(corpus).classes == ["cs"]
    (row,) = rows_of(read_corpus(corpus, columns={"label": "utt2gender", "group": "utt2lang"}))
    assert (row.label, row.group) == ("f", "cs")
    with pytest.raises(CorpusError, match=r"has no file 'utt2age'; it has: one.wav, text, .*wav.scp"):
        read_corpus(corpus, columns={"label": "utt2age"})
    with pytest.raises(CorpusError, match="where path cannot be chosen"):
        read_corpus(corpus, columns={"path": "text"})


@pytest.mark.parametrize("command", ["touch ran; cat one.wav |", "| touch ran", "sox one.wav -t wav -|"])
def test_kaldi__commands_are_refused_by_line_and_never_run(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus = lay_out(tmp_path / "k", wav_scp=f"r1 one.wav\nr2 {command}\nr3 {command}\n")
    with pytest.raises(CorpusError, match=r"has 2 rows to mend: wav.scp row 2 is a command.*never run.*; wav.scp row 3 is a command"):
        read_corpus(corpus)
    assert not (tmp_path / "ran").exists()


def test_kaldi__all_bad_lines_are_reported_together(tmp_path):
    scp = "r1 one.wav\nr1 two.flac\nr2\nr3 feats.ark:123\nr4 two.flac\n"
    segments = "u1 r1 1 2\nu1 r1 2 3\nu2 r9 0 1\nu3 r4 2 1\nu4 r4 x 1\nu5 r1\n"
    with pytest.raises(CorpusError) as caught:
        read_corpus(lay_out(tmp_path / "k", wav_scp=scp, segments=segments))
    assert str(caught.value).partition(" rows to mend: ")[2].split("; ") == [
        "segments row 2 repeats the utterance 'u1'",
        "segments row 3 names 'r9', which is not in wav.scp",
        "segments row 4 duration_s is '-1.0' and must be more than 0 seconds",
        "segments row 5 start_s is 'x' and must be 0 or more seconds",
        "segments row 6 has 2 fields, not 4",
        "wav.scp row 2 repeats the recording 'r1'",
        "wav.scp row 3 has 1 field, not 2",
        "wav.scp row 4 is a place in an archive of Kaldi's: write its recordings as audio files",
    ]


def test_kaldi__a_transcript_may_hold_a_line_separator_of_unicode_or_nothing(tmp_path):
    folder = lay_out(tmp_path / "k", wav_scp="u1 one.wav\r\nu2 two.flac\r\n", text="u1 two\u2028lines\x85here\r\nu2\r\n")
    assert [(row.path, row.label) for row in rows_of(read_corpus(folder))] == [("one.wav", "two\u2028lines\x85here"), ("two.flac", None)]


def test_kaldi__paths_may_start_at_the_working_directory(tmp_path, monkeypatch):
    corpus = lay_out(tmp_path / "data", wav_scp="r1 audio/x.wav\n")
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio/x.wav").touch()
    monkeypatch.chdir(tmp_path)
    assert Path(read_corpus(corpus).open("audio/x.wav")).is_file()
    monkeypatch.chdir(corpus)
    with pytest.raises(CorpusError, match=r"none of the 1 files in .* exists"):
        read_corpus(corpus)


def test_kaldi__without_lines_is_refused(tmp_path):
    with pytest.raises(CorpusError, match="without recordings"):
        read_corpus(lay_out(tmp_path / "k", wav_scp="\n"))


def recording(name: str, path: str, kind: str = "file") -> dict:
    source = {"type": kind, "channels": [0], "source": path}
    return {"id": name, "sources": [source], "sampling_rate": 16000, "num_samples": 16000, "duration": 1.0, "channel_ids": [0]}


def supervision(name: str, start: float, duration: float, **fields: object) -> dict:
    return {"id": f"{name}-{start}", "recording_id": name, "start": start, "duration": duration, "channel": 0, **fields}


def write_jsonl(path: Path, *values: object) -> Path:
    text = "".join(json.dumps(value) + "\n" for value in values)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.fixture
def lhotse(tmp_path) -> Path:
    lay_out(tmp_path)
    write_jsonl(tmp_path / "x_recordings_all.jsonl.gz", recording("r1", "one.wav"), recording("r2", "two.flac"))
    said = [
        supervision("r1", 0.5, 1.25, speaker="s1", language="cs", text="ahoj", custom={"mood": "glad"}),
        supervision("r2", 0, 1, speaker="s2", language="nl", text="dag", custom={"mood": "sad"}),
    ]
    write_jsonl(tmp_path / "x_supervisions_all.jsonl.gz", *said)
    return tmp_path


@pytest.mark.parametrize("name", ["", "x_recordings_all.jsonl.gz", "x_supervisions_all.jsonl.gz"])
def test_lhotse__supervisions_are_the_rows(lhotse, name):
    assert rows_of(read_corpus(lhotse / name)) == [
        ClipRow("one.wav", "cs", "s1", None, 0.5, 1.25),
        ClipRow("two.flac", "nl", "s2", None, 0.0, 1.0),
    ]


def test_lhotse__fields_are_columns_custom_ones_too(lhotse):
    assert read_corpus(lhotse, columns={"label": "mood"}).classes == ["glad", "sad"]
    with pytest.raises(CorpusError, match="where start_s cannot be chosen"):
        read_corpus(lhotse, columns={"start_s": "end"})


def test_lhotse__recordings_alone_are_rows_without_labels(lhotse):
    (lhotse / "x_supervisions_all.jsonl.gz").unlink()
    assert rows_of(read_corpus(lhotse)) == [
        ClipRow("one.wav", None, None, None, 0.0, None),
        ClipRow("two.flac", None, None, None, 0.0, None),
    ]


def test_lhotse__supervisions_alone_say_what_they_need(lhotse):
    (lhotse / "x_recordings_all.jsonl.gz").unlink()
    with pytest.raises(CorpusError, match=r"needs x_recordings_all.jsonl.gz beside it"):
        read_corpus(lhotse / "x_supervisions_all.jsonl.gz")


def test_lhotse__names_of_several_manifests_say_the_split(tmp_path):
    lay_out(tmp_path)
    for split, name in (("train", "one.wav"), ("test", "two.flac")):
        write_jsonl(tmp_path / f"x_recordings_{split}.jsonl", recording(split, name))
        write_jsonl(tmp_path / f"x_supervisions_{split}.jsonl", supervision(split, 0, 1, text=split))
    assert [(row.path, row.split) for row in rows_of(read_corpus(tmp_path))] == [("two.flac", "test"), ("one.wav", "train")]


def test_lhotse__cuts_are_stretches_of_recordings(tmp_path):
    lay_out(tmp_path)
    cut = {"id": "c1", "start": 0.25, "duration": 0.5, "channel": 0, "recording": recording("r1", "one.wav"), "type": "MonoCut"}
    write_jsonl(tmp_path / "cuts.jsonl", cut | {"supervisions": [supervision("r1", 0, 0.5, text="hi", speaker="s")]})
    assert rows_of(read_corpus(tmp_path / "cuts.jsonl")) == [ClipRow("one.wav", "hi", "s", None, 0.25, 0.5)]
    write_jsonl(tmp_path / "cuts.jsonl", {"id": "m", "type": "MixedCut", "tracks": [], "supervisions": []})
    with pytest.raises(CorpusError, match="row 1 is a MixedCut, not a stretch of one recording"):
        read_corpus(tmp_path)


def test_lhotse__what_is_no_file_is_refused_by_line(tmp_path):
    lay_out(tmp_path)
    sources = [
        recording("r1", "one.wav"),
        recording("r2", "touch ran", "command"),
        recording("r3", "x", "memory"),
        {"id": "r4", "sources": []},
    ]
    write_jsonl(tmp_path / "recordings.jsonl", *sources, recording("r1", "two.flac"))
    write_jsonl(tmp_path / "supervisions.jsonl", supervision("r9", 0, 1), supervision("r1", -1, 0))
    with pytest.raises(CorpusError) as caught:
        read_corpus(tmp_path)
    assert str(caught.value).partition(" rows to mend: ")[2].split("; ") == [
        "recordings.jsonl row 2 is a command, and commands are never run: give the file that it writes",
        "recordings.jsonl row 3 has a source of type 'memory', not a file",
        "recordings.jsonl row 4 has not exactly one source",
        "recordings.jsonl row 5 repeats the recording 'r1'",
        "supervisions.jsonl row 1 names the recording 'r9', which is not there",
        "supervisions.jsonl row 2 duration_s is '0' and must be more than 0 seconds",
        "supervisions.jsonl row 2 start_s is '-1' and must be 0 or more seconds",
    ]
