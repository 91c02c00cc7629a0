"""Corpora behind URLs, and corpora that are arrays in memory."""

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile

from fastspec import featurize, preset
from fastspec.corpus import RecordingError, place, read_corpus, read_inputs
from fastspec.errors import CorpusError

RECIPE = preset("librosa", n_mels=8, clip_s=0.2)


@pytest.fixture
def files(write_tone, tmp_path) -> dict[str, bytes]:
    """Encoded tones by their paths."""
    for i, name in enumerate(("a/x.wav", "a/y.flac", "b/z.ogg")):
        write_tone(tmp_path / "folder" / name, seconds=0.3, hz=300 * (i + 1))
    return {path.relative_to(tmp_path / "folder").as_posix(): path.read_bytes() for path in (tmp_path / "folder").rglob("*.*")}


@pytest.fixture
def memory(files) -> str:
    """The address of a file system in memory with these files as a folder, a zip, two tars and a table."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    packed, tar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    for name, data in files.items():
        system.pipe(f"/top/folder/{name}", data)
    system.pipe("/top/folder/.hidden/h.wav", b"")
    system.pipe("/top/c.zip", packed.getvalue())
    system.pipe("/top/c.tar", tar.getvalue())
    system.pipe("/top/c.tar.gz", __import__("gzip").compress(tar.getvalue()))
    rows = "".join(f"folder/{name},{name[0]}\n" for name in sorted(files))
    system.pipe("/top/t.csv", f"path,label\n{rows}".encode())
    return "memory://top"


@pytest.mark.parametrize("name", ["folder", "folder/", "c.zip", "c.tar", "c.tar.gz", "t.csv"])
@pytest.mark.parametrize("workers", [0, 2])
def test_corpus_behind_a_url__has_the_features_of_the_local_one(memory, tmp_path, files, name, workers):
    manifest = read_corpus(f"{memory}/{name}")
    assert [row.label for row in manifest.rows(0, 9)] == ["a", "a", "b"]
    assert {path.removeprefix("folder/"): manifest.open(path) for path in manifest.table["path"]} == files
    store = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, workers=workers)
    local = featurize(read_corpus(tmp_path / "folder"), tmp_path / "t.zarr", recipe=RECIPE, workers=0)
    np.testing.assert_array_equal(store.features[:], local.features[:])


def test_chained_url__is_the_folder_within_the_archive(memory):
    manifest = read_corpus(f"zip://a::{memory}/c.zip")
    assert manifest.table["path"].to_list() == ["x.wav", "y.flac"]
    assert len(manifest.open("x.wav")) > 1000


@pytest.mark.usefixtures("files")
def test_file_url__is_an_ordinary_path(tmp_path):
    assert read_corpus(f"file://{tmp_path}/folder").open("a/x.wav") == tmp_path / "folder/a/x.wav"


def test_corpus_behind_a_url__survives_pickling_and_is_found_again_from_a_manifest(memory, tmp_path, files):
    for name in ("folder", "c.zip", "c.tar.gz"):
        manifest = read_corpus(f"{memory}/{name}")
        again = read_corpus(manifest.write(tmp_path / "m.csv"))
        copied = pickle.loads(pickle.dumps(manifest))  # noqa: S301
        assert copied.open("a/x.wav") == files["a/x.wav"]
        assert again.open(again.table["path"][0]) == files["a/x.wav"]


def test_inputs_of_several_kinds__are_joined_under_their_addresses(memory, tmp_path):
    manifest = read_inputs([f"{memory}/c.zip", str(tmp_path / "folder/a/x.wav")])
    assert manifest.table["path"].to_list() == [
        "memory:///top/c.zip/a/x.wav",
        "memory:///top/c.zip/a/y.flac",
        "memory:///top/c.zip/b/z.ogg",
        (tmp_path / "folder/a/x.wav").as_posix(),
    ]
    with pytest.raises(RecordingError, match="no such recording"):
        manifest.open("gone")


@pytest.mark.parametrize(
    "address, message",
    [
        ("memory://top/gone.zip", "does not exist"),
        ("memory://top/gone", "does not exist"),
        ("nosuchprotocol://x/y", "cannot be reached: Protocol not known"),
        ("memory://top/folder/a/gone.wav", "does not exist"),
    ],
)
@pytest.mark.usefixtures("memory")
def test_address_that_leads_nowhere__is_refused(address, message):
    with pytest.raises(CorpusError, match=message):
        read_corpus(address)


def test_single_recording_behind_a_url__is_a_corpus_of_one(memory):
    manifest = read_corpus(f"{memory}/folder/a/x.wav")
    assert manifest.table["path"].to_list() == ["x.wav"]
    assert manifest.open("x.wav") == read_corpus(f"{memory}/folder").open("a/x.wav")


def test_file_behind_a_url_that_goes_or_is_too_large__costs_its_row(memory, monkeypatch):
    manifest = read_corpus(f"{memory}/folder")
    fsspec.filesystem("memory").rm("/top/folder/a/x.wav")
    with pytest.raises(RecordingError, match="no such file"):
        manifest.open("a/x.wav")
    monkeypatch.setattr(place.UrlPath.read_bytes, "__defaults__", (100,))
    with pytest.raises(RecordingError, match="larger than 100 bytes"):
        manifest.open("a/y.flac")


def test_file_system_that_fails_in_its_own_way__is_an_error_of_ours(memory, monkeypatch):
    manifest = read_corpus(f"{memory}/folder")

    def fail(*_, **__):
        raise KeyError("credentials\nexpired")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "_open", fail)
    with pytest.raises(RecordingError, match="credentials"):
        manifest.open("a/x.wav")
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "find", fail)
    with pytest.raises(CorpusError, match=r"folder cannot be read: .*credentials.*; check the address"):
        read_corpus(f"{memory}/folder")


def test_server_that_ignores_ranges__never_gives_the_wrong_bytes(memory, monkeypatch):
    manifest = read_corpus(f"{memory}/c.tar")
    system = type(fsspec.filesystem("memory"))
    whole = system.cat_file
    monkeypatch.setattr(system, "cat_file", lambda self, path, **_: whole(self, path))
    with pytest.raises(RecordingError, match="gives whole files only"):
        manifest.open("a/x.wav")


def decoded(manifest, name) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(manifest.open(name)), dtype="float32", always_2d=True)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(100,), (100, 1), (100, 3), (0,), (50, 2)])
def test_samples__are_read_as_they_are(dtype, shape):
    samples = np.random.default_rng(0).uniform(-1, 1, shape)
    samples = (samples * 2**15).astype(dtype) if dtype == "int16" else samples.astype(dtype)
    if dtype == "int32":
        samples = np.arange(np.prod(shape), dtype=dtype).reshape(shape) << 16
    data, rate = decoded(read_corpus([("x", samples, 12345, None)]), "x")
    scale = {"int16": 2**15, "int32": 2**31}.get(dtype, 1)
    assert (len(data), rate) == (len(samples), 12345)
    np.testing.assert_array_equal(data, (samples / scale).astype(np.float32).reshape(data.shape))


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_in_memory__have_the_features_of_the_same_file(files, tmp_path, workers):
    def sound(name):
        return soundfile.read(io.BytesIO(files[name]), dtype="float32")[0]

    items = ((name, sound(name) if i % 2 else (lambda name=name: sound(name)), 16000, name[0]) for i, name in enumerate(sorted(files)))
    manifest = read_corpus(items)
    assert [(row.path, row.label) for row in manifest.rows(0, 9)] == [("a/x.wav", "a"), ("a/y.flac", "a"), ("b/z.ogg", "b")]
    store = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, workers=workers)
    local = featurize(read_corpus(tmp_path / "folder"), tmp_path / "t.zarr", recipe=RECIPE, workers=0)
    np.testing.assert_array_equal(store.features[:], local.features[:])


def test_samples__are_held_by_reference_and_a_function_is_called_when_they_are_opened():
    samples, calls = np.zeros(10, np.float32), []

    def give():
        calls.append(1)
        return samples

    manifest = read_corpus([("array", samples, 8000, "a"), ("function", give, 8000, "b")])
    assert manifest.recordings.sources["array"][0] is samples
    assert not calls
    samples[3] = 0.5
    assert decoded(manifest, "array")[0][3] == decoded(manifest, "function")[0][3] == 0.5


def test_function_that_fails__costs_its_own_row():
    def fail():
        raise LookupError("no such\nrow")

    manifest = read_corpus([("x", fail, 8000, None), ("y", lambda: [["text"]], 8000, None)])
    with pytest.raises(RecordingError, match="its function raised LookupError: no such row"):
        manifest.open("x")
    with pytest.raises(RecordingError, match="has samples of type <U4"):
        manifest.open("y")
    with pytest.raises(RecordingError, match="no such recording"):
        manifest.open("z")


def test_samples_that_are_none__are_all_reported_by_position():
    fine = np.zeros(4, np.float32)
    items = [("x", fine, 8000, "a"), ("x", fine, 8000, "a"), (1, fine, 8000, "a"), ("y", fine, 8000.5, "a"), ("z", fine, 8000, 3), "text"]
    items += [("u", np.zeros((2, 2, 2), np.float32), 8000, None), ("v", np.zeros(3, bool), 8000, None), ("w", fine, 0, None)]
    items += [("r", fine, 1 << 32, None)]
    with pytest.raises(CorpusError) as caught:
        read_corpus(items)
    assert str(caught.value).partition(": ")[2].split("; ") == [
        "item 1 repeats the id 'x'",
        "item 2 has the id 1, not a text",
        "item 3 has the sample rate 8000.5, not a whole number of Hz",
        "item 4 has the label 3, not a text or None",
        "item 5 is 'str', not a tuple of four",
        "item 6 has samples of shape (2, 2, 2), not (samples,) or (samples, channels)",
        "item 7 has samples of type bool, not int16, int32, float32, float64",
        "item 8 has the sample rate 0, not a whole number of Hz",
        "item 9 has the sample rate 4294967296, not a whole number of Hz",
    ]
    with pytest.raises(CorpusError, match="there are no samples"):
        read_corpus([])


def test_half_a_character__is_no_text_for_an_id_or_a_label():
    fine = np.zeros(4, np.float32)
    with pytest.raises(CorpusError) as caught:
        read_corpus([("half \ud800", fine, 8000, None), ("s", fine, 8000, "half \udcff")])
    ids, labels = str(caught.value).partition(": ")[2].split("; ")
    assert ids == r"item 0 has the id 'half \ud800', not a text"
    assert labels == r"item 1 has the label 'half \udcff', not a text or None"


def test_samples_of_more_bytes_a_second_than_a_header_can_say__are_read():
    manifest = read_corpus([("x", np.ones((3, 1000), np.float64), 8_000_000, None)])
    samples, sample_rate = soundfile.read(io.BytesIO(manifest.open("x")))
    assert (samples.shape, sample_rate) == ((3, 1000), 8_000_000)


def test_samples__cannot_be_written_as_a_manifest_or_have_columns(tmp_path):
    items = [("x", np.zeros(4, np.float32), 8000, "a")]
    with pytest.raises(CorpusError, match="samples in memory cannot be written"):
        read_corpus(items).write(tmp_path / "m.csv")
    with pytest.raises(CorpusError, match="samples have no columns"):
        read_corpus(items, columns={"label": "x"})
    assert not list(Path(tmp_path).iterdir())
