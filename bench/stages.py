"""ns a frame of each stage of the kernel, and the seconds that a new process spends before its first features."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench.kernel import SPEECH
from bench.peak import measure_peak, stage_work
from fastspec.benchmark.kernel import noise
from fastspec.benchmark.measure import Float32, best_seconds, one_thread
from fastspec.frontend import FrontEnd
from fastspec.kernels.fft import transform, unpack_power
from fastspec.kernels.filterbank import fill_bands, write_frames
from fastspec.kernels.framing import load_points
from fastspec.kernels.jit import entry
from fastspec.kernels.simd import announce

COLUMNS = {
    "step": "step",
    "ns_per_frame": "ns / frame",
    "percent": "%",
    "ns_at_peak": "at the machine's peak",
    "percent_of_peak": "% of it",
    "seconds": "s",
}


class Stage(NamedTuple):
    """How far a run goes that ends with this stage."""

    name: str
    depth: int
    logarithmic: bool = True


STAGES = (
    Stage("load, transpose, window", 1),
    Stage("Fourier transform", 2),
    Stage("unpack, power", 3),
    Stage("mel bank", 4, logarithmic=False),
    Stage("logarithm", 4),
    Stage("transpose, write", 5),
)


def run_stages(*, clips: int, seconds: float, repeat: int) -> list[dict[str, Any]]:
    """One row a stage of the first case of `bench kernel`, then what stands around the stages, then the whole call.

    A stage is what it adds to a run that ends before it: each then works on the data that it sees in the kernel. Beside it stands the
    least that its arithmetic, or the memory that it reads and writes, would take on this machine (`bench.peak`).
    """
    samples, front = noise(clips, seconds, SPEECH), FrontEnd(SPEECH)
    out = front.batch(samples)
    flat, features = samples.reshape(-1), out.reshape(-1)
    n_frames = (len(flat) - SPEECH.window_length) // SPEECH.hop_length + 1
    calls = [_run_to(stage, front, flat, n_frames, features) for stage in STAGES]
    with one_thread():
        *reached, whole = best_seconds([*calls, lambda: front.batch(samples, out)], repeat=repeat)
    frame_s = [taken / n_frames for taken in reached]
    whole_s = whole / (clips * SPEECH.n_frames(samples.shape[1]))
    added = [after - before for before, after in zip([0.0, *frame_s], frame_s, strict=False)]
    names = [*(stage.name for stage in STAGES), "clip edges, finite test, call", "the whole"]
    taken = [*added, whole_s - frame_s[-1], whole_s]
    peak, work = measure_peak(repeat=repeat), stage_work(SPEECH, len(front._plan.weights))
    least = [each.bound_s(peak) for each in work]
    return [
        {
            "step": name,
            "ns_per_frame": spent * 1e9,
            "percent": 100 * spent / whole_s,
            "ns_at_peak": bound and bound * 1e9,
            "percent_of_peak": bound and 100 * bound / spent,
            "seconds": None,
        }
        for name, spent, bound in zip(names, taken, [*least, None, sum(least)], strict=True)
    ]


def _run_to(stage: Stage, front: FrontEnd, samples: Float32, n_frames: int, out: Float32) -> Callable[[], None]:
    # The front end's own tables and scratch: what is timed is what it runs.
    plan, scratch = front._plan._replace(logarithmic=stage.logarithmic), front._scratch()
    return lambda: _pass_through(samples, n_frames, plan, scratch, out, stage.depth)


@entry
def _pass_through(samples, n_frames, plan, scratch, out, depth):
    """The first `depth` stages of `kernels.extract`, over whole blocks of frames that lie inside the samples.

    Depth is data, so that one compilation serves all.
    """
    lanes, w = plan.lanes, len(plan.lanes)
    for t in range(0, n_frames - w + 1, w):
        if depth > 4:
            for i in range(t * len(plan.first), (t + w) * len(plan.first), 16):
                announce(out, i)
        load_points(lanes, samples, t * plan.hop_length, plan.hop_length, plan, scratch.points)
        if depth > 1:
            transform(lanes, scratch.points, plan.passes, plan.factors, scratch.spare)
        if depth > 2:
            unpack_power(lanes, scratch.points, len(plan.order), plan.unpacking)
        if depth > 3:
            fill_bands(lanes, scratch.points, plan, scratch.bands)
        if depth > 4:
            write_frames(lanes, scratch.bands, len(plan.first), out, t * len(plan.first))


_FIRST_CALL = """
import json, time
start = time.perf_counter()
import numpy as np
from fastspec.benchmark.kernel import noise
from fastspec.benchmark.measure import Float32, best_seconds, one_thread
from fastspec.frontend import FrontEnd
from fastspec.spec import FeatureSpec
imported = time.perf_counter()
FrontEnd(FeatureSpec(win_length=400))(np.zeros(16000, np.float32))
print(json.dumps({"import": imported - start, "first call": time.perf_counter() - imported}))
"""


def run_first_calls() -> list[dict[str, Any]]:
    """Seconds of a new process's import and first call, with an empty cache of compiled kernels and then with the one it left."""
    with tempfile.TemporaryDirectory() as cache:
        cold, warm = first_call_seconds(cache), first_call_seconds(cache)
    return [
        dict.fromkeys(COLUMNS) | {"step": f"{step}, {state} cache", "seconds": taken}
        for state, timing in (("empty", cold), ("filled", warm))
        for step, taken in timing.items()
    ]


def first_call_seconds(cache: str | os.PathLike[str]) -> Mapping[str, float]:
    """Seconds that a new process takes for "import" and "first call" with the compiled kernels in `cache`."""
    root = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "FASTSPEC_CACHE": os.fspath(cache)}
    command = [sys.executable, "-c", _FIRST_CALL]
    answer = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)
