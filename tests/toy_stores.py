"""Stores in memory that can be learned from."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars

from fastspec.spec import Recipe


def toy_store(clips: int = 60, seed: int = 0, **columns: list[Any]) -> Any:
    """A finished store of clips whose class is the band that is loudest, five clips a group."""
    random = np.random.default_rng(seed)
    labels = np.arange(clips) % 3
    features = random.normal(size=(clips, 6, 3)).astype(np.float32)
    features[np.arange(clips), :, labels] += 4
    ledger = {
        "path": [f"{i}.wav" for i in range(clips)],
        "label": [("bird", "cat", "dog")[label] for label in labels],
        "group": [f"speaker{i // 5}" for i in range(clips)],
        "split": [None] * clips,
        "start_s": [0.0] * clips,
        "channel": [None] * clips,
        "header_frames": [16000] * clips,
        "sample_rate": [16000] * clips,
        "channels": [1] * clips,
        "status": ["ok"] * clips,
        "audio_hash": [f"{seed:08x}{i:08x}{0:016x}" for i in range(clips)],
    } | columns
    types = {"split": polars.String, "label": polars.String}
    return SimpleNamespace(
        path=f"toy{seed}.zarr",
        recipe=Recipe().replace(clip_s=1.0),
        manifest_digest=f"digest{seed}",
        features=features,
        valid_frames=np.full(clips, 6, np.int32),
        ledger=polars.DataFrame(ledger, schema_overrides=types),
    )


def windowed_store(seed: int = 0, **columns: list[Any]) -> Any:
    """Twenty recordings of three windows each, a recording a group."""
    paths = [f"{i // 3}.wav" for i in range(60)]
    labels = [("bird", "cat")[i // 3 % 2] for i in range(60)]
    starts = [float(i % 3) for i in range(60)]
    store = toy_store(seed=seed, **({"path": paths, "group": paths, "label": labels, "start_s": starts} | columns))
    store.features[:] = np.random.default_rng(seed + 1).normal(size=store.features.shape)
    store.features[:, :, 0] += 0.5 * (np.arange(60) // 3 % 2)[:, None]
    return store
