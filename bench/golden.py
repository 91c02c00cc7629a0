"""Golden vectors: the features of presets as the projects that they are named after compute them.

Written only by `python -m bench golden`, which needs the projects; the package and the tests read the files and need none.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from fastspec.presets import PRESETS, preset
from fastspec.references import reference
from fastspec.references.golden import FOLDER, SIGNALS, from_int16

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 0.5
EXTRA_SAMPLES = 37  # so that no frame ends where the signal does


def write_golden(names: Sequence[str] = (), folder: Path = FOLDER) -> Iterator[Path]:
    """Write one `.npz` a preset, of all presets when none is named: `fastspec.references.golden` says what is in it.

    Raises:
        SpecError: an unknown preset.
        ReferenceUnavailable: a project is not installed.
    """
    for name in names or PRESETS:
        path, arrays = folder / f"{name}.npz", _golden_arrays(name)
        np.savez_compressed(path, **arrays)
        yield path


def _golden_arrays(name: str) -> dict[str, np.ndarray]:
    naive, signals = from_tests("naive_descriptors"), from_tests("signals")
    spec, peer = preset(name).spec, reference(name)
    compute = peer.transform(spec)
    about: dict[str, Any] = {
        "function": peer.function,
        "versions": {"numpy": version("numpy"), **peer.versions()},
        "spec": preset(name).to_dict()["spec"],
    }
    arrays = {"about": np.array(json.dumps(about, sort_keys=True))}
    waveforms = signals.golden_signals(round(SECONDS * spec.sample_rate) + EXTRA_SAMPLES, spec.sample_rate)
    for signal in SIGNALS:
        # The samples stand in the file too: NumPy may change what a seed gives.
        samples = np.clip(np.round(waveforms[signal] * 32768), -32768, 32767).astype(np.int16)
        arrays[f"{signal}_samples"] = samples
        arrays[f"{signal}_features"] = np.ascontiguousarray(compute(from_int16(samples)), np.float32)
        arrays[f"{signal}_truth"] = naive.features(from_int16(samples), spec).astype(np.float32)
    return arrays


def from_tests(module: str) -> Any:
    """The signals and the float64 definition are the tests' own, so that what is judged by them cannot call them."""
    folder = str(ROOT / "tests")
    if folder not in sys.path:
        sys.path.append(folder)
    return import_module(module)
