"""A run by its number of rows: how soon it starts, and how much memory it takes at most."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import soundfile

COLUMNS = {
    "rows": "rows",
    "starts_s": "starts after s",
    "seconds": "s",
    "start_mib": "MiB at the start",
    "peak_mib": "peak MiB",
    "peak_times": "× the fewest rows'",
    "at_most": "at most",
    "met": "met",
}
STARTS_WITHIN_S, PEAK_WITHIN = 30.0, 1.2
CLIP_S = 0.1
CLIPS_A_RECORDING = 1000
SAMPLE_RATE = 16_000

# ru_maxrss counts the parent's pages until exec, so what forks must be small: hence a process for each number of rows.
_RUN = """
import json, resource, sys, time
import fastspec
def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1 << 10) / (1 << 20)
begun, started = time.perf_counter(), []
def report(progress):
    if not started:
        started.extend([time.perf_counter() - begun, peak_mib()])
recipe = fastspec.preset("torchaudio", n_mels=16, allow_empty_bands=True, clip_s=0.1)
fastspec.featurize(sys.argv[1], sys.argv[2], recipe=recipe, workers=2, on_progress=report)
row = {"starts_s": started[0], "seconds": time.perf_counter() - begun, "start_mib": started[1], "peak_mib": peak_mib()}
print(json.dumps(row))
"""


def run_rows(*, rows: Sequence[int]) -> list[dict[str, Any]]:
    """One row for each number of rows: clips of 0.1 s in 16 bands, by two workers in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _measure(write_table(root / "warm-up", n_rows=10), root / "warm-up.zarr")  # compiles the kernel
        found = [{"rows": n} | _measure(write_table(root / str(n), n_rows=n), root / f"{n}.zarr") for n in rows]
    least = min(found, key=lambda row: row["rows"])["peak_mib"]
    return [row | _judge(row["starts_s"], row["peak_mib"], least) for row in found]


def _judge(starts_s: float, peak_mib: float, least_mib: float) -> dict[str, Any]:
    """Whether a run starts soon enough, in as much memory as one over few rows and a fifth more."""
    return {
        "peak_times": peak_mib / least_mib,
        "at_most": f"{PEAK_WITHIN} × ({PEAK_WITHIN * least_mib:.0f} MiB), {STARTS_WITHIN_S:g} s",
        "met": starts_s < STARTS_WITHIN_S and peak_mib <= PEAK_WITHIN * least_mib,
    }


def _measure(table: Path, output: Path) -> dict[str, Any]:
    command = [sys.executable, "-c", _RUN, str(table), str(output)]
    row: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return row


def write_table(folder: Path, *, n_rows: int) -> Path:
    """A table of clips of 0.1 s, a thousand of each recording; all recordings are links to one, so that the disk holds them."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(CLIPS_A_RECORDING * CLIP_S * SAMPLE_RATE))
    soundfile.write(folder / "one.wav", noise, SAMPLE_RATE)
    for recording in range(-(-n_rows // CLIPS_A_RECORDING)):
        (folder / f"{recording:06}.wav").symlink_to("one.wav")
    recordings, clips = np.divmod(np.arange(n_rows), CLIPS_A_RECORDING)
    paths = pl.Series(recordings).cast(pl.String).str.zfill(6) + ".wav"
    table = pl.DataFrame({"path": paths, "label": paths, "start_s": clips * CLIP_S, "duration_s": np.full(n_rows, CLIP_S)})
    table.write_parquet(folder / "clips.parquet")
    return folder / "clips.parquet"
