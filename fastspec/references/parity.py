"""How closely a preset reproduces its reference on this machine."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from fastspec.frontend import FrontEnd
from fastspec.presets import preset
from fastspec.references.comparison import Largest, differences, largest, tolerance, unit
from fastspec.references.golden import Golden, Vectors, read_golden
from fastspec.references.reference import Float32, Reference, ReferenceUnavailable
from fastspec.references.table import reference
from fastspec.spec import FeatureSpec


@dataclass(frozen=True, slots=True)
class Parity:
    """A preset beside its reference, on the signals of its golden vectors.

    Attributes:
        preset: its name.
        reference: the project that defines it.
        function: of that project, which computes the features.
        version: of that project.
        versions: of all packages that it used.
        live: whether the reference ran here; else its golden vectors, written with `versions`, stand for it.
        missing: why it did not run, and what to do; None when it ran.
        error: our largest difference from it, in `unit`.
        signal, frame, band: where that is.
        unit: "dB", "ln" or "log10".
        tolerance: what it may be.
        passed: whether it is no more.
        reference_error: the reference's largest difference from float64.
        own_error: ours.
    """

    preset: str
    reference: str
    function: str
    version: str
    versions: Mapping[str, str]
    live: bool
    missing: str | None
    error: float
    signal: str
    frame: int
    band: int
    unit: str
    tolerance: float
    passed: bool
    reference_error: float
    own_error: float


def measure_parity(name: str) -> Parity:
    """Compare a preset with its reference where that is installed, else with its golden vectors.

    Raises:
        SpecError: an unknown preset.
        ReferenceUnavailable: it has no golden vectors.
    """
    spec, peer, golden = preset(name).spec, reference(name), read_golden(name)
    missing, theirs = _ask(peer, spec, golden)
    compared = {signal: _compare(spec, vectors, theirs[signal]) for signal, vectors in golden.signals.items()}
    versions = golden.versions if missing else peer.versions()
    signal, (worst, _, _) = max(compared.items(), key=_rank)
    return Parity(
        preset=name,
        reference=peer.name,
        function=peer.function,
        version=versions[peer.project],
        versions=versions,
        live=missing is None,
        missing=missing,
        error=worst.value,
        signal=signal,
        frame=worst.frame,
        band=worst.band,
        unit=unit(spec),
        tolerance=tolerance(spec),
        passed=worst.value <= tolerance(spec),
        reference_error=max(theirs.value for _, theirs, _ in compared.values()),
        own_error=max(ours.value for _, _, ours in compared.values()),
    )


def _ask(peer: Reference, spec: FeatureSpec, golden: Golden) -> tuple[str | None, dict[str, Float32]]:
    """The reference's features of each signal; where it does not give them, why, and its golden vectors."""
    try:
        transform = peer.transform(spec)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return None, {signal: transform(vectors.samples) for signal, vectors in golden.signals.items()}
    except ReferenceUnavailable as error:
        missing = str(error)
    except Exception as error:  # another project's code, in a version that nobody has seen yet, may raise anything
        missing = f"{peer.name} fails here ({type(error).__name__}: {error}); known to work: {golden.versions[peer.project]}"
    return missing, {signal: vectors.features for signal, vectors in golden.signals.items()}


def _compare(spec: FeatureSpec, vectors: Vectors, theirs: Float32) -> tuple[Largest, Largest, Largest]:
    """Us and the reference, the reference and float64, us and float64."""
    ours = FrontEnd(spec)(vectors.samples)
    pairs = (ours, theirs), (theirs, vectors.truth), (ours, vectors.truth)
    a, b, c = (largest(differences(one, other, spec=spec)) for one, other in pairs)
    return a, b, c


def _rank(compared: tuple[str, tuple[Largest, Largest, Largest]]) -> float:
    """NaN, which differs from everything, ranks above all numbers."""
    value = compared[1][0].value
    return math.inf if math.isnan(value) else value
