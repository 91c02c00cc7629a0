"""Which features may be stored in 16 bits: logarithmic ones, whose values cannot leave float16's range."""

import math
from typing import Literal

from fastspec.errors import SpecError, choices
from fastspec.spec.feature import FeatureSpec

Dtype = Literal["float32", "float16"]

DTYPES = ("float32", "float16")
MAX_FLOAT16 = 65504.0
# log10 of the largest power in float32, and of the largest energy of a frame in the range of 16-bit integers.
_LARGEST_DECADES = {"mel": 38.6, "stft": 38.6, "mfcc": 38.6}
_ENERGY_DECADES = 95.0
_PER_DECADE = {"ln": math.log(10), "log10": 1.0, "db": 10.0}
_CURVATURE_GAIN = 4.0  # the weights 1, -2, 1 of the narrowest


def check_dtype(spec: FeatureSpec, dtype: str) -> None:
    """That a spec's features can be stored in a dtype.

    float16 has 11 bits: a value is rounded by at most 1/2048 of itself, 0.031 dB from 64 to 128 dB.

    Raises:
        SpecError: an unknown dtype, or float16 for features that are not logarithmic or whose settings stretch them beyond 65504.

    >>> check_dtype(FeatureSpec(features=("mel", "rms")), "float16")
    Traceback (most recent call last):
    fastspec.errors.SpecError: dtype is float16 and features has 'rms', which is linear; float16 is for mel, stft and mfcc with a logarithm
    """
    if dtype not in DTYPES:
        raise SpecError(f"dtype is {dtype!r}; {choices(str(dtype), DTYPES)}")
    if dtype == "float32":
        return
    for block in spec.features:
        if spec.log == "none" or block not in _LARGEST_DECADES:
            raise SpecError(
                f"dtype is float16 and features has {block!r}, which is linear; float16 is for mel, stft and mfcc with a logarithm"
            )
        largest = _largest(spec, block)
        if largest > MAX_FLOAT16:
            raise SpecError(f"dtype is float16 and {block!r} may reach {largest:.3g}, above {MAX_FLOAT16:g}; give dtype float32")


def _largest(spec: FeatureSpec, block: str) -> float:
    """A bound on the absolute value of a logarithmic block and its deltas, whatever the samples."""
    decades = max(_LARGEST_DECADES[block], abs(math.log10(spec.log_floor)))
    bound = decades * _PER_DECADE[spec.log]
    if block == "mfcc":
        # The orthonormal transform keeps the length of a vector of n bands, at most sqrt(n) of the bound of each.
        cepstra = bound * math.sqrt(spec.n_mels) * (1 + spec.lifter / 2)
        bound = max(cepstra, _ENERGY_DECADES * _PER_DECADE[spec.log])
    elif spec.normalize == "fixed":
        bound = (bound + abs(spec.norm_mean)) / spec.norm_std
    return bound * (_CURVATURE_GAIN if spec.deltas else 1.0)
