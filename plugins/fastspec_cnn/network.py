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


class Network(nn.Module):  # type: ignore[misc]
    """Blocks of a 3 × 3 convolution, batch norm, a rectifier and, but for the last, a maximum over 2 × 2; then mean and maximum over time.

    Args:
        n_classes: how many logits it gives.
        width: channels of the first block, doubled by each of the others.
        dropout: share of the last layer's inputs that are left out in training.
    """

    def __init__(self, n_classes: int, *, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        sizes = [1, *(width << block for block in range(_BLOCKS))]
        blocks = []
        for before, after in pairwise(sizes):
            blocks += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            blocks += [nn.MaxPool2d(2, ceil_mode=True)] if after < sizes[-1] else []
        self.n_classes = n_classes
        self.blocks = nn.Sequential(*blocks)
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
        values = self.blocks(pixels.unsqueeze(1)).mean(dim=3)
        reached = (lengths + (1 << (_BLOCKS - 1)) - 1) >> (_BLOCKS - 1)
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
