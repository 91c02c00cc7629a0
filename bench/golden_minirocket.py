"""Writes tests/golden/minirocket.npz by aeon, whose pins don't fit this project's: run it in an environment of its own with aeon."""

from pathlib import Path

import aeon
import numba
import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket
from aeon.transformations.collection.convolution_based._minirocket import _fit_dilations

OUTPUT = Path(__file__).resolve().parents[1] / "tests" / "golden" / "minirocket.npz"


def main() -> None:
    """Clips, what was drawn, and the features that follow."""
    clips = np.random.default_rng(0).normal(size=(4, 7, 61)).astype(np.float32)
    library = MiniRocket(n_kernels=84 * 6, random_state=0).fit(clips)
    names = ("bands_per_combination", "bands", "dilations", "per_dilation", "biases")
    many_dilations, many_per_dilation = _fit_dilations(431, 10000, 32)
    np.savez_compressed(
        OUTPUT,
        clips=clips,
        features=library.transform(clips).astype(np.float32),
        **dict(zip(names, library.parameters, strict=True)),
        many_dilations=many_dilations,
        many_per_dilation=many_per_dilation,
        made_by=np.array(f"aeon {aeon.__version__}, numba {numba.__version__}, numpy {np.__version__}"),
    )


if __name__ == "__main__":
    main()
