"""The area under the ROC curve of each class against the rest, for many weightings of groups at once."""

from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


class _Order(NamedTuple):
    """One class against the rest: the groups of the rest, by rising probability of the class, and the groups of the class's own clips,
    each with how many of the rest have a lower probability than it and how many no higher one."""

    rest: NDArray[np.int64]
    own: NDArray[np.int64]
    above: NDArray[np.int64]
    level: NDArray[np.int64]


class ClassRanks:
    """Orders of clips by the probability of each class, sorted once.

    The area is the share of pairs, one clip of the class and one of the rest, in which the first has the higher probability; ties count
    half (Hanley and McNeil 1982, The meaning and use of the area under a ROC curve). A clip weighs what its group weighs.
    """

    def __init__(self, orders: list[list[_Order]]) -> None:
        self._orders = orders

    @classmethod
    def sort(cls, labels: NDArray[np.int64], probabilities: Float64, *, groups: NDArray[np.int64]) -> Self:
        """Of `(repeats, clips, classes)` probabilities; `groups` `(clips,)` are numbers from 0."""
        return cls([[_sort(run[:, k], labels == k, groups) for k in range(run.shape[1])] for run in probabilities])

    def areas(self, weights: Float64) -> Float64:
        """The area of each class, `(repeats, classes, draws)`, of weights `(draws, groups)`; NaN where it has no clips on one side."""
        return np.array([[_area(order, weights) for order in run] for run in self._orders])

    def mean_auc(self, weights: Float64) -> Float64:
        """The mean over the classes, `(repeats, draws)`, of weights `(draws, groups)`; NaN where no class has clips on both sides."""
        areas = self.areas(weights)
        known = ~np.isnan(areas)
        counts = known.sum(axis=1)
        totals = np.where(known, areas, 0.0).sum(axis=1)
        mean: Float64 = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
        return mean


def _sort(scores: Float64, positive: NDArray[np.bool_], groups: NDArray[np.int64]) -> _Order:
    rest, own = scores[~positive], scores[positive]
    order = np.argsort(rest, kind="stable")
    above, level = (np.searchsorted(rest[order], own, side=side) for side in _SIDES)
    return _Order(groups[~positive][order], groups[positive], above, level)


def _area(order: _Order, weights: Float64) -> Float64:
    """`(draws,)`: the weight of pairs in the right order, over that of all pairs."""
    below = np.zeros((len(weights), len(order.rest) + 1))
    np.cumsum(weights[:, order.rest], axis=1, out=below[:, 1:])
    own = weights[:, order.own]
    won = (own * (below[:, order.above] + below[:, order.level])).sum(axis=1) / 2
    pairs = own.sum(axis=1) * below[:, -1]
    area: Float64 = np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    return area
