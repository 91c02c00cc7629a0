"""A store as a map-style dataset of PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastspec.errors import StoreError
from fastspec.installation import extra_command
from fastspec.store.clips import ClipReader


class TorchDataset:
    """Clips with status "ok" as `(features, target)` tensors, for `torch.utils.data.DataLoader` with any number of workers.

    Features are float32 `(frames, bands)`; targets are int64 places in `classes`. In a store without labels items are features alone;
    in any other, clips without a label are left out.

    Attributes:
        classes: the labels, sorted.
        clips: `(items,)` int64, the number of each item's clip in the store.
        targets: `(items,)` int64; None in a store without labels.
    """

    def __init__(self, reader: ClipReader, *, statuses: Sequence[str], labels: Sequence[str | None]) -> None:
        try:
            import torch
        except ImportError:
            raise StoreError(f"torch is not installed, which a torch dataset needs; {extra_command('torch')}") from None
        self._from_numpy = torch.from_numpy
        self._reader = reader
        self.classes = sorted({label for label in labels if label is not None})
        kept = [i for i, status in enumerate(statuses) if status == "ok" and (labels[i] is not None or not self.classes)]
        self.clips: NDArray[np.int64] = np.array(kept, np.int64)
        numbers = {label: i for i, label in enumerate(self.classes)}
        self.targets = np.array([numbers[str(labels[i])] for i in kept], np.int64) if self.classes else None

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, item: int) -> Any:
        """Features, or features with their target."""
        features = self._from_numpy(self._reader[int(self.clips[item])].astype(np.float32, copy=False))
        return features if self.targets is None else (features, int(self.targets[item]))
