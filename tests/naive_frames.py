"""From samples to windowed frames, slow and obvious in float64: where frames lie, what stands beyond the clip, what is done to each."""

import numpy as np

COSINES = {"hann": [0.5, 0.5], "hamming": [0.54, 0.46], "blackman": [0.42, 0.5, 0.08], "rectangular": [1.0]}


def length(spec):
    """Samples that a frame spans."""
    return spec.win_length or spec.n_fft if spec.frame_span == "window" else spec.n_fft


def window_at(x, shape):
    """The value of a window x periods after its start, 0 <= x <= 1."""
    if shape == "gaussian":
        return np.exp(-0.5 * ((x - 0.5) / 0.2) ** 2)
    if shape == "povey":
        return np.sin(np.pi * x) ** 1.7 if 0 < x < 1 else 0.0
    return sum((-1) ** k * a * np.cos(2 * np.pi * k * x) for k, a in enumerate(COSINES[shape]))


def window(spec):
    """(frame length,)"""
    n = spec.win_length or spec.n_fft
    values = np.zeros(length(spec))
    for i in range(n):
        x = i / (n if spec.periodic else n - 1) if n > 1 else 0.5
        values[(length(spec) - n) // 2 + i] = window_at(x, spec.window) if n > 1 else 1.0
    return values * spec.sample_scale


def first_samples(n_samples, spec):
    """Where each frame starts, counted from the start of the clip."""
    hop, span = spec.hop_length, length(spec)
    if not spec.center:
        starts = [t * hop for t in range(n_samples) if t * hop + span <= n_samples]
    elif spec.center_on == "half_hop":
        starts = [t * hop + hop // 2 - span // 2 for t in range((n_samples + hop // 2) // hop)]
    else:
        starts = [t * hop - span // 2 for t in range(n_samples + 1) if t * hop - span // 2 + span <= n_samples + span // 2]
    return starts[: len(starts) - 1] if spec.drop_last_frame else starts


def frames(samples, spec):
    """(frames, frame length): the samples under each frame, as they come."""
    x, span = np.asarray(samples, np.float64), length(spec)
    starts = first_samples(len(x), spec)
    beyond = span + spec.hop_length
    padded = np.pad(x, beyond, mode=spec.pad_mode) if spec.center else np.pad(x, beyond)
    return np.array([padded[beyond + s :][:span] for s in starts]).reshape(len(starts), span)


def conditioned(samples, spec):
    """(frames, frame length) without offset and pre-emphasised, each where the spec says."""
    x = np.asarray(samples, np.float64)
    if spec.remove_dc == "clip":
        x = x - x.mean()
    if spec.preemphasis_mode == "signal":
        x = np.append(x[:1], x[1:] - spec.preemphasis * x[:-1])
    y = frames(x, spec)
    # A frame that is longer than its window is conditioned under its window alone.
    n = spec.win_length or spec.n_fft
    before = (length(spec) - n) // 2
    y = y[:, before : before + n]
    if spec.remove_dc == "frame":
        y = y - y.mean(axis=1, keepdims=True)
    if spec.preemphasis_mode == "frame":
        y = y - spec.preemphasis * np.hstack([y[:, :1], y[:, :-1]])
    return np.pad(y, ((0, 0), (before, length(spec) - n - before)))
