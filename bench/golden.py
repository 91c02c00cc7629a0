"""Golden vectors: the features of presets as the projects that they are named after compute them.

Written only by `python -m bench golden`. Tests read the files, so that they need none of the projects.
"""

import json
import runpy
from pathlib import Path

import numpy as np

from fastspec.presets import preset
from fastspec.references import reference

ROOT = Path(__file__).resolve().parents[1]
# Both the names of presets and of the references that define them.
GOLDEN = ("librosa", "torchaudio")
SIGNALS = ("noise", "clipping")
SECONDS = 0.5


def write_golden(folder: Path) -> list[Path]:
    """Write one `.npz` a preset: for each signal its samples and features, and in `about` how they came to be.

    Raises:
        ReferenceUnavailable: a project is not installed.
    """
    paths = []
    for name in GOLDEN:
        path = folder / f"{name}.npz"
        np.savez_compressed(path, **_golden_arrays(name))
        paths.append(path)
    return paths


def _golden_arrays(name: str) -> dict[str, np.ndarray]:
    # The samples stand in the file too: NumPy may change what a seed gives.
    golden_signals = runpy.run_path(str(ROOT / "tests" / "signals.py"))["golden_signals"]
    peer, spec = reference(name), preset(name).spec
    signals = golden_signals(round(SECONDS * spec.sample_rate), spec.sample_rate)
    compute = peer.transform(spec)
    about = {"reference": name, "versions": {"numpy": np.__version__, **peer.versions()}, "spec": preset(name).to_dict()["spec"]}
    arrays = {"about": np.array(json.dumps(about, sort_keys=True))}
    for signal in SIGNALS:
        arrays[f"{signal}_samples"] = signals[signal]
        arrays[f"{signal}_features"] = np.ascontiguousarray(compute(signals[signal]))
    return arrays
