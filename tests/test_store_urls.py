"""Stores and corpora on a real S3 server that the tests start: the same bytes as on a disk, whatever happens on the way."""

import hashlib
import io
import json
import logging
import signal
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from stores import RECIPE, write_recordings
from typer.testing import CliRunner

from fastspec import feature_array, featurize, preset, read_corpus
from fastspec.cli.app import app
from fastspec.errors import CorpusError, StoreError
from fastspec.pipeline import repair, update
from fastspec.store import export, find_damage, lease, open_store
from fastspec.store.clips import ClipReader
from fastspec.store.layout import Layout
from fastspec.store.lock import locked
from fastspec.store.place import StoreUrl, locate_store

SMALL = preset("librosa", n_mels=8, clip_s=0.2)
# What depends on where a corpus lies, and on the hour.
OWN = ("manifest.parquet", "source.json", "timings/partitions.parquet")

# moto and botocore leave the sockets of their last requests to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore:Unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def s3():
    """An S3 server with an empty bucket; the environment says where it is and who asks."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
            environment.setenv(f"AWS_{name}", value)
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        system = fsspec.filesystem("s3", use_listings_cache=False)
        system.mkdir("bucket")
        yield system
        type(system).clear_instance_cache()
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 recordings and a broken one: two chunks, of which the last is not full."""
    return write_recordings(tmp_path_factory.mktemp("corpus"), count=40)


@pytest.fixture(scope="module")
def corpus(s3, folder):
    """The same as a zip in the bucket."""
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        for file in sorted(folder.rglob("*.wav")):
            archive.write(file, file.relative_to(folder).as_posix())
    s3.pipe("bucket/corpus.zip", packed.getvalue())
    return "s3://bucket/corpus.zip"


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The files of a local store of the same corpus that nothing happened to."""
    return digests(featurize(folder, tmp_path_factory.mktemp("whole") / "s.zarr", recipe=RECIPE).path)


@pytest.fixture
def store(corpus, request):
    """A finished store of a few clips in the bucket."""
    url = f"s3://bucket/{request.node.name.partition('[')[0]}.zarr"
    return featurize(corpus, url, recipe=SMALL)


@pytest.fixture
def dead_are_forgotten(monkeypatch):
    """Runs that do not answer are taken for dead at once."""
    monkeypatch.setattr(lease, "FORGOTTEN_S", 0.0)


def digests(store):
    """Digest of each file of a store, local or behind a URL, but those of its own place and time."""
    place = store if isinstance(store, Path) else locate_store(str(store))
    if isinstance(place, Path):
        names = [file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()]
    else:
        names = list(place.walk_files())
    return {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names if name not in OWN}


def test_corpus_and_store_on_s3__have_the_bytes_of_local_ones(s3, corpus, whole):
    store = featurize(corpus, "s3://bucket/same.zarr", recipe=RECIPE)
    assert digests(store.path) == whole
    assert store.ledger["status"].value_counts().sort("count").rows() == [("unreadable", 1), ("ok", 40)]
    assert set(OWN) < set(store.path.walk_files())
    assert json.loads((store.path / "source.json").read_bytes()) == {"corpus": corpus}
    assert not s3.find("bucket/.same.zarr.lock")


CHILD = """
import os, signal, sys
from fastspec.pipeline import featurize
from fastspec.spec import Recipe
from fastspec.store.place import StoreUrl
corpus, store, method, call, recipe = sys.argv[1:]
original, calls = getattr(StoreUrl, method), []
def die_at_the_call(*args, **options):
    calls.append(1)
    if len(calls) == int(call):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **options)
