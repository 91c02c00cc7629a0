"""Gate (a): every golden signal against float64, before the logarithm. Gate (b): the references themselves, after it."""

import naive
import numpy as np
import pytest
from signals import golden_signals

from fastspec.frontend import FrontEnd
from fastspec.presets import PRESETS, preset
from fastspec.spec import FeatureSpec

SPEECH = FeatureSpec(n_fft=512, win_length=400, hop_length=160, n_mels=80, log="log10")
SIZES = [128, 200, 256, 320, 400, 480, 512, 600, 640, 800, 882, 1024, 1103, 1200, 1920, 2048, 4096, 8192]
WIDTHS = [4, 8, 16]


def assert_passes_gate_a(samples, spec, *, lanes=None):
    """|P - P*| <= 2e-5 (P* + 1e-6 E), P* in float64 and E = n_fft times the frame's windowed energy times the bank's largest weight."""
    linear = spec.replace(log="none", top_db=None)
    ours, truth = FrontEnd(linear, lanes=lanes)(samples).astype(np.float64), naive.linear(samples, linear)
    windowed = naive.frames(samples, linear) * naive.window(linear)
    energy = linear.n_fft * np.sum(windowed**2, axis=1, keepdims=True) * naive.bank(linear).max()
    # Half a unit in the last place of float32's smallest numbers, which no bound relative to the signal can ask for.
    tiny = np.finfo(np.float32).smallest_subnormal
    assert ours.shape == truth.shape
    assert np.all(np.abs(ours - truth) <= 2e-5 * (truth + 1e-6 * energy) + tiny)


@pytest.mark.parametrize("name", sorted(golden_signals(10, 16000)))
@pytest.mark.parametrize("spec", [*(PRESETS[p].spec for p in sorted(PRESETS)), SPEECH], ids=[*sorted(PRESETS), "speech"])
def test_golden_signal__within_2e_5_of_float64(name, spec):
    assert_passes_gate_a(golden_signals(spec.sample_rate // 2, spec.sample_rate)[name], spec)


@pytest.mark.parametrize("lanes", WIDTHS)
def test_every_vector_width__passes_gate_a(lanes):
    assert_passes_gate_a(golden_signals(8000, 16000)["chirp"], SPEECH, lanes=lanes)


def boundary_lengths(spec):
    w, win, hop = 16, spec.window_length, spec.hop_length
    block = (w - 1) * hop + win
    around_blocks = {k * w * hop + d for k in (1, 2) for d in (-1, 0, 1)} | {block - 1, block, block + 1}
    return sorted({1, 2, 3, win - 1, win, win + 1, win + hop - 1, win + hop, *around_blocks})


@pytest.mark.parametrize("lanes", WIDTHS)
@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize("length", boundary_lengths(SPEECH))
def test_boundary_length__passes_gate_a(length, pad_mode, lanes):
    signal = golden_signals(length, 16000)["noise"]
    assert_passes_gate_a(signal, SPEECH.replace(pad_mode=pad_mode), lanes=lanes)


@pytest.mark.parametrize("length", [399, 400, 511, 512, 513, 671, 672, 673])
def test_uncentred_boundary_length__passes_gate_a(length):
    assert_passes_gate_a(golden_signals(length, 16000)["noise"], SPEECH.replace(center=False))


@pytest.mark.parametrize("n_fft", [*SIZES, 2, 3, 4, 5, 6, 7, 9, 10, 16, 32, 64, 77])
def test_transform_size__passes_gate_a(n_fft):
    spec = FeatureSpec(n_fft=n_fft, hop_length=max(1, n_fft // 3), features="stft", log="none")
    assert_passes_gate_a(golden_signals(3 * n_fft + 17, 16000)["noise"], spec)


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "rectangular"])
@pytest.mark.parametrize("periodic", [True, False])
def test_window__passes_gate_a(name, periodic):
    spec = SPEECH.replace(window=name, periodic=periodic, win_length=401)
    assert_passes_gate_a(golden_signals(4000, 16000)["noise"], spec)


@pytest.mark.parametrize("log", ["ln", "log10", "db"])
@pytest.mark.parametrize("mode", ["clamp", "add"])
def test_logarithm__matches_float64_within_2e_5_in_log10(log, mode):
    spec = SPEECH.replace(log=log, log_floor=1e-3, log_floor_mode=mode)
    signal = golden_signals(16000, 16000)["noise"]
    scale = {"ln": np.log(10), "log10": 1.0, "db": 10.0}[log]
    np.testing.assert_allclose(FrontEnd(spec)(signal), naive.features(signal, spec), rtol=0, atol=2e-5 * scale)


def test_magnitude__is_the_root_of_the_power_of_each_bin():
    power = FeatureSpec(n_fft=400, features="stft", log="none")
    signal = golden_signals(4000, 16000)["noise"]
    magnitude = FrontEnd(power.replace(power=1.0))(signal)
    np.testing.assert_array_equal(magnitude, np.sqrt(FrontEnd(power)(signal)))


def test_top_db__lifts_to_the_maximum_of_the_clip_alone():
    front = FrontEnd(preset("librosa"))
    loud, quiet = golden_signals(22050, 22050)["chirp"], golden_signals(22050, 22050)["noise"] * 1e-4
    both = front.batch(np.stack([loud, quiet]))
    np.testing.assert_array_equal(both[1], front(quiet))
    assert both[0].min() == both[0].max() - 80


def reference_cases():
    signals = golden_signals(22050, 22050)
    return {name: signals[name] for name in ("noise", "clipping")}


@pytest.mark.parametrize("name", ["noise", "clipping"])
def test_librosa_preset__matches_librosa_within_1e_3_db(name):
    librosa = pytest.importorskip("librosa")
    y = reference_cases()[name]
    theirs = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=22050)).T
    np.testing.assert_allclose(FrontEnd(preset("librosa"))(y), theirs, rtol=0, atol=1e-3)
