"""A small model, trained on a store that is not there."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars

from fastspec.learn import Bundle, train
from fastspec.spec import Recipe

CLIPS = 40
LABELS = np.arange(CLIPS) % 2
FEATURES = np.random.default_rng(0).normal(size=(CLIPS, 6, 3)).astype(np.float32)
FEATURES[np.arange(CLIPS), :, LABELS] += 4
VALID = np.full(CLIPS, 6, np.int32)


def toy_bundle(name: str = "logistic", **options: Any) -> Bundle:
    ledger = {
        "path": [f"{i}.wav" for i in range(CLIPS)],
        "label": [("cat", "dog")[label] for label in LABELS],
        "group": [f"speaker{i // 4}" for i in range(CLIPS)],
        "split": polars.Series([None] * CLIPS, dtype=polars.String),
        "start_s": [0.0] * CLIPS,
        "header_frames": [16000] * CLIPS,
        "sample_rate": [16000] * CLIPS,
        "channels": [1] * CLIPS,
        "status": ["ok"] * CLIPS,
        "audio_hash": [f"{i:016x}" * 2 for i in range(CLIPS)],
    }
    store: Any = SimpleNamespace(
        path="toy.zarr",
        recipe=Recipe().replace(clip_s=1.0, n_mels=3),
        manifest_digest="m",
        features=FEATURES,
        valid_frames=VALID,
        ledger=polars.DataFrame(ledger),
    )
    return train(store, name, **options)
