"""Archives and tables damaged at random: refused, or their rows cost; no other exception, and nothing is written."""

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest

from fastspec.corpus import RecordingError, read_corpus
from fastspec.errors import CorpusError

FILES = {f"a/{i}.wav": random.Random(i).randbytes(300 + i) for i in range(5)} | {"a/0.json": b'{"label": "x"}'}
SEEDS = 150


def tar() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return packed.getvalue()


def parquet() -> bytes:
    packed = io.BytesIO()
    audio = [{"bytes": data, "path": name} for name, data in FILES.items()]
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": {"names": ["a"]}}}})}
    pl.DataFrame({"audio": audio, "label": [0] * len(audio)}).write_parquet(packed, metadata=metadata)
    return packed.getvalue()


def jsonl() -> bytes:
    return b"".join(json.dumps({"path": name, "label": "x", "start_s": 1}).encode() + b"\n" for name in FILES)


CORPORA = {
    "c.tar": tar,
    "c.tar.gz": lambda: gzip.compress(tar(), mtime=0),
    "c.tar.bz2": lambda: bz2.compress(tar()),
    "c.tar.xz": lambda: lzma.compress(tar()),
    "c.zip": zipped,
    "c.parquet": parquet,
    "c.jsonl": jsonl,
}


def damage(data: bytes, seed: int) -> bytes:
    """A few bytes replaced at the start, anywhere or near the end, where formats keep their index; now and then cut off."""
    rng, broken = random.Random(seed), bytearray(data)
    for _ in range(rng.randrange(1, 8)):
        where = (rng.randrange(min(600, len(broken))), rng.randrange(len(broken)), -1 - rng.randrange(min(900, len(broken))))[seed % 3]
        broken[where] = rng.choice([0, 255, 128, 127, rng.randrange(256)])
    if seed % 5 == 0:
        del broken[rng.randrange(len(broken)) :]
    return bytes(broken)


@pytest.mark.parametrize("name", CORPORA)
def test_damaged_corpus__is_refused_or_costs_rows(tmp_path, name, capfd):
    whole = CORPORA[name]()
    for member in FILES:
        (tmp_path / Path(member).parent).mkdir(exist_ok=True)
    (tmp_path / "a/0.wav").touch()
    outcomes, messages = set(), []
    for seed in range(SEEDS):
        (tmp_path / name).write_bytes(damage(whole, seed))
        try:
            manifest = read_corpus(tmp_path / name)
        except CorpusError as error:
            outcomes.add("refused")
            messages.append(str(error))
            continue
        for path in manifest.table["path"]:
            try:
                outcomes.add(type(manifest.open(path)).__name__)
            except RecordingError as error:
                outcomes.add(error.code)
    capfd.readouterr()  # polars writes its panics to stderr
    assert "refused" in outcomes
    assert outcomes <= {"refused", "unreadable", "bytes", "PosixPath", "WindowsPath"}
    assert not any("\n" in message for message in messages)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", name]
