"""Blocks beyond the mel bank: against float64, side by side, around samples that are not finite, against the projects they come from."""

from concurrent.futures import ThreadPoolExecutor

import naive_descriptors
import numpy as np
import pytest
import soundfile
import soxr
from signals import golden_signals

from fastspec.frontend import FrontEnd
from fastspec.kernels.descriptors import count_crossings, describe_spectra, find_peaks, sum_squares
from fastspec.kernels.temporal import apply_matrix, smooth_frames, weigh_frames
from fastspec.presets import preset
from fastspec.references import importing
from fastspec.spec import FeatureSpec

SPEECH = FeatureSpec(win_length=400, tuning=0.0)
BLOCKS = ("mfcc", "pcen", "chroma", "centroid", "bandwidth", "rolloff", "flatness", "zcr", "rms")
EVERY = ("mel", "stft", *BLOCKS)
RATE = SPEECH.sample_rate
# What float32 may miss, in the unit of the block: cepstra gather the errors of all bands, and a frequency is a share of 8000 Hz.
TOLERANCES = {"mfcc": 1e-3, "pcen": 2e-4, "chroma": 1e-4, "centroid": 0.5, "bandwidth": 0.5, "flatness": 1e-4, "zcr": 1e-7, "rms": 1e-6}


def compute(samples, **changes):
    return FrontEnd(SPEECH.replace(**changes))(samples)


def assert_close(ours, truth, block):
    assert ours.shape == truth.shape
    if block == "rolloff":
        # A bin's share that is the threshold but for rounding is on either side of it; those beside it hold next to nothing.
        assert np.mean(np.abs(ours - truth) > 1e-3) <= 0.02
    else:
        np.testing.assert_allclose(ours, truth, rtol=1e-5, atol=TOLERANCES[block])


# --- against float64 --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("signal", sorted(golden_signals(10, RATE)))
def test_golden_signal__matches_float64(block, signal):
    samples = golden_signals(3200, RATE)[signal]
    spec = SPEECH.replace(features=block, log="db", top_db=80.0)
    ours, truth = FrontEnd(spec)(samples), naive_descriptors.block(block, samples, spec)
    if block == "rms" or not is_ill_posed(block, signal):
        assert_close(ours, truth, block)
    assert np.isfinite(ours).all()


def is_ill_posed(block, signal):
    """Whether float64 itself could not tell the answer: silent but for rounding, or all bins but a few."""
    return signal == "denormals" or (block == "rolloff" and signal in ("tone_near_nyquist", "alternation"))


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("length", [1, 2, 159, 160, 161, 255, 256, 257, 399, 400, 511, 512, 513, 2559, 2560, 2561])
def test_boundary_length__matches_float64(block, length):
    samples = golden_signals(length, RATE)["noise"]
    assert_close(compute(samples, features=block), naive_descriptors.block(block, samples, SPEECH.replace(features=block)), block)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize(
    "framing",
    [
        {"center": False},
        {"center": False, "frame_span": "window"},
        {"center_on": "half_hop", "frame_span": "window", "pad_mode": "symmetric"},
        {"pad_mode": "constant", "drop_last_frame": True},
        {"n_fft": 405, "win_length": 399, "hop_length": 77, "sample_scale": 32768.0},
        {"hop_length": 700, "center_on": "half_hop"},
        {"remove_dc": "clip", "preemphasis": 0.97, "preemphasis_mode": "signal"},
    ],
    ids=lambda framing: "-".join(f"{k}={v}" for k, v in framing.items()),
)
def test_framing__is_that_of_the_spec(block, framing):
    samples = golden_signals(4321, RATE)["dc_offset"]
    spec = SPEECH.replace(features=block, **framing)
    ours, truth = FrontEnd(spec)(samples), naive_descriptors.block(block, samples, spec)
    assert_close(ours / spec.sample_scale, truth / spec.sample_scale, block) if block == "rms" else assert_close(ours, truth, block)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_mfcc": 80, "lifter": 22.0},
        {"lifter": 22.0, "lifter_shape": "kaldi"},
        {"log": "ln", "log_floor": 1e-6, "log_floor_mode": "add"},
        {"log": "db", "top_db": 20.0},
        {"mfcc_energy": True, "log": "ln"},
        {"mfcc_energy": True, "remove_dc": "frame", "preemphasis": 0.97, "center": False, "frame_span": "window"},
        {"mfcc_energy": True, "remove_dc": "clip", "log": "db"},
        {"normalize": "fixed", "norm_mean": 3.0, "norm_std": 2.0},
    ],
    ids=lambda changes: "-".join(f"{k}={v}" for k, v in changes.items()),
)
def test_cepstra__follow_their_settings(changes):
    samples = golden_signals(4321, RATE)["dc_offset"]
    spec = SPEECH.replace(features="mfcc", **changes)
    assert_close(FrontEnd(spec)(samples), naive_descriptors.block("mfcc", samples, spec), "mfcc")


