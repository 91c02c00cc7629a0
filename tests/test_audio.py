"""Clips out of recordings: the stretch, the channel, the rate, and what the ledger says. Expectations are slices of known arrays."""

import io
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from fastspec.audio import ClipInfo, LoadedClip, Span, failed_clip, load_clips

RATE = 8000


def noise(frames: int, channels: int = 1, *, seed: int = 0) -> np.ndarray:
    """Noise that 16 bits hold exactly, `(frames, channels)` float32."""
    return np.random.default_rng(seed).integers(-20000, 20000, (frames, channels)).astype(np.float32) / 32768


def encode(samples: np.ndarray, rate: int = RATE, *, form: str = "WAV", subtype: str | None = "FLOAT") -> bytes:
    packed = io.BytesIO()
    soundfile.write(packed, samples, rate, format=form, subtype=subtype)
    return packed.getvalue()


def load(
    source: Path | bytes, *spans: tuple[float, float], rate: int = RATE, channel: str = "mean", n_samples: int = 10**9
) -> list[LoadedClip]:
    wanted = [Span(*span) for span in spans or [(0.0, 1000.0)]]
    return list(load_clips(source, wanted, sample_rate=rate, channel=channel, resample="HQ", n_samples=n_samples))


@pytest.mark.parametrize(
    "form, subtype", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "FLOAT")]
)
def test_lossless_recording__comes_back_bit_for_bit(tmp_path, form, subtype):
    samples = noise(9001)
    file = tmp_path / "a.wav"
    file.write_bytes(encode(samples, form=form, subtype=subtype))
    for source in (file, file.read_bytes()):
        (clip,) = load(source)
        assert clip.usable
        assert clip.samples.dtype == np.float32
        np.testing.assert_array_equal(clip.samples, samples[:, 0])
        assert (clip.info.header_frames, clip.info.decoded_frames, clip.info.sample_rate, clip.info.channels) == (9001, 9001, RATE, 1)


