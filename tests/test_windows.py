"""Windows, crops and channels: where each clip begins, to the sample, and what a store of them holds."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from samples import RATE, RECIPE, ledger_of, noise, write_corpus

from fastspec.audio import Extent, cut_stretch
from fastspec.corpus import Manifest, read_corpus
from fastspec.corpus.folder import Files
from fastspec.corpus.manifest import SCHEMA
from fastspec.pipeline import cut_clips, load_rows, stream_features
from fastspec.presets import preset
from fastspec.spec import ClipPolicy


def cut(frames, *, start_s=0.0, duration_s=None, rate=RATE, failed=False, **policy):
    """(start, samples) of each clip, as it is loaded: in samples."""
    cuts = cut_stretch(start_s, duration_s, Extent(frames, rate, 1, failed), ClipPolicy(**policy))
    return [(round(start * rate), round(duration * rate)) for start, duration in zip(*map(np.ndarray.tolist, cuts), strict=True)]


# --- where windows lie -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "last, expected",
    [
        ("pad", [(0, 24000), (12000, 24000), (24000, 24000), (36000, 24000), (48000, 22000)]),
        ("drop", [(0, 24000), (12000, 24000), (24000, 24000), (36000, 24000)]),
        ("shift", [(0, 24000), (12000, 24000), (24000, 24000), (36000, 24000), (46000, 24000)]),
    ],
)
def test_three_seconds_every_one_and_a_half__of_8_75_seconds(last, expected):
    assert cut(70000, clip_s=3.0, hop_s=1.5, last=last) == expected


@pytest.mark.parametrize("last", ["pad", "drop", "shift"])
def test_windows_that_end_with_the_recording__are_all_there_are(last):
    assert cut(16000, clip_s=1.0, hop_s=0.5, last=last) == [(0, 8000), (4000, 8000), (8000, 8000)]


@pytest.mark.parametrize("last", ["pad", "drop", "shift"])
def test_recording_shorter_than_a_window__keeps_one_row(last):
    assert cut(5000, clip_s=1.0, hop_s=0.5, last=last) == [(0, 5000)]
    assert cut(0, clip_s=1.0, hop_s=0.5, last=last) == [(0, 8000)]


@pytest.mark.parametrize("last", ["pad", "shift"])
def test_end_in_the_gap_between_windows__has_no_window(last):
    assert cut(13000, clip_s=0.5, hop_s=1.0, last=last) == [(0, 4000), (8000, 4000)]


def test_padded_window_with_less_than_the_least__is_not_made():
    assert cut(17000, clip_s=1.0, hop_s=1.0, min_s=0.25) == [(0, 8000), (8000, 8000)]
    assert cut(18000, clip_s=1.0, hop_s=1.0, min_s=0.25) == [(0, 8000), (8000, 8000), (16000, 2000)]
    assert cut(1000, clip_s=1.0, hop_s=1.0, min_s=0.25) == [(0, 1000)]


def test_windows_of_a_stretch__stay_within_it():
    assert cut(80000, start_s=1.0, duration_s=2.25, clip_s=1.0, hop_s=1.0) == [(8000, 8000), (16000, 8000), (24000, 2000)]
    assert cut(80000, start_s=1.0, duration_s=2.25, clip_s=1.0, hop_s=1.0, last="shift")[-1] == (18000, 8000)
    assert cut(20000, start_s=1.0, duration_s=9.0, clip_s=1.0, hop_s=1.0) == [(8000, 8000), (16000, 4000)]
    assert cut(8000, start_s=2.0, clip_s=1.0, hop_s=1.0) == [(16000, 8000)]


def test_recording_that_breaks_off__has_its_whole_windows_and_one_that_reaches_beyond():
    for last in ("pad", "drop", "shift"):
        assert cut(20000, failed=True, clip_s=1.0, hop_s=1.0, last=last) == [(0, 8000), (8000, 8000), (16000, 8000)]
    assert cut(20000, failed=True, clip_s=1.0, crop="center") == [(20000, 8000)]
    assert cut(20000, failed=True, duration_s=2.0, clip_s=1.0, crop="end") == [(8000, 8000)]


@pytest.mark.parametrize("crop, start", [("start", 0), ("center", 5000), ("end", 10001)])
def test_crop__takes_the_stretch_that_it_names(crop, start):
    assert cut(18001, clip_s=1.0, crop=crop) == [(start, 8000)]
    assert cut(7999, clip_s=1.0, crop=crop) == [(0, 7999)]
    assert cut(90000, start_s=1.0, duration_s=18001 / RATE, clip_s=1.0, crop=crop) == [(8000 + start, 8000)]


def test_vggish_and_yamnet_patches__are_as_many_as_their_references_cut():
    """VGGish frames the log-mel by whole patches of 96; YAMNet pads the waveform to 15,600 + n * 7,680 samples."""
    for frames in [*range(15590, 15610), *range(23270, 23290), *range(30950, 30970), 160_000]:
        mel_frames = max(0, 1 + (frames - 400) // 160)
        patches = cut(frames, rate=16000, **vars(preset("vggish").clip))
        assert len(patches) == max(1, 1 + (mel_frames - 96) // 96)
        patches = cut(frames, rate=16000, **vars(preset("yamnet").clip))
        assert len(patches) == 1 + max(0, -(-(frames - 15600) // 7680))


@pytest.mark.parametrize("seed", range(200))
def test_windows_of_anything__lie_on_the_grid_and_cover_what_they_promise(seed):
    random = np.random.default_rng(seed)
    rate = int(random.choice([1, 7, 100, 7919, 8000, 44100]))
    frames = int(random.integers(1, 20 * rate + 2))
    clip_s, hop_s = (float(np.round(random.uniform(0.01, 3), 3)) for _ in range(2))
    start_s = float(np.round(random.uniform(0, 0.4 * frames / rate), 4))
    start, length = round(start_s * rate), round(clip_s * rate)
    if length == 0 or start >= frames:
        assert len(cut(frames, rate=rate, start_s=start_s, clip_s=clip_s, hop_s=hop_s)) == 1
        return
    by_last = {last: cut(frames, rate=rate, start_s=start_s, clip_s=clip_s, hop_s=hop_s, last=last) for last in ("pad", "drop", "shift")}
    whole = [clip for clip in by_last["drop"] if clip[1] == length]
    assert [begin for begin, _ in whole] == [round((start_s + k * hop_s) * rate) for k in range(len(whole))]
    following = round((start_s + len(whole) * hop_s) * rate)
    assert following + length > frames
    for clips in by_last.values():
        assert clips[: len(whole)] == whole
        assert len(clips) - len(whole) <= 1
        assert all(begin + samples <= frames for begin, samples in clips)
    reaches_end = whole and whole[-1][0] + length == frames
    for last in ("pad", "shift"):
        assert by_last[last][-1][0] + by_last[last][-1][1] == frames or (following >= frames and whole)
        assert not reaches_end or by_last[last] == whole
    if len(whole) < len(by_last["shift"]) and whole:
        assert by_last["shift"][-1] == (frames - length, length)


# --- what is read there ------------------------------------------------------------------------------------------------------------


def ramp(frames):
    """Two channels that spell each sample's number: the number modulo 2^15, and how often that wrapped."""
    index = np.arange(frames)
    return np.stack([index % 32768, index // 32768], axis=1).astype(np.int16)


def save(path, samples, rate=RATE, **options):
    """A manifest of one recording. It is written in pieces, since libsndfile's Vorbis encoder crashes over long ones."""
    samples = samples.reshape(len(samples), -1)
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], **options) as file:
        for first in range(0, len(samples), 65_536):
            file.write(samples[first : first + 65_536])
    table = pl.DataFrame({name: [str(path) if name == "path" else 0.0 if name == "start_s" else None] for name in SCHEMA}, schema=SCHEMA)
    return Manifest(table, "one recording", Files(Path()))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff", "a.w64"])
