"""How the network is trained."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from fastspec.learn.classifier import Groups, Labels
from fastspec.learn.splits import inner_folds
from fastspec_cnn.network import Network
from fastspec_cnn.pictures import Pictures

if TYPE_CHECKING:
    from fastspec_cnn import CNN

_FOLDS = 5  # of which one is held back
_SPELLS = 20  # after each of which those held back are looked at
_AT_ONCE = 64


class Batch(NamedTuple):
    """Pictures of some clips, and the classes that they are."""

    pixels: Tensor
    lengths: Tensor
    codes: Tensor

    def keep(self, rows: NDArray[np.int64]) -> Self:
        """Some of the clips."""
        return type(self)(*(column[torch.from_numpy(rows)] for column in self))


def train_network(settings: "CNN", pictures: Pictures, codes: Labels, *, n_classes: int, groups: Groups | None) -> Network:
    """A trained network: that with the lowest log-loss on groups held back, of twenty on its way, or the last where too few can be spared.

    Equal settings, pictures and threads give equal weights.

    Args:
        settings: the plugin with its hyper-parameters.
        pictures: scaled.
        codes: `(clips,)` int64, each of `0..n_classes - 1` at least once.
        n_classes: how many there are.
        groups: `(clips,)` strings, or None.
    """
    clips = Batch(torch.from_numpy(pictures.pixels), torch.from_numpy(pictures.lengths), torch.from_numpy(codes))
    folds = inner_folds(codes, groups, n_folds=_FOLDS, seed=settings.seed)
    learned, held_back = (clips.keep(folds[0].train), clips.keep(folds[0].test)) if folds else (clips, None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = Network(n_classes, width=settings.width, dropout=settings.dropout)
        lowest, best, waited = np.inf, network.state_dict(), 0
        for _ in _spells(network, learned, settings):
            loss = -np.inf if held_back is None else _loss(network, held_back)
            waited += 1
            if loss < lowest or held_back is None:
                lowest, best, waited = loss, deepcopy(network.state_dict()), 0
            if waited >= settings.patience:
                break
    network.load_state_dict(best)
    network.eval()
    return network


def _spells(network: Network, clips: Batch, settings: "CNN") -> Iterator[None]:
    """Train, a twentieth of the time for each value that is asked for."""
    random = np.random.default_rng(settings.seed)
    steps = max(settings.steps, settings.epochs * len(clips.codes) // settings.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=settings.learning_rate, total_steps=steps + 1)
    batches = _batches(len(clips.codes), settings.batch_size, random)
    for spell in np.array_split(np.arange(steps), min(steps, _SPELLS)):
        network.train()
        for rows in islice(batches, len(spell)):
            optimizer.zero_grad()
            _step_loss(network, clips.keep(rows), settings, random).backward()
            optimizer.step()
            schedule.step()
        yield


def _batches(n_clips: int, size: int, random: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Rows of all clips, in another order each time, without end."""
    while True:
        yield from np.array_split(random.permutation(n_clips), max(1, n_clips // size))


def _step_loss(network: Network, batch: Batch, settings: "CNN", random: np.random.Generator) -> Tensor:
    """The loss of some clips, of which parts are blanked out and which are mixed in pairs (Park et al. 2019, Zhang et al. 2018)."""
    pixels = _mask(batch.pixels, batch.lengths, settings.mask, random)
    share = random.beta(settings.mixup, settings.mixup) if settings.mixup else 1.0
    partner = torch.from_numpy(random.permutation(len(batch.codes)))
    mixed = share * pixels + (1 - share) * pixels[partner]
    logits = network(mixed, torch.maximum(batch.lengths, batch.lengths[partner]) if settings.mixup else batch.lengths)
    own, other = (cross_entropy(logits, codes, label_smoothing=settings.label_smoothing) for codes in (batch.codes, batch.codes[partner]))
    return share * own + (1 - share) * other


def _mask(pixels: Tensor, lengths: Tensor, largest: float, random: np.random.Generator) -> Tensor:
    """A stretch of frames and one of bands of each picture at 0, which is the mean of every band."""
    n_clips, n_frames, n_bands = pixels.shape
    hidden = []
    for size, whole in ((n_frames, lengths.numpy()), (n_bands, np.full(n_clips, n_bands))):
        width = random.uniform(0, largest, n_clips) * whole
        first = random.uniform(0, 1, n_clips) * (whole - width)
        places = np.arange(size) + 0.5
        hidden.append(torch.from_numpy((places >= first[:, None]) & (places < (first + width)[:, None])))
    return pixels.masked_fill(hidden[0].unsqueeze(2) | hidden[1].unsqueeze(1), 0.0)


def _loss(network: Network, clips: Batch) -> float:
    """The mean over all clips, some at a time."""
    network.eval()
    total = 0.0
    with torch.inference_mode():
        for rows in np.split(np.arange(len(clips.codes)), range(_AT_ONCE, len(clips.codes), _AT_ONCE)):
            some = clips.keep(rows)
            total += float(cross_entropy(network(some.pixels, some.lengths), some.codes, reduction="sum"))
    return total / len(clips.codes)
