"""The golden signals: deterministic waveforms at which front ends go wrong."""

import numpy as np
import soundfile


def golden_signals(n_samples, sample_rate):
    """Name -> (samples,) float32 of that length."""
    t = np.arange(n_samples) / sample_rate
    noise = np.random.default_rng(7).standard_normal(n_samples)
    end = max(n_samples / sample_rate, 1e-9)
    signals = {
        "silence": np.zeros(n_samples),
        "impulse": (np.arange(n_samples) == n_samples // 2).astype(float),
        "tone_40_hz": 0.5 * np.sin(2 * np.pi * 40 * t),
        "tone_1_khz": 0.5 * np.sin(2 * np.pi * 1000 * t),
        "tone_near_nyquist": 0.5 * np.sin(2 * np.pi * 0.499 * sample_rate * t),
        "chirp": 0.5 * np.sin(np.pi * sample_rate / 2 / end * t**2),
        "noise": 0.1 * noise,
        "clipping": np.clip(3 * noise, -1, 1),
        "dc_offset": 0.4 + 0.01 * noise,
        "alternation": 1.0 - 2.0 * (np.arange(n_samples) % 2),
        "denormals": 1e-40 * noise,
    }
    return {name: samples.astype(np.float32) for name, samples in signals.items()}


def write_noise(path, *, seconds=1.0, sample_rate=16000, seed=0):
    """A recording of white noise; its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * sample_rate)).astype(np.float32)
    soundfile.write(path, noise, sample_rate)