@pytest.mark.parametrize("clip_s, hop_s", [(3.0, 1.5), (0.7, 1.3), (1 / 3, 0.1)])
def test_ramp__tells_that_windows_begin_where_they_say(tmp_path, name, clip_s, hop_s):
    manifest = save(tmp_path / name, ramp(150_000), 22050, subtype="PCM_16")
    starts = {}
    for channel in ("left", "right"):
        recipe = RECIPE.replace(sample_rate=22050, clip_s=clip_s, hop_s=hop_s, last="shift", channel=channel)
        clips = cut_clips(manifest, recipe)
        loaded = load_rows(clips.rows(0, len(clips)), recordings=clips.recordings, recipe=recipe)
        starts[channel] = [round(float(clip.samples[0]) * 32768) for clip in loaded]
        assert {len(clip.samples) for clip in load_rows(clips.rows(0, 3), recordings=clips.recordings, recipe=recipe)} == {recipe.n_samples}
    length = round(clip_s * 22050)
    expected = [round(k * hop_s * 22050) for k in range(9999) if round(k * hop_s * 22050) + length <= 150_000]
    if expected[-1] + length < 150_000 and round(len(expected) * hop_s * 22050) < 150_000:
        expected.append(150_000 - length)
    assert [low + 32768 * high for low, high in zip(starts["left"], starts["right"], strict=True)] == expected


