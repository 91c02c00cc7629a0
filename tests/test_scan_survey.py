"""What one pass over recordings finds: by what was written into them, and by what featurize's ledger says."""

import numpy as np
import polars as pl
import pytest
import soundfile

from fastspec import featurize, preset, read_corpus
from fastspec.audio import Survey, survey
from fastspec.audio.survey import Stretch
from fastspec.pipeline import survey_clips

SHARED = [
    "status",
    "reason",
    "sample_rate",
    "channels",
    "header_frames",
    "peak",
    "clipped",
    "silent",
    "nonfinite",
    "audio_hash",
    "duplicate_of",
]


def noise(frames, channels=1, *, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)


def write(path, samples, rate=8000, subtype="FLOAT"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def test_survey__tells_what_was_written(tmp_path):
    samples = noise(70_000, 2)
    samples[:, 1] += 0.25
    samples[:7000, 0] = 0
    samples[-700:, 1] = 1.0
    path = write(tmp_path / "a.wav", samples)
    (found,) = survey(path)
    assert found[:2] == ("ok", None)
    assert (found.format, found.subtype, found.size_bytes) == ("WAV", "FLOAT", path.stat().st_size)
    assert (found.sample_rate, found.channels, found.header_frames, found.frames) == (8000, 2, 70_000, 70_000)
    assert (found.peak, found.clipped, found.silent, found.nonfinite) == (1.0, 700 / 140_000, pytest.approx(0.05), 0)
    assert found.dc == pytest.approx(samples[:, 1].mean(dtype=np.float64), abs=1e-6)
    assert survey(path.read_bytes()) == [found]


@pytest.mark.parametrize("form, subtype", [("wav", "FLOAT"), ("flac", "PCM_24"), ("ogg", "VORBIS")])
def test_stretches_of_a_long_recording__are_what_featurize_says_of_them(tmp_path, form, subtype):
    write(tmp_path / f"a.{form}", np.clip(3 * noise(200_000, 2), -1, 1), subtype=subtype)
    rows = [(0.0, 3.0), (1.0, 9.5), (8.19, 0.01), (8.0, 8.2), (24.5, 4.0), (25.5, 1.0)]
    pl.DataFrame({"path": [f"a.{form}"] * 6, "start_s": [r[0] for r in rows], "duration_s": [r[1] for r in rows]}).write_csv(
        tmp_path / "t.csv"
    )
    manifest = read_corpus(tmp_path / "t.csv")
    ledger = featurize(manifest, tmp_path / "s.zarr", recipe=preset("librosa", sample_rate=8000, clip_s=10.0)).ledger
    found = survey_clips(manifest)
    assert found.select(SHARED).rows() == ledger.select(SHARED).rows()
    assert found["status"].to_list() == ["ok"] * 5 + ["empty"]


@pytest.mark.parametrize("fault", ["dead", "antiphase"])
def test_channel_fault__is_found_over_many_blocks(tmp_path, fault):
    """The second channel is what it is at the end of the recording only: one block would say otherwise."""
    samples = noise(200_000, 2)
    samples[:, 1] = 0.1 if fault == "dead" else -samples[:, 0]
    (found,) = survey(write(tmp_path / "a.wav", samples))
    assert found.reason == {"dead": "channel 2 is dead", "antiphase": "channels 1 and 2 are in antiphase"}[fault]
    samples[-65_536:, 1] = noise(65_536, seed=1)[:, 0]
    (found,) = survey(write(tmp_path / "a.wav", samples))
    assert (found.status, found.reason) == ("ok", None)


def test_one_channel__is_heard_alone(tmp_path):
    samples = np.stack([noise(900)[:, 0], np.zeros(900, np.float32)], axis=1)
    path = write(tmp_path / "a.wav", samples)
    first, second = survey(path, [Stretch(channel=0), Stretch(channel=1)])
    assert (first.silent, second.status) == (0.0, "silent")
    assert first.audio_hash == survey(write(tmp_path / "b.wav", samples[:, 0]))[0].audio_hash


def test_bad_recording__is_a_row_with_a_reason(tmp_path):
    write(tmp_path / "a.wav", noise(100))
    (tmp_path / "b.wav").write_bytes(b"not audio")
    write(tmp_path / "c.wav", noise(0))
    write(tmp_path / "d.wav", np.zeros(10))
    found = survey_clips(read_corpus(tmp_path), workers=0)
    assert found["status"].to_list() == ["ok", "unreadable", "empty", "silent"]
    assert found["reason"].to_list() == [None, "text and no sound", "the recording holds no samples", "every sample is 0"]


def test_recording_whose_decoding_fails__keeps_the_stretches_before_that(tmp_path, monkeypatch):
    path, reads = write(tmp_path / "a.flac", noise(200_000), subtype="PCM_24"), soundfile.SoundFile.read

    def read(self, *args, **options):
        if self.tell() >= 131_072:
            raise RuntimeError("broken\nframe")
        return reads(self, *args, **options)

    whole = survey(path, [Stretch(0.0, 16.3)])
    monkeypatch.setattr(soundfile.SoundFile, "read", read)
    found = survey(path, [Stretch(), Stretch(0.0, 16.3), Stretch(17.0, 1.0)])
    assert [(one.status, one.reason) for one in found] == [("truncated", "broken frame"), ("ok", None), ("truncated", "broken frame")]
    assert found[1] == whole[0]


def test_survey_of_a_corpus__is_the_same_for_any_workers(tmp_path):
    for i in range(70):
        write(tmp_path / f"{i:02}.wav", noise(500, seed=i % 60))
    found = survey_clips(read_corpus(tmp_path), workers=0)
    assert found.equals(survey_clips(read_corpus(tmp_path), workers=3))
    assert found["duplicate_of"].to_list() == [None] * 60 + list(range(10))
    assert set(Survey._fields) | {"duplicate_of"} == set(found.columns)
