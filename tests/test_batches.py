"""Clips side by side: each row is the clip that it is alone, and so is what the ledger says of it."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fastspec.audio import Batches, Policy, Request, Span, Starts, batch, ledger_infos, load_batches, load_clips, load_recordings
from fastspec.corpus.folder import Files
from fastspec.corpus.manifest import ClipRow
from fastspec.corpus.packing import as_columns
from fastspec.kernels import decode, read
from fastspec.pipeline.compute import load_columns, load_rows
from fastspec.spec import ClipPolicy, FeatureSpec, Recipe
from fastspec.store.packing import as_lists

RATE = 8000
POLICY = Policy(sample_rate=RATE, channel="mean", resample="HQ", n_samples=RATE, shortest_s=0.01)


def write(file: Path, frames: int, *, channels: int = 1, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    samples = 0.1 * np.random.default_rng(frames + channels).standard_normal((frames, channels))
    soundfile.write(file, samples, rate, subtype=subtype)
    return file


@pytest.fixture
def odd(tmp_path) -> list[Path]:
    """Recordings of which most need something: shorter and longer, at another rate, stereo, silent, too short, broken, no files."""
    (tmp_path / "text.wav").write_text("once upon a time")
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "nan.wav", np.r_[np.nan, np.full(RATE - 1, 0.1)], RATE, subtype="FLOAT")
    return [
        write(tmp_path / "whole.wav", RATE),
        write(tmp_path / "long.flac", 3 * RATE),
        write(tmp_path / "short.wav", RATE // 2),
        write(tmp_path / "stereo.wav", RATE, channels=2),
        write(tmp_path / "other rate.wav", 16_000, rate=16_000),
        write(tmp_path / "sixty samples.wav", 60, subtype="FLOAT"),
        *(tmp_path / name for name in ("silent.wav", "nan.wav", "text.wav", "folder.wav", "gone.wav")),
        write(tmp_path / "shortest.wav", 81),
        write(tmp_path / "last.wav", RATE),
    ]


def check(batches, expected) -> None:
    found = list(batches)
    infos = ledger_infos([(each.found, each.told) for each in found])
    rows = list(zip(*as_lists(infos).values(), strict=True))
    assert rows == [tuple(clip.info) for clip in expected]
    assert [type(value) for row in rows for value in row] == [type(value) for clip in expected for value in clip.info]
    samples, lengths = np.concatenate([each.samples.copy() for each in found]), [n for each in found for n in each.lengths]
    for row, length, clip in zip(samples, lengths, expected, strict=True):
        np.testing.assert_array_equal(row, np.pad(clip.samples, (0, len(row) - length)), strict=True)


def alone(files, policy: Policy = POLICY):
    return [clip for file in files for clip in load_clips(file, [Span(0.0, 1.0)], **policy._asdict())]


def test_odd_clips__keep_their_rows_and_reasons(odd):
    names = Starts([str(file) for file in odd], [1.0] * len(odd), [None] * len(odd))
    expected = alone(odd)
    for size in (1, 4, 100):
        copies = (batch.ClipBatch(b.samples.copy(), b.lengths, b.found, b.told) for b in load_batches([names], POLICY, size=size))
        check(copies, expected)
    assert {clip.info.status for clip in expected} == {"ok", "silent", "too-short", "unreadable"}


def test_where_nothing_can_be_compiled__the_batches_are_the_same(odd, monkeypatch):
    names = Starts([str(file) for file in odd], [1.0] * len(odd), [None] * len(odd))
    monkeypatch.setattr(read, "can_read", lambda: False)
    check(load_batches([names], POLICY), alone(odd))
    monkeypatch.setattr(decode, "can_decode", lambda: False)
    check(load_batches([names], POLICY), alone(odd))


@pytest.mark.skipif(not decode.can_decode(), reason="there are no groups without the JIT")
def test_whole_clips_of_one_group__are_not_copied(tmp_path):
    files = [write(tmp_path / f"{i}.wav", RATE + i) for i in range(5)]
    (found,) = load_batches([Request(file, [Span(0.0, 1.0)]) for file in files], POLICY)
    assert found.samples.base is not None
    assert not found.told
    check([found], alone(files))


def test_channel_that_a_mono_recording_has__is_the_whole_clip(tmp_path):
    file = write(tmp_path / "a.wav", RATE)
    names = Starts([str(file)] * 2, [1.0] * 2, [0, None])
    check(load_batches([names], POLICY), alone([file, file]))


def test_batches__are_taken_in_pieces_of_any_size(odd):
    clips = alone(odd)
    for size in (1, 3, 5, 50):
        batches = Batches(load_batches([Request(file, [Span(0.0, 1.0)]) for file in odd], POLICY))
        pieces = []
        while piece := batches.take(size):
            assert len(piece) <= size
            pieces.append(piece)
        check(pieces, clips)
        assert batches.take(0) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_fifo_and_device_known_by_name__are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    rows = as_columns([ClipRow(name, None, None, None, 0.0, None) for name in ("a.wav", "pipe.wav", os.devnull, "gone.wav", "b.wav")])
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name, RATE)
    batches = load_columns([rows], recordings=Files(tmp_path), recipe=RECIPE)
    (found,) = iter(lambda: batches.take(100), None)
    infos = ledger_infos([(found.found, found.told)])
    assert infos["status"] == ["ok", "unreadable", "unreadable", "unreadable", "ok"]
    assert infos["reason"] == [None, "not a regular file", "not a regular file", "no such file", None]


RECIPE = Recipe(spec=FeatureSpec(sample_rate=RATE), clip=ClipPolicy(clip_s=1.0))


class Watched(Files):
    """Files that tell which were opened one by one."""

    def open(self, path):
        opened.append(path)
        return super().open(path)


opened: list[str] = []


@pytest.mark.skipif(not decode.can_decode(), reason="there are no groups without the JIT")
def test_recording_of_several_rows_and_parts__is_opened_once(tmp_path):
    for name in "abcdef":
        write(tmp_path / f"{name}.wav", 2 * RATE)
    starts = [("a", 0.0), ("b", 0.0), ("b", 1.0), ("c", 0.0), ("d", 0.5), ("e", 0.0), ("e", 1.0), ("e", 1.5), ("f", 0.0)]
    rows = [ClipRow(f"{name}.wav", None, None, None, start_s, None) for name, start_s in starts]
    whole = list(load_rows(rows, recordings=Files(tmp_path), recipe=RECIPE))
    for cut in range(len(rows)):
        opened.clear()
        parts = [as_columns(part) for part in (rows[:cut], rows[cut:]) if part]
        batches = load_columns(parts, recordings=Watched(tmp_path), recipe=RECIPE)
        check(iter(lambda batches=batches: batches.take(1), None), whole)
        assert len(opened) == len(set(opened))
        assert {"b.wav", "d.wav", "e.wav"} <= set(opened)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no text")
def test_names__lead_where_opening_leads(tmp_path):
    inside = write(tmp_path / "a.wav", 100)
    escaped = write(tmp_path / "b.wav", 100).rename(tmp_path / "caf\udce9.wav")  # a byte that is no text
    files = Files(tmp_path, {r"caf\xe9.wav": escaped.name})
    paths = ["a.wav", str(inside), r"caf\xe9.wav", "./a.wav"]
    assert [Path(name) for name in files.file_names(paths)] == [files.open(path) for path in paths]
    assert files.file_names(["a.wav", "memory://b.wav"]) is None


def test_name_that_holds_a_nul__costs_its_own_row(tmp_path):
    file = write(tmp_path / "a.wav", RATE)
    clips = list(load_recordings([Request(name, [Span(0.0, 1.0)]) for name in (str(file), f"{file}\0", str(file))], POLICY))
    assert [clip.info.status for clip in clips] == ["ok", "unreadable", "ok"]