@pytest.mark.parametrize(
    "changes",
    [
        {"pcen_power": 0.0},
        {"pcen_bias": 0.0},
        {"pcen_gain": 0.0, "pcen_power": 1.0},
        {"pcen_time_constant": 0.06, "pcen_eps": 1e-3},
        {"power": 1.0, "sample_scale": 32768.0},
    ],
    ids=lambda changes: "-".join(f"{k}={v}" for k, v in changes.items()),
)
def test_energy_normalisation__follows_its_settings(changes):
    samples = golden_signals(8000, RATE)["noise"]
    spec = SPEECH.replace(features="pcen", **changes)
    np.testing.assert_allclose(FrontEnd(spec)(samples), naive_descriptors.pcen(samples, spec), rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("changes", [{"tuning": -0.3}, {"n_chroma": 24, "tuning": 0.25}, {"n_fft": 511}, {"n_chroma": 36}])
def test_chroma__follows_its_settings(changes):
    samples = golden_signals(8000, RATE)["noise"]
    spec = SPEECH.replace(features="chroma", **changes)
    assert_close(FrontEnd(spec)(samples), naive_descriptors.chroma(samples, spec), "chroma")


@pytest.mark.parametrize("n_frames", [1, 2, 3, 4, 5, 8, 9, 10, 30])
@pytest.mark.parametrize("method, width", [("savgol", 9), ("savgol", 3), ("kaldi", 5), ("kaldi", 9)])
def test_deltas__match_float64_in_clips_of_any_length(method, width, n_frames):
    samples = golden_signals((n_frames - 1) * 160 + 1, RATE)["noise"]
    spec = SPEECH.replace(deltas=2, delta_width=width, delta_method=method)
    ours, parts = FrontEnd(spec)(samples), spec.parts()
    assert len(ours) == n_frames
    for order, name in ((1, "mel_delta"), (2, "mel_delta2")):
        truth = naive_descriptors.deltas(ours[:, parts["mel"]].astype(np.float64), spec, order)
        np.testing.assert_allclose(ours[:, parts[name]], truth, rtol=0, atol=1e-5)


# --- by physics -------------------------------------------------------------------------------------------------------------------------


def test_tone__has_its_centroid_rolloff_chroma_level_and_crossings():
    t = np.arange(RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    spec = SPEECH.replace(features=("centroid", "rolloff", "chroma", "rms", "zcr", "flatness"), n_fft=2048, win_length=2048, hop_length=512)
    ours, parts = FrontEnd(spec)(tone)[4:-4], spec.parts()
    assert np.abs(ours[:, parts["centroid"]] - 440).max() < 10
    assert np.abs(ours[:, parts["rolloff"]] - 440).max() < 2 * RATE / 2048
    assert (ours[:, parts["chroma"]].argmax(axis=1) == 9).all()  # A
    np.testing.assert_allclose(ours[:, parts["rms"]], 0.5 / np.sqrt(2), rtol=1e-2)
    np.testing.assert_allclose(ours[:, parts["zcr"]], 2 * 440 / RATE, rtol=0.02)
    assert ours[:, parts["flatness"]].max() < 1e-3


@pytest.mark.parametrize("tuning", [-0.4, 0.0, 0.3])
def test_tuning__is_estimated_from_the_clip(tuning):
    hz = 440 * 2 ** ((tuning + 0.005 + np.array([0, 4, 7])) / 12)  # in the middle of a hundredth
    chord = np.sin(2 * np.pi * hz[:, None] * np.arange(2 * RATE) / RATE).sum(axis=0).astype(np.float32) / 4
    spec = SPEECH.replace(features="chroma", n_fft=4096, win_length=4096, hop_length=1024)
    estimated = FrontEnd(spec.replace(tuning=None))(chord)
    fixed = [FrontEnd(spec.replace(tuning=tuning + step))(chord) for step in (-0.02, -0.01, 0.0, 0.01, 0.02)]
    assert min(np.abs(estimated - other).max() for other in fixed) < 1e-6


def test_straight_line__has_its_slope_everywhere_and_no_curvature():
    samples = (1e-3 * 2 ** (np.arange(4000) / 160)).astype(np.float32)  # doubles every hop
    spec = SPEECH.replace(deltas=2, center=False, log_floor=1e-30)
    ours, parts = FrontEnd(spec)(samples), spec.parts()
    np.testing.assert_allclose(ours[:, parts["mel_delta"]], 2 * np.log10(2), atol=1e-4)
    np.testing.assert_allclose(ours[:, parts["mel_delta2"]], 0, atol=1e-4)


def test_silence__has_no_spectrum_to_describe():
    spec = SPEECH.replace(features=("centroid", "bandwidth", "rolloff", "flatness", "zcr", "rms", "chroma"), tuning=None)
    ours = FrontEnd(spec)(np.zeros(1000, np.float32))
    np.testing.assert_array_equal(ours, np.tile([0, 0, 0, 1, 0, 0, *[0] * 12], (len(ours), 1)))


# --- side by side -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["none", "fixed"])
def test_blocks__stand_side_by_side_as_each_is_alone(normalize):
    samples = golden_signals(8000, RATE)["clipping"]
    spec = SPEECH.replace(features=EVERY, deltas=2, normalize=normalize, norm_std=2.0, tuning=None)
    ours = FrontEnd(spec)(samples)
    assert ours.shape == spec.shape(8000)
    for block in EVERY:
        alone = spec.replace(features=block)
        rows = FrontEnd(alone)(samples)
        for name, part in alone.parts().items():
            np.testing.assert_array_equal(ours[:, spec.parts()[name]], rows[:, part])


def test_mel_among_blocks__is_the_fused_one_to_the_bit():
    samples = golden_signals(8000, RATE)["chirp"]
    np.testing.assert_array_equal(compute(samples, features=("rms", "mel"))[:, 1:], compute(samples))


def test_normalisation_by_band__comes_last_in_every_block():
    spec = SPEECH.replace(features=("mel", "mfcc", "rms"), deltas=1, normalize="per_band")
    ours = FrontEnd(spec)(golden_signals(8000, RATE)["clipping"])
    np.testing.assert_allclose(ours.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(ours.std(axis=0, ddof=1), 1, rtol=2e-2)


def test_clip__has_the_same_bits_alone_and_in_any_batch():
    clips = np.random.default_rng(3).standard_normal((5, 4321)).astype(np.float32)
    clips[3, 17] = np.nan
    front = FrontEnd(SPEECH.replace(features=EVERY, deltas=2, tuning=None))
    whole = front.batch(clips)
    for i, clip in enumerate(clips):
        assert front(clip).tobytes() == whole[i].tobytes()
    assert front.batch(clips[4:1:-1]).tobytes() == whole[4:1:-1].tobytes()


def test_threads__share_one_front_end_and_agree():
    clips = np.random.default_rng(3).standard_normal((4, 4321)).astype(np.float32)
    front = FrontEnd(SPEECH.replace(features=EVERY, deltas=1, tuning=None))
    alone = front.batch(clips).tobytes()
    with ThreadPoolExecutor(4) as pool:
        assert {result.tobytes() for result in pool.map(lambda _: front.batch(clips), range(12))} == {alone}


def test_clip_too_short_for_a_frame__has_none():
    assert compute(np.ones(100, np.float32), features=EVERY, center=False, deltas=1).shape == (
        0,
        2 * SPEECH.replace(features=EVERY).n_bands,
    )


def test_kernels_of_blocks__are_compiled_once_whatever_the_spec():
    samples = golden_signals(3200, RATE)["noise"]
    for changes in ({}, {"n_fft": 405, "win_length": 399, "hop_length": 77, "tuning": None, "delta_method": "kaldi"}, {"center": False}):
        compute(samples, features=EVERY, deltas=2, **changes)
        compute(samples.astype(np.float32)[::2], features=EVERY, mfcc_energy=True, remove_dc="frame", **changes)
    for kernel in (apply_matrix, smooth_frames, weigh_frames, describe_spectra, find_peaks, count_crossings, sum_squares):
        assert len(getattr(kernel, "signatures", [None])) == 1  # one that is not compiled has none


# --- samples that are not finite --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("position", [0, 2000, 4320])
def test_nonfinite_sample__makes_its_frames_nan_in_every_block_and_no_other(bad, position):
    samples = golden_signals(4321, RATE)["noise"].copy()
    spec = SPEECH.replace(features=EVERY, deltas=2)
    clean = FrontEnd(spec)(samples)
    samples[position] = bad
    ours = FrontEnd(spec)(samples)
    starts = np.arange(len(ours)) * 160 - 256
    # zcr and rms see all 512 samples of a frame; what lies beyond the clip's ends is not counted twice.
    sees = (starts <= position) & (position < starts + 512)
    np.testing.assert_array_equal(np.isnan(ours), np.broadcast_to(sees[:, None], ours.shape))
    for block in ("mel", "stft", "mfcc", "chroma", "centroid", "flatness", "zcr", "rms"):
        part = spec.parts()[block]
        np.testing.assert_array_equal(ours[~sees, part], clean[~sees, part])


def test_lost_frame__leaves_smoothing_as_it_was():
    samples = golden_signals(16000, RATE)["noise"].copy()
    samples[8000] = np.nan
    spec = SPEECH.replace(features="pcen")
    ours = FrontEnd(spec)(samples)
    lost = np.isnan(ours[:, 0])
    assert 0 < lost.sum() < 5
    mel = FrontEnd(spec.replace(features="mel", log="none"))(samples).astype(np.float64)
    t = 0.4 * RATE / 160
    share, smooth = (np.sqrt(1 + 4 * t**2) - 1) / (2 * t**2), np.ones(80)
    for row in mel[~lost]:
        smooth = (1 - share) * smooth + share * row
    last = (mel[-1] / (1e-6 + smooth) ** 0.98 + 2) ** 0.5 - 2**0.5
    np.testing.assert_allclose(ours[-1], last, rtol=1e-5, atol=1e-6)


def test_lost_frames__are_bridged_by_a_straight_line_in_deltas():
    samples = golden_signals(4000, RATE)["noise"].copy()
    samples[2000] = np.nan
    spec = SPEECH.replace(deltas=1)
    ours, parts = FrontEnd(spec)(samples), spec.parts()
    mel = ours[:, parts["mel"]].astype(np.float64)
    lost = np.isnan(mel[:, 0])
    for band in range(80):
        mel[lost, band] = np.interp(np.flatnonzero(lost), np.flatnonzero(~lost), mel[~lost, band])
    truth = naive_descriptors.deltas(mel, spec, 1)
    np.testing.assert_allclose(ours[~lost, parts["mel_delta"]], truth[~lost], rtol=0, atol=1e-5)


def test_all_samples_nonfinite__is_all_nan():
    assert np.isnan(compute(np.full(1000, np.nan, np.float32), features=EVERY, deltas=2, tuning=None)).all()


# --- against the projects that they come from -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def librosa():
    return pytest.importorskip("librosa")


def librosa_rows(librosa, y, spec, power=2.0):
    """What each of librosa's functions gives with the spec's framing: name -> (frames, bands)."""
    f, n, hop, sr = librosa.feature, spec.n_fft, spec.hop_length, spec.sample_rate
    stft = {"n_fft": n, "hop_length": hop, "win_length": spec.window_length, "center": spec.center, "pad_mode": spec.pad_mode}
    mel = f.melspectrogram(y=y, sr=sr, n_mels=spec.n_mels, power=power, **stft)
    cepstra = f.mfcc(S=librosa.power_to_db(mel), n_mfcc=spec.n_mfcc, lifter=spec.lifter)
    rows = {
        "mfcc": cepstra,
        "mfcc_delta": f.delta(cepstra),
        "mfcc_delta2": f.delta(cepstra, order=2),
        "pcen": librosa.pcen(mel, sr=sr, hop_length=hop),
        "chroma": f.chroma_stft(y=y, sr=sr, **stft),
        "centroid": f.spectral_centroid(y=y, sr=sr, **stft),
        "bandwidth": f.spectral_bandwidth(y=y, sr=sr, **stft),
        "rolloff": f.spectral_rolloff(y=y, sr=sr, **stft),
        "flatness": f.spectral_flatness(y=y, **stft),
        "zcr": f.zero_crossing_rate(y, frame_length=n, hop_length=hop, center=spec.center),
        "rms": f.rms(y=y, frame_length=n, hop_length=hop, center=spec.center),
    }
    return {name: row.T for name, row in rows.items()}


@pytest.mark.parametrize("signal", ["noise", "clipping", "chirp"])
@pytest.mark.parametrize("changes", [{}, {"n_fft": 1024, "win_length": 800, "hop_length": 300, "lifter": 22.0}, {"center": False}], ids=str)
def test_blocks__match_librosa_called_with_the_same_framing(librosa, signal, changes):
    spec = preset("librosa").spec.replace(features=BLOCKS, deltas=2, **changes)
    y = golden_signals(22050, 22050)[signal]
    ours, parts, theirs = FrontEnd(spec)(y), spec.parts(), librosa_rows(librosa, y, spec)
    for name, rows in theirs.items():
        block = name.partition("_")[0]
        if signal == "chirp" and block == "mfcc":
            continue  # between partials librosa's float32 mel bands are rounding
        assert_close(ours[:, parts[name]], rows, block)


@pytest.mark.corpus
def test_real_recording__matches_librosa(librosa, corpus):
    spec = preset("librosa").spec.replace(features=BLOCKS, deltas=2)
    for path in sorted(corpus("fish").rglob("*.ogg"))[::400]:
        recording, rate = soundfile.read(path, dtype="float32", always_2d=True)
        y = soxr.resample(recording[:, 0], rate, 22050)[:66150]
        ours, parts = FrontEnd(spec)(y), spec.parts()
        for name, rows in librosa_rows(librosa, y, spec).items():
            assert_close(ours[:, parts[name]], rows, name.partition("_")[0])


@pytest.mark.parametrize("signal", ["noise", "clipping"])
def test_librosa_mfcc_preset__matches_librosa(librosa, signal):
    y = golden_signals(22050, 22050)[signal]
    np.testing.assert_allclose(FrontEnd(preset("librosa-mfcc"))(y), librosa.feature.mfcc(y=y, sr=22050).T, rtol=0, atol=1e-3)


@pytest.mark.parametrize("signal", ["noise", "clipping"])
@pytest.mark.parametrize("log_mels", [False, True])
@pytest.mark.filterwarnings("ignore:At least one mel filterbank has all zero values")
def test_torchaudio_mfcc_preset__matches_torchaudio(signal, log_mels):
    torch = pytest.importorskip("torch")
    transforms = importing.import_torchaudio().transforms
    y = golden_signals(16000, 16000)[signal]
    spec = preset("torchaudio-mfcc").spec
    if log_mels:
        spec = spec.replace(log="ln", log_floor=1e-6, log_floor_mode="add", top_db=None)
    with torch.inference_mode():
        theirs = transforms.MFCC(log_mels=log_mels)(torch.from_numpy(y)).numpy().T
    np.testing.assert_allclose(FrontEnd(spec)(y), theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("signal", ["noise", "clipping"])
@pytest.mark.parametrize("energy", [True, False])
def test_kaldi_mfcc_preset__matches_kaldi_native_fbank(signal, energy):
    knf = pytest.importorskip("kaldi_native_fbank")
    y = golden_signals(16000, 16000)[signal]
    options = knf.MfccOptions()
    options.frame_opts.dither, options.use_energy = 0.0, energy
    online = knf.OnlineMfcc(options)
    online.accept_waveform(16000, (y * 32768).tolist())
    online.input_finished()
    theirs = np.array([online.get_frame(i) for i in range(online.num_frames_ready)])
    np.testing.assert_allclose(FrontEnd(preset("kaldi-mfcc", mfcc_energy=energy))(y), theirs, rtol=0, atol=3e-4)
