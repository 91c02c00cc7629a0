"""Corpora in tars, plain and compressed, read in place; WebDataset shards; and the tars that are refused."""

import io
import json
import os
import pickle
import random
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastspec.corpus import RecordingError, inflate, members, read_corpus, tarball
from fastspec.errors import CorpusError

ENDINGS = ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"]


def pack(file: Path, files: dict[str, bytes], *others: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> Path:
    kind = {"tgz": "gz", "tar": ""}.get(file.name.partition(".")[2], file.suffix[1:])
    with tarfile.open(file, f"w:{kind}", format=form, errors="surrogateescape") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return file


def paths_and_labels(corpus: object, **options: object) -> list[tuple[str, str | None]]:
    manifest = read_corpus(corpus, **options)
    return [(row.path, row.label) for row in manifest.rows(0, len(manifest))]


@pytest.mark.parametrize("ending", ENDINGS)
def test_tar__is_labelled_as_its_folder_would_be_and_read_in_place(tmp_path, ending):
    files = {
        "./fish/a/x.wav": os.urandom(5000),
        "./fish/b/y.WAV": b"y",
        "./fish/README": b"",
        "./fish/.z.wav": b"",
        "__MACOSX/._x.wav": b"",
    }
    manifest = read_corpus(pack(tmp_path / f"corpus.{ending}", files))
    assert [(row.path, row.label) for row in manifest.rows(0, 9)] == [("fish/a/x.wav", "a"), ("fish/b/y.WAV", "b")]
    assert manifest.ignored == 1
    assert manifest.open("fish/a/x.wav") == files["./fish/a/x.wav"]
    assert [file.name for file in tmp_path.iterdir()] == [f"corpus.{ending}"]
    with pytest.raises(RecordingError, match="no such member"):
        manifest.open("fish/README")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_of_any_dialect__has_long_and_unicode_names(tmp_path, form):
    files = {f"{'d' * 80}/{'é' * 30}.wav": b"1", f"{'d' * 80}/y.wav": b"2" * 1000}
    manifest = read_corpus(pack(tmp_path / "c.tar", files, form=form))
    assert {path: manifest.open(path) for path in manifest.table["path"]} == files


def test_tar__plain_is_sorted_and_a_compressed_one_keeps_the_order_that_is_cheap_to_read(tmp_path):
    files = {"b/2.wav": b"", "a/1.wav": b"", "b/1.wav": b""}
    assert [path for path, _ in paths_and_labels(pack(tmp_path / "c.tar", files))] == sorted(files)
    assert [path for path, _ in paths_and_labels(pack(tmp_path / "c.tgz", files))] == list(files)


def test_name_in_a_tar_that_is_not_unicode__is_escaped_and_opens(tmp_path):
    name = b"a/caf\xe9.wav".decode("utf-8", "surrogateescape")
    manifest = read_corpus(pack(tmp_path / "c.tar", {name: b"cafe"}, form=tarfile.GNU_FORMAT))
    assert manifest.table["path"].to_list() == ["a/caf\\xe9.wav"]
    assert manifest.open("a/caf\\xe9.wav") == b"cafe"


@pytest.mark.parametrize("ending", ENDINGS)
def test_tar__is_read_in_any_order_by_many_threads_and_after_pickling(tmp_path, ending, monkeypatch):
    monkeypatch.setattr(inflate, "_FIRST_SPACING_BYTES", 10_000)
    monkeypatch.setattr(inflate, "_MAX_MARKS", 4)
    files = {f"a/{i}.wav": os.urandom(random.Random(i).randrange(9000)) for i in range(60)}
    names = list(files) * 3
    random.Random(1).shuffle(names)
    manifest = read_corpus(pack(tmp_path / f"c.{ending}", files))
    for opened in (manifest, pickle.loads(pickle.dumps(manifest))):  # noqa: S301
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened.open, names)) == [files[name] for name in names]


