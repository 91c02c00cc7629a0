"""The network itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fastspec_cnn.pictures import Pictures

_BLOCKS = 4
_HALVINGS = 3  # of time, and of the bands


class Network(nn.Module):  # type: ignore[misc]
    """Blocks of a convolution, batch norm and a rectifier, then mean and maximum over time. The first convolution is 5 × 5 and takes every
    other pixel, since full size is where the time would go; the others are 3 × 3, the second and third with a maximum over 2 × 2.

    Args:
        n_classes: how many logits it gives.
        width: channels of the first block, doubled by each of the others.
        dropout: share of the last layer's inputs that are left out in training.
    """

    def __init__(self, n_classes: int, *, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        sizes = [width << block for block in range(_BLOCKS)]
        blocks: list[nn.Module] = [nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        for before, after in pairwise(sizes):
            blocks.append(nn.Conv2d(before, after, 3, padding=1, bias=False))
            # A maximum before batch norm and rectifier leaves these a quarter of the pixels.
            blocks += [nn.MaxPool2d(2, ceil_mode=True)] if after < sizes[-1] else []
            blocks += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        self.n_classes = n_classes
        # Channels last in memory: half the time of a step on a processor.
        self.blocks = nn.Sequential(*blocks).to(memory_format=torch.channels_last)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * sizes[-1], n_classes)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], *, width: int) -> Self:
        """The network whose `state_dict` this was. KeyError or RuntimeError when they are not one of that width."""
        network = cls(len(arrays["head.bias"]), width=width)
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        network.eval()
        return network

    def forward(self, pixels: Tensor, lengths: Tensor) -> Tensor:
        """`(clips, frames, bands)` and `(clips,)` to logits `(clips, classes)`; only what lies over frames with signal is pooled."""
        values = self.blocks(pixels.unsqueeze(1).contiguous(memory_format=torch.channels_last)).mean(dim=3)
        reached = (lengths + (1 << _HALVINGS) - 1) >> _HALVINGS
        heard = (torch.arange(values.shape[2]) < reached.unsqueeze(1)).unsqueeze(1)
        mean = (values * heard).sum(dim=2) / reached.unsqueeze(1)
        highest = values.masked_fill(~heard, 0).amax(dim=2)  # nothing is below 0 after a rectifier
        return self.head(self.dropout(torch.cat([mean, highest], dim=1)))

    def classify(self, pictures: Pictures) -> NDArray[np.float64]:
        """Probabilities `(clips, classes)` float64. Clips come one at a time: in a batch, sums are taken in another order."""
        logits = np.empty((len(pictures.pixels), self.n_classes))
        with torch.inference_mode():
            for row, pixels, length in zip(logits, torch.from_numpy(pictures.pixels), torch.from_numpy(pictures.lengths), strict=True):
                row[:] = self(pixels.unsqueeze(0), length.unsqueeze(0))[0].numpy()
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """torch on that many threads; it has no switch narrower than the process."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
