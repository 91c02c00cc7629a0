"""Golden vectors: for each preset the features that its reference computes from a few signals, and what float64 gives.

`golden/NAME.npz` holds for each signal its samples (int16, so that they are exact and small), the reference's features and those of the
slow float64 definition, and in `about` (JSON) the reference, the versions and the spec. Only `python -m bench golden` writes them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastspec.references.reference import Float32, ReferenceUnavailable

FOLDER = Path(__file__).with_name("golden")
SIGNALS = ("noise", "clipping")


class Vectors(NamedTuple):
    """One signal and its features.

    Attributes:
        samples: `(samples,)` float32, multiples of 1 / 32768.
        features: `(frames, bands)` float32, the reference's.
        truth: `(frames, bands)` float32, computed in float64.
    """

    samples: Float32
    features: Float32
    truth: Float32


@dataclass(frozen=True, slots=True)
class Golden:
    """A preset's golden vectors.

    Attributes:
        function: of the reference, which computed them.
        versions: of each package that it used.
        spec: fields of the spec that it computed.
        signals: name to vectors.
    """

    function: str
    versions: Mapping[str, str]
    spec: Mapping[str, Any]
    signals: Mapping[str, Vectors]


def read_golden(name: str, folder: Path = FOLDER) -> Golden:
    """The golden vectors of a preset. ReferenceUnavailable when there are none."""
    path = folder / f"{name}.npz"
    if not path.is_file():
        raise ReferenceUnavailable(f"there are no golden vectors of {name!r} in {folder}; write them: python -m bench golden {name}")
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        signals = {
            signal: Vectors(from_int16(stored[f"{signal}_samples"]), stored[f"{signal}_features"], stored[f"{signal}_truth"])
            for signal in SIGNALS
        }
    return Golden(about["function"], about["versions"], about["spec"], signals)


def from_int16(samples: np.ndarray) -> Float32:
    """16-bit samples in the range -1 … 1.

    >>> from_int16(np.array([-32768, 0, 16384], np.int16)).tolist()
    [-1.0, 0.0, 0.5]
    """
    scaled: Float32 = samples * np.float32(1 / 32768)
    return scaled
