"""MiniRocket's convolutions, compiled: serial, without the GIL, one clip at a time.

Dempster, Schmidt and Webb 2021, MiniRocket: A Very Fast (Almost) Deterministic Transform for Time Series Classification. A kernel has
nine weights, three of them 2 and six of them -1, which are all 84 ways to place the three. Convolution is linear, so that a kernel over
several bands is the kernel of the sum of those bands: per combination of dilation d and kernel (a, b, c), with S zero outside the clip,

    C[t] = 3 (S[t + (a-4) d] + S[t + (b-4) d] + S[t + (c-4) d]) - sum of S[t + (m-4) d] over m = 0 … 8

and a feature is the share of t with C[t] > bias. Every other combination leaves out the t whose window sticks out of the clip.
Compiled once a process, in about two seconds: numba's own cache on disk confuses functions when several processes fill it at once.
"""

from itertools import combinations

import numpy as np
from numba import njit

KERNELS = np.array(list(combinations(range(9), 3)), np.int32)
_TAPS = 9


@njit(nogil=True, error_model="numpy")
def convolve(clip, bands, dilation, kernel, padded, out):  # type: ignore[no-untyped-def]
    """`out[:frames]` for one combination: clip `(bands, frames)` float32, `padded` scratch of at least frames + 8 * dilation float32."""
    frames = clip.shape[1]
    margin = 4 * dilation
    padded[:margin] = 0
    padded[margin + frames : 2 * margin + frames] = 0
    middle = padded[margin : margin + frames]
    middle[:] = 0
    for band in bands:
        for t in range(frames):
            middle[t] += clip[band, t]
    a, b, c = kernel[0] * dilation, kernel[1] * dilation, kernel[2] * dilation
    for t in range(frames):
        out[t] = np.float32(3) * (padded[t + a] + padded[t + b] + padded[t + c])
    for tap in range(_TAPS):
        shift = tap * dilation
        for t in range(frames):
            out[t] -= padded[t + shift]


@njit(nogil=True, error_model="numpy")
def transform(clip, kernels, dilations, per_dilation, band_starts, bands, biases, out):  # type: ignore[no-untyped-def]
    """Write the features of one clip.

    Args:
        clip: `(bands, frames)` float32, normalised, at least one frame.
        kernels: `(84, 3)` int32.
        dilations: `(dilations,)` int32.
        per_dilation: `(dilations,)` int32, how many biases each combination of that dilation has.
        band_starts: `(dilations * 84 + 1,)` int32, where the bands of each combination begin in `bands`.
        bands: int32.
        biases: `(features,)` float32.
        out: `(features,)` float32.
    """
    frames = clip.shape[1]
    padded = np.empty(frames + 8 * dilations.max(), np.float32)
    values = np.empty(frames, np.float32)
    feature = 0
    for j in range(len(dilations)):
        margin = 4 * dilations[j]
        for k in range(len(kernels)):
            combination = j * len(kernels) + k
            convolve(clip, bands[band_starts[combination] : band_starts[combination + 1]], dilations[j], kernels[k], padded, values)
            inner = (j + k) % 2 == 1 and frames > 2 * margin
            first, last = (margin, frames - margin) if inner else (0, frames)
            for _ in range(per_dilation[j]):
                bias, above = biases[feature], np.int32(0)
                for t in range(first, last):
                    above += np.int32(values[t] > bias)
                out[feature] = np.float32(above) / np.float32(last - first)
                feature += 1
