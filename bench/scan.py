"""How long a scan takes, beside merely decoding the same recordings with as many workers."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from fastspec.audio import AudioError, read
from fastspec.corpus import Manifest, read_corpus
from fastspec.demo.corpora import fetch
from fastspec.errors import RunFailed
from fastspec.scanning import scan

COLUMNS = {"step": "step", "clips": "clips", "hours": "hours", "seconds": "s", "times": "× decoding", "at_most": "at most", "met": "met"}
AT_MOST = 1.5
# Spoken names of stamps: …/frog_desc_fr.ogg.
_LABEL, _GROUP = r"_desc_([a-z]+(?:_[A-Z]+)?)\.\w+$", r"(.+?)(?:_desc\w*)?\.\w+$"

Result = TypeVar("Result")


def run_scan(manifest: Manifest | None = None, *, workers: int, repeat: int) -> list[dict[str, Any]]:
    """One row for decoding and one for the scan: the best of `repeat` rounds, in which they take turns.

    Args:
        manifest: what to scan; None is the corpus "stamps", labelled by language, which is fetched.
        workers: threads of both.
        repeat: rounds.

    Raises:
        RunFailed: the scan did not hear every frame that decoding gives.
    """
    manifest = manifest or read_corpus(fetch("stamps"), label_from=_LABEL, group_from=_GROUP)
    best = {"decode": float("inf"), "scan": float("inf")}
    for _ in range(repeat):
        decoding, frames = _timed(lambda: _decode(manifest, workers))
        scanning, report = _timed(lambda: scan(manifest, workers=workers))
        if (heard := int(report.manifest.found["frames"].sum())) != frames:
            raise RunFailed(f"the scan heard {heard} frames and decoding gives {frames}")
        best = {"decode": min(best["decode"], decoding), "scan": min(best["scan"], scanning)}
    times = best["scan"] / best["decode"]
    same = {"clips": len(manifest), "hours": report.hours}
    return [
        {"step": "decode", **same, "seconds": best["decode"]},
        {"step": "scan", **same, "seconds": best["scan"], "times": times, "at_most": AT_MOST, "met": times <= AT_MOST},
    ]


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _decode(manifest: Manifest, workers: int) -> int:
    """Frames of all recordings, each decoded once and let go."""

    def count(path: str) -> int:
        try:
            return len(read(manifest.open(path))[0])
        except AudioError:
            return 0

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(count, manifest.table["path"].unique(maintain_order=True).to_list()))
