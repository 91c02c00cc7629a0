"""The whole job, from recordings to features on disk: by 1 to N workers, cold and warm, beside others; results compared first."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from fastspec.benchmark.kernel import OURS
from fastspec.benchmark.measure import noise_of
from fastspec.benchmark.others import Other, compare_others
from fastspec.benchmark.page_cache import can_forget
from fastspec.benchmark.peers import shut_down
from fastspec.benchmark.sample import Sample
from fastspec.benchmark.worker import Outcome, fresh_process, run_job, start_up
from fastspec.errors import RunFailed, counted

Row = dict[str, Any]
_SURELY_READ_BYTES = 64 << 10
# After so long no further round is begun.
_LONGEST_S = 20.0
_LEAST_ROUNDS = 2


class Key(NamedTuple):
    """What is timed."""

    implementation: str
    workers: int
    cache: str


class OurJobs:
    """Runs fastspec's, each number of workers in a process of its own, and keeps what came of them."""

    def __init__(self, sample: Sample, folder: Path, processes: Mapping[int, ProcessPoolExecutor]) -> None:
        self._sample, self._folder, self._processes = sample, folder, processes
        self.outcomes: dict[Key, list[Outcome]] = {}

    def run(self, key: Key, *, cold: Sequence[Path] = ()) -> float:
        """One job; answers its seconds. RunFailed where its features are not those of the first run, bit for bit."""
        output = self._folder / f"{key.workers}.zarr"
        settings, process = self._sample.recipe.to_dict(), self._processes[key.workers]
        outcome = process.submit(run_job, self._sample.table, settings, output, key.workers, cold).result()
        if outcome.digest != self._sample.digest:
            raise RunFailed(f"{key.workers} workers gave other features than the first run; report it, with what 'fastspec doctor' says")
        self.outcomes.setdefault(key, []).append(outcome)
        return outcome.seconds

    def why_not_cold(self, files: Sequence[Path]) -> str | None:
        """Why runs that were to be cold were not: the beginning of each file did not come from the disk."""
        cold = [outcome for key, outcomes in self.outcomes.items() if key.cache == "cold" for outcome in outcomes]
        least = sum(min(_SURELY_READ_BYTES, file.stat().st_size) for file in files)
        if all(outcome.from_disk is not None and outcome.from_disk >= least for outcome in cold):
            return None
        return f"the system keeps the files of {files[0].parent} in memory when it is asked to let them go"


def measure_jobs(
    sample: Sample, folder: Path, kernels: Path, *, repeat: int, on_step: Callable[[str], None]
) -> tuple[list[Row], str | None]:
    """Rows of the sections "stages" and "job", and why nothing was measured with a cold page cache; None where it was.

    Raises:
        RunFailed: an implementation's features change from run to run, or with the workers.
    """
    counts = worker_counts(sample.about["most_workers"])
    files = sample.files()
    not_cold = _why_unforgettable(files)
    with ExitStack() as stack:
        processes = {n: stack.enter_context(fresh_process(kernels)) for n in counts}
        for started in [process.submit(start_up, sample.recipe.to_dict()["spec"]) for process in processes.values()]:
            started.result()
        ours = OurJobs(sample, folder, processes)
        runs: dict[Key, Callable[[], float]] = {key: partial(ours.run, key) for key in (Key(OURS, n, "warm") for n in counts)}
        for key in runs:
            on_step(f"whole jobs, warming up: {counted(key.workers, 'worker')}")
            ours.run(key)
        ours.outcomes.clear()
        if files and not not_cold:
            runs |= {key: partial(ours.run, key, cold=files) for key in (Key(OURS, n, "cold") for n in {1, counts[-1]})}
        stack.callback(shut_down, counts[-1])
        others = compare_others(sample, folder, processes=counts[-1], on_step=on_step)
        runs |= {Key(other.name, counts[-1], "warm"): other.run for other in others if not other.note}
        seconds = _take_turns(runs, repeat, on_step)
        for other in others:
            if not other.note:
                other.check()
    if files and not not_cold and (not_cold := ours.why_not_cold(files)):
        seconds = {key: taken for key, taken in seconds.items() if key.cache == "warm"}
    return [*_stage_rows(sample, ours, seconds), *_job_rows(sample, ours, others, seconds)], not_cold


def worker_counts(most: int) -> list[int]:
    """1, 2, 4 … and the most.

    >>> worker_counts(6), worker_counts(1)
    ([1, 2, 4, 6], [1])
    """
    return sorted({most, *(1 << i for i in range(most.bit_length()))} - {0})


def _why_unforgettable(files: Sequence[Path] | None) -> str | None:
    if not can_forget():
        return "this system does not let a process drop files from memory"
    return None if files else "the recordings are no files of this machine"


def _take_turns(runs: Mapping[Key, Callable[[], float]], repeat: int, on_step: Callable[[str], None]) -> dict[Key, list[float]]:
    """Seconds of each run in each round, in which all take turns, so that a noisy neighbour slows all of them.

    Two rounds are done however long they take.
    """
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    start = time.perf_counter()
    for turn in range(repeat):
        if turn >= _LEAST_ROUNDS and time.perf_counter() - start > _LONGEST_S:
            break
        for key, run in runs.items():
            on_step(f"whole jobs, round {turn + 1} of {repeat}: {key.implementation}, {counted(key.workers, 'worker')}, {key.cache}")
            seconds[key].append(run())
    return seconds


def _stage_rows(sample: Sample, ours: OurJobs, seconds: Mapping[Key, Sequence[float]]) -> list[Row]:
    """Where one worker's time went in its best run; the stages add up to it."""
    rows = []
    for key in (key for key in seconds if key.implementation == OURS and key.workers == 1):
        best = min(ours.outcomes[key], key=lambda outcome: outcome.seconds)
        for name, taken in best.stages.items():
            row = {"section": "stages", "stage": name, "cache": key.cache, "seconds": taken, "share": taken / best.seconds}
            rows.append(row | {"hours_per_s": sample.audio_s / 3600 / taken if taken else None})
    return rows


def _job_rows(sample: Sample, ours: OurJobs, others: Sequence[Other], seconds: Mapping[Key, Sequence[float]]) -> list[Row]:
    one, most = min(seconds[Key(OURS, 1, "warm")]), max(key.workers for key in seconds)
    best = min(seconds[Key(OURS, most, "warm")])
    known: dict[str, Row] = {other.name: {"difference": other.difference, "note": other.note} for other in others}
    rows = []
    for key, rounds in seconds.items():
        taken, is_ours = min(rounds), key.implementation == OURS
        peaks = [outcome.peak_mib for outcome in ours.outcomes.get(key, []) if outcome.peak_mib]
        rows.append(
            {
                "section": "job",
                **key._asdict(),
                "seconds": taken,
                "rounds": len(rounds),
                "noise": noise_of(rounds),
                "hours_per_s": sample.audio_s / 3600 / taken,
                "x_real_time": sample.audio_s / taken,
                "peak_mib": max(peaks, default=None),
                "speedup": one / taken if is_ours and key.cache == "warm" else None,
                "faster": None if is_ours else taken / best,
                **known.get(key.implementation, {"difference": None, "note": None}),
            }
        )
    untimed = [{"section": "job", "implementation": other.name, **known[other.name]} for other in others if other.note]
    return rows + untimed
