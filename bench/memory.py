"""Peak memory of a run over one long recording cut into windows: it must not grow with the recording."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

COLUMNS = {"minutes": "minutes", "clips": "clips", "seconds": "s", "peak_mib": "peak MiB"}
SAMPLE_RATE = 44_100
WINDOW_S = 20.0

# ru_maxrss counts the parent's pages until exec, so what forks must be small: hence a process for each recording.
_RUN = """
import json, resource, sys, time
import fastspec
start = time.perf_counter()
recipe = fastspec.preset("librosa", clip_s=float(sys.argv[3]), hop_s=float(sys.argv[3]))
store = fastspec.featurize(fastspec.read_corpus(sys.argv[1]), sys.argv[2], recipe=recipe, workers=1)
seconds = time.perf_counter() - start
unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)
print(json.dumps({"clips": len(store), "seconds": seconds, "peak_mib": peak_mib}))
"""


def run_memory(*, minutes: Sequence[float]) -> list[dict[str, Any]]:
    """One row for each length: a stereo MP3 at 44.1 kHz in windows of 20 s, by one worker in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _measure(write_mp3(root / "warm-up" / "warm-up.mp3", seconds=1.0), root / "warm-up.zarr")  # compiles the kernel
        return [{"minutes": float(m)} | _measure_minutes(m, root / f"{m:g}") for m in minutes]


def _measure_minutes(minutes: float, root: Path) -> dict[str, Any]:
    return _measure(write_mp3(root / "corpus" / "long.mp3", seconds=60 * minutes), root / "store.zarr")


def _measure(recording: Path, output: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _RUN, str(recording.parent), str(output), str(WINDOW_S)]
    row: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return row


def write_mp3(path: Path, *, seconds: float) -> Path:
    """A stereo MP3 of tones in noise, written in pieces; returns its path."""
    path.parent.mkdir(parents=True)
    random, piece = np.random.default_rng(0), 10 * SAMPLE_RATE
    total = round(seconds * SAMPLE_RATE)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2, format="MP3") as file:
        for first in range(0, total, piece):
            t = np.arange(first, min(total, first + piece)) / SAMPLE_RATE
            noise = 0.02 * random.standard_normal((len(t), 2))
            file.write((0.3 * np.sin(2 * np.pi * 440 * t)[:, None] + noise).astype(np.float32))
    return path
