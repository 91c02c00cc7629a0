"""How far two arrays of features are apart, in the unit of their logarithm, and how far they may be."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastspec.spec import FeatureSpec

Float64 = NDArray[np.float64]

# What noise, hard clipping and real recordings may differ by, after the logarithm.
_TOLERANCES = {"none": 1e-4, "ln": 3e-4, "log10": 1e-4, "db": 1e-3}
_UNITS = {"none": "log10", "ln": "ln", "log10": "log10", "db": "dB"}
# Features without a logarithm are compared through one, from here up.
_LINEAR_FLOOR = 1e-10


class Largest(NamedTuple):
    """The largest of some differences, and where it is."""

    value: float
    frame: int
    band: int


def tolerance(spec: FeatureSpec) -> float:
    """The largest `difference` from a reference that counts as equal on noise, hard clipping and real recordings.

    >>> tolerance(FeatureSpec(log="db"))
    0.001
    """
    return _TOLERANCES[spec.log]


def unit(spec: FeatureSpec) -> str:
    """What differences of a spec's features are counted in.

    >>> unit(FeatureSpec(log="none")), unit(FeatureSpec(log="db"))
    ('log10', 'dB')
    """
    return _UNITS[spec.log]


def difference(ours: ArrayLike, theirs: ArrayLike, *, spec: FeatureSpec) -> float:
    """The largest difference between two arrays of a spec's features, in the unit of its logarithm.

    Features without a logarithm are compared in log10, each at least 1e-10; a fixed normalisation is undone. NaN in either gives NaN.

    Raises:
        ValueError: arrays of different shapes.

    >>> difference([1.0, 0.0], [10.0, 1e-12], spec=FeatureSpec(log="none"))
    1.0
    """
    return float(differences(ours, theirs, spec=spec).max(initial=0.0))


def differences(ours: ArrayLike, theirs: ArrayLike, *, spec: FeatureSpec) -> Float64:
    """Each value's `difference`, in an array of the same shape."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"features have the shapes {a.shape} and {b.shape}; give two of one shape")
    if spec.log == "none":
        a, b = np.log10(np.maximum(a, _LINEAR_FLOOR)), np.log10(np.maximum(b, _LINEAR_FLOOR))
    apart: Float64 = np.abs(a - b) * (spec.norm_std if spec.normalize == "fixed" else 1.0)
    return apart


def largest(apart: Float64) -> Largest:
    """The largest of `(frames, bands)` differences; the first NaN, if there is one.

    >>> largest(np.array([[0.0, 0.1], [0.5, 0.2]]))
    Largest(value=0.5, frame=1, band=0)
    """
    frame, band = np.unravel_index(np.argmax(apart), apart.shape)
    return Largest(float(apart[frame, band]), int(frame), int(band))
