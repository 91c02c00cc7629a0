"""Calibration by a rising step curve for each class."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Isotonic:
    """For each class a curve that never falls, from the model's probability of it to how often it was true; rows are then brought to 1.

    Zadrozny and Elkan 2002, Transforming classifier scores into accurate multiclass probability estimates. Curves stay between
    1 / (n + 2) and (n + 1) / (n + 2) of n clips, so that nothing becomes impossible for want of an example.

    Attributes:
        curves: for each class the places and heights of its knots; straight lines lie between them.
    """

    curves: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...]

    @property
    def n_classes(self) -> int:
        """Columns that it takes."""
        return len(self.curves)

    @classmethod
    def fit(cls, probabilities: Float64, labels: NDArray[np.int64]) -> Self:
        """The curves of held-out probabilities `(clips, classes)`.

        >>> curves = Isotonic.fit(np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]]), np.array([0, 0, 1]))
        >>> curves.apply(np.array([[0.95, 0.05], [0.5, 0.5]])).round(2).tolist()
        [[0.8, 0.2], [0.2, 0.8]]
        """
        from sklearn.isotonic import IsotonicRegression

        least = 1 / (len(labels) + 2)
        curves = []
        for k in range(probabilities.shape[1]):
            curve = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip").fit(probabilities[:, k], labels == k)
            curves.append((tuple(curve.X_thresholds_.tolist()), tuple(curve.y_thresholds_.tolist())))
        return cls(tuple(curves))

    def apply(self, probabilities: Float64) -> Float64:
        """Probabilities `(clips, classes)` of the model's, `(clips, classes)`."""
        heights = np.stack([np.interp(probabilities[:, k], *curve) for k, curve in enumerate(self.curves)], axis=1)
        return np.asarray(heights / heights.sum(axis=1, keepdims=True))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"curves": [{"places": list(places), "heights": list(heights)} for places, heights in self.curves]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The curves of `to_dict`'s values. KeyError, TypeError or ValueError for anything else."""
        curves = tuple((tuple(map(float, curve["places"])), tuple(map(float, curve["heights"]))) for curve in data["curves"])
        for places, heights in curves:
            if not (places and len(places) == len(heights) and list(places) == sorted(places) and 0 < min(heights) <= max(heights) <= 1):
                raise ValueError("a curve that is none")
        return cls(curves)
