"""Every clip policy on real recordings: what NumPy and soxr make of the decoded samples, in a few plain lines, bit for bit."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
import soxr

from fastspec import FrontEnd, featurize, preset, read_corpus, scan

pytestmark = pytest.mark.corpus
RECIPE = preset("librosa", n_mels=16, clip_s=2.0, sample_rate=16_000, center=False)


@pytest.fixture(scope="module")
def files(corpus) -> list[Path]:
    """Twelve Ogg recordings of a game's actors: stereo at 44,100 Hz, and mono at 22,050 Hz."""
    paths = sorted(path for path in corpus("fish").rglob("cs/*.ogg") if path.stat().st_size > 4000)
    stereo = [path for path in paths if soundfile.info(path).channels == 2][::9][:8]
    mono = [path for path in paths if soundfile.info(path).channels == 1][::97][:4]
    assert len(stereo + mono) == 12
    return stereo + mono


@pytest.fixture
def manifest(files, tmp_path):
    pl.DataFrame({"path": [str(file) for file in files]}).write_csv(tmp_path / "t.csv")
    return read_corpus(tmp_path / "t.csv")


def decode(file):
    """`(samples, channels)`, in blocks of the size that fastspec decodes in, since a Vorbis decoder's last bits depend on it."""
    return np.concatenate(list(soundfile.blocks(file, blocksize=65536, dtype="float32", always_2d=True))), soundfile.info(file).samplerate


def features_of(mono, rate, recipe):
    """The definition of a clip's features: resampled alone, cut or padded by zeros."""
    samples = mono if rate == 16_000 else soxr.resample(mono, rate, 16_000, recipe.clip.resample)
    samples = samples[: recipe.n_samples]
    return FrontEnd(recipe)(np.pad(samples, (0, recipe.n_samples - len(samples))))


def check(manifest, files, recipe, tmp_path, clips_of):
    """That the store's clips are those of each file in turn; `clips_of(samples, rate)` yields start_s and one channel's samples."""
    store = featurize(manifest, tmp_path / "s.zarr", recipe=recipe)
    expected = [(start_s, mono, rate) for samples, rate in map(decode, files) for start_s, mono in clips_of(samples, rate)]
    assert store.ledger["status"].to_list() == ["ok"] * len(expected)
    assert store.ledger["start_s"].to_list() == pytest.approx([start_s for start_s, _, _ in expected], abs=1e-12)
    for found, (_, mono, rate) in zip(store.features[:], expected, strict=True):
        np.testing.assert_array_equal(found, features_of(np.ascontiguousarray(mono), rate, recipe))
    return store


CHANNELS = {
    "mean": lambda x: (x[:, 0] + x[:, 1]) / np.float32(2),
    "left": lambda x: x[:, 0],
    "right": lambda x: x[:, 1],
    "loudest": lambda x: x[:, int((x.astype(np.float64) ** 2).sum(axis=0).argmax())],
}


@pytest.mark.parametrize("channel", CHANNELS)
def test_one_channel_of_stereo__is_what_its_name_says(manifest, files, tmp_path, channel):
    def clips_of(samples, rate):
        source = samples[: 2 * rate]
        yield 0.0, source[:, 0] if source.shape[1] == 1 else CHANNELS[channel](source)

    check(manifest, files, RECIPE.replace(channel=channel), tmp_path, clips_of)


def test_each_channel__is_a_clip_of_its_recording(manifest, files, tmp_path):
    def clips_of(samples, rate):
        yield from ((0.0, column) for column in samples[: 2 * rate].T)

    store = check(manifest, files, RECIPE.replace(channel="each"), tmp_path, clips_of)
    assert len(store) == 20
    assert store.ledger["channel"].to_list() == [0, 1] * 8 + [0] * 4
    assert store.ledger["group"].to_list() == store.ledger["path"].to_list()


@pytest.mark.parametrize("last", ["pad", "drop", "shift"])
def test_windows__begin_and_end_where_they_say(manifest, files, tmp_path, last):
    recipe = RECIPE.replace(clip_s=0.5, hop_s=0.25, last=last, channel="left")

    def clips_of(samples, rate):
        length, k = round(0.5 * rate), 0
        while round(k * 0.25 * rate) + length <= len(samples):
            yield 0.25 * k, samples[round(k * 0.25 * rate) :, 0][:length]
            k += 1
        start = round(k * 0.25 * rate)
        if start + length - round(0.25 * rate) < len(samples) and last == "pad":
            yield 0.25 * k, samples[start:, 0]
        if start + length - round(0.25 * rate) < len(samples) and last == "shift":
            yield (len(samples) - length) / rate, samples[-length:, 0]

    store = check(manifest, files, recipe, tmp_path, clips_of)
    assert len(store) > 24
    assert store.ledger.group_by("path").agg(pl.col("group").n_unique())["group"].max() == 1


