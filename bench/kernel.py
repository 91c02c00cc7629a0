"""ns a frame of the front end and of every installed reference: the same definition, the same samples, one thread, one process."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.measure import best_seconds, one_thread
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.presets import preset
from fastspec.references import difference, installed_references, tolerance
from fastspec.spec import FeatureSpec

Float32 = NDArray[np.float32]
OURS = "fastspec"
COLUMNS = {
    "case": "case",
    "implementation": "implementation",
    "form": "form",
    "ns_per_frame": "ns / frame",
    "us_per_clip": "µs / clip",
    "x_real_time": "× real time",
    "difference": "difference",
}


class Case(NamedTuple):
    """A definition and how much is computed by it; `clips` and `seconds` are None where the command line decides."""

    name: str
    spec: FeatureSpec
    clips: int | None = None
    seconds: float | None = None


SPEECH = FeatureSpec(win_length=400)
CASES = (
    Case("speech 512/400/160/80 log10", SPEECH),
    Case("librosa 2048/2048/512/128 dB", preset("librosa").spec),
    Case("speech, one clip of 0.1 s", SPEECH, clips=1, seconds=0.1),
)


class Form(NamedTuple):
    """One way of calling an implementation on all clips."""

    implementation: str
    name: str
    call: Callable[[], Sequence[Float32] | Float32]


def run_kernel(cases: Sequence[Case] = CASES, *, clips: int, seconds: float, repeat: int) -> list[dict[str, Any]]:
    """One row per case and implementation, in its faster form.

    Raises:
        RunFailed: an implementation's features are not the front end's.
    """
    rows = []
    with one_thread():
        for case in cases:
            rows += _run_case(case, case.clips or clips, case.seconds or seconds, repeat)
    return rows


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The table's headings: a row's keys, and one for each peer that it is compared with."""
    peers = [key for key in rows[0] if key.startswith("faster_than_")]
    return {**COLUMNS, **{key: f"× {key.removeprefix('faster_than_')}" for key in peers}}


def noise(clips: int, seconds: float, spec: FeatureSpec) -> Float32:
    """`(clips, samples)` float32: white noise, on which all references agree."""
    shape = clips, round(seconds * spec.sample_rate)
    return (0.1 * np.random.default_rng(7).standard_normal(shape)).astype(np.float32)


def _run_case(case: Case, n_clips: int, seconds: float, repeat: int) -> list[dict[str, Any]]:
    samples = noise(n_clips, seconds, case.spec)
    forms = _forms(case.spec, samples)
    differences = _compare(case, forms)
    best = _fastest(forms, best_seconds([form.call for form in forms], repeat=repeat))
    n_frames = n_clips * case.spec.n_frames(samples.shape[1])
    return [
        {
            "case": case.name,
            "implementation": name,
            "form": form,
            "clips": n_clips,
            "seconds": seconds,
            "ns_per_frame": taken / n_frames * 1e9,
            "us_per_clip": taken / n_clips * 1e6,
            "x_real_time": n_clips * seconds / taken,
            "difference": differences[name],
            **{f"faster_than_{peer}": other / taken for peer, (other, _) in best.items() if peer != OURS},
        }
        for name, (taken, form) in best.items()
    ]


def _fastest(forms: Sequence[Form], taken: Sequence[float]) -> dict[str, tuple[float, str]]:
    """Each implementation's seconds in its faster form, and which that is."""
    best: dict[str, tuple[float, str]] = {}
    for form, seconds in zip(forms, taken, strict=True):
        best[form.implementation] = min((seconds, form.name), best.get(form.implementation, (seconds, form.name)))
    return best


def _forms(spec: FeatureSpec, samples: Float32) -> list[Form]:
    """Every way of calling every implementation. One clip has no batch."""
    front = FrontEnd(spec)
    calls: list[tuple[str, Callable[..., Float32], Callable[..., Float32] | None]] = [(OURS, front, front.batch)]
    for peer in installed_references():
        transform = peer.transform(spec)
        calls.append((peer.name, transform, transform if peer.batched else None))
    forms = []
    for name, single, batch in calls:
        forms.append(Form(name, "one by one", lambda single=single: [single(clip) for clip in samples]))
        if batch is not None and len(samples) > 1:
            forms.append(Form(name, "batch", lambda batch=batch: batch(samples)))
    return forms


def _compare(case: Case, forms: Sequence[Form]) -> dict[str, float | None]:
    """Each reference's largest difference from the front end; RunFailed where it is not the same definition."""
    ours = np.asarray(forms[0].call())
    differences: dict[str, float | None] = {OURS: None}
    for form in forms[1:]:
        apart = difference(ours, np.asarray(form.call()), spec=case.spec)
        if not apart <= tolerance(case.spec):
            raise RunFailed(
                f"{case.name}: {form.implementation} ({form.name}) is {apart:.3g} away from fastspec, allowed are "
                f"{tolerance(case.spec):.3g}; two definitions are not timed against each other"
            )
        if form.implementation != OURS:
            differences[form.implementation] = max(apart, differences.get(form.implementation) or 0.0)
    return differences
