"""From the clips of a recording to the recording."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import LearnError, choices

By = Literal["recording", "clip"]
_UNITS: tuple[By, ...] = ("recording", "clip")


def check_by(by: str | None) -> By | None:
    """`by`, when it is a unit of scores or None. LearnError otherwise."""
    for unit in _UNITS:
        if by == unit:
            return unit
    if by is not None:
        raise LearnError(f"by is {by!r}; {choices(by, _UNITS)}")
    return None


def unit_of(paths: Sequence[str], labels: NDArray[np.int64], by: By | None) -> By:
    """What is scored: as asked; else recordings where some have several clips, unless a recording has clips of several classes.

    Raises:
        LearnError: recordings are asked for, and one has clips of several classes.
    """
    first: dict[str, int] = {}
    mixed = [path for path, label in zip(paths, labels.tolist(), strict=True) if first.setdefault(path, label) != label]
    if by == "recording" and mixed:
        raise LearnError(f"{mixed[0]} has clips of several classes, so that it cannot be scored as one; score by clip")
    if by is not None:
        return by
    return "clip" if mixed or len(first) == len(paths) else "recording"


def number_recordings(paths: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each recording its first clip, and for each clip the number of its recording; recordings in order of appearance.

    >>> [array.tolist() for array in number_recordings(["b", "b", "a", "b"])]
    [[0, 2], [0, 0, 1, 0]]
    """
    numbers: dict[str, int] = {}
    of_clip = np.array([numbers.setdefault(path, len(numbers)) for path in paths], np.int64)
    return np.unique(of_clip, return_index=True)[1], of_clip


def mean_of_recordings(probabilities: NDArray[np.float64], of_clip: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of the probabilities of each recording's clips.

    The mean of probabilities, not of their logarithms: one clip that rules a class out, as trees do with a 0, must not outvote all
    others, and neighbouring clips are far from the independent witnesses whose probabilities multiply. By Jensen's inequality the
    log-loss of the mean is never above the mean log-loss of the clips.

    Args:
        probabilities: `(..., clips, classes)` float64.
        of_clip: `(clips,)` the number of each clip's recording, from 0.

    Returns:
        `(..., recordings, classes)` float64.

    >>> mean_of_recordings(np.array([[1.0, 0.0], [0.5, 0.5], [0.2, 0.8]]), np.array([0, 0, 1])).tolist()
    [[0.75, 0.25], [0.2, 0.8]]
    """
    counts = np.bincount(of_clip)
    total = np.zeros((len(counts), *np.moveaxis(probabilities, -2, 0).shape[1:]))
    np.add.at(total, of_clip, np.moveaxis(probabilities, -2, 0))
    return np.moveaxis(total, 0, -2) / counts[:, None]
