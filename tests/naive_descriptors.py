"""The slow, obvious float64 definition of every block but "mel" and "stft". It never imports the kernels or the tables that feed them."""

import numpy as np
from naive import features as fused
from naive_frames import conditioned, first_samples, length, window

# --- spectra ----------------------------------------------------------------------------------------------------------------------------


def power(samples, spec):
    """(frames, bins)"""
    return np.abs(np.fft.rfft(conditioned(samples, spec) * window(spec), n=spec.n_fft, axis=1)) ** 2


def hertz_of_bins(spec):
    return np.array([k * spec.sample_rate / spec.n_fft for k in range(spec.n_fft // 2 + 1)])


def centroid(samples, spec):
    """(frames, 1)"""
    rows = np.sqrt(power(samples, spec))
    return np.array([[np.sum(hertz_of_bins(spec) * row) / np.sum(row) if row.any() else 0.0] for row in rows])


def bandwidth(samples, spec):
    """(frames, 1)"""
    rows, centres = np.sqrt(power(samples, spec)), centroid(samples, spec)
    away = [(hertz_of_bins(spec) - centre) ** 2 for centre in centres]
    return np.array([[np.sqrt(np.sum(row * d) / np.sum(row)) if row.any() else 0.0] for row, d in zip(rows, away, strict=True)])


def rolloff(samples, spec):
    """(frames, 1)"""
    found = []
    for row in np.sqrt(power(samples, spec)):
        wanted = spec.roll_percent * np.sum(row)
        found.append(next(k for k in range(len(row)) if np.sum(row[: k + 1]) >= wanted))
    return hertz_of_bins(spec)[found][:, None]


def flatness(samples, spec):
    """(frames, 1)"""
    rows = np.maximum(power(samples, spec), 1e-10)
    return np.exp(np.mean(np.log(rows), axis=1, keepdims=True)) / np.mean(rows, axis=1, keepdims=True)


# --- samples ----------------------------------------------------------------------------------------------------------------------------


def frames(samples, spec, beyond):
    """(frames, frame length): the samples as they come; `beyond(i)` is what stands at position i outside the clip."""
    at = [range(start, start + length(spec)) for start in first_samples(len(samples), spec)]
    rows = [[samples[i] if 0 <= i < len(samples) else beyond(i) for i in places] for places in at]
    return np.array(rows, np.float64).reshape(len(rows), length(spec))


def rms(samples, spec):
    """(frames, 1)"""
    return np.sqrt(np.mean((frames(samples, spec, lambda _: 0.0) * spec.sample_scale) ** 2, axis=1, keepdims=True))


def zcr(samples, spec):
    """(frames, 1)"""
    negative = frames(samples, spec, lambda i: samples[0] if i < 0 else samples[-1]) < -1e-10
    return np.mean(np.pad(negative[:, 1:] != negative[:, :-1], ((0, 0), (1, 0))), axis=1, keepdims=True)


# --- cepstra ----------------------------------------------------------------------------------------------------------------------------


def mfcc(samples, spec):
    """(frames, n_mfcc)"""
    rows = fused(samples, spec.replace(features="mel", normalize="none", deltas=0))
    n, cepstra = spec.n_mels, np.zeros((len(rows), spec.n_mfcc))
    for k in range(spec.n_mfcc):
        wave = [np.cos(np.pi * k * (2 * m + 1) / (2 * n)) for m in range(n)]
        i = k + 1 if spec.lifter_shape == "librosa" else k
        lift = 1 + spec.lifter / 2 * np.sin(np.pi * i / spec.lifter) if spec.lifter else 1.0
        cepstra[:, k] = lift * rows @ wave / np.sqrt(n if k == 0 else n / 2)
    if spec.mfcc_energy:
        cepstra[:, 0] = log_energy(samples, spec)
    return cepstra


def log_energy(samples, spec):
    plain = spec.replace(preemphasis=0.0, window="rectangular")
    energy = np.maximum(np.sum((conditioned(samples, plain) * window(plain)) ** 2, axis=1), spec.log_floor)
    return {"ln": np.log(energy), "log10": np.log10(energy), "db": 10 * np.log10(energy)}[spec.log]


# --- energy normalisation ---------------------------------------------------------------------------------------------------------------


def pcen(samples, spec):
    """(frames, n_mels)"""
    rows = fused(samples, spec.replace(features="mel", log="none", top_db=None, normalize="none", deltas=0))
    t = spec.pcen_time_constant * spec.sample_rate / spec.hop_length
    s = (np.sqrt(1 + 4 * t**2) - 1) / (2 * t**2)
    smooth, out = np.ones(spec.n_mels), []
    for row in rows:
        smooth = (1 - s) * smooth + s * row
        gained = row / (spec.pcen_eps + smooth) ** spec.pcen_gain
        if spec.pcen_power == 0:
            out.append(np.log(1 + gained))
        else:
            out.append((gained + spec.pcen_bias) ** spec.pcen_power - spec.pcen_bias**spec.pcen_power)
    return np.array(out).reshape(len(rows), spec.n_mels)


# --- chroma -----------------------------------------------------------------------------------------------------------------------------


def chroma(samples, spec):
    """(frames, n_chroma)"""
    rows, n = power(samples, spec), spec.n_chroma
    place = [n * np.log2(k * spec.sample_rate / spec.n_fft / (440 * 2 ** (spec.tuning / n)) * 16) if k else 0.0 for k in range(spec.n_fft)]
    place[0] = place[1] - 1.5 * n
    bank = np.zeros((n, rows.shape[1]))
    for k in range(rows.shape[1]):
        width = max(place[k + 1] - place[k], 1) if k + 1 < spec.n_fft else 1
        bumps = np.zeros(n)
        for c in range(n):
            # From A to C are three twelfths of an octave; classes stand on a circle.
            away = place[k] - (c + 3 * (n // 12))
            away -= n * np.round(away / n)
            bumps[c] = np.exp(-2 * (away / width) ** 2)
        bank[:, k] = bumps / np.linalg.norm(bumps) * np.exp(-(((place[k] / n - 5) / 2) ** 2) / 2)
    classes = rows @ bank.T
    largest = classes.max(axis=1, keepdims=True)
    return classes / np.where(largest > 0, largest, 1)


# --- slopes -----------------------------------------------------------------------------------------------------------------------------


def deltas(rows, spec, order):
    """(frames, bands)"""
    if spec.delta_method == "kaldi":
        reach = spec.delta_width // 2
        rows = np.pad(rows, ((order * reach, order * reach), (0, 0)), mode="edge")
        for _ in range(order):
            rows = kaldi_slope(rows, reach)
        return rows
    n, out = len(rows), np.zeros(rows.shape)
    width = min(spec.delta_width, n)
    for t in range(n):
        first = min(max(t - width // 2, 0), n - width)
        if width > order:
            fit = np.polynomial.polynomial.polyfit(np.arange(width), rows[first : first + width], order)
            out[t] = order * fit[order]
    return out


def kaldi_slope(rows, reach):
    """The slope at every frame that has `reach` frames on both sides."""
    inner = range(reach, len(rows) - reach)
    slopes = [sum(j * (rows[t + j] - rows[t - j]) for j in range(1, reach + 1)) for t in inner]
    return np.array(slopes) / (2 * sum(j * j for j in range(1, reach + 1)))


BLOCKS = {f.__name__: f for f in (centroid, bandwidth, rolloff, flatness, rms, zcr, mfcc, pcen, chroma)}


def block(name, samples, spec):
    """(frames, bands) of one block."""
    if name in BLOCKS:
        return BLOCKS[name](np.asarray(samples, np.float64), spec)
    return fused(samples, spec.replace(features=name, deltas=0))


def features(samples, spec):
    """(frames, bands) of all blocks of a spec, side by side."""
    return np.hstack([block(name, samples, spec) for name in spec.features])
