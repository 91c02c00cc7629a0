"""ns a frame of the front end and of every installed reference: the same definition, the same samples, one thread, one process."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastspec.benchmark.kernel import OURS, Form, forms, noise
from fastspec.benchmark.measure import apart, best_seconds, one_thread
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.presets import preset
from fastspec.references import Reference, references, tolerance
from fastspec.spec import FeatureSpec

COLUMNS = {
    "case": "case",
    "implementation": "implementation",
    "form": "form",
    "ns_per_frame": "ns / frame",
    "us_per_clip": "µs / clip",
    "x_real_time": "× real time",
    "difference": "difference",
    "faster": "fastspec ×",
    "at_least": "at least",
    "met": "met",
}
CALL_COLUMNS = {
    "case": "case",
    "us_per_call": "µs / call",
    "us_in_kernel": "in the kernel",
    "us_above": "above it",
    "at_most": "at most",
    "met": "met",
}


class Case(NamedTuple):
    """A definition, and how many times as fast as a reference the front end is to be."""

    name: str
    spec: FeatureSpec
    floors: Mapping[str, float]


SPEECH = FeatureSpec(win_length=400)
CASES = (
    Case("speech 512/400/160/80 log10", SPEECH, {"librosa": 9, "torchaudio": 6}),
    # With the window of asrfront, which has no other; it costs what Kaldi's own does.
    Case("kaldi, Hamming window", preset("kaldi", window="hamming").spec, {"asrfront": 1.5, "kaldi-native-fbank": 30}),
    Case("whisper", preset("whisper").spec, {"asrfront": 1.5, "librosa": 6, "transformers": 10}),
    Case("librosa 2048/2048/512/128 dB", preset("librosa").spec, {"librosa": 6, "torchaudio": 6}),
)
SHORT_S, SHORT_CLIPS, MOST_ABOVE_US = 0.1, 16, 15.0


def peers(cases: Sequence[Case] = CASES) -> list[Reference]:
    """The references of these cases, installed or not."""
    return list({peer.name: peer for case in cases for peer in references(case.spec)}.values())


def run_kernel(cases: Sequence[Case] = CASES, *, clips: int, seconds: float, repeat: int) -> list[dict[str, Any]]:
    """One row per case and implementation, in its faster form.

    Raises:
        RunFailed: an implementation's features are not the front end's.
    """
    rows = []
    with one_thread():
        for case in cases:
            rows += _run_case(case, clips, seconds, repeat)
    return rows


def run_single_call(*, repeat: int) -> dict[str, Any]:
    """One call with one clip of 0.1 s, and what of it a clip takes in a call with many, which is the kernel's share."""
    samples, front = noise(SHORT_CLIPS, SHORT_S, SPEECH), FrontEnd(SPEECH)
    out = front.batch(samples)
    with one_thread():
        single, batch = best_seconds([lambda: front(samples[0]), lambda: front.batch(samples, out)], repeat=repeat)
    above = (single - batch / SHORT_CLIPS) * 1e6
    return {
        "case": f"one call with a clip of {SHORT_S} s",
        "us_per_call": single * 1e6,
        "us_in_kernel": batch / SHORT_CLIPS * 1e6,
        "us_above": above,
        "at_most": MOST_ABOVE_US,
        "met": above <= MOST_ABOVE_US,
    }


def _run_case(case: Case, n_clips: int, seconds: float, repeat: int) -> list[dict[str, Any]]:
    samples = noise(n_clips, seconds, case.spec)
    found = forms(case.spec, samples)
    differing = _compare(case, found)
    best = _fastest(found, best_seconds([form.call for form in found], repeat=repeat))
    n_frames, (ours, _) = n_clips * case.spec.n_frames(samples.shape[1]), best[OURS]
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
            "difference": differing[name],
            "faster": None if name == OURS else taken / ours,
            "at_least": case.floors.get(name),
            "met": taken / ours >= case.floors[name] if name in case.floors else None,
        }
        for name, (taken, form) in best.items()
    ]


def _fastest(forms: Sequence[Form], taken: Sequence[float]) -> dict[str, tuple[float, str]]:
    """Each implementation's seconds in its faster form, and which that is."""
    best: dict[str, tuple[float, str]] = {}
    for form, seconds in zip(forms, taken, strict=True):
        best[form.implementation] = min((seconds, form.name), best.get(form.implementation, (seconds, form.name)))
    return best


def _compare(case: Case, forms: Sequence[Form]) -> dict[str, float | None]:
    """Each reference's largest difference from the front end; RunFailed where it is not the same definition."""
    ours = np.asarray(forms[0].call())
    largest: dict[str, float | None] = {OURS: None}
    for form in forms[1:]:
        theirs = np.asarray(form.call())
        if theirs.shape != ours.shape:
            raise RunFailed(f"{case.name}: {form.implementation} ({form.name}) gives {theirs.shape}, fastspec {ours.shape}")
        largest_apart = apart(ours, theirs, case.spec)
        if not largest_apart <= tolerance(case.spec):
            raise RunFailed(
                f"{case.name}: {form.implementation} ({form.name}) is {largest_apart:.3g} away from fastspec, allowed are "
                f"{tolerance(case.spec):.3g}; two definitions are not timed against each other"
            )
        if form.implementation != OURS:
            largest[form.implementation] = max(largest_apart, largest.get(form.implementation) or 0.0)
    return largest