@pytest.mark.parametrize("form, subtype", [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_recording__is_what_soundfile_decodes(form, subtype):
    data = encode(noise(100_000, 2), 48000, form=form, subtype=subtype)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32")
    (clip,) = load(data, rate=48000, channel="right")
    np.testing.assert_allclose(clip.samples, expected[:, 1], atol=1e-6)
    assert clip.info.decoded_frames == len(expected)


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
@pytest.mark.parametrize("frames", [1, 65_535, 65_536, 65_537, 131_072, 131_073])
def test_recording_about_a_block_long__loses_nothing(form, frames):
    samples = noise(frames)
    data = encode(samples, form=form, subtype="PCM_16")
    np.testing.assert_array_equal(load(data)[0].samples, samples[:, 0])
    *_, last = load(data, (0, 1), ((frames - 1) / RATE, 1))
    np.testing.assert_array_equal(last.samples, samples[-1:, 0])


@pytest.mark.parametrize("form", ["WAV", "FLAC"])
@pytest.mark.parametrize("rate", [7919, 8000, 22254, 44100])
def test_span__is_exact_to_the_sample(form, rate):
    samples = noise(5 * rate)
    data = encode(samples, rate, form=form, subtype="PCM_16")
    spans = [(0.0, 0.5), (0.1, 1.2345), (1.00001, 2.0), (4.9, 1.0)]
    for (start_s, duration_s), clip in zip(spans, load(data, *spans, rate=rate), strict=True):
        start = round(start_s * rate)
        np.testing.assert_array_equal(clip.samples, samples[start : start + round(duration_s * rate), 0])
        assert clip.info.decoded_frames == min(len(samples), start + round(duration_s * rate))


SPANS = [(12.0, 2.0), (0.0, 9.0), (7.5, 9.0), (3.0, 0.5), (0.0, 9.0), (8.19, 0.01), (20.0, 1.0), (24.9, 1.0), (26.0, 1.0)]


@pytest.mark.parametrize("form, subtype", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")])
def test_clip__is_the_same_alone_and_among_others_in_any_order(form, subtype):
    data = encode(noise(25 * RATE, 2), form=form, subtype=subtype)
    alone = [load(data, span, rate=6000)[0] for span in SPANS]
    for spans in (SPANS, SPANS[::-1], sorted(SPANS)):
        for span, clip in zip(spans, load(data, *spans, rate=6000), strict=True):
            assert clip.info == alone[SPANS.index(span)].info
            np.testing.assert_array_equal(clip.samples, alone[SPANS.index(span)].samples)


def test_clips__do_not_share_memory():
    first, second = load(encode(noise(RATE), form="FLAC", subtype="PCM_16"), (0, 1), (0, 1))
    first.samples[:] = 9
    assert np.abs(second.samples).max() < 1


def test_clips__are_yielded_before_the_rest_is_decoded(monkeypatch):
    asked: list[int] = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda self, out: (asked.append(len(out)), read(self, out=out))[1])
    clips = load_clips(
        encode(noise(400_000), form="FLAC", subtype="PCM_16"),
        [Span(i, 1.0) for i in range(50)],
        sample_rate=RATE,
        channel="mean",
        resample="HQ",
        n_samples=RATE,
    )
    counts = [len(asked) for _ in clips]
    assert (counts[0], counts[-1]) == (1, 7)
    assert all(later - earlier <= 1 for earlier, later in pairwise(counts))


def test_channels__mean_left_right_and_loudest():
    samples = noise(1000, 3) * np.float32([0.5, 0.25, 1.0])
    data = encode(samples)
    picked = {channel: load(data, channel=channel)[0].samples for channel in ("mean", "left", "right", "loudest")}
    np.testing.assert_allclose(picked["mean"], samples.astype(np.float64).mean(axis=1), atol=1e-7)
    for channel, index in {"left": 0, "right": 1, "loudest": 2}.items():
        np.testing.assert_array_equal(picked[channel], samples[:, index])


def test_channels__right_of_mono_is_mono_and_loudest_of_equals_is_the_first():
    mono = noise(100)
    np.testing.assert_array_equal(load(encode(mono), channel="right")[0].samples, mono[:, 0])
    mirrored = np.concatenate([mono, -mono], axis=1)
    np.testing.assert_array_equal(load(encode(mirrored), channel="loudest")[0].samples, mono[:, 0])


def test_loudest__is_chosen_clip_by_clip():
    samples = noise(2 * RATE, 2)
    samples[:RATE, 0] *= 0.1
    samples[RATE:, 1] *= 0.1
    first, second = load(encode(samples), (0, 1), (1, 1), channel="loudest")
    np.testing.assert_array_equal(first.samples, samples[:RATE, 1])
    np.testing.assert_array_equal(second.samples, samples[RATE:, 0])


@pytest.mark.parametrize("source_rate, rate", [(44100, 16000), (8000, 22050), (22254, 16000), (1, 8000), (192000, 8000)])
def test_resampled_clip__is_soxr_in_one_shot_on_the_clip_alone(source_rate, rate):
    samples = noise(3 * source_rate)
    _, clip = load(encode(samples, source_rate), (0.0, 1.0), (1.0, 2.0), rate=rate)
    np.testing.assert_array_equal(clip.samples, soxr.resample(samples[source_rate:, 0], source_rate, rate, "HQ"))


def test_clip__is_cut_to_n_samples_and_never_padded():
    data = encode(noise(RATE), RATE)
    assert len(load(data, (0, 1), n_samples=100)[0].samples) == 100
    assert len(load(data, (0.5, 9), n_samples=100_000)[0].samples) == RATE // 2


def test_levels__peak_clipped_and_silent_shares():
    samples = np.float32([[0, 0.5], [-1, 0.99995], [0, 0], [0.25, -0.9998]])
    info = load(encode(samples))[0].info
    assert info.status == "ok"
    assert (info.peak, info.clipped, info.silent, info.nonfinite) == (1.0, 2 / 8, 3 / 8, 0)


def test_levels__are_of_the_clip_and_not_of_the_recording():
    samples = noise(2 * RATE) * np.float32(0.1)
    samples[RATE + 5] = -1.5
    first, second = load(encode(samples), (0, 1), (1, 1))
    assert first.info.peak < 0.1
    assert second.info.peak == 1.5


def test_silent_clip__keeps_its_samples():
    (clip,) = load(encode(np.zeros((500, 2), np.float32), 44100))
    assert clip.usable
    assert (clip.info.status, clip.info.reason, clip.info.peak, clip.info.silent) == ("silent", "every sample is 0", 0.0, 1.0)
    assert len(clip.samples) == soxr.resample(np.zeros(500, np.float32), 44100, RATE).size


def test_channel_that_is_silent_in_a_recording_that_is_not__is_silent():
    samples = noise(500, 2)
    samples[:, 0] = 0
    data = encode(samples)
    statuses = [load(data, channel=channel)[0].info.status for channel in ("left", "right", "loudest")]
    assert statuses == ["silent", "ok", "ok"]


def test_nonfinite_samples__are_counted_and_kept_at_the_same_rate():
    samples = noise(1000)
    samples[[10, 20, 30]] = np.float32([[np.nan], [np.inf], [-np.inf]])
    (clip,) = load(encode(samples))
    assert (clip.info.status, clip.info.nonfinite) == ("ok", 3)
    assert clip.info.peak == np.abs(samples[np.isfinite(samples)]).max()
    np.testing.assert_array_equal(clip.samples, samples[:, 0])


def test_nonfinite_samples__cannot_be_resampled_and_cost_their_own_clip_only():
    samples = noise(2 * RATE)
    samples[5] = np.nan
    bad, good = load(encode(samples), (0, 1), (1, 1), rate=4000)
    assert (bad.info.status, bad.info.nonfinite, bad.samples.size, bad.usable) == ("nonfinite", 1, 0, False)
    assert good.info.status == "ok"


def test_finite_samples_whose_mix_overflows__are_nonfinite():
    samples = np.full((100, 2), 3e38, np.float32)
    assert load(encode(samples), rate=4000)[0].info.status == "nonfinite"


def test_empty_clips__say_why():
    data = encode(noise(RATE))
    for form in (data, encode(noise(RATE), form="FLAC", subtype="PCM_16")):
        late, tiny = load(form, (1.0, 1.0), (0.5, 1e-9))
        assert (late.info.status, late.info.reason) == ("empty", "the clip starts at 1 s and the recording ends at 1 s")
        assert (tiny.info.status, tiny.info.reason) == ("empty", "the clip is shorter than one sample at 8000 Hz")
        assert (late.samples.size, late.usable, late.info.header_frames) == (0, False, RATE)
    (nothing,) = load(encode(noise(0)))
    assert (nothing.info.status, nothing.info.reason) == ("empty", "the recording holds no samples")


def test_hash__is_equal_for_equal_audio_in_any_container():
    samples = noise(30_000, 2)
    hashes = {load(encode(samples, form=form, subtype="PCM_16"))[0].info.audio_hash for form in ("WAV", "FLAC", "AIFF")}
    assert len(hashes) == 1


def test_hash__tells_samples_rate_and_channels_apart():
    samples = noise(1000)
    changed = samples.copy()
    changed[-1] += 2**-15
    variants = [encode(samples), encode(changed), encode(samples, 16000), encode(samples.reshape(-1, 2))]
    assert len({load(data)[0].info.audio_hash for data in variants}) == 4


def test_failed_clip__knows_only_its_reason():
    clip = failed_clip("unreadable", "no such file")
    assert clip.info == ClipInfo("unreadable", "no such file", *[None] * 9)
    assert (clip.samples.shape, clip.usable) == ((0,), False)


@pytest.mark.skipif(os.name != "posix", reason="names are Unicode on this system")
def test_file_whose_name_is_not_unicode__is_read(tmp_path):
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    try:
        file.write_bytes(encode(noise(10)))
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    assert load(file)[0].info.status == "ok"
