"""What clips are made of beside their place: padding, least length, channels, another sample rate."""

import io

import numpy as np
import pytest
import soundfile
from samples import RATE, RECIPE, ledger_of, noise, write_corpus

from fastspec.audio import Span, load_clips
from fastspec.corpus import read_corpus
from fastspec.frontend import FrontEnd
from fastspec.pipeline import featurize, plan_run, stream_features

# --- padding -----------------------------------------------------------------------------------------------------------------------

PADDED = {
    "zeros": [1, 2, 3, 0, 0, 0, 0, 0],
    "edge": [1, 2, 3, 3, 3, 3, 3, 3],
    "reflect": [1, 2, 3, 2, 1, 2, 3, 2],
    "wrap": [1, 2, 3, 1, 2, 3, 1, 2],
    "repeat": [1, 2, 3, 1, 2, 3, 0, 0],
}


@pytest.mark.parametrize("pad", PADDED)
def test_padding__is_what_its_name_says(tmp_path, pad):
    """In steps of 800 samples: the pattern 1 2 3, padded to 8 steps. A reflection leaves out the outermost sample, not the step."""
    manifest = write_corpus(tmp_path, short=np.repeat(np.float32([1, 2, 3]) / 8, 800))
    recipe = RECIPE.replace(clip_s=0.8, pad=pad)
    (batch,) = stream_features(manifest, recipe)
    expected = np.repeat(np.float32(PADDED[pad]) / 8, 800)
    if pad == "reflect":
        rising = np.repeat(np.float32([1, 2, 3]) / 8, 800)
        period = np.concatenate([rising, rising[-2:0:-1]])
        expected = period[np.arange(6400) % len(period)]
    np.testing.assert_array_equal(batch.features[0], FrontEnd(recipe)(expected))
    assert batch.valid_frames[0] == recipe.spec.n_frames(2400)


@pytest.mark.parametrize("pad", [*PADDED, "frames"])
def test_every_padding__takes_one_sample_whole_clips_and_failed_ones(tmp_path, pad):
    manifest = write_corpus(tmp_path, empty=np.zeros(0, np.float32), one=np.float32([0.5]), whole=noise(8000), longer=noise(8001, seed=1))
    recipe = RECIPE.replace(clip_s=1.0, pad=pad)
    (batch,) = stream_features(manifest, recipe)
    assert [row["status"] for row in batch.rows] == ["empty", "ok", "ok", "ok"]
    assert batch.valid_frames.tolist() == [0, recipe.shape[0], 1, recipe.shape[0]]
    np.testing.assert_array_equal(batch.features[3], FrontEnd(recipe)(noise(8000)))
    assert np.isnan(batch.features[0]).all()
    assert np.isfinite(batch.features[1:]).all()


@pytest.mark.parametrize("policy", [{"last": "pad"}, {"last": "drop"}, {"last": "shift"}, {"last": "pad", "pad": "reflect"}])
def test_valid_frames__are_those_of_each_windows_own_samples(tmp_path, policy):
    manifest = write_corpus(tmp_path, a=noise(19_000), b=noise(3000))
    recipe = RECIPE.replace(clip_s=1.0, hop_s=0.5, **policy)
    (batch,) = stream_features(manifest, recipe)
    own = [
        min(8000, frames - round(row["start_s"] * RATE)) for row in batch.rows for frames in [19_000 if "a.wav" in row["path"] else 3000]
    ]
    usable = [row["status"] == "ok" for row in batch.rows]
    assert batch.valid_frames.tolist() == [ok * recipe.spec.n_frames(n) for ok, n in zip(usable, own, strict=True)]


# --- least length ------------------------------------------------------------------------------------------------------------------


def test_shorter_recording__is_too_short_and_has_no_features(tmp_path):
    manifest = write_corpus(tmp_path, long=noise(8000), short=noise(1999), just=noise(2000))
    (batch,) = stream_features(manifest, RECIPE.replace(clip_s=1.0, min_s=0.25))
    rows = {row["path"]: row for row in batch.rows}
    assert [rows[f"a/{name}.wav"]["status"] for name in ("long", "short", "just")] == ["ok", "too-short", "ok"]
    assert rows["a/short.wav"]["reason"] == "0.250 s of audio, and a clip needs 0.25 s"
    assert rows["a/short.wav"]["decoded_frames"] == 1999
    assert np.isnan(batch.features[2]).all()


def test_recording_shorter_than_a_window__is_too_short_where_the_last_is_dropped(tmp_path):
    manifest = write_corpus(tmp_path, long=noise(8001), short=noise(7999))
    rows = ledger_of(manifest, RECIPE.replace(clip_s=1.0, hop_s=0.5, last="drop"))
    assert [(row["path"], row["status"]) for row in rows] == [("a/long.wav", "ok"), ("a/short.wav", "too-short")]


# --- channels ----------------------------------------------------------------------------------------------------------------------


def test_each_channel__is_a_clip_in_the_same_group(tmp_path):
    stereo = noise(16_000, 2)
    write_corpus(tmp_path, mono=noise(16_000, seed=3), stereo=stereo)
    (tmp_path / "a" / "broken.wav").write_bytes(b"RIFF")
    manifest = read_corpus(tmp_path)
    recipe = RECIPE.replace(clip_s=1.0, hop_s=1.0, channel="each")
    store = featurize(manifest, tmp_path / "s.zarr", recipe=recipe)
    rows = store.ledger.select("path", "group", "start_s", "channel", "status").rows()
    assert rows == [
        ("a/broken.wav", "a/broken.wav", 0.0, None, "unreadable"),
        *(("a/mono.wav", "a/mono.wav", start, 0, "ok") for start in (0.0, 1.0)),
        *(("a/stereo.wav", "a/stereo.wav", start, channel, "ok") for start in (0.0, 1.0) for channel in (0, 1)),
    ]
    for clip, (start, channel) in enumerate([(0, 0), (0, 1), (8000, 0), (8000, 1)], start=3):
        np.testing.assert_array_equal(store.features[clip], FrontEnd(recipe)(np.ascontiguousarray(stereo[start : start + 8000, channel])))
    assert store.ledger["duplicate_of"].null_count() == len(store)


