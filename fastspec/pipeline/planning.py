"""What a run would take, told before it begins: size, memory, and a time that comes from really doing a little of it."""

import os
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np

from fastspec.corpus import Manifest
from fastspec.corpus.packing import as_columns
from fastspec.corpus.runs import begins_run
from fastspec.frontend import FrontEnd
from fastspec.pipeline.budget import fitting_workers
from fastspec.pipeline.compute import compute_rows, group_clips, load_columns, worker_bytes
from fastspec.pipeline.run import Plan
from fastspec.pipeline.work import Tally, compute_each
from fastspec.spec import Recipe
from fastspec.store import Layout, StoreWriter
from fastspec.store.place import Place, locate_store
from fastspec.store.reading import is_finished, is_store

SAMPLED_S = 1.0
SAMPLED_GROUPS = 256


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run will write, and what it will take.

    Attributes:
        layout: of the store.
        recordings: that its clips come from.
        clips_done: those of an earlier run that is resumed.
        workers: that work at once within the memory.
        memory_bytes: that they hold at most; the interpreter and its libraries come on top.
        free_bytes: where the store will lie; None behind a URL.
        sampled_clips: that were decoded and computed to estimate the time.
        seconds: for decoding and features of the clips that are not done, by that sample; writing comes on top.
    """

    layout: Layout
    recordings: int
    clips_done: int
    workers: int
    memory_bytes: int
    free_bytes: int | None
    sampled_clips: int
    seconds: float


def forecast(
    plan: Plan, output: str | os.PathLike[str], *, workers: int = 2, memory_bytes: int = 1 << 30, resume: bool = False
) -> Forecast:
    """What the run that was planned will take. Nothing is written; about a second's work is done with the same workers, to time it.

    Args:
        plan: of `plan_run`.
        output: where the store will lie.
        workers: threads; 0 computes in the calling one.
        memory_bytes: for what is in flight.
        resume: the store that is there is gone on with; what is done takes no more time.

    Raises:
        FastspecError: the memory is too little for one worker.
    """
    place, layout = locate_store(output), plan.layout
    at_once = min(max(1, workers), fitting_workers(memory_bytes, worker_bytes(layout)))
    done = _count_done(place, layout) if resume else 0
    sampled, seconds = _time_sample(plan.clips, layout, workers=min(workers, at_once)) if done < layout.n_clips else (0, 0.0)
    return Forecast(
        layout=layout,
        recordings=plan.clips.table["path"].n_unique(),
        clips_done=done,
        workers=at_once,
        memory_bytes=at_once * worker_bytes(layout),
        free_bytes=_free_bytes(place),
        sampled_clips=sampled,
        seconds=seconds * (layout.n_clips - done) / sampled if sampled else 0.0,
    )


def _count_done(place: Place, layout: Layout) -> int:
    if not is_store(place):
        return 0
    return layout.n_clips if is_finished(place) else StoreWriter(place, layout).clips_done()


def _free_bytes(place: Place) -> int | None:
    if not isinstance(place, Path):
        return None
    return shutil.disk_usage(next(folder for folder in place.absolute().parents if folder.exists())).free


def _time_sample(clips: Manifest, layout: Layout, *, workers: int) -> tuple[int, float]:
    """How many clips were computed, and the seconds that took."""
    recipe = layout.recipe
    front, tally, groups = FrontEnd(recipe), Tally("features", len(clips)), _spread_groups(clips, recipe)
    following = dict(pairwise(sorted([*groups, len(clips)])))  # where the next begins, so that no clip is taken twice

    def compute(start: int) -> int:
        rows = clips.rows(start, min(start + group_clips(recipe), following[start]))
        batches = load_columns([as_columns(rows)], recordings=clips.recordings, recipe=recipe, on_block=tally.check)
        compute_rows(rows, start, batches=batches, recipe=recipe, front=front, on_group=tally.add, dtype=layout.dtype)
        return len(rows)

    # Once before the clock runs: libraries are imported, and what is compiled is loaded.
    list(compute_each(compute, groups[:1], workers=workers, tally=Tally("features", 1)))
    begun = perf_counter()

    def compute_in_time(start: int) -> int:
        is_late = start != groups[0] and perf_counter() - begun > SAMPLED_S
        return 0 if is_late else compute(start)

    sampled = sum(compute_each(compute_in_time, groups, workers=workers, tally=tally))
    return sampled, perf_counter() - begun


def _spread_groups(clips: Manifest, recipe: Recipe) -> list[int]:
    """First clips of groups, however many are taken of them spread evenly over the manifest.

    Each begins with a recording: one that began in its middle would decode what comes before for a few clips alone.
    """
    begins = np.flatnonzero(begins_run(clips.table["path"]))
    # Multiples of the golden ratio, modulo 1: at any time no gap between them is much wider than another.
    shares = np.arange(min(SAMPLED_GROUPS, -(-len(clips) // group_clips(recipe)))) * (5**0.5 - 1) / 2 % 1
    places = begins[np.searchsorted(begins, (shares * len(clips)).astype(int), side="right") - 1]
    return list(dict.fromkeys(places.tolist()))
