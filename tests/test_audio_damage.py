"""Recordings that lie, are cut off or are none: each costs a status, never an exception or memory by the header's word."""

import io
import os
import pickle
import struct

import numpy as np
import pytest
import soundfile

from fastspec.audio import AudioError, LoadedClip, Policy, Request, Span, decode, load_clips, load_recordings, measure_frames, read

RATE = 8000


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(-20000, 20000, (frames, channels)).astype(np.float32) / 32768


def encode(samples: np.ndarray, *, form: str = "FLAC", subtype: str = "PCM_16") -> bytearray:
    packed = io.BytesIO()
    soundfile.write(packed, samples, RATE, format=form, subtype=subtype)
    return bytearray(packed.getvalue())


def load(data: bytes | bytearray, *spans: tuple[float, float], rate: int = RATE) -> list[LoadedClip]:
    wanted = [Span(*span) for span in spans or [(0.0, 1000.0)]]
    return list(load_clips(bytes(data), wanted, sample_rate=rate, channel="mean", resample="HQ", n_samples=10**9))


def claim_flac_frames(data: bytearray, frames: int) -> bytearray:
    """Overwrites the 36-bit frame count of STREAMINFO, which starts 8 bytes in; 0 means unknown, libsndfile makes it 2^63 - 1."""
    data[21] = (data[21] & 0xF0) | (frames >> 32)
    data[22:26] = struct.pack(">I", frames & 0xFFFFFFFF)
    return data


@pytest.mark.parametrize("claimed, header_frames", [(2**31 - 1, 2**31 - 1), (2**36 - 1, 2**36 - 1), (0, 2**63 - 1)])
def test_header_that_claims_too_many_frames__is_recorded_and_not_believed(claimed, header_frames):
    samples = noise(70_000)
    data = claim_flac_frames(encode(samples), claimed)
    (clip,) = load(data)
    np.testing.assert_array_equal(clip.samples, samples[:, 0])
    assert (clip.info.status, clip.info.header_frames, clip.info.decoded_frames) == ("ok", header_frames, 70_000)
    assert measure_frames(bytes(data)) == (70_000, RATE)
    assert read(bytes(data))[0].shape == (70_000, 1)


def test_wav_that_claims_too_many_frames__gives_what_it_holds():
    data = encode(noise(1000), form="WAV")
    data[40:44] = struct.pack("<I", 0xFFFFFFF0)
    late, whole = load(data, (1.0, 1.0), (0.0, 1.0))
    assert (whole.info.status, len(whole.samples)) == ("ok", 1000)
    assert late.info.status == "empty"


def test_wav_that_is_cut_off__gives_what_it_holds():
    data = encode(noise(1000), form="WAV")
    (clip,) = load(data[:-501])
    assert (clip.info.status, clip.info.header_frames, clip.info.decoded_frames) == ("ok", 1000, 749)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("form, subtype", [
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"), ("AIFF", "PCM_24"), ("AIFF", "FLOAT"),
])  # fmt: skip
def test_uncompressed_recording_that_is_cut_off__keeps_what_its_header_claims(form, subtype, channels, together):
    source = bytes(encode(noise(1000, channels), form=form, subtype=subtype)[:-700])
    policy = Policy(RATE, "mean", "HQ", 10**6, 0.0)
    (clip,) = load_recordings([Request(source, [Span(0.0, 9.0)])], policy) if together else load(source)
    assert (clip.info.status, clip.info.header_frames) == ("ok", 1000)
    assert 0 < clip.info.decoded_frames < 1000


@pytest.mark.parametrize("size", [0x7FFFF000, 0x80000000, 0xFFFFFFFF])
def test_wav_of_a_stream__claims_what_it_holds_since_its_size_is_a_stand_in(size):
    data = encode(noise(1000), form="WAV")
    data[4:8] = data[40:44] = struct.pack("<I", size)
    (clip,) = load(data)
    assert (clip.info.header_frames, clip.info.decoded_frames) == (1000, 1000)