@pytest.mark.parametrize("crop", ["start", "center", "end"])
def test_crop__takes_the_stretch_that_it_names(manifest, files, tmp_path, crop):
    def clips_of(samples, rate):
        spare = len(samples) - round(0.4 * rate)
        start = {"start": 0, "center": spare // 2, "end": spare}[crop]
        yield start / rate, samples[start : start + round(0.4 * rate), 0]

    check(manifest, files, RECIPE.replace(clip_s=0.4, crop=crop, channel="left"), tmp_path, clips_of)


@pytest.mark.parametrize("quality", ["QQ", "LQ", "MQ", "HQ", "VHQ"])
def test_resampler__is_soxr_of_that_quality(manifest, files, tmp_path, quality):
    recipe = RECIPE.replace(resample=quality, channel="left")
    check(manifest, files, recipe, tmp_path, lambda samples, rate: [(0.0, samples[: 2 * rate, 0])])


@pytest.mark.parametrize("pad", ["zeros", "edge", "reflect", "wrap", "repeat"])
def test_padding__is_what_its_name_says(manifest, files, tmp_path, pad):
    recipe = RECIPE.replace(clip_s=15.0, pad=pad, channel="left")
    store = featurize(manifest, tmp_path / "s.zarr", recipe=recipe)
    for found, valid, (samples, rate) in zip(store.features[:], store.valid_frames[:], map(decode, files), strict=True):
        mono = soxr.resample(np.ascontiguousarray(samples[:, 0]), rate, 16_000, "HQ")
        missing = recipe.n_samples - len(mono)
        copies = recipe.n_samples // len(mono)
        padded = {
            "zeros": lambda mono=mono, missing=missing: np.pad(mono, (0, missing)),
            "repeat": lambda mono=mono, copies=copies: np.pad(np.tile(mono, copies), (0, recipe.n_samples - copies * len(mono))),
        }.get(pad, lambda mono=mono, missing=missing: np.pad(mono, (0, missing), pad))()
        np.testing.assert_array_equal(found, FrontEnd(recipe)(padded))
        assert valid == recipe.spec.n_frames(len(mono))


def test_least_length__refuses_the_shorter_recordings(manifest, files, tmp_path):
    lengths = [soundfile.info(file).duration for file in files]
    least = sorted(lengths)[6]
    store = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE.replace(min_s=float(least), clip_s=15.0))
    assert store.ledger["status"].to_list() == ["ok" if length >= least else "too-short" for length in lengths]


def test_twenty_second_chunks_of_a_long_mp3__are_slices_of_its_decode(files, tmp_path):
    """Real prompts, one behind the other, for a minute and a half: chunks must lie where decoding says, not where the header does."""
    joined = np.concatenate([decode(file)[0][:, 0] for file in files if soundfile.info(file).channels == 2])
    soundfile.write(tmp_path / "long.mp3", np.resize(joined, 90 * 44_100), 44_100)
    recipe = RECIPE.replace(clip_s=20.0, hop_s=20.0)
    store = featurize(read_corpus(tmp_path), tmp_path / "s.zarr", recipe=recipe)
    samples, rate = soundfile.read(tmp_path / "long.mp3", dtype="float32")
    chunks = [samples[start : start + 20 * rate] for start in range(0, len(samples), 20 * rate)]
    assert store.ledger["start_s"].to_list() == [0.0, 20.0, 40.0, 60.0, 80.0]
    # The last bits of an MP3 depend on how many frames are asked for at once; a sample more or less would be 1 dB and more.
    for found, chunk in zip(store.features[:], chunks, strict=True):
        np.testing.assert_allclose(found, features_of(chunk, rate, recipe), atol=0.01)


def test_scan_of_real_recordings__agrees_with_the_ledger(manifest, tmp_path):
    ledger = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE.replace(clip_s=15.0)).ledger
    found = scan(manifest).manifest.found
    for column in ("status", "reason", "sample_rate", "channels", "peak", "silent", "audio_hash", "duplicate_of"):
        assert found[column].to_list() == ledger[column].to_list(), column
    assert found["frames"].to_list() == ledger["decoded_frames"].to_list()


def test_dead_channels_and_copies_of_stamps__are_found(corpus):
    """755 of the 7,873 have one silent channel; here those of three folders, told by their samples alone."""
    root = next(corpus("stamps").rglob("stamps/animals/amphibians")).parent
    report = scan(read_corpus(root / "amphibians"))
    files = sorted((root / "amphibians").rglob("*.ogg"))
    dead, seen, copies = 0, set(), 0
    for file in files:
        samples, rate = decode(file)
        spread = samples.astype(np.float64).var(axis=0)
        dead += bool(spread.max() > 0 and spread.min() < 1e-6 * spread.max())
        copies += (rate, samples.tobytes()) in seen
        seen.add((rate, samples.tobytes()))
    remarks = {row["remark"]: row["clips"] for row in report.remarks}
    assert dead > 0
    assert remarks["a dead channel"] == dead
    assert remarks.get("copies of an earlier clip", 0) == copies > 0


def test_language_of_stamps__is_told_by_the_header(corpus):
    """The corpus whose labels leak through the container; the spoken language is in the file name."""
    root = next(corpus("stamps").rglob("stamps/animals"))
    report = scan(read_corpus(root, label_from=r"_desc_([a-z]+(?:_[A-Z]+)?)\.", group_from=r"(.+?)(?:_desc\w*)?\.\w+$"))
    assert {problem.kind for problem in report.spoiling} >= {"header-leak", "copies-across-groups"}
    assert report.header is not None
    assert report.header.encoding_low > report.header.majority + 0.02
