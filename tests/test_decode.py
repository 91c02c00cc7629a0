"""Recordings decoded together without the GIL are what each gives alone, bit for bit, whatever they are."""

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fastspec.audio import AudioError, LoadedClip, Policy, Request, Span, group, load_clips, load_recordings
from fastspec.kernels import decode

RATE = 16000
POLICY = Policy(sample_rate=RATE, channel="mean", resample="HQ", n_samples=30 * RATE, shortest_s=0.0)
FORMS = [
    *[("WAV", subtype) for subtype in ("PCM_16", "PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "MS_ADPCM", "IMA_ADPCM")],
    *[(form, "PCM_16") for form in ("FLAC", "AIFF", "AU", "CAF", "W64", "RF64", "WAVEX")],
    *[("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("CAF", "ALAC_16"), ("AIFF", "PCM_S8")],
]

pytestmark = pytest.mark.skipif(not decode.can_decode(), reason="there is no compiled code without the JIT")


def encode(form: str, subtype: str, *, frames: int = 70_000, channels: int = 1, rate: int = RATE) -> bytes:
    packed = io.BytesIO()
    noise = np.random.default_rng(frames + channels).normal(0, 0.3, (frames, channels))
    soundfile.write(packed, noise.clip(-1, 1), rate, format=form, subtype=subtype)
    return packed.getvalue()


def alone(source: Path | bytes, span: Span, policy: Policy = POLICY) -> LoadedClip:
    (clip,) = load_clips(source, [span], **policy._asdict())
    return clip


def assert_equal(clips: Sequence[LoadedClip], expected: Sequence[LoadedClip]) -> None:
    for clip, other in zip(clips, expected, strict=True):
        assert clip.info == other.info
        np.testing.assert_array_equal(clip.samples, other.samples, strict=True)


@pytest.fixture
def decoded_together_only(monkeypatch):
    """What is decoded alone fails the test."""
    monkeypatch.setattr(group, "load_clips", lambda *_args, **_options: pytest.fail("decoded alone"))


@pytest.mark.parametrize("form, subtype", FORMS)
@pytest.mark.parametrize("channels, rate", [(1, RATE), (2, RATE), (2, 48000)])
@pytest.mark.usefixtures("decoded_together_only")
def test_clip_decoded_together__is_the_clip_decoded_alone(tmp_path, form, subtype, channels, rate):
    spans = [Span(0.0, 1000.0), Span(0.0, 0.5), Span(0.0, 1 / rate), Span(0.0, 2.0, channels - 1)]
    requests, expected = [], []
    for frames in (1, 999, 65_536, 65_537, 140_000):
        file = tmp_path / f"{frames}.{form.lower()}"
        file.write_bytes(encode(form, subtype, frames=frames, channels=channels, rate=rate))
        for span in spans:
            for source in (file, file.read_bytes()):
                clip = alone(source, span)
                if clip.info.audio_hash:  # not what holds no samples
                    requests.append(Request(source, [span]))
                    expected.append(clip)
    assert len(requests) >= 32
    assert_equal(list(load_recordings(requests, POLICY)), expected)


@pytest.mark.parametrize("channel", ["mean", "left", "right", "loudest"])
@pytest.mark.usefixtures("decoded_together_only")
def test_every_channel_policy__gives_what_it_gives_alone(channel):
    policy = POLICY._replace(channel=channel, shortest_s=0.1)
    sources = [encode("WAV", "FLOAT", frames=frames, channels=channels) for frames in (800, 5000) for channels in (1, 2, 3, 6)]
    requests = [Request(source, [Span(0.0, 1.0)]) for source in sources]
    assert_equal(list(load_recordings(requests, policy)), [alone(source, Span(0.0, 1.0), policy) for source in sources])


LEVELS = {
    "silence": [0.0, -0.0, 0.0],
    "clipping": [0.99989998, 0.9999, 0.99995, 1.0, -1.0, 0.5],
    "just below": [float(np.nextafter(np.float32(0.9999), np.float32(0))), 0.1],
    "exactly": [float(np.float32(0.9999)), 0.1],
    "not a number": [np.nan, 0.5, np.nan, -2.0],
    "infinite": [np.inf, -np.inf, 0.25],
    "nothing finite": [np.nan, np.inf],
    "huge": [3e38, -3e38, 1e-42],
}


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("rate", [RATE, 8000])
@pytest.mark.usefixtures("decoded_together_only")
def test_levels__are_those_of_the_clip_alone(name, rate):
    packed = io.BytesIO()
    soundfile.write(packed, np.float32(LEVELS[name]), rate, format="WAV", subtype="FLOAT")
    source, span = packed.getvalue(), Span(0.0, 1.0)
    assert_equal(list(load_recordings([Request(source, [span])], POLICY)), [alone(source, span)])


def odd_requests(folder: Path) -> list[Request]:
    """What no group can decode among what it can, in an order that alternates."""
    whole = encode("FLAC", "PCM_16", frames=20_000)
    (folder / "whole.flac").write_bytes(whole)
    (folder / "empty.wav").touch()
    (folder / "text.au").write_bytes(b"once upon a time" * 100)
    (folder / "cut.flac").write_bytes(whole[:-5000])
    sources: list[Path | bytes | AudioError] = [
        *(folder / name for name in ("whole.flac", "empty.wav", "text.au", "cut.flac", "gone.wav")),
        folder,
        b"",
        b"RIFF",
        encode("WAV", "PCM_16", frames=0),
        AudioError("timeout", "took too long"),
    ]
    requests = [Request(source, [Span(0.0, 1.0)]) for bad in sources for source in (whole, bad)]
    return [*requests, Request(whole, [Span(0.5, 0.2)]), Request(whole, [Span(0.0, 0.5), Span(0.5, 0.5)]), Request(whole, [])]


def expected_alone(requests: Sequence[Request]) -> list[LoadedClip]:
    clips: list[LoadedClip] = []
    for source, spans in requests:
        if isinstance(source, AudioError):
            clips += [group.failed_clip(source.status, source.reason)] * len(spans)
        else:
            clips += load_clips(source, spans, **POLICY._asdict())
    return clips


def test_odd_recordings__keep_their_place_and_their_reasons(tmp_path):
    requests = odd_requests(tmp_path)
    clips = list(load_recordings(requests, POLICY))
    assert_equal(clips, expected_alone(requests))
    assert {clip.info.status for clip in clips} >= {"ok", "unreadable", "empty", "timeout"}


def test_where_nothing_can_be_decoded_together__the_clips_are_the_same(tmp_path, monkeypatch):
    requests = odd_requests(tmp_path)
    together = list(load_recordings(requests, POLICY))
    monkeypatch.setattr(decode, "can_decode", lambda: False)
    assert_equal(list(load_recordings(requests, POLICY)), together)


@pytest.mark.parametrize(
    "form, subtype",
    [
        *[("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16")],
        *[("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")],
    ],
)
def test_damaged_recordings__give_what_they_give_alone(form, subtype, capfd):
    rng, requests = np.random.default_rng(5), []
    for seed in range(60):
        data = bytearray(encode(form, subtype, frames=9000, channels=1 + seed % 2))
        for position in rng.integers(0, len(data) if seed % 2 else 150, 8):
            data[position] = rng.integers(256)
        requests.append(Request(bytes(data[: rng.integers(1, len(data))] if seed % 3 == 0 else data), [Span(0.0, 1.0)]))
    assert_equal(list(load_recordings(requests, POLICY)), expected_alone(requests))
    capfd.readouterr()  # the MP3 decoder writes its notes to stderr


@pytest.mark.parametrize(
    "form, subtype", [("WAV", "PCM_16"), ("WAVEX", "FLOAT"), ("RF64", "PCM_24"), ("AIFF", "PCM_S8"), ("W64", "PCM_16")]
)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.usefixtures("decoded_together_only")
def test_recordings_that_were_cut__claim_what_they_claim_alone(form, subtype, channels):
    whole = encode(form, subtype, frames=5000, channels=channels)
    sources, span = [whole, whole[:-1000], whole[:-1001] + b"\0", whole[: len(whole) // 2]], Span(0.0, 1.0)
    clips = list(load_recordings([Request(source, [span]) for source in sources], POLICY))
    assert_equal(clips, [alone(source, span) for source in sources])
    assert form == "W64" or {clip.info.header_frames for clip in clips} == {5000}


@pytest.mark.parametrize("form", ["WAV", "AIFF", "AU", "FLAC"])
@pytest.mark.parametrize("size", [10, 4000, 200_001])
def test_tag_before_a_recording__takes_nothing_from_it(tmp_path, form, size):
    whole, span = encode(form, "PCM_16", frames=9000), Span(0.0, 1.0)
    tag = b"ID3\x04\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)
    sources = [tmp_path / "tagged", tag + whole]
    (tmp_path / "tagged").write_bytes(tag + whole)
    expected = [alone(whole, span)] * len(sources)
    assert_equal([alone(source, span) for source in sources], expected)
    assert_equal(list(load_recordings([Request(source, [span]) for source in sources], POLICY)), expected)


@pytest.mark.usefixtures("decoded_together_only")
def test_group_larger_than_its_memory__is_decoded_in_several_calls(monkeypatch):
    monkeypatch.setattr(group, "GROUP_BYTES", 1 << 20)
    calls: list[int] = []
    sources = [encode("FLAC", "PCM_16", frames=65_000 + i) for i in range(7)]
    clips = list(load_recordings([Request(s, [Span(0.0, 9.0)]) for s in sources], POLICY, on_block=lambda: calls.append(1)))
    assert_equal(clips, [alone(source, Span(0.0, 9.0)) for source in sources])
    assert len(calls) >= 3


def test_recording_too_long_for_a_group__is_decoded_alone(monkeypatch):
    monkeypatch.setattr(group, "GROUP_BYTES", 1 << 18)
    sources = [encode("OGG", "VORBIS", frames=frames) for frames in (1000, 100_000, 2000)] + [encode("WAV", "DOUBLE")]
    asked: list[int] = []
    monkeypatch.setattr(
        group, "load_clips", lambda source, *args, **options: (asked.append(len(source)), load_clips(source, *args, **options))[1]
    )
    clips = list(load_recordings([Request(s, [Span(0.0, 9.0)]) for s in sources], POLICY))
    assert asked == [len(sources[1]), len(sources[3])]
    assert_equal(clips, [alone(source, Span(0.0, 9.0)) for source in sources])


def test_recordings_that_no_group_has_room_for__are_decoded_once_only(monkeypatch):
    monkeypatch.setattr(group, "GROUP_BYTES", 1 << 19)
    calls: list[int] = []
    sources = [encode("FLAC", "PCM_16", frames=60_000)] * 3 + [encode("OGG", "VORBIS", frames=200_000)]
    policy = POLICY._replace(n_samples=20 * RATE)
    clips = list(load_recordings([Request(s, [Span(0.0, 20.0)]) for s in sources], policy, on_block=lambda: calls.append(1)))
    assert [clip.info.decoded_frames for clip in clips] == [60_000] * 3 + [200_000]
    # A call for each FLAC, one that finds that the last has no room, and the four blocks of that.
    assert len(calls) == 3 + 1 + 4


@pytest.mark.usefixtures("decoded_together_only")
def test_header_that_claims_too_many_frames__costs_no_memory():
    data = bytearray(encode("FLAC", "PCM_16", frames=20_000))
    data[21] |= 0x0F  # of STREAMINFO's 36 bits of frames, all set
    data[22:26] = b"\xff" * 4
    (clip,) = load_recordings([Request(bytes(data), [Span(0.0, 30.0)])], POLICY)
    assert (clip.info.status, clip.info.header_frames, clip.info.decoded_frames) == ("ok", 2**36 - 1, 20_000)


def test_what_is_raised_between_groups__ends_the_work():
    sources = [encode("WAV", "PCM_16", frames=100)] * 100
    calls: list[int] = []

    def stop() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    clips = load_recordings([Request(source, [Span(0.0, 1.0)]) for source in sources], POLICY, on_block=stop)
    with pytest.raises(KeyboardInterrupt):
        list(clips)
    assert len(calls) == 2


def test_clips__are_taken_a_group_ahead_at_most():
    source, taken = encode("WAV", "PCM_16", frames=100), []

    def requests():
        for i in range(1000):
            taken.append(i)
            yield Request(source, [Span(0.0, 1.0)])

    next(load_recordings(requests(), POLICY))
    assert len(taken) <= group.GROUP_RECORDINGS


def test_clips_of_an_earlier_group__keep_their_samples():
    sources = [encode("WAV", "PCM_16", frames=1000 + i) for i in range(3 * group.GROUP_RECORDINGS)]
    clips = list(load_recordings([Request(source, [Span(0.0, 1.0)]) for source in sources], POLICY))
    assert_equal(clips, [alone(source, Span(0.0, 1.0)) for source in sources])


def test_threads_that_decode_at_once__do_not_disturb_each_other():
    sources = [encode(*FORMS[i % len(FORMS)], frames=5000 + i) for i in range(120)]
    requests = [Request(source, [Span(0.0, 1.0)]) for source in sources]
    expected = expected_alone(requests)
    answers: list[list[LoadedClip]] = []
    threads = [threading.Thread(target=lambda: answers.append(list(load_recordings(requests, POLICY)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    for clips in answers:
        assert_equal(clips, expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_fifo__is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (clip,) = load_recordings([Request(tmp_path / "pipe.wav", [Span(0.0, 1.0)])], POLICY)
    assert (clip.info.status, clip.info.reason) == ("unreadable", "no such file, or not a regular file")


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["codecs", "mutagen", "python-tests"])
def test_odd_files_of_other_projects__give_what_they_give_alone(corpus, name, capfd):
    files = sorted(
        path for path in corpus(name).rglob("*") if path.suffix.lower() in {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".au", ".aifc"}
    )
    assert len(files) > 5
    requests = [Request(file, [Span(0.0, 30.0)]) for file in files]
    assert_equal(list(load_recordings(requests, POLICY)), expected_alone(requests))
    capfd.readouterr()