def test_gzip_read_backwards__inflates_from_a_kept_state_and_not_from_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(inflate, "_FIRST_SPACING_BYTES", 100_000)
    files = {f"a/{i:02}.wav": os.urandom(50_000) for i in range(40)}
    manifest = read_corpus(pack(tmp_path / "c.tar.gz", files))
    inflated = []
    read = inflate._Cursor.read

    def counted(self, limit):
        piece = read(self, limit)
        inflated.append(len(piece))
        return piece

    monkeypatch.setattr(inflate._Cursor, "read", counted)
    for name in reversed(files):
        assert manifest.open(name) == files[name]
    assert sum(inflated) < 40 * (100_000 + 300_000)  # from the start each time it would be 40 MB


def test_gzip_read_forwards__inflates_each_byte_once(tmp_path, monkeypatch):
    files = {f"a/{i:02}.wav": os.urandom(50_000) for i in range(40)}
    manifest = read_corpus(pack(tmp_path / "c.tar.gz", files))
    opened = []
    monkeypatch.setattr(inflate, "_Cursor", lambda *place: opened.append(place) or cursor(*place))
    cursor = type(manifest.recordings.content._idle[0])
    for name in files:
        manifest.open(name)
    assert len(opened) == 1


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz"])
def test_compressed_streams_one_behind_the_other__are_one_tar(tmp_path, ending):
    files = {"a/x.wav": os.urandom(300_000), "b/y.wav": os.urandom(1000)}
    plain = pack(tmp_path / "c.tar", files).read_bytes()
    compress = {"tar.gz": "gzip", "tar.bz2": "bz2", "tar.xz": "lzma"}[ending]
    parts = [__import__(compress).compress(plain[start : start + 100_000]) for start in range(0, len(plain), 100_000)]
    (tmp_path / f"c.{ending}").write_bytes(b"".join(parts))
    manifest = read_corpus(tmp_path / f"c.{ending}")
    assert {path: manifest.open(path) for path in manifest.table["path"]} == files


@pytest.mark.parametrize(
    "name, reason",
    [
        ("../x.wav", "leads out"),
        ("a/../../x.wav", "leads out"),
        ("/etc/x.wav", "absolute"),
        ("C:/x.wav", "absolute"),
        ("a\\x.wav", "backslash"),
        ("../notes.txt", "leads out"),
    ],
)
def test_tar_member_that_reaches_out__is_refused_by_name(tmp_path, name, reason):
    with pytest.raises(CorpusError, match=reason) as caught:
        read_corpus(pack(tmp_path / "evil.tar", {"a/fine.wav": b"", name: b""}))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    "kind, reason",
    [
        (tarfile.SYMTYPE, "which is a link"),
        (tarfile.LNKTYPE, "which is a link"),
        (tarfile.FIFOTYPE, "which is a device or a pipe"),
        (tarfile.CHRTYPE, "which is a device or a pipe"),
        (tarfile.BLKTYPE, "which is a device or a pipe"),
    ],
)
def test_tar_member_that_is_no_plain_file__is_refused_by_name(tmp_path, kind, reason):
    other = tarfile.TarInfo("a/other.wav")
    other.type, other.linkname = kind, "../../../etc/passwd"
    with pytest.raises(CorpusError, match=f"'a/other.wav', {reason}"):
        read_corpus(pack(tmp_path / "evil.tar", {"a/x.wav": b""}, other))


def test_tar_member_that_is_there_twice__is_refused(tmp_path):
    with pytest.raises(CorpusError, match=r"'a/x.wav' twice"):
        read_corpus(pack(tmp_path / "c.tar", {"a/x.wav": b"1", "./a/x.wav": b"2"}))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.95])
def test_tar_that_is_cut_off__is_refused(tmp_path, ending, keep):
    file = pack(tmp_path / f"c.{ending}", {"a/x.wav": os.urandom(50_000), "a/y.wav": os.urandom(50_000)})
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CorpusError, match="not a whole tar archive"):
        read_corpus(file)


