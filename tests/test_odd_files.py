"""Public files that other projects keep because they are odd, and what must come out of each; and files damaged at random.

`odd_files.txt` has a line a file: where it is from, its name, the status, the frames that can be decoded, sample rate and channels.
"""

import io
import os
import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
import soundfile

from fastspec.audio import Span, load_clips

STATUSES = {"ok", "empty", "silent", "unreadable", "truncated", "nonfinite"}


class OddFile(NamedTuple):
    """What must come out of a file; None where nothing does."""

    corpus: str
    name: str
    status: str
    frames: int | None
    sample_rate: int | None
    channels: int | None


def table() -> Iterator[OddFile]:
    for line in (Path(__file__).parent / "odd_files.txt").read_text(encoding="utf8").splitlines():
        corpus, name, status, *numbers = line.split()
        yield OddFile(corpus, name, status, *(None if text == "-" else int(text) for text in numbers))


ODD_FILES = list(table())
FOLDERS = {"codecs": "audio-lena/package", "mutagen": "mutagen/*/tests/data", "python-tests": "*/usr/lib/python*/test"}


@pytest.fixture(scope="session")
def folders(corpus):
    """`folders(name)` is the folder that a corpus' odd files are named from; the installed scipy brings its own."""

    def folder(name: str) -> Path:
        if name == "scipy":
            scipy = pytest.importorskip("scipy")
            return Path(scipy.__file__).parent / "io/tests/data"
        return next(corpus(name).glob(FOLDERS[name])) if name in FOLDERS else corpus(name)

    return folder


@pytest.mark.corpus
@pytest.mark.parametrize("odd", ODD_FILES, ids=lambda odd: f"{odd.corpus}/{odd.name}")
def test_odd_file__gives_what_the_table_says(odd, folders, capfd):
    file = folders(odd.corpus) / odd.name
    if odd.corpus == "scipy" and not file.exists():
        pytest.skip("this scipy came without its tests")
    (clip,) = load_clips(file, [Span(0.0, 1000.0)], sample_rate=8000, channel="mean", resample="QQ", n_samples=10**9)
    capfd.readouterr()  # the MP3 decoder writes its notes to stderr
    info = clip.info
    assert OddFile(odd.corpus, odd.name, info.status, info.decoded_frames, info.sample_rate, info.channels) == odd
    assert (info.reason is None or "channel" in info.reason) == (info.status == "ok")  # what is remarked of channels is no failure
    assert clip.usable == (len(clip.samples) > 0)


def test_table_of_odd_files__agrees_with_the_names_that_tell_their_content():
    for odd in ODD_FILES:
        if odd.corpus == "scipy" and odd.status == "ok":
            words = odd.name.removeprefix("test-").split("-")
            assert words[0] == f"{odd.sample_rate}Hz"
            assert f"{odd.channels}ch" in words
        if odd.corpus == "python-tests" and "pluck" in odd.name:
            assert (odd.status, odd.frames, odd.sample_rate, odd.channels) == ("ok", 3307, 11025, 2)  # as CPython's own tests have it


def encode(form: str, subtype: str, seed: int) -> bytes:
    packed = io.BytesIO()
    noise = np.random.default_rng(seed).normal(0, 0.1, (6000, 1 + seed % 2))
    soundfile.write(packed, noise, 16000, format=form, subtype=subtype)
    return packed.getvalue()


def damage(data: bytes, seed: int) -> bytes:
    """Bytes of the header replaced, numbers in it made extreme, or the file cut off; now and then all of it."""
    rng, broken = random.Random(seed), bytearray(data)
    if seed % 3 != 0:
        for _ in range(rng.randrange(1, 12)):
            broken[rng.randrange(min(len(broken), 120))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
    if seed % 5 == 0:
        at = rng.randrange(0, 60)
        broken[at : at + 4] = struct.pack("<i", rng.choice([0, -1, 2**31 - 1, -(2**31), 1 << 24]))
    if seed % 3 == 0 or seed % 7 == 0:
        del broken[rng.randrange(len(broken) if seed % 2 else 200) :]
    return bytes(broken)


@pytest.mark.parametrize(
    "form, subtype", [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
)
def test_damaged_headers_and_truncations__cost_their_rows_and_touch_nothing_else(tmp_path, form, subtype):
    """In a process of its own, so that a decoder that crashes or hangs fails the test and does not end it."""
    (tmp_path / "in").mkdir()
    count = 120
    for seed in range(count):
        (tmp_path / f"in/{seed:03}.{form.lower()}").write_bytes(damage(encode(form, subtype, seed % 4), seed))
    (tmp_path / f"in/whole.{form.lower()}").write_bytes(encode(form, subtype, 0))
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    code = (
        "import fastspec; fastspec.featurize(fastspec.read_corpus('in'), 'out.zarr', "
        "recipe=fastspec.preset('librosa', n_mels=8, clip_s=0.2), workers=2)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "in")}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=300, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out.zarr"]
    assert {path: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before
    ledger = pl.read_parquet(tmp_path / "out.zarr" / "ledger.parquet")
    assert len(ledger) == count + 1
    assert set(ledger["status"]) <= STATUSES
    assert ledger.filter(pl.col("path").str.starts_with("whole"))["status"].to_list() == ["ok"]
    assert ledger.filter(pl.col("status") == "unreadable").height >= 5
