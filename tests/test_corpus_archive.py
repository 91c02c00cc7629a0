"""Corpora in a zip, read in place, and the archives that are refused."""

import os
import pickle
import stat
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastspec.corpus import RecordingError, members, read_corpus
from fastspec.errors import CorpusError


def pack(file: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", compression) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return file


@pytest.fixture
def corpus(tmp_path) -> Path:
    members = {
        "fish/small/a.wav": b"small" * 100,
        "fish/big/b.WAV": b"big",
        "fish/README": b"",
        "__MACOSX/fish/._a.wav": b"",
        "fish/.c.wav": b"",
    }
    return pack(tmp_path / "corpus.zip", members)


def test_zip__is_labelled_as_its_folder_would_be(corpus, tmp_path):
    with zipfile.ZipFile(corpus) as packed:
        packed.extractall(tmp_path / "folder")
    in_place, unpacked = read_corpus(corpus), read_corpus(tmp_path / "folder")
    assert [(row.path, row.label) for row in in_place.rows(0, 9)] == [("fish/big/b.WAV", "big"), ("fish/small/a.wav", "small")]
    assert (in_place.digest(), in_place.ignored) == (unpacked.digest(), unpacked.ignored)


def test_zip_whose_names_start_with_a_dot_and_a_slash__is_no_hidden_one(tmp_path):
    manifest = read_corpus(pack(tmp_path / "c.zip", {"./big/a.wav": b"1", "./small/b.wav": b"2"}))
    assert manifest.table.select("path", "label").rows() == [("./big/a.wav", "big"), ("./small/b.wav", "small")]
    assert manifest.open("./big/a.wav") == b"1"


def test_zip__members_are_read_in_place(corpus, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert read_corpus(corpus).open("fish/small/a.wav") == b"small" * 100
    assert sorted(tmp_path.rglob("*")) == before


def test_zip__is_read_by_many_threads_at_once_and_after_pickling(tmp_path):
    members = {f"a/{i}.wav": os.urandom(5000) for i in range(64)}
    manifest = read_corpus(pack(tmp_path / "many.zip", members))
    for opened in (manifest, pickle.loads(pickle.dumps(manifest))):  # noqa: S301
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened.open, list(members) * 4)) == list(members.values()) * 4


def test_member_that_fails_its_crc__costs_its_own_row(tmp_path):
    file = pack(tmp_path / "bad.zip", {"a/x.wav": b"0123456789" * 50, "a/y.wav": b"fine"}, zipfile.ZIP_STORED)
    data = bytearray(file.read_bytes())
    data[data.find(b"0123456789") + 7] ^= 0xFF
    file.write_bytes(data)
    manifest = read_corpus(file)
    with pytest.raises(RecordingError, match="damaged in the archive: Bad CRC-32") as caught:
        manifest.open("a/x.wav")
    assert caught.value.code == "unreadable"
    assert manifest.open("a/y.wav") == b"fine"


def test_member_that_is_not_there__is_a_recording_error(corpus):
    with pytest.raises(RecordingError, match="no such member"):
        read_corpus(corpus).open("fish/gone.wav")


def test_member_over_the_limit__is_refused_while_it_is_read(corpus, monkeypatch):
    manifest = read_corpus(corpus)
    monkeypatch.setattr(members, "MAX_MEMBER_BYTES", 499)
    with pytest.raises(RecordingError, match="larger than 499 bytes"):
        manifest.open("fish/small/a.wav")
    monkeypatch.setattr(members, "MAX_MEMBER_BYTES", 500)
    assert len(manifest.open("fish/small/a.wav")) == 500


def test_member_that_is_a_decompression_bomb__is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(members, "MIN_BOMB_BYTES", 100_000)
    manifest = read_corpus(pack(tmp_path / "bomb.zip", {"a/bomb.wav": bytes(4_000_000), "a/small.wav": bytes(100_000)}))
    with pytest.raises(RecordingError, match=r"4000000 bytes packed into .* decompression bomb"):
        manifest.open("a/bomb.wav")
    assert len(manifest.open("a/small.wav")) == 100_000


