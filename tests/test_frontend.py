"""What a front end takes, refuses and promises, whatever its spec."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from signals import golden_signals

from fastspec.errors import SamplesError, SpecError
from fastspec.frontend import FrontEnd, features
from fastspec.kernels.extract import extract
from fastspec.presets import preset
from fastspec.spec import FeatureSpec

SPEC = FeatureSpec(win_length=400)


@pytest.fixture(scope="module")
def front():
    return FrontEnd(SPEC)


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(3).standard_normal((5, 4321)).astype(np.float32)


@pytest.mark.parametrize("spec", [SPEC, preset("kaldi").spec, preset("nemo").spec, SPEC.replace(remove_dc="clip")])
def test_clip__has_the_same_bits_alone_and_in_any_batch(spec, clips):
    front = FrontEnd(spec)
    whole = front.batch(clips)
    for i, clip in enumerate(clips):
        assert front(clip).tobytes() == whole[i].tobytes()
    assert front.batch(clips[3:1:-1]).tobytes() == whole[3:1:-1].tobytes()


def test_threads__share_one_front_end_and_agree(front, clips):
    alone = front.batch(clips).tobytes()
    with ThreadPoolExecutor(8) as pool:
        assert {result.tobytes() for result in pool.map(lambda _: front.batch(clips), range(32))} == {alone}


def test_vector_widths__agree_within_rounding(clips):
    widths = [FrontEnd(SPEC, lanes=w).batch(clips) for w in (4, 8, 16)]
    np.testing.assert_allclose(widths[0], widths[2], rtol=0, atol=1e-5)
    np.testing.assert_allclose(widths[1], widths[2], rtol=0, atol=1e-5)


def test_int16__is_scaled_to_one(front):
    whole = (golden_signals(4000, 16000)["noise"] * 20000).astype(np.int16)
    np.testing.assert_array_equal(front(whole), front(whole.astype(np.float32) / 32768))


def test_read_only_and_strided_samples__are_taken_without_another_compilation(front, clips):
    expected, before = front.batch(clips), len(extract.signatures)
    frozen = clips.copy()
    frozen.flags.writeable = False
    strided = np.repeat(clips, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(front.batch(frozen), expected)
    np.testing.assert_array_equal(front.batch(strided), expected)
    assert len(extract.signatures) == before


def test_samples__are_left_unchanged(front, clips):
    before = clips.tobytes()
    front.batch(clips)
    assert clips.tobytes() == before


def test_out__is_written_and_returned(front, clips):
    out = np.full((5, *SPEC.shape(4321)), np.nan, np.float32)
    assert front.batch(clips, out) is out
    np.testing.assert_array_equal(out, front.batch(clips))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 2000, 4320])
def test_nonfinite_sample__makes_exactly_the_frames_that_see_it_nan(front, clips, bad, position):
    broken = clips.copy()
    broken[2, position] = bad
    ours, clean = front.batch(broken), front.batch(clips)
    starts = np.arange(ours.shape[1]) * SPEC.hop_length - 200
    mirrored = {position, -position, 2 * 4320 - position}
    sees = np.array([any(start <= p < start + 400 for p in mirrored) for start in starts])
    assert np.isnan(ours[2][sees]).all()
    np.testing.assert_array_equal(ours[2][~sees], clean[2][~sees])
    np.testing.assert_array_equal(np.delete(ours, 2, axis=0), np.delete(clean, 2, axis=0))


def test_nonfinite_sample__spoils_the_next_one_where_the_signal_is_pre_emphasised(clips):
    front = FrontEnd(SPEC.replace(preemphasis=0.97, preemphasis_mode="signal", remove_dc="clip", center=False, frame_span="window"))
    broken = clips[:1].copy()
    broken[0, 1599] = np.nan
    lost = np.isnan(front(broken[0])).all(axis=1)
    starts = np.arange(len(lost)) * SPEC.hop_length
    np.testing.assert_array_equal(lost, (starts <= 1600) & (starts + 400 > 1599))


def test_nonfinite_sample__stays_out_of_band_statistics(clips):
    front = FrontEnd(SPEC.replace(normalize="per_band"))
    broken = clips[:1].copy()
    broken[0, 2000] = np.inf
    ours = front.batch(broken)[0]
    seen = np.isnan(ours).all(axis=1)
    assert 0 < seen.sum() < len(ours)
    np.testing.assert_allclose(ours[~seen].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(ours[~seen].std(axis=0, ddof=1), 1, atol=1e-4)


def test_nonfinite_sample__stays_out_of_the_clip_maximum():
    front, y = FrontEnd(preset("librosa")), golden_signals(22050, 22050)["noise"].copy()
    y[11025] = np.inf
    ours = front(y)
    assert np.isfinite(np.nanmax(ours))
    assert np.nanmin(ours) >= np.nanmax(ours) - 80


def test_all_samples_nonfinite__is_all_nan(front):
    assert np.isnan(front(np.full(1000, np.nan, np.float32))).all()


@pytest.mark.parametrize(
    "samples, words",
    [
        (np.zeros(0, np.float32), "empty"),
        (np.zeros((2, 100), np.float32), r"\(2, 100\)"),
        (np.zeros(100), "float64"),
        (np.zeros(100, np.int32), "int32"),
        (np.array(["a"]), "<U1"),
    ],
)
def test_samples_that_cannot_be_taken__are_named(front, samples, words):
    with pytest.raises(SamplesError, match=words):
        front(samples)


def test_out_of_another_shape__is_refused(front, clips):
    with pytest.raises(SamplesError, match=r"\(5, 28, 80\)"):
        front.batch(clips, np.zeros((5, 3, 80), np.float32))


def test_empty_mel_bands__are_refused_unless_asked_for():
    spec = FeatureSpec(n_fft=128, n_mels=80)
    with pytest.raises(SpecError, match="hold no bin"):
        FrontEnd(spec)
    assert (FrontEnd(spec.replace(allow_empty_bands=True, log="none"))(np.ones(500, np.float32)) == 0).any(axis=0).sum() > 10


def test_front_end__survives_pickling(front, clips):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(front)).batch(clips), front.batch(clips))  # noqa: S301 - our own bytes


def test_features__resamples_to_the_rate_of_the_preset():
    tone = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100).astype(np.float32)
    ours = features(tone, 44100, "librosa")
    assert ours.shape == (44, 128)
    hertz_of_loudest = 1000
    from fastspec.filters import mel_edges_hz

    edges = mel_edges_hz(preset("librosa").spec)
    loudest = int(ours[20].argmax())
    assert edges[loudest] < hertz_of_loudest < edges[loudest + 2]


def test_features_of_several_channels__are_refused():
    with pytest.raises(SamplesError, match="one channel"):
        features(np.zeros((100, 2), np.float32), 16000)