def test_channel_that_is_gone_when_its_turn_comes__costs_its_clip_alone(tmp_path):
    manifest = write_corpus(tmp_path, stereo=noise(8000, 2), twin=noise(16_000, 2, seed=1))
    plan = plan_run(manifest, RECIPE.replace(clip_s=1.0, hop_s=1.0, channel="each"))
    write_corpus(tmp_path, stereo=noise(8000), twin=noise(16_000))
    ledger = featurize(plan, tmp_path / "s.zarr", recipe=plan.layout.recipe).ledger
    assert ledger["status"].to_list() == ["ok", "empty"] * 3
    assert set(ledger["reason"].drop_nulls()) == {"channel 2 is wanted of a recording of 1 channel"}


def test_equal_channels__are_duplicates(tmp_path):
    manifest = write_corpus(tmp_path, twin=np.repeat(noise(8000)[:, None], 2, axis=1))
    store = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE.replace(clip_s=1.0, channel="each"))
    assert store.ledger["duplicate_of"].to_list() == [None, 0]


LEFT, RIGHT = noise(8000), noise(8000, seed=1)
FAULTS = {
    "antiphase": ([LEFT, -0.8 * LEFT + 0.05 * RIGHT], "channels 1 and 2 are in antiphase"),
    "dead": ([LEFT, 1e-5 * RIGHT], "channel 2 is dead"),
    "dead with an offset": ([0.3 + 0 * LEFT, LEFT], "channel 1 is dead"),
    "both": ([LEFT, 0 * LEFT, -0.8 * LEFT], "channel 2 is dead, channels 1 and 3 are in antiphase"),
    "quiet": ([LEFT, 0.01 * RIGHT], None),
    "unlike": ([LEFT, RIGHT], None),
    "in phase": ([LEFT, 0.5 * LEFT], None),
    "half opposed": ([LEFT, RIGHT - LEFT], None),
    "not finite": ([LEFT, np.where(np.arange(8000) == 9, np.nan, -LEFT)], None),
    "silent": ([0 * LEFT, 0 * LEFT], "every sample is 0"),
    "cancelled": ([LEFT, -LEFT], "every sample of the mixed channel is 0; channels 1 and 2 are in antiphase"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_channel_faults__are_told_in_the_ledger(tmp_path, name):
    channels, reason = FAULTS[name]
    manifest = write_corpus(tmp_path, a=np.stack(channels, axis=1).astype(np.float32))
    (row,) = ledger_of(manifest, RECIPE.replace(clip_s=1.0))
    assert (row["status"], row["reason"]) == ("silent" if name in ("silent", "cancelled") else "ok", reason)


def test_store__counts_remarks_of_clips_that_are_ok(tmp_path):
    opposed = np.stack([LEFT, -0.5 * LEFT], axis=1)
    manifest = write_corpus(tmp_path, a=opposed, b=0.5 * opposed, c=np.stack([LEFT, RIGHT], axis=1), d=np.stack([LEFT, 0 * LEFT], axis=1))
    store = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE.replace(clip_s=1.0))
    assert store.status_counts() == {"ok": 4}
    assert store.remark_counts() == {"channels 1 and 2 are in antiphase": 2, "channel 2 is dead": 1}  # most frequent first


# --- resampling --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source_rate", [1, 50, 8000, 22254, 44100, 192_000, 384_000, 2_822_400])
@pytest.mark.parametrize("rate", [1000, 16_000, 48_000])
def test_resampled_clip__is_as_long_as_it_lasts(source_rate, rate):
    frames = 2 * source_rate + (source_rate > 50)
    data = io.BytesIO()
    soundfile.write(data, noise(frames), source_rate, format="WAV", subtype="FLOAT")
    (clip,) = load_clips(data.getvalue(), [Span(0.0, 9.0)], sample_rate=rate, channel="mean", resample="HQ", n_samples=10**9)
    assert len(clip.samples) == (2 * frames * rate + source_rate) // (2 * source_rate)


def test_resampler_quality__decides_values_and_digest():
    t = np.arange(44_100) / 44_100
    data = io.BytesIO()
    soundfile.write(data, 0.5 * np.sin(2 * np.pi * 9000 * t), 44_100, format="WAV", subtype="FLOAT")
    recipes = {quality: RECIPE.replace(clip_s=1.0, resample=quality) for quality in ("QQ", "LQ", "MQ", "HQ", "VHQ")}
    aliased = {}
    for quality in recipes:
        (clip,) = load_clips(data.getvalue(), [Span(0, 1)], sample_rate=16_000, channel="mean", resample=quality, n_samples=16_000)
        aliased[quality] = float(np.sqrt(np.mean(clip.samples[4000:12000] ** 2)))
    # 9 kHz is above half of the new rate, so all that is left of it is an error: 100 dB less at the best quality than at the quickest.
    assert aliased["VHQ"] < aliased["HQ"] * 1.01 < 1e-4 < 0.1 < aliased["QQ"]
    assert len(set(aliased.values())) == 5
    assert len({recipe.digest() for recipe in recipes.values()}) == 5
