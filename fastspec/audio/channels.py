"""From several channels to one, and what is wrong with them: one that is dead, two that cancel each other."""

from itertools import combinations, combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

# 60 dB below the loudest: noise of the converter, where a microphone was not plugged in.
DEAD_BELOW = 1e-6
ANTIPHASE_BELOW = -0.95


def mix(source: NDArray[np.float32], channel: str) -> NDArray[np.float32]:
    """One channel of a clip.

    Args:
        source: `(samples, channels)` float32.
        channel: "mean", "left", "right" (the second channel, or the only one) or "loudest"; "each" is the first, of a clip that is not
            told which.

    Returns:
        `(samples,)` float32, contiguous.
    """
    channels = source.shape[1]
    if channels == 1:
        return source[:, 0]
    if channel == "mean":
        # Column by column: numpy's mean over an axis this short takes ten times as long.
        total = source[:, 0] + source[:, 1]
        for extra in range(2, channels):
            total += source[:, extra]
        total /= channels
        return total
    picks = {"left": 0, "right": 1, "each": 0}
    index = picks[channel] if channel in picks else _loudest(source)
    return np.ascontiguousarray(source[:, index])


def find_channel_faults(source: NDArray[np.float32]) -> str | None:
    """What is wrong with the channels of a clip, `(samples, channels)` float32, in one line; None where nothing is, or one is not finite.

    A dead channel has a variance of less than a millionth of the loudest one's. Channels in antiphase have Pearson's correlation below
    -0.95, so that their mean cancels.

    >>> tone = np.sin(np.arange(1000, dtype=np.float32))
    >>> find_channel_faults(np.stack([tone, -tone], axis=1))
    'channels 1 and 2 are in antiphase'
    >>> find_channel_faults(np.stack([tone, 0 * tone], axis=1))
    'channel 2 is dead'
    """
    return ChannelSums(source.shape[1]).add(source).find_faults()


class ChannelSums:
    """Means and covariances of channels, over blocks of a recording as if they were one."""

    def __init__(self, channels: int) -> None:
        self._n = 0
        self.means = np.zeros(channels)
        self._products = np.zeros((channels, channels))

    def add(self, block: NDArray[np.float32]) -> "ChannelSums":
        """Take in `(samples, channels)` float32; returns itself.

        Chan, Golub and LeVeque: the centred sums of products of two stretches add up, and to them d d' n m / (n + m), where d is the
        difference of their means and n and m are their lengths.
        """
        if not len(block):
            return self
        centred = [column.copy() for column in block.T]
        means = [column.mean() for column in centred]
        total, difference = self._n + len(block), np.array(means, np.float64) - self.means
        if len(centred) > 1:
            for column, mean in zip(centred, means, strict=True):
                column -= mean
            for i, j in combinations_with_replacement(range(len(centred)), 2):
                self._products[i, j] += _dot(centred[i], centred[j]) + difference[i] * difference[j] * self._n * len(block) / total
        self.means += difference * len(block) / total
        self._n = total
        return self

    def find_faults(self) -> str | None:
        """As `find_channel_faults` has it."""
        energies = self._products.diagonal()
        alive = np.flatnonzero(energies > DEAD_BELOW * energies.max()).tolist()
        if not alive or not np.isfinite(energies).all():
            return None
        faults = [f"channel {i + 1} is dead" for i in range(len(energies)) if i not in alive]
        for i, j in combinations(alive, 2):
            if self._products[i, j] < ANTIPHASE_BELOW * (energies[i] * energies[j]) ** 0.5:
                faults.append(f"channels {i + 1} and {j + 1} are in antiphase")
        return ", ".join(faults) or None


def _dot(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    # Not by BLAS, which would start threads of its own inside a worker.
    return float(np.einsum("n,n->", first, second))


def _loudest(source: NDArray[np.float32]) -> int:
    finite = np.where(np.isfinite(source), source, np.float32(0))
    return int(np.einsum("nc,nc->c", finite, finite, dtype=np.float64).argmax())
