"""The slow, obvious float64 definition of every spec. It never imports the kernels or the tables that feed them."""

import numpy as np
from naive_frames import conditioned, window


def mel(hz, scale):
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def hertz(m, scale):
    if scale == "htk":
        return 700 * (10 ** (m / 2595) - 1)
    return m * 200 / 3 if m < 15 else 1000 * 6.4 ** ((m - 15) / 27)


def triangle(f, corners, spec):
    """The weight at f Hz of the triangle with these corners in Hz."""
    if spec.mel_triangles == "mel":
        f, corners = mel(f, spec.mel_scale), [mel(corner, spec.mel_scale) for corner in corners]
    a, b, c = corners
    if spec.mel_triangles == "symmetric":
        c = b + (b - a)
    return max(0.0, min((f - a) / (b - a), (c - f) / (c - b)))


def bank(spec):
    """(bands, bins)"""
    bins = spec.n_fft // 2 + 1
    if spec.features == ("stft",):
        return np.eye(bins)
    top = spec.sample_rate / 2 if spec.fmax is None else spec.fmax
    low, high = mel(spec.fmin, spec.mel_scale), mel(top, spec.mel_scale)
    edges = [hertz(low + (high - low) * i / (spec.n_mels + 1), spec.mel_scale) for i in range(spec.n_mels + 2)]
    matrix = np.zeros((spec.n_mels, bins))
    for m in range(spec.n_mels):
        height = 2 / (edges[m + 2] - edges[m]) if spec.mel_norm == "slaney" else 1.0
        for k in range(bins):
            matrix[m, k] = height * triangle(k * spec.sample_rate / spec.n_fft, edges[m : m + 3], spec)
        if spec.mel_norm == "sum":
            matrix[m] /= matrix[m].sum() or 1.0
    return matrix


def linear(samples, spec):
    """(frames, bands) before the logarithm."""
    spectrum = np.abs(np.fft.rfft(conditioned(samples, spec) * window(spec), n=spec.n_fft, axis=1))
    return spectrum**spec.power @ bank(spec).T


def features(samples, spec):
    """(frames, bands)"""
    x = linear(samples, spec)
    if spec.log != "none":
        x = np.maximum(x, spec.log_floor) if spec.log_floor_mode == "clamp" else x + spec.log_floor
        x = {"ln": np.log(x), "log10": np.log10(x), "db": 10 * np.log10(x)}[spec.log]
    if spec.top_db is not None:
        decibel = {"ln": np.log(10) / 10, "log10": 0.1, "db": 1.0}[spec.log]
        x = np.maximum(x, x.max() - spec.top_db * decibel)
    if spec.normalize == "fixed":
        x = (x - spec.norm_mean) / spec.norm_std
    if spec.normalize == "per_band":
        deviation = x.std(axis=0, ddof=1) if len(x) > 1 else 0.0
        x = (x - x.mean(axis=0)) / (deviation + 1e-5)
    return x