setattr(StoreUrl, method, die_at_the_call)
featurize(corpus, store, recipe=Recipe.from_json(recipe), overwrite=True)
"""

# In the middle of the draft; before the second commit; before the mark that it is whole; where there was a store, before its parts go.
INSTANTS = [("upload", 2), ("create", 4), ("write", 4), ("remove_below", 1)]


def test_run_that_is_killed__is_refused_while_it_may_live_and_then_goes_on_to_the_same_bytes(s3, corpus, whole, monkeypatch):
    featurize(corpus, "s3://bucket/remove_below1.zarr", recipe=SMALL)
    children = {}
    for method, call in INSTANTS:
        url = f"s3://bucket/{method}{call}.zarr"
        command = [sys.executable, "-c", CHILD, corpus, url, method, str(call), RECIPE.to_json()]
        children[url] = subprocess.Popen(command)
    monkeypatch.setattr(lease, "FORGOTTEN_S", 1e6)  # however slow this machine is
    for url, child in children.items():
        assert child.wait() == -signal.SIGKILL, url
        with pytest.raises(
            StoreError, match=r"is being written by another run \(process \d+ on .*, heard of \d+ s ago\).* forgotten after"
        ):
            featurize(corpus, url, recipe=RECIPE, resume=True)
    monkeypatch.setattr(lease, "FORGOTTEN_S", 0.0)
    for url in children:
        assert digests(featurize(corpus, url, recipe=RECIPE, resume=True).path) == whole, url
    assert not [path for path in s3.find("bucket") if ".lock" in path]


def test_second_writer__is_refused_in_one_line_and_the_first_is_not_disturbed(corpus, store):
    with locked(store.path):
        with pytest.raises(StoreError, match="is being written by another run"), locked(store.path):
            pass
        result = CliRunner().invoke(app, ["featurize", corpus, "-o", str(store.path), "--overwrite", "--clip", "0.2"])
        assert result.exit_code == 2 or isinstance(result.exception, StoreError)
    assert not find_damage(store.path)


@pytest.mark.usefixtures("dead_are_forgotten")
def test_writer_that_slept_while_another_took_over__writes_nothing_more(store):
    slept = lease.Lease(store.path)
    awake = lease.Lease(store.path)
    awake.check()
    with pytest.raises(StoreError, match="was taken over by another run"):
        slept.check()
    slept.release()
    awake.release()


def test_lease__is_renewed_and_of_two_that_find_none_one_gets_it(store, monkeypatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    held = lease.Lease(store.path)
    place = lease.lease_folder(store.path) / "1"
    first = place.read_bytes()
    while place.read_bytes() == first:
        assert held._thread.is_alive()
    monkeypatch.setattr(lease, "refuse_held", lambda _: [])
    with pytest.raises(StoreError, match="began just now"):
        lease.Lease(store.path)
    held.release()


def test_record_of_another_run__is_never_replaced(store):
    from fastspec.store.files import write_record

    write_record(store.path / "r.json", b'{"hashes": [1], "timings": 1}')
    write_record(store.path / "r.json", b'{"hashes": [1], "timings": 2}')
    with pytest.raises(FileExistsError, match=r"another run has written r\.json"):
        write_record(store.path / "r.json", b'{"hashes": [2], "timings": 1}')


def test_damage__is_found_and_repaired_from_the_recordings(corpus, whole):
    path = featurize(corpus, "s3://bucket/damaged.zarr", recipe=RECIPE).path
    data = bytearray((path / "features/c/0/0/0").read_bytes())
    data[1000] ^= 1
    (path / "features/c/0/0/0").write(bytes(data))
    (path / "features/c/1/0/0").unlink()
    (path / "ledger.parquet").write(b"?")
    with pytest.raises(StoreError, match="damaged"):
        open_store(path)
    result = CliRunner().invoke(app, ["store", "verify", str(path), "--json"])
    found = [row["file"] for row in json.loads(result.output)["rows"]]
    assert found == ["features/c/0/0/0", "features/c/1/0/0", "ledger.parquet"]
    assert [damage.file for damage in repair(str(path))] == found
    assert digests(path) == whole


def test_update__gives_what_a_fresh_run_would(s3, folder, store, tmp_path):
    for file in folder.rglob("0[0-2]*.wav"):
        s3.pipe(f"bucket/growing/{file.relative_to(folder).as_posix()}", file.read_bytes())
    store = featurize("s3://bucket/growing", "s3://bucket/growing.zarr", recipe=SMALL)
    s3.pipe("bucket/growing/b/999.wav", (folder / "a/030.wav").read_bytes())
    updated = update("s3://bucket/growing.zarr", "s3://bucket/growing")
    assert len(updated) == len(store) + 1
    local = featurize("s3://bucket/growing", tmp_path / "s.zarr", recipe=SMALL)
    assert digests(updated.path) == digests(local.path)


def test_store_that_is_overwritten__leaves_nothing_behind(corpus, store, tmp_path):
    with pytest.raises(StoreError, match="exists and is finished; give overwrite=True"):
        featurize(corpus, str(store.path), recipe=SMALL)
    (store.path / "features/c/7/0/0").write(b"stray")
    other = SMALL.replace(n_mels=10)
    featurize(corpus, str(store.path), recipe=other, overwrite=True)
    local = featurize(corpus, tmp_path / "s.zarr", recipe=other)
    assert digests(store.path) == digests(local.path)


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_readers__read_a_store_behind_a_url(corpus, compression, tmp_path):
    store = featurize(corpus, f"s3://bucket/read-{compression}.zarr", recipe=SMALL, compression=compression)
    features = store.features[:]
    np.testing.assert_array_equal(feature_array(str(store.path)).compute(), features)
    reader = ClipReader(store.path, Layout.read(store.path))
    np.testing.assert_array_equal([reader[i] for i in (39, 3)], features[[39, 3]])
    export(store, tmp_path / "f.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), features)
    assert len(store.timings) == 1


def test_commands__take_urls_wherever_they_take_stores(corpus, store, tmp_path):
    def run(*arguments):
        result = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    url = str(store.path)
    assert "41 clips x 9 frames x 8 bands; 40 ok" in run("store", "info", url)
    assert "broken.wav" in run("store", "ledger", url, "--failed")
    assert "is whole" in run("store", "verify", url)
    run("train", url, "-m", "logistic", "-o", tmp_path / "model")
    assert "logistic" in run("evaluate", url, "-m", "logistic", "--folds", 2)
    assert "logistic" in run("leaderboard", url, "-m", "logistic", "--folds", 2, "-o", tmp_path / "board.parquet")
    assert "41 rows" in run("predict", tmp_path / "model", url, "-o", tmp_path / "p.csv")
    assert "40 ok" in run("featurize", corpus, "-o", url, "--resume", "--spec", url)


def test_kaldi_lhotse_and_shards_on_s3__are_read_through_memory(s3, folder):
    names = [f"{i:03}.wav" for i in range(0, 8, 2)]
    data = {name: (folder / "a" / name).read_bytes() for name in names}
    s3.pipe({f"bucket/kaldi/wavs/{name}": content for name, content in data.items()})
    s3.pipe("bucket/kaldi/wav.scp", "".join(f"{name[:3]} wavs/{name}\n" for name in names).encode())
    s3.pipe("bucket/kaldi/utt2label", "".join(f"{name[:3]} {name[2]}\n" for name in names).encode())
    rows = [
        {"id": name, "sampling_rate": 16000, "num_samples": 8000, "duration": 0.5, "channel_ids": [0]}
        | {"sources": [{"type": "file", "channels": [0], "source": f"s3://bucket/kaldi/wavs/{name}"}]}
        for name in names
    ]
    s3.pipe("bucket/lhotse/recordings.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    for shard in range(2):
        with tarfile.open(fileobj=(packed := io.BytesIO()), mode="w") as tar:
            for name in names[2 * shard : 2 * shard + 2]:
                for member, content in ((name, data[name]), (f"{name[:3]}.cls", name[2:3].encode())):
                    info = tarfile.TarInfo(member)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        s3.pipe(f"bucket/shards/s-{shard}.tar", packed.getvalue())
    for address in ("s3://bucket/kaldi", "s3://bucket/lhotse", "s3://bucket/shards", "s3://bucket/shards/s-{0..1}.tar"):
        manifest = read_corpus(address)
        assert [manifest.open(path) for path in manifest.table["path"]] == list(data.values()), address
        if "lhotse" not in address:
            assert manifest.table["label"].to_list() == ["0", "2", "4", "6"]
        store = featurize(manifest, f"{address.partition('{')[0]}-out.zarr", recipe=SMALL)
        assert store.status_counts() == {"ok": 4}


def test_store_in_memory__is_like_any_other(folder, whole):
    assert digests(featurize(folder, "memory://x/s.zarr", recipe=RECIPE).path) == whole


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    "address, reason",
    [
        ("s3://nobucket/x.zarr", "The specified bucket does not exist"),
        ("s3://bucket", "is a whole bucket"),
        ("nosuch://b/x", "Protocol not known"),
    ],
)
def test_address_that_cannot_be_a_store__is_refused_in_one_line(folder, address, reason):
    with pytest.raises(StoreError) as caught:
        featurize(folder, address, recipe=SMALL)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match=r"does not exist|not a feature store|cannot be reached"):
        open_store(address)


@pytest.mark.parametrize("missing", ["credentials", "endpoint", "s3fs"])
def test_what_cannot_be_reached__is_one_line_that_says_why(s3, folder, monkeypatch, missing):
    kind = type(s3)
    if missing == "credentials":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    elif missing == "endpoint":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        monkeypatch.setattr(kind, "retries", 1)
    else:
        monkeypatch.setitem(sys.modules, "s3fs", None)
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    reasons = {
        "credentials": "Unable to locate credentials",
        "endpoint": "Could not connect",
        "s3fs": r"Install s3fs.*pip install .*\[s3\]",
    }
    kind.clear_instance_cache()
    try:
        with pytest.raises(StoreError, match=reasons[missing]):
            open_store("s3://bucket/unreachable.zarr")
        with pytest.raises(StoreError, match=reasons[missing]):
            featurize(folder, "s3://bucket/unreachable.zarr", recipe=SMALL)
        with pytest.raises(CorpusError, match=reasons[missing]):
            read_corpus("s3://bucket/corpus.zip")
    finally:
        kind.clear_instance_cache()


def test_store_url__is_whole_or_not_there(store):
    copy = StoreUrl(store.path._system, f"{store.path._path}-copy")
    with pytest.raises(StoreError, match="does not exist"):
        open_store(copy)
    (copy / ".draft").write(b"")
    (copy / "zarr.json").write(b"{}")
    with pytest.raises(StoreError, match=r"holds no fastspec\.json"):
        open_store(copy)