@pytest.mark.parametrize("form, subtype", [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("FLAC", "PCM_16")])
def test_windows_of_a_long_compressed_recording__are_slices_of_its_full_decode(tmp_path, form, subtype):
    rate = 48000 if subtype == "OPUS" else 16000
    t = np.arange(150 * rate) / rate
    manifest = save(tmp_path / "long", 0.4 * np.sin(2 * np.pi * (200 + 20 * t) * t), rate, format=form, subtype=subtype)
    full, _ = soundfile.read(tmp_path / "long", dtype="float32")
    recipe = RECIPE.replace(sample_rate=rate, clip_s=20.0, hop_s=20.0)
    clips = cut_clips(manifest, recipe)
    loaded = list(load_rows(clips.rows(0, len(clips)), recordings=clips.recordings, recipe=recipe))
    assert len(loaded) == -(-len(full) // (20 * rate))
    for k, clip in enumerate(loaded):
        np.testing.assert_allclose(clip.samples, full[20 * rate * k : 20 * rate * (k + 1)], atol=1e-6)
    assert sum(len(clip.samples) for clip in loaded) == len(full)


def test_mp3_whose_header_estimate_is_wrong__is_cut_by_what_it_decodes_to(tmp_path):
    data = io.BytesIO()
    soundfile.write(data, noise(40 * RATE), RATE, format="MP3", subtype="MPEG_LAYER_III")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cut.mp3").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])
    decoded = len(soundfile.read(tmp_path / "a" / "cut.mp3")[0])
    rows = ledger_of(read_corpus(tmp_path), RECIPE.replace(clip_s=3.0, hop_s=3.0, last="shift"))
    assert rows[0]["header_frames"] > 1.5 * decoded
    assert {row["status"] for row in rows} == {"ok"}
    assert rows[-1]["start_s"] == (decoded - 3 * RATE) / RATE
    assert rows[-1]["decoded_frames"] == decoded


@pytest.mark.parametrize("form, subtype", [("WAV", "PCM_16"), ("AIFF", "PCM_24"), ("AU", "FLOAT"), ("RF64", "PCM_16"), ("W64", "PCM_16")])
def test_uncompressed_recording_that_is_cut_off__is_measured_as_it_decodes(tmp_path, form, subtype):
    manifest = save(tmp_path / "whole", noise(20_000), format=form, subtype=subtype)
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "whole").write_bytes(data[: len(data) * 3 // 5])
    decoded = len(soundfile.read(tmp_path / "whole")[0])
    assert decoded < 13_000
    (row,) = cut_clips(manifest, RECIPE.replace(clip_s=0.5, crop="end")).rows(0, 9)
    assert round((row.start_s + row.duration_s) * RATE) == decoded


@pytest.mark.parametrize("last", ["pad", "drop", "shift"])
def test_recording_whose_decoding_fails__has_its_whole_windows_and_one_truncated_row(tmp_path, monkeypatch, last):
    write_corpus(tmp_path, whole=noise(70_000))
    soundfile.write(tmp_path / "a" / "fails.flac", noise(300_000), RATE)
    manifest = read_corpus(tmp_path)
    read = soundfile.SoundFile.read

    def read_two_blocks(self, out):
        self.blocks_read = getattr(self, "blocks_read", 0) + 1
        if self.name.endswith(b"fails.flac") and self.blocks_read > 2:
            raise soundfile.LibsndfileError(3)
        return read(self, out=out)

    monkeypatch.setattr(soundfile.SoundFile, "read", read_two_blocks)
    rows = ledger_of(manifest, RECIPE.replace(clip_s=4.0, hop_s=4.0, last=last))
    of_failing = [(row["start_s"], row["status"]) for row in rows if row["path"] == "a/fails.flac"]
    assert of_failing == [(0.0, "ok"), (4.0, "ok"), (8.0, "ok"), (12.0, "ok"), (16.0, "truncated")]
    assert {row["status"] for row in rows if row["path"] == "a/whole.wav"} == {"ok"}


@pytest.mark.parametrize("sample", [0, 8000, 23_456, 31_999])
@pytest.mark.parametrize("name", ["click.wav", "click.flac"])
def test_click__is_in_the_windows_that_cover_it_and_at_its_frame(tmp_path, sample, name):
    samples = np.zeros(32_000, np.float32)
    samples[sample] = 0.9
    recipe = RECIPE.replace(clip_s=1.0, hop_s=0.5, top_db=None)
    (batch,) = stream_features(save(tmp_path / name, samples, subtype="PCM_16"), recipe)
    heard = 0
    for row, features, valid in zip(batch.rows, batch.features, batch.valid_frames, strict=True):
        within = sample - round(row["start_s"] * RATE)
        assert valid == recipe.shape[0]
        if 0 <= within < 8000:
            heard += 1
            assert abs(int(features.max(axis=1).argmax()) - within / 64) <= 1
        else:
            assert row["status"] == "silent"
    assert heard == 1 + (4000 <= sample < 28_000)
