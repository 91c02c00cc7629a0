"""A spec as torchaudio computes it, in the form that lhotse wants of a front end. Imported where lhotse is installed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from lhotse.features.base import FeatureExtractor
from numpy.typing import NDArray

from fastspec.references import references
from fastspec.spec import FeatureSpec


@dataclass
class SpecConfig:
    """Of what lhotse asks."""

    spec: FeatureSpec

    def to_dict(self) -> dict[str, Any]:
        """Nothing: the benchmark does not read it back."""
        return {}


class SpecExtractor(FeatureExtractor):  # type: ignore[misc]
    """The reference "torchaudio" of a spec."""

    name = "fastspec-bench"
    config_type = SpecConfig

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__(SpecConfig(spec))
        self._transform: Any = None

    @property
    def frame_shift(self) -> float:
        """Seconds from frame to frame."""
        return float(self.config.spec.hop_length / self.config.spec.sample_rate)

    def feature_dim(self, sampling_rate: int) -> int:  # noqa: ARG002 - as lhotse calls it
        """Bands."""
        return int(self.config.spec.n_bands)

    def extract(self, samples: NDArray[np.float32], sampling_rate: int) -> NDArray[np.float32]:  # noqa: ARG002
        """`(1, samples)` to `(frames, bands)`, without the last frame: lhotse refuses more than fit beside each other."""
        if self._transform is None:
            self._transform = next(peer for peer in references(self.config.spec) if peer.name == "torchaudio").transform(self.config.spec)
        features = self._transform(np.ascontiguousarray(samples.reshape(-1), np.float32))
        return np.ascontiguousarray(features[: samples.size // self.config.spec.hop_length])