def test_tar_with_a_damaged_header__is_refused_and_not_taken_for_its_end(tmp_path):
    file = pack(tmp_path / "c.tar", {"a/x.wav": b"", "a/y.wav": b"", "a/z.wav": b""}, form=tarfile.USTAR_FORMAT)
    data = bytearray(file.read_bytes())
    data[512 + 148 : 512 + 156] = b"\xff" * 8
    file.write_bytes(data)
    with pytest.raises(CorpusError, match="not a whole tar archive: no header at byte 512"):
        read_corpus(file)


def test_tar_header_that_points_backwards__does_not_loop(tmp_path):
    info = tarfile.TarInfo("a/x.wav")
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # a size of -1,024 in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "c.tar").write_bytes(bytes(header) * 4 + bytes(1024))
    with pytest.raises(CorpusError, match="points backwards"):
        read_corpus(tmp_path / "c.tar")


def test_tar_header_that_asks_for_memory__is_refused(tmp_path):
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    (tmp_path / "c.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(10240))
    with pytest.raises(CorpusError, match=f"a header of {1 << 30} bytes"):
        read_corpus(tmp_path / "c.tar")


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz"])
def test_tar_that_is_a_decompression_bomb__is_refused_on_the_way(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(members, "MIN_BOMB_BYTES", 1_000_000)
    monkeypatch.setattr(members, "MAX_RATIO", 100)
    inflate_limit = 30_000_000
    file = pack(tmp_path / f"bomb.{ending}", {"a/x.wav": bytes(inflate_limit)})
    with pytest.raises(CorpusError, match=r"is refused: more than .* a decompression bomb"):
        read_corpus(file)


def test_member_over_the_limit__costs_its_row(tmp_path, monkeypatch):
    manifest = read_corpus(pack(tmp_path / "c.tar", {"a/x.wav": bytes(500), "a/y.wav": bytes(499)}))
    monkeypatch.setattr(members, "MAX_MEMBER_BYTES", 499)
    with pytest.raises(RecordingError, match="larger than 499 bytes"):
        manifest.open("a/x.wav")
    assert len(manifest.open("a/y.wav")) == 499


def test_tar_that_shrinks_after_it_was_listed__costs_its_rows(tmp_path):
    file = pack(tmp_path / "c.tar", {"a/x.wav": bytes(500)})
    manifest = read_corpus(file)
    file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(RecordingError, match="cut off since"):
        manifest.open("a/x.wav")


def test_archive_within_an_archive__is_not_opened_and_named_when_there_is_nothing_else(tmp_path):
    inner = pack(tmp_path / "inner.tar", {"a/x.wav": b""}).read_bytes()
    with pytest.raises(CorpusError, match=r"no audio files \(1 others\); archives within it, such as 'inner.tar', are not opened"):
        read_corpus(pack(tmp_path / "outer.tar", {"inner.tar": inner}))
    assert paths_and_labels(pack(tmp_path / "both.tar", {"inner.tar": inner, "b/y.wav": b""})) == [("b/y.wav", "b")]


def test_crowd_of_members__is_read_and_a_larger_one_refused(tmp_path, monkeypatch):
    file = pack(tmp_path / "crowd.tar", {f"c{i % 7}/{i}.wav": b"" for i in range(20_000)}, form=tarfile.USTAR_FORMAT)
    assert len(read_corpus(file)) == 20_000
    monkeypatch.setattr(members, "MAX_MEMBERS", 19_999)
    with pytest.raises(CorpusError, match="more than 19,999 members; pack it as several archives"):
        read_corpus(file)


def shard(file: Path, *samples: dict[str, bytes]) -> Path:
    return pack(file, {name: data for sample in samples for name, data in sample.items()})


def test_webdataset__labels_lie_beside_the_recordings(tmp_path):
    samples = {
        "s1.cls": b"cat\n",
        "s1.wav": b"1",
        "s2.flac": b"2",
        "s2.json": json.dumps({"label": 7, "group": "g"}).encode(),
        "s3.ogg": b"",
    }
    manifest = read_corpus(pack(tmp_path / "s.tar", samples))
    assert [(row.path, row.label, row.group) for row in manifest.rows(0, 9)] == [
        ("s1.wav", "cat", None),
        ("s2.flac", "7", "g"),
        ("s3.ogg", None, None),
    ]


def test_webdataset__a_text_is_a_label_where_no_folder_is(tmp_path):
    assert paths_and_labels(pack(tmp_path / "s.tar", {"1.wav": b"", "1.txt": b"yes"})) == [("1.wav", "yes")]
    assert paths_and_labels(pack(tmp_path / "t.tar", {"a/1.wav": b"", "a/1.txt": b"a transcript"})) == [("a/1.wav", "a")]


def test_webdataset__splits_are_those_of_tables(tmp_path):
    file = pack(tmp_path / "s.tar", {"1.wav": b"", "1.json": b'{"split": "Test"}', "2.wav": b"", "2.json": b'{"split": "fold-3"}'})
    assert read_corpus(file).table["split"].to_list() == ["test", "fold-3"]
    file = pack(tmp_path / "t.tar", {"1.wav": b"", "1.json": b'{"split": "holdout"}'})
    with pytest.raises(CorpusError, match=r"1 recording whose split cannot be meant, such as '1\.wav', where split is 'holdout'"):
        read_corpus(file)


def test_webdataset__half_a_character_in_the_json_is_text_that_shows_it(tmp_path):
    file = pack(tmp_path / "s.tar", {"1.wav": b"", "1.json": rb'{"label": "\ud800"}'})
    assert read_corpus(file).classes == [r"\ud800"]


def test_webdataset__fields_of_the_json_are_columns(tmp_path):
    metadata = json.dumps({"animal": "cat", "who": "s9"}).encode()
    file = pack(tmp_path / "s.tar", {"1.wav": b"", "1.json": metadata, "1.cls": b"0"})
    (row,) = read_corpus(file, columns={"label": "animal", "group": "who"}).rows(0, 9)
    assert (row.label, row.group) == ("cat", "s9")
    with pytest.raises(CorpusError, match="no field 'kind' to take as label"):
        read_corpus(file, columns={"label": "kind"})


@pytest.mark.parametrize("corpus", ["shards", "shards/shard-{000..002}.tar"])
def test_shards__are_one_corpus(tmp_path, corpus):
    (tmp_path / "shards").mkdir()
    for i in range(3):
        shard(tmp_path / f"shards/shard-{i:03}.tar", {"x.wav": b"%d" % i, "x.cls": b"c%d" % (i % 2)})
    manifest = read_corpus(tmp_path / corpus)
    assert [(row.path, row.label) for row in manifest.rows(0, 9)] == [(f"shard-{i:03}.tar/x.wav", f"c{i % 2}") for i in range(3)]
    assert [manifest.open(path) for path in manifest.table["path"]] == [b"0", b"1", b"2"]
    with pytest.raises(RecordingError, match="no such shard"):
        manifest.open("shard-009.tar/x.wav")


def test_shards__whose_names_say_a_split_have_it(tmp_path):
    for name in ("train-00.tar", "train-01.tar", "test-00.tar"):
        shard(tmp_path / name, {"x.wav": b"", "x.cls": b"c"})
    assert read_corpus(tmp_path).table["split"].to_list() == ["test", "train", "train"]


def test_shard_that_is_missing_from_a_range__is_named(tmp_path):
    shard(tmp_path / "s-0.tar", {"x.wav": b""})
    with pytest.raises(CorpusError, match=r"s-1.tar does not exist"):
        read_corpus(tmp_path / "s-{0..1}.tar")
    with pytest.raises(CorpusError, match="has a range that is empty"):
        read_corpus(tmp_path / "s-{3..1}.tar")


def test_sidecar_that_is_too_large__is_no_label(tmp_path, monkeypatch):
    monkeypatch.setattr(tarball, "MAX_SIDECAR_BYTES", 3)
    assert paths_and_labels(pack(tmp_path / "s.tar", {"1.wav": b"", "1.cls": b"long", "2.wav": b"", "2.cls": b"abc"})) == [
        ("1.wav", None),
        ("2.wav", "abc"),
    ]