@pytest.mark.parametrize(
    "name, reason",
    [
        ("../x.wav", "leads out"),
        ("a/../../x.wav", "leads out"),
        ("/etc/x.wav", "absolute"),
        ("C:/x.wav", "absolute"),
        ("a\\..\\x.wav", "backslash"),
        ("../notes.txt", "leads out"),
        ("../", "leads out"),
    ],
)
def test_zip_member_that_reaches_out__is_refused_by_name(tmp_path, name, reason):
    file = pack(tmp_path / "evil.zip", {"a/fine.wav": b"", name: b""})
    with pytest.raises(CorpusError, match=reason) as caught:
        read_corpus(file)
    assert repr(name) in str(caught.value)


def test_zip_member_with_a_nul_in_its_name__is_refused(tmp_path):
    file = pack(tmp_path / "nul.zip", {"a/x.wav?y.txt": b""})
    file.write_bytes(file.read_bytes().replace(b"?", b"\0"))
    with pytest.raises(CorpusError, match="NUL character"):
        read_corpus(file)


def test_zip_member_that_is_a_link__is_refused(tmp_path):
    link = zipfile.ZipInfo("a/link.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as packed:
        packed.writestr(link, "/etc/passwd")
    with pytest.raises(CorpusError, match=r"'a/link.wav', which is a symbolic link"):
        read_corpus(tmp_path / "link.zip")


def test_zip_member_that_is_encrypted__is_refused(tmp_path):
    file = pack(tmp_path / "secret.zip", {"a/x.wav": b"x"})
    data = bytearray(file.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    file.write_bytes(data)
    with pytest.raises(CorpusError, match="encrypted"):
        read_corpus(file)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_zip_member_that_is_there_twice__is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as packed:
        packed.writestr("a/x.wav", b"1")
        packed.writestr("a/x.wav", b"2")
    with pytest.raises(CorpusError, match=r"'a/x.wav' twice"):
        read_corpus(tmp_path / "twice.zip")


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_zip_that_is_cut_off__is_refused(corpus, keep):
    data = corpus.read_bytes()
    corpus.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CorpusError, match="not a whole zip archive"):
        read_corpus(corpus)


def test_zip_without_audio__is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"no audio files \(1 others\)"):
        read_corpus(pack(tmp_path / "text.zip", {"a.txt": b""}))


def test_zip_name_that_is_not_utf8__is_read_as_it_is_stored_and_opens(tmp_path):
    file = pack(tmp_path / "old.zip", {"a/cafe.wav": b"cafe"}, zipfile.ZIP_STORED)
    file.write_bytes(file.read_bytes().replace(b"cafe.wav", b"caf\x82.wav"))
    manifest = read_corpus(file)
    assert manifest.table["path"].to_list() == ["a/café.wav"]  # code page 437, as the zip format has it
    assert manifest.open("a/café.wav") == b"cafe"


def test_zip_within_a_zip__is_not_opened_and_named_when_there_is_nothing_else(tmp_path):
    inner = pack(tmp_path / "inner.zip", {"a/x.wav": b""}).read_bytes()
    with pytest.raises(CorpusError, match=r"archives within it, such as 'deep/inner.zip', are not opened"):
        read_corpus(pack(tmp_path / "outer.zip", {"deep/inner.zip": inner}))


def test_hundred_thousand_members__are_read_and_a_larger_crowd_is_refused(tmp_path, monkeypatch):
    file = pack(tmp_path / "crowd.zip", {f"c{i % 7}/{i}.wav": b"" for i in range(100_000)}, zipfile.ZIP_STORED)
    manifest = read_corpus(file)
    assert (len(manifest), len(manifest.classes)) == (100_000, 7)
    assert manifest.open("c0/98.wav") == b""
    monkeypatch.setattr(members, "MAX_MEMBERS", 99_999)
    with pytest.raises(CorpusError, match="more than 99,999 members"):
        read_corpus(file)
