"""Batched mixed-radix FFT of W frames at once, in place, and the power spectrum of their real samples.

Decimation in time: the points come in digit-reversed order, which costs nothing because framing stores them one vector at a time
anyway (`framing.py`), and every pass reads and writes the same places. One buffer instead of the two of a Stockham FFT keeps the
512-point transform of 16 frames inside a level-1 cache.

Tried and lost: decimation in frequency, with the reversal in the unpacking step, is as fast and rounds as much (5e-9 of a frame's energy,
as SciPy's float32 FFT does), but a large offset in the samples leaves more of itself in the other bins.

A point is two vectors, real then imaginary: point p stands at `2 * W * p`. A pass of radix r joins r transforms of m points: the
points j + q m (q < r) of each group of r m, turned by exp(-2 pi i j q / (r m)), go through a DFT of r points.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fastspec.kernels.jit import inline
from fastspec.kernels.simd import Lanes, load, load_splat, splat, store

_SQRT_5_QUARTER = math.sqrt(5) / 4
_SIN_72, _SIN_144 = math.sin(2 * math.pi / 5), math.sin(4 * math.pi / 5)
_SIN_60, _SQRT_HALF = math.sqrt(0.75), math.sqrt(0.5)

FAST_RADICES = (2, 3, 4, 5, 8)
# All or part of a level-1 cache. 8 lanes in place of 16 for large transforms lost: 0.9 times as fast at n_fft = 2048.
_CACHED_FLOATS = 32 * 1024 // 4


# --- tables, made once a spec ------------------------------------------------------------------------------------------------------


def radices(n_points: int) -> list[int]:
    """The radices of the passes for that many points, in the order of the passes: 8, 4 and 2, then 3, 5 and larger primes.

    >>> radices(256), radices(200), radices(1103)
    ([8, 8, 4], [8, 5, 5], [1103])
    """
    twos = (n_points & -n_points).bit_length() - 1
    # 16 as 4 * 4: two passes of 4 beat one of 8 and one of 2.
    eights, rest = (twos // 3 - 1, [4, 4]) if twos % 3 == 1 and twos > 1 else (twos // 3, [[], [2], [4]][twos % 3])
    # A third 8 comes after the rest, so that a level-1 cache holds all that the passes before it join (`transform`): 1.2 times as fast
    # at n_fft = 4096.
    passes = [8] * min(eights, 2) + rest + [8] * max(eights - 2, 0)
    odd, prime = n_points >> twos, 3
    while odd > 1:
        if odd % prime == 0:
            passes.append(prime)
            odd //= prime
        else:
            prime += 2
    return passes


def reversed_order(passes: list[int]) -> NDArray[np.int64]:
    """Where each input point goes so that the passes leave their result in order: `(points,)`."""
    order = np.zeros(1, np.int64)
    for radix in passes:
        # The last pass joins the residues modulo its radix; each stands in a block of its own.
        order = (order[:, None] + len(order) * np.arange(radix)).ravel()
    return order


def twiddles(passes: list[int]) -> NDArray[np.float32]:
    """All passes' turning factors, real and imaginary parts alternating: for each pass `(m, radix - 1)` of them.

    A radix without a DFT of its own adds the `radix` roots of unity that its sum needs.
    """
    tables, m = [], 1
    for radix in passes:
        j, q = np.arange(m)[:, None], np.arange(1, radix)
        tables.append(np.exp(-2j * np.pi * ((j * q) % (radix * m)) / (radix * m)).ravel())
        if radix not in FAST_RADICES:
            tables.append(np.exp(-2j * np.pi * np.arange(radix) / radix))
        m *= radix
    table = np.concatenate([*tables, np.zeros(1)])
    return np.stack([table.real, table.imag], axis=1).ravel().astype(np.float32)


def unpacking_factors(n_fft: int) -> NDArray[np.float32]:
    """exp(-2 pi i k / n_fft) for k up to n_fft / 4, real and imaginary parts alternating."""
    root = np.exp(-2j * np.pi * np.arange(n_fft // 4 + 1) / n_fft)
    return np.stack([root.real, root.imag], axis=1).ravel().astype(np.float32)


# --- DFTs of a few points, in registers --------------------------------------------------------------------------------------------


@inline
def _dft2(ar, ai, br, bi):
    return ar + br, ai + bi, ar - br, ai - bi


@inline
def _dft3(lanes, ar, ai, br, bi, cr, ci):
    half, sin60 = splat(lanes, np.float32(0.5)), splat(lanes, np.float32(_SIN_60))
    sr, si, dr, di = br + cr, bi + ci, (bi - ci) * sin60, (cr - br) * sin60
    mr, mi = ar - sr * half, ai - si * half
    return ar + sr, ai + si, mr + dr, mi + di, mr - dr, mi - di


@inline
def _dft4(ar, ai, br, bi, cr, ci, dr, di):
    er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
    gr, gi, hr, hi = br + dr, bi + di, bi - di, dr - br
    return er + gr, ei + gi, fr + hr, fi + hi, er - gr, ei - gi, fr - hr, fi - hi


@inline
def _dft5(lanes, ar, ai, br, bi, cr, ci, dr, di, er, ei):
    # cos 72 and cos 144 are (-1 + sqrt 5) / 4 and (-1 - sqrt 5) / 4. Written so, and with (b - c) + (e - d) for (b + e) - (c + d), nearly
    # equal points cancel before they are rounded: a large offset in the samples leaves less behind in the other bins.
    quarter, root = splat(lanes, np.float32(0.25)), splat(lanes, np.float32(_SQRT_5_QUARTER))
    s1, s2 = splat(lanes, np.float32(_SIN_72)), splat(lanes, np.float32(_SIN_144))
    pr, pi, qr, qi = br + er, bi + ei, cr + dr, ci + di
    ur, ui, vr, vi = bi - ei, er - br, ci - di, dr - cr
    tr, ti = pr + qr, pi + qi
    mr, mi, hr, hi = ar - tr * quarter, ai - ti * quarter, ((br - cr) + (er - dr)) * root, ((bi - ci) + (ei - di)) * root
    xr, xi, yr, yi = mr + hr, mi + hi, mr - hr, mi - hi
    zr, zi, wr, wi = ur * s1 + vr * s2, ui * s1 + vi * s2, ur * s2 - vr * s1, ui * s2 - vi * s1
    return ar + tr, ai + ti, xr + zr, xi + zi, yr + wr, yi + wi, yr - wr, yi - wi, xr - zr, xi - zi


@inline
def _dft8(lanes, ar, ai, br, bi, cr, ci, dr, di, er, ei, fr, fi, gr, gi, hr, hi):
    even = _dft4(ar, ai, cr, ci, er, ei, gr, gi)
    odd = _dft4(br, bi, dr, di, fr, fi, hr, hi)
    r = splat(lanes, np.float32(_SQRT_HALF))
    # The odd half turned by exp(-i pi k / 4): 1, (1 - i) / sqrt 2, -i, -(1 + i) / sqrt 2.
    pr, pi = (odd[2] + odd[3]) * r, (odd[3] - odd[2]) * r
    qr, qi = (odd[7] - odd[6]) * r, (odd[6] + odd[7]) * r
    return (
        even[0] + odd[0], even[1] + odd[1], even[2] + pr, even[3] + pi,
        even[4] + odd[5], even[5] - odd[4], even[6] + qr, even[7] - qi,
        even[0] - odd[0], even[1] - odd[1], even[2] - pr, even[3] - pi,
        even[4] - odd[5], even[5] + odd[4], even[6] - qr, even[7] + qi,
    )  # fmt: skip


@inline
def _turned(lanes, x, at, factors, f):
    """The point at `at`, times the complex factor at `f`."""
    xr, xi = load(lanes, x, at), load(lanes, x, at + len(lanes))
    wr, wi = load_splat(lanes, factors, f), load_splat(lanes, factors, f + 1)
    return xr * wr - xi * wi, xr * wi + xi * wr


@inline
def _put(lanes, x, at, re, im):
    store(x, at, re)
    store(x, at + len(lanes), im)


# --- passes ------------------------------------------------------------------------------------------------------------------------
# j is the outer loop: its factors are loaded once for all groups. A first pass (m = 1) has one j, whose factors are all 1.


@inline
def _pass2(lanes, x, start, stop, m, factors, f):
    d = 2 * len(lanes) * m
    for j in range(m):
        for group in range(start, stop, 2 * m):
            at = 2 * len(lanes) * (group + j)
            ar, ai = load(lanes, x, at), load(lanes, x, at + len(lanes))
            br, bi = _turned(lanes, x, at + d, factors, f + 2 * j)
            y = _dft2(ar, ai, br, bi)
            _put(lanes, x, at, y[0], y[1])
            _put(lanes, x, at + d, y[2], y[3])


@inline
def _pass3(lanes, x, start, stop, m, factors, f):
    d = 2 * len(lanes) * m
    for j in range(m):
        for group in range(start, stop, 3 * m):
            at = 2 * len(lanes) * (group + j)
            ar, ai = load(lanes, x, at), load(lanes, x, at + len(lanes))
            br, bi = _turned(lanes, x, at + d, factors, f + 4 * j)
            cr, ci = _turned(lanes, x, at + 2 * d, factors, f + 4 * j + 2)
            y = _dft3(lanes, ar, ai, br, bi, cr, ci)
            _put(lanes, x, at, y[0], y[1])
            _put(lanes, x, at + d, y[2], y[3])
            _put(lanes, x, at + 2 * d, y[4], y[5])


@inline
def _pass4(lanes, x, start, stop, m, factors, f):
    d = 2 * len(lanes) * m
    for j in range(m):
        for group in range(start, stop, 4 * m):
            at = 2 * len(lanes) * (group + j)
            ar, ai = load(lanes, x, at), load(lanes, x, at + len(lanes))
            br, bi = _turned(lanes, x, at + d, factors, f + 6 * j)
            cr, ci = _turned(lanes, x, at + 2 * d, factors, f + 6 * j + 2)
            dr, di = _turned(lanes, x, at + 3 * d, factors, f + 6 * j + 4)
            y = _dft4(ar, ai, br, bi, cr, ci, dr, di)
            _put(lanes, x, at, y[0], y[1])
            _put(lanes, x, at + d, y[2], y[3])
            _put(lanes, x, at + 2 * d, y[4], y[5])
            _put(lanes, x, at + 3 * d, y[6], y[7])


@inline
def _pass5(lanes, x, start, stop, m, factors, f):
    d = 2 * len(lanes) * m
    for j in range(m):
        for group in range(start, stop, 5 * m):
            at = 2 * len(lanes) * (group + j)
            ar, ai = load(lanes, x, at), load(lanes, x, at + len(lanes))
            br, bi = _turned(lanes, x, at + d, factors, f + 8 * j)
            cr, ci = _turned(lanes, x, at + 2 * d, factors, f + 8 * j + 2)
            dr, di = _turned(lanes, x, at + 3 * d, factors, f + 8 * j + 4)
            er, ei = _turned(lanes, x, at + 4 * d, factors, f + 8 * j + 6)
            y = _dft5(lanes, ar, ai, br, bi, cr, ci, dr, di, er, ei)
            _put(lanes, x, at, y[0], y[1])
            _put(lanes, x, at + d, y[2], y[3])
            _put(lanes, x, at + 2 * d, y[4], y[5])
            _put(lanes, x, at + 3 * d, y[6], y[7])
            _put(lanes, x, at + 4 * d, y[8], y[9])


@inline
def _put8(lanes, x, at, d, y):
    _put(lanes, x, at, y[0], y[1])
    _put(lanes, x, at + d, y[2], y[3])
    _put(lanes, x, at + 2 * d, y[4], y[5])
    _put(lanes, x, at + 3 * d, y[6], y[7])
    _put(lanes, x, at + 4 * d, y[8], y[9])
    _put(lanes, x, at + 5 * d, y[10], y[11])
    _put(lanes, x, at + 6 * d, y[12], y[13])
    _put(lanes, x, at + 7 * d, y[14], y[15])


@inline
def _pass8(lanes, x, start, stop, m, factors, f):
    w, d = len(lanes), 2 * len(lanes) * m
    for j in range(m):
        t = f + 14 * j
        for group in range(start, stop, 8 * m):
            at = 2 * w * (group + j)
            ar, ai = load(lanes, x, at), load(lanes, x, at + w)
            br, bi = _turned(lanes, x, at + d, factors, t)
            cr, ci = _turned(lanes, x, at + 2 * d, factors, t + 2)
            dr, di = _turned(lanes, x, at + 3 * d, factors, t + 4)
            er, ei = _turned(lanes, x, at + 4 * d, factors, t + 6)
            fr, fi = _turned(lanes, x, at + 5 * d, factors, t + 8)
            gr, gi = _turned(lanes, x, at + 6 * d, factors, t + 10)
            hr, hi = _turned(lanes, x, at + 7 * d, factors, t + 12)
            y = _dft8(lanes, ar, ai, br, bi, cr, ci, dr, di, er, ei, fr, fi, gr, gi, hr, hi)
            _put8(lanes, x, at, d, y)


@inline
def _first_pass8(lanes, x, start, stop):
    w = len(lanes)
    d = 2 * w
    for group in range(start, stop, 8):
        at = 2 * w * group
        ar, ai, br, bi = load(lanes, x, at), load(lanes, x, at + w), load(lanes, x, at + d), load(lanes, x, at + d + w)
        cr, ci = load(lanes, x, at + 2 * d), load(lanes, x, at + 2 * d + w)
        dr, di = load(lanes, x, at + 3 * d), load(lanes, x, at + 3 * d + w)
        er, ei = load(lanes, x, at + 4 * d), load(lanes, x, at + 4 * d + w)
        fr, fi = load(lanes, x, at + 5 * d), load(lanes, x, at + 5 * d + w)
        gr, gi = load(lanes, x, at + 6 * d), load(lanes, x, at + 6 * d + w)
        hr, hi = load(lanes, x, at + 7 * d), load(lanes, x, at + 7 * d + w)
        _put8(lanes, x, at, d, _dft8(lanes, ar, ai, br, bi, cr, ci, dr, di, er, ei, fr, fi, gr, gi, hr, hi))


@inline
def _pass_any(lanes, x, start, stop, m, radix, factors, f, spare):
    """A pass of any radix as a plain sum of `radix` terms a point: right for every size, slow for large primes."""
    w, d = len(lanes), 2 * len(lanes) * m
    roots = f + 2 * m * (radix - 1)
    for j in range(m):
        for group in range(start, stop, radix * m):
            at = 2 * w * (group + j)
            _put(lanes, spare, 0, load(lanes, x, at), load(lanes, x, at + w))
            for q in range(1, radix):
                re, im = _turned(lanes, x, at + q * d, factors, f + 2 * (j * (radix - 1) + q - 1))
                _put(lanes, spare, 2 * w * q, re, im)
            for k in range(radix):
                sum_re, sum_im = load(lanes, spare, 0), load(lanes, spare, w)
                for q in range(1, radix):
                    re, im = _turned(lanes, spare, 2 * w * q, factors, roots + 2 * (k * q % radix))
                    sum_re, sum_im = sum_re + re, sum_im + im
                _put(lanes, x, at + k * d, sum_re, sum_im)


@inline
def _pass(lanes, x, start, stop, m, radix, factors, f, spare):
    if radix == 8:
        if m == 1:
            _first_pass8(lanes, x, start, stop)
        else:
            _pass8(lanes, x, start, stop, m, factors, f)
    elif radix == 4:
        _pass4(lanes, x, start, stop, m, factors, f)
    elif radix == 5:
        _pass5(lanes, x, start, stop, m, factors, f)
    elif radix == 3:
        _pass3(lanes, x, start, stop, m, factors, f)
    elif radix == 2:
        _pass2(lanes, x, start, stop, m, factors, f)
    else:
        _pass_any(lanes, x, start, stop, m, radix, factors, f, spare)
        return f + 2 * radix * (m + 1) - 2 * m
    return f + 2 * m * (radix - 1)


@inline
def transform(lanes: Lanes, x, passes, factors, spare):
    """The DFT in place of the points in `x`, which stand in digit-reversed order.

    The first passes join neighbours only: they go block by block, each block through all of them while it stands in the level-1 cache.
    That makes 1024 points of 16 frames (128 KiB) 1.7 times as fast as one pass after the other over all of them.
    """
    n, block, n_inner = 1, 1, 0
    for radix in passes:
        n *= radix
        if 2 * len(lanes) * n <= _CACHED_FLOATS:
            block, n_inner = n, n_inner + 1
    first, first_m, first_f = 0, 1, 0
    while first < len(passes):
        # Not a loop over two tuples: LLVM makes one copy of all passes for each.
        last, size = (n_inner, block) if first < n_inner else (len(passes), n)
        m, f = first_m, first_f
        for start in range(0, n, size):
            m, f = first_m, first_f
            for p in range(first, last):
                f = _pass(lanes, x, start, start + size, m, passes[p], factors, f, spare)
                m *= passes[p]
        first, first_m, first_f = last, m, f


# --- from the packed transform to power --------------------------------------------------------------------------------------------


@inline
def unpack_power(lanes: Lanes, x, half, factors):
    """Four times the power of the bins 0 … half of 2 * half real samples, packed as even + i odd; bin k at `2 * W * k`.

    With Z the transform of the packed samples: X[k] = E[k] + exp(-2 pi i k / n) O[k], 2 E[k] = Z[k] + conj Z[half - k] and
    2 i O[k] = Z[k] - conj Z[half - k]; X[half - k] is the conjugate of E[k] - exp(…) O[k].
    """
    w = len(lanes)
    two = splat(lanes, np.float32(2))
    zr, zi = load(lanes, x, 0), load(lanes, x, w)
    first, last = (zr + zi) * two, (zr - zi) * two
    store(x, 0, first * first)
    store(x, 2 * w * half, last * last)
    for k in range(1, half // 2 + 1):
        low, high = 2 * w * k, 2 * w * (half - k)
        zr, zi, vr, vi = load(lanes, x, low), load(lanes, x, low + w), load(lanes, x, high), load(lanes, x, high + w)
        c, s = load_splat(lanes, factors, 2 * k), load_splat(lanes, factors, 2 * k + 1)
        er, ei, odd_r, odd_i = zr + vr, zi - vi, zi + vi, vr - zr
        tr, ti = odd_r * c - odd_i * s, odd_r * s + odd_i * c
        pr, pi, qr, qi = er + tr, ei + ti, er - tr, ei - ti
        store(x, low, pr * pr + pi * pi)
        store(x, high, qr * qr + qi * qi)


@inline
def plain_power(lanes: Lanes, x, n_bins):
    """Power of the first bins of a transform that was not packed; bin k at `2 * W * k`."""
    w = len(lanes)
    for k in range(n_bins):
        re, im = load(lanes, x, 2 * w * k), load(lanes, x, 2 * w * k + w)
        store(x, 2 * w * k, re * re + im * im)
