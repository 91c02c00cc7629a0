"""The slow, obvious float64 definition of every spec. It never imports the kernels or the tables that feed them."""

import numpy as np

COSINES = {"hann": [0.5, 0.5], "hamming": [0.54, 0.46], "blackman": [0.42, 0.5, 0.08], "rectangular": [1.0]}


def window(spec):
    n = spec.win_length or spec.n_fft
    period = n if spec.periodic else max(n - 1, 1)
    shape = np.zeros(spec.n_fft)
    for i in range(n):
        cosines = sum((-1) ** k * a * np.cos(2 * np.pi * k * i / period) for k, a in enumerate(COSINES[spec.window]))
        shape[(spec.n_fft - n) // 2 + i] = cosines if n > 1 else 1.0
    return shape


def frames(samples, spec):
    """(frames, n_fft): the samples under each window, before it is applied."""
    x = np.asarray(samples, np.float64)
    if spec.center:
        x = np.pad(x, spec.n_fft // 2, mode=spec.pad_mode)
    count = max(0, 1 + (len(x) - spec.n_fft) // spec.hop_length)
    return np.array([x[t * spec.hop_length :][: spec.n_fft] for t in range(count)]).reshape(count, spec.n_fft)


def mel(hz, scale):
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def hertz(m, scale):
    if scale == "htk":
        return 700 * (10 ** (m / 2595) - 1)
    return m * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)


def bank(spec):
    """(bands, bins)"""
    bins = spec.n_fft // 2 + 1
    if spec.features == "stft":
        return np.eye(bins)
    top = spec.sample_rate / 2 if spec.fmax is None else spec.fmax
    low, high = mel(spec.fmin, spec.mel_scale), mel(top, spec.mel_scale)
    edges = [hertz(low + (high - low) * i / (spec.n_mels + 1), spec.mel_scale) for i in range(spec.n_mels + 2)]
    matrix = np.zeros((spec.n_mels, bins))
    for m, (a, b, c) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k in range(bins):
            f = k * spec.sample_rate / spec.n_fft
            height = 2 / (c - a) if spec.mel_norm == "slaney" else 1.0
            matrix[m, k] = height * max(0.0, min((f - a) / (b - a), (c - f) / (c - b)))
    return matrix


def linear(samples, spec):
    """(frames, bands) before the logarithm."""
    spectrum = np.abs(np.fft.rfft(frames(samples, spec) * window(spec), axis=1))
    return spectrum**spec.power @ bank(spec).T


def features(samples, spec):
    """(frames, bands)"""
    x = linear(samples, spec)
    if spec.log == "none":
        return x
    x = np.maximum(x, spec.log_floor) if spec.log_floor_mode == "clamp" else x + spec.log_floor
    x = {"ln": np.log(x), "log10": np.log10(x), "db": 10 * np.log10(x)}[spec.log]
    return x if spec.top_db is None else np.maximum(x, x.max() - spec.top_db)
