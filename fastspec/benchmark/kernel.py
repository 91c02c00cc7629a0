"""The front end beside every installed reference: the same definition, the same clips, one thread of one process."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastspec.benchmark.measure import Float32, apart, noise_of, one_thread, time_rounds
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.references import Reference, references, tolerance, unit
from fastspec.spec import FeatureSpec

OURS = "fastspec"


class Form(NamedTuple):
    """One way of calling an implementation on all clips."""

    implementation: str
    name: str
    call: Callable[[], Sequence[Float32] | Float32]


def forms(spec: FeatureSpec, samples: Float32) -> list[Form]:
    """Every way of calling every installed implementation on `(clips, samples)`, ours first. One clip has no batch."""
    installed = (peer for peer in references(spec) if peer.is_installed())
    return [*our_forms(spec, samples), *(form for peer in installed for form in peer_forms(peer, spec, samples))]


def our_forms(spec: FeatureSpec, samples: Float32) -> list[Form]:
    """The front end's."""
    front = FrontEnd(spec)
    return list(_forms(OURS, front, front.batch, samples))


def peer_forms(peer: Reference, spec: FeatureSpec, samples: Float32) -> list[Form]:
    """A reference's. ReferenceUnavailable where it does not import."""
    transform = peer.transform(spec)
    return list(_forms(peer.name, transform, transform if peer.batched else None, samples))


def _forms(name: str, single: Callable[..., Float32], batch: Callable[..., Float32] | None, samples: Float32) -> Iterator[Form]:
    yield Form(name, "one by one", lambda: [single(clip) for clip in samples])
    if batch is not None and len(samples) > 1:
        yield Form(name, "batch", lambda: batch(samples))


def noise(clips: int, seconds: float, spec: FeatureSpec) -> Float32:
    """`(clips, samples)` float32: white noise, on which all references agree."""
    shape = clips, round(seconds * spec.sample_rate)
    return (0.1 * np.random.default_rng(7).standard_normal(shape)).astype(np.float32)


def kernel_rows(spec: FeatureSpec, samples: Float32, *, repeat: int) -> list[dict[str, Any]]:
    """One row an implementation, in its faster form; one that is not installed, fails or computes something else is told, not timed.

    Args:
        spec: what all of them compute.
        samples: `(clips, samples)` float32 at the spec's rate.
        repeat: rounds, in which they take turns.

    Raises:
        RunFailed: features that are not the same in a batch and one by one.
    """
    with one_thread():
        ours = our_forms(spec, samples)
        features = np.asarray(ours[0].call())
        if not all(np.array_equal(np.asarray(form.call()), features, equal_nan=True) for form in ours):
            raise RunFailed("a batch of clips gives other features than its clips alone; run 'fastspec doctor', and report what it says")
        peers = [_compared(peer, spec, samples, features) for peer in references(spec)]
        timed = [*ours, *(form for _, found in peers for form in found)]
        rounds = time_rounds([form.call for form in timed], repeat=repeat)
    best: dict[str, tuple[list[float], str]] = {}
    for form, seconds in zip(timed, rounds, strict=True):
        best[form.implementation] = min((seconds, form.name), best.get(form.implementation, (seconds, form.name)), key=lambda b: min(b[0]))
    audio_s, n_frames, fastest = samples.size / spec.sample_rate, features.shape[0] * features.shape[1], min(best[OURS][0])
    return [
        row | _speed(*best[row["implementation"]], audio_s, n_frames, fastest) if row["implementation"] in best else row
        for row in [{"implementation": OURS, "note": None}, *(row for row, _ in peers)]
    ]


def _compared(peer: Reference, spec: FeatureSpec, samples: Float32, features: Float32) -> tuple[dict[str, Any], list[Form]]:
    """What is known of a peer before it is timed, and its forms where it is to be."""
    row: dict[str, Any] = {"implementation": peer.name, "difference": None, "allowed": tolerance(spec), "unit": unit(spec), "note": None}
    if not peer.is_installed():
        return row | {"note": f"not installed: {peer.install_command}"}, []
    row["version"] = peer.versions()[peer.project]
    try:
        found = peer_forms(peer, spec, samples)
        differing = max(apart(features, np.asarray(form.call()), spec) for form in found)
    except Exception as error:  # another project's code, in a version that nobody has seen yet, may raise anything
        return row | {"note": " ".join(f"fails here: {type(error).__name__}: {error}".split())}, []
    note = note_of(differing, spec)
    return row | {"difference": differing, "note": note}, [] if note else found


def note_of(difference: float, spec: FeatureSpec) -> str | None:
    """Why two implementations with such a difference are not timed against each other; None where they are."""
    if difference <= tolerance(spec):
        return None
    if difference == np.inf:
        return "differs in shape, not timed"
    return f"differs by {difference:.2g} {unit(spec)}, not timed"


def _speed(rounds: list[float], form: str, audio_s: float, n_frames: int, ours: float) -> dict[str, Any]:
    seconds = min(rounds)
    return {
        "form": form,
        "seconds": seconds,
        "noise": noise_of(rounds),
        "ns_per_frame": seconds / n_frames * 1e9,
        "hours_per_s": audio_s / 3600 / seconds,
        "faster": seconds / ours,
    }
