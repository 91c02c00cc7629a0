"""Numbers that describe a frame: of its spectrum (centroid, bandwidth, rolloff, flatness, peaks) and of its samples."""

from typing import Any

import numpy as np

from fastspec.kernels.jit import entry

TINY = 1.1754943508222875e-38  # float32's smallest normal number: below it a spectrum counts as silence
FLATNESS_FLOOR = 1e-10  # librosa, feature/spectral.py: amin
CROSSING_FLOOR = 1e-10  # librosa, core/audio.py: threshold
PEAK_FLOOR = 0.1  # librosa, core/pitch.py: a peak has more than this share of its frame's maximum


@entry
def describe_spectra(power, n_frames, n_bins, bin_hz, roll_percent, out) -> None:
    """Centroid, bandwidth and rolloff in Hz of magnitude spectra, and the flatness of power spectra.

    power: `(frames * bins,)` float32. out: `(frames * 4,)` float32, written; NaN where the power is.
    """
    for t in range(n_frames):
        at, total, moment, logs, powers, product = t * n_bins, 0.0, 0.0, 0.0, 0.0, 1.0
        for k in range(n_bins):
            x = np.float64(power[at + k])
            magnitude, floored = np.sqrt(x), max(x, FLATNESS_FLOOR)
            total, moment, powers = total + magnitude, moment + k * magnitude, powers + floored
            product *= floored
            if k % 4 == 3 or k == n_bins - 1:  # a logarithm of four: their product is within 1e-40 … 1e154
                logs += np.log(product)
                product = 1.0
        share = total if not total < TINY else 1.0
        centre, spread, below, roll = moment / share, 0.0, 0.0, -1
        for k in range(n_bins):
            magnitude = np.sqrt(np.float64(power[at + k]))
            spread, below = spread + magnitude / share * (k - centre) ** 2, below + magnitude
            if roll < 0 and below >= roll_percent * total:
                roll = k
        lost = total != total
        out[4 * t] = centre * bin_hz
        out[4 * t + 1] = np.sqrt(spread) * bin_hz
        out[4 * t + 2] = np.nan if lost else roll * bin_hz
        out[4 * t + 3] = np.nan if lost else np.exp(logs / n_bins) / (powers / n_bins)


@entry
def find_peaks(power, n_frames, n_bins, low, high, places, heights) -> Any:
    """Peaks of power spectra in the bins `low` … `high - 1`; returns how many.

    A peak is above its left neighbour, not below its right one, and above a tenth of its frame's maximum. Its place in bins and its height
    are those of the parabola through the three (J. O. Smith, Spectral Audio Signal Processing, "Quadratic interpolation").
    power: `(frames * bins,)` float32. places, heights: `(frames * bins,)` float64, written from the start.
    """
    found = 0
    for t in range(n_frames):
        at, largest = t * n_bins, np.float32(0)
        for k in range(n_bins):
            largest = max(largest, power[at + k])
        for k in range(max(low, 1), high):
            x, before = np.float64(power[at + k]), np.float64(power[at + k - 1])
            after = np.float64(power[at + k + 1]) if k + 1 < n_bins else 0.0
            if x > PEAK_FLOOR * largest and x > before and x >= after:
                slope, bend = (after - before) / 2, after + before - 2 * x
                shift = -slope / bend if k + 1 < n_bins and abs(slope) < abs(bend) else 0.0
                places[found], heights[found] = k + shift, x + slope * shift / 2
                found += 1
    return found


@entry
def count_crossings(samples, n_frames, hop_length, length, out) -> None:
    """The share of samples of each frame whose sign is not that of the sample before, which counts as positive down to -1e-10.

    samples: float32, where frame t starts at `t * hop_length`. out: `(frames,)` float32, written.
    """
    for t in range(n_frames):
        start, count = t * hop_length, 0
        for i in range(start + 1, start + length):
            count += (samples[i] < -CROSSING_FLOOR) != (samples[i - 1] < -CROSSING_FLOOR)
        out[t] = count / length


@entry
def sum_squares(samples, n_frames, hop_length, length, remove_mean, out) -> None:
    """The sum of squares of each frame's samples, less their mean if asked.

    samples: float32, where frame t starts at `t * hop_length`. out: `(frames,)` float64, written.
    """
    for t in range(n_frames):
        start, mean, total = t * hop_length, 0.0, 0.0
        if remove_mean:
            for i in range(start, start + length):
                mean += samples[i]
            mean /= length
        for i in range(start, start + length):
            total += (samples[i] - mean) ** 2
        out[t] = total
