"""Other projects' whole jobs on a sample: whether they can do it, whether they compute the same, and then how long they take."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastspec.benchmark.kernel import note_of
from fastspec.benchmark.measure import apart
from fastspec.benchmark.peers import Job, Peer, peers
from fastspec.benchmark.sample import Sample
from fastspec.errors import RunFailed
from fastspec.spec import Recipe


class Other(NamedTuple):
    """A peer.

    Attributes:
        name: its own.
        difference: of its features from ours; None where there are none.
        note: why it is not timed; None where it is.
        run: do the job into an empty folder; answers the seconds.
        check: that its last result is what it was when it was compared; RunFailed otherwise.
    """

    name: str
    difference: float | None
    note: str | None
    run: Callable[[], float]
    check: Callable[[], None]


def compare_others(sample: Sample, folder: Path, *, processes: int, on_step: Callable[[str], None]) -> list[Other]:
    """Every peer that computes the sample's spec, after it did the job once where it can."""
    stretches, reason = sample.stretches(), _foreign(sample.recipe)
    if stretches is None:
        reason = "takes files, and these recordings lie in something else"
    job, features, found = Job(stretches or [], sample.recipe, processes), np.asarray(sample.store.features[:]), []
    for peer in peers(sample.recipe.spec):
        on_step(f"comparing {peer.name}")
        found.append(_compare(peer, job, features, folder / peer.name.replace(" ", ""), reason or _unable(peer, sample)))
    return found


def _foreign(recipe: Recipe) -> str | None:
    """The first setting of a clip policy that no peer has."""
    clip = recipe.clip
    if clip.channel not in ("mean", "left"):
        return f"has no channel {clip.channel!r}"
    return None if clip.pad == "zeros" else f"has no padding {clip.pad!r}"


def _unable(peer: Peer, sample: Sample) -> str | None:
    if not peer.is_installed():
        return f"not installed: pip install {' '.join(peer.packages)}"
    if not peer.resamples and not sample.are_alike():
        return "takes whole recordings of one channel at the recipe's rate and as long as a clip"
    return None


def _compare(peer: Peer, job: Job, features: np.ndarray, folder: Path, reason: str | None) -> Other:
    def run() -> float:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        start = time.perf_counter()
        peer.write(job, folder)
        return time.perf_counter() - start

    def measure() -> float:
        return apart(features, peer.read(job, folder), job.recipe.spec)

    def check() -> None:
        if note_of(measure(), job.recipe.spec):
            raise RunFailed(f"{peer.name} gave other features when it was timed than before; run it again, and report it if it stays")

    difference = None
    if reason is None:
        try:
            run()
            difference = measure()
            reason = note_of(difference, job.recipe.spec)
        except Exception as error:  # another project's code, in a version that nobody has seen yet, may raise anything
            reason = " ".join(f"fails here: {type(error).__name__}: {error}".split())
    return Other(peer.name, difference, reason, run, check)