def test_long_notes_before_the_samples__hide_neither_samples_nor_claim(tmp_path):
    data = encode(noise(1000), form="WAV")
    notes = b"LIST" + struct.pack("<I", 3001) + bytes(3002)
    cut = bytes(data[:12] + notes + data[12:-500])
    assert load(cut)[0].info.header_frames == 1000
    (tmp_path / "a.wav").write_bytes(cut)
    (clip,) = load_clips(tmp_path / "a.wav", [Span(0.0, 9.0)], sample_rate=RATE, channel="mean", resample="HQ", n_samples=10**6)
    assert (clip.info.header_frames, clip.info.decoded_frames) == (1000, 750)


def fail_from(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Makes libsndfile fail in this block of any recording that is read forwards."""
    take = soundfile.SoundFile.read
    calls: dict[int, int] = {}

    def guarded(self, out):
        calls[id(self)] = calls.get(id(self), -1) + 1
        if calls[id(self)] >= block:
            raise soundfile.LibsndfileError(3, prefix="Error reading <_io.BytesIO object>: ")
        return take(self, out=out)

    monkeypatch.setattr(soundfile.SoundFile, "read", guarded)


def test_decoder_that_fails_after_some_blocks__costs_the_clips_beyond_in_any_order(monkeypatch):
    fail_from(monkeypatch, block=2)
    data = encode(noise(300_000))
    spans = [(0.0, 20.0), (0.0, 1.0), (15.0, 1.0), (16.0, 1.0), (30.0, 1.0)]
    for clip, status in zip(load(data, *spans), ["truncated", "ok", "ok", "truncated", "truncated"], strict=True):
        assert clip.info.status == status
        assert clip.info.decoded_frames == (131_072 if status == "truncated" else clip.info.decoded_frames)
        assert clip.usable == (clip.samples.size > 0) == (status == "ok")


def test_decoder_that_fails_in_the_first_block__makes_the_recording_unreadable(monkeypatch):
    fail_from(monkeypatch, block=0)
    (clip,) = load(encode(noise(300_000)))
    assert (clip.info.status, clip.info.decoded_frames, clip.info.header_frames) == ("unreadable", 0, 300_000)


def test_reason__is_the_decoders_in_one_line_without_objects_or_paths(monkeypatch):
    fail_from(monkeypatch, block=0)
    assert load(encode(noise(10)))[0].info.reason == "Supported file format but file is malformed"


@pytest.mark.parametrize("code", [0, 1, 3])
def test_reason_of_a_refused_file__is_not_libsndfiles_which_other_threads_overwrite(monkeypatch, code):
    def refuse(*_):
        raise soundfile.LibsndfileError(code)

    monkeypatch.setattr(soundfile.SoundFile, "__init__", refuse)
    assert load(b"not audio")[0].info.reason == "text and no sound"


@pytest.mark.parametrize(
    "data, reason",
    [
        (b"RIFF\x24\0\0\0WAVEfmt ", "a WAV file whose header is damaged or cut off, or whose encoding is not known"),
        (b"fLaC\0\0", "a FLAC file whose header is damaged or cut off"),
        (b"\0\0\0\x20ftypM4A ", "an MP4, M4A or 3GP file, which libsndfile does not read; convert it to WAV or FLAC"),
        (b"\x1a\x45\xdf\xa3\x01", "a Matroska or WebM file, which libsndfile does not read; convert it to WAV or FLAC"),
        (b"\n<!doctype HTML><title>Not found</title>", "a web page and no sound, as failed downloads are"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer; fetch what it stands for with 'git lfs pull'"),
        (bytes(5000), "zeros where its header should be, as interrupted downloads are"),
        (b"\xff\xfeM\0", "format not recognised"),
    ],
)
def test_refused_file__is_told_by_what_it_seems_to_be(data, reason):
    assert load(data)[0].info.reason == reason


@pytest.mark.parametrize(
    "form, subtype", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16")]
)
@pytest.mark.parametrize("seed", range(12))
def test_corrupted_bytes__never_raise(form, subtype, seed, capfd):
    data = encode(noise(90_000, 2), form=form, subtype=subtype)
    rng = np.random.default_rng(seed)
    for position in rng.integers(0, len(data) if seed % 2 else 200, 20):
        data[position] = rng.integers(256)
    cut = data[: rng.integers(1, len(data))] if seed % 3 == 0 else data
    for clip in load(cut, (0, 1), (5, 10), (0, 60), rate=16000):
        assert clip.info.status in {"ok", "empty", "silent", "unreadable", "truncated", "nonfinite"}
        assert clip.usable == (clip.samples.size > 0)
    capfd.readouterr()  # the MP3 decoder writes its notes to stderr


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\0" * 5000, b"ID3" + b"\xff" * 100])
def test_bytes_that_are_no_audio__are_unreadable(data):
    (clip, other) = load(data, (0, 1), (1, 1))
    assert clip.info.status == other.info.status == "unreadable"
    assert clip.info.reason


def test_file_too_short_to_hold_an_mp3_frame__is_not_said_to_be_missing(tmp_path):
    file = tmp_path / "a.mp3"
    file.write_bytes(b"ID3")
    with pytest.raises(AudioError, match="unreadable: an MP3 file in which no sound is found"):
        read(file)


def test_file_of_no_bytes__is_said_to_be_empty(tmp_path):
    (tmp_path / "a.mp3").touch()
    for source in (tmp_path / "a.mp3", b""):
        with pytest.raises(AudioError, match="unreadable: the file is empty"):
            read(source)


@pytest.mark.parametrize("name", ["noise.au", "noise.snd", "noise.vox", "noise.gsm", "noise.raw", "noise.wav"])
def test_text_under_the_name_of_audio__is_unreadable_and_not_noise(tmp_path, name):
    file = tmp_path / name
    file.write_bytes(b"once upon a time" * 100)
    with pytest.raises(AudioError, match="unreadable"):
        read(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_what_is_no_regular_file__is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("pipe.wav", "gone.wav", "."):
        with pytest.raises(AudioError, match="no such file, or not a regular file"):
            measure_frames(tmp_path / name)


@pytest.mark.parametrize("rate", [0, 2**31 - 1])
def test_header_with_an_absurd_sample_rate__is_unreadable(rate):
    data = encode(noise(100), form="WAV")
    data[24:28] = struct.pack("<I", rate)
    assert load(data)[0].info.status == "unreadable"


def test_clip_of_one_sample_at_extreme_rates__has_a_status():
    data = encode(noise(100), form="WAV")
    for source_rate in (1, 3, 7, decode.MAX_SAMPLE_RATE):
        data[24:28] = struct.pack("<I", source_rate)
        for clip in load(data, (0.0, 1 / source_rate), (0.0, 5.0), rate=16000):
            assert clip.info.status in ("ok", "empty")
            assert clip.usable == (clip.samples.size > 0)


def test_read__gives_every_channel_of_the_whole_recording():
    samples = noise(200_000, 2)
    for form in ("WAV", "FLAC"):
        decoded, rate = read(bytes(encode(samples, form=form)))
        assert rate == RATE
        np.testing.assert_array_equal(decoded, samples)


@pytest.mark.parametrize("ask", [read, measure_frames])
def test_whole_recording__empty_or_truncated_is_an_error(ask, monkeypatch):
    with pytest.raises(AudioError, match="empty: the recording holds no samples"):
        ask(bytes(encode(noise(0), form="WAV")))
    fail_from(monkeypatch, block=1)
    with pytest.raises(AudioError) as caught:
        ask(bytes(encode(noise(100_000))))
    assert caught.value.status == "truncated"


def test_error__survives_pickling():
    error = pickle.loads(pickle.dumps(AudioError("empty", "nothing")))  # noqa: S301
    assert (error.status, error.reason, str(error)) == ("empty", "nothing", "the recording is empty: nothing")
