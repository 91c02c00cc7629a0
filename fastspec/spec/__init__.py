"""What to compute: `FeatureSpec` (a waveform to features) and `ClipPolicy` (a recording to a waveform), together the `Recipe`.

All three are frozen and validated when they are made, so that a recipe that exists can be computed.
"""

from fastspec.spec.feature import DELTA_ENDINGS, Block, FeatureSpec, MelScale, MelTriangles
from fastspec.spec.precision import Dtype, check_dtype
from fastspec.spec.recipe import ClipPolicy, Recipe, parse_field

__all__ = [
    "DELTA_ENDINGS",
    "Block",
    "ClipPolicy",
    "Dtype",
    "FeatureSpec",
    "MelScale",
    "MelTriangles",
    "Recipe",
    "check_dtype",
    "parse_field",
]
