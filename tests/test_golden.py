"""Gate (b) against frozen features of the references, so that it needs none of them; `python -m bench golden` writes the files."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastspec.frontend import FrontEnd
from fastspec.presets import PRESETS
from fastspec.references import difference, tolerance
from fastspec.spec import FeatureSpec

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("librosa", "torchaudio")
CASES = [(name, signal) for name in NAMES for signal in ("noise", "clipping")]


def read_golden(name):
    """The arrays of a preset's file, and what it says about them. A missing file is an error."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as stored:
        return dict(stored), json.loads(str(stored["about"]))


@pytest.mark.parametrize("name", NAMES)
def test_golden_file__says_which_reference_and_versions_wrote_it(name):
    _, about = read_golden(name)
    assert about["reference"] == name
    assert {name, "numpy"} <= set(about["versions"])


@pytest.mark.parametrize("name", NAMES)
def test_golden_file__is_of_the_preset_as_it_is_now(name):
    _, about = read_golden(name)
    assert FeatureSpec(**about["spec"]) == PRESETS[name].spec


@pytest.mark.parametrize("name, signal", CASES)
def test_preset__matches_its_golden_features_within_gate_b(name, signal):
    arrays, _ = read_golden(name)
    spec = PRESETS[name].spec
    ours, theirs = FrontEnd(spec)(arrays[f"{signal}_samples"]), arrays[f"{signal}_features"]
    assert theirs.dtype == np.float32
    assert difference(ours, theirs, spec=spec) <= tolerance(spec)


@pytest.mark.parametrize("name, signal", CASES)
@pytest.mark.parametrize(
    "change", [{"periodic": False}, {"mel_scale": "other"}, {"pad_mode": "other"}], ids=lambda change: next(iter(change))
)
def test_golden_features__tell_one_changed_setting(name, signal, change):
    arrays, _ = read_golden(name)
    spec = PRESETS[name].spec
    others = {"mel_scale": {"htk": "slaney", "slaney": "htk"}, "pad_mode": {"reflect": "constant", "constant": "reflect"}}
    changed = spec.replace(**{field: others[field][getattr(spec, field)] if value == "other" else value for field, value in change.items()})
    ours = FrontEnd(changed.replace(allow_empty_bands=True))(arrays[f"{signal}_samples"])
    assert difference(ours, arrays[f"{signal}_features"], spec=spec) > 10 * tolerance(spec)
