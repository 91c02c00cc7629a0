"""Gate (b) against frozen features of every preset's reference, so that it needs none of them; `python -m bench golden` writes them."""

import naive_descriptors
import numpy as np
import pytest

from bench import golden
from fastspec.frontend import FrontEnd
from fastspec.presets import PRESETS
from fastspec.references import ReferenceUnavailable, difference, read_golden, reference, tolerance
from fastspec.references.golden import FOLDER, SIGNALS
from fastspec.spec import FeatureSpec

NAMES = sorted(PRESETS)
CASES = [(name, signal) for name in NAMES for signal in SIGNALS]
OTHERS = {
    "n_fft": lambda spec: spec.n_fft + 2,
    "periodic": lambda spec: not spec.periodic,
    "mel_scale": lambda spec: {"htk": "slaney", "slaney": "htk"}[spec.mel_scale],
    "log_floor": lambda spec: spec.log_floor * 1e18,
    "pad_mode": lambda spec: {"reflect": "constant", "constant": "reflect", "symmetric": "constant"}[spec.pad_mode],
}


def changes():
    """Each setting that the features of a preset depend on on these signals."""
    for name in NAMES:
        spec = PRESETS[name].spec
        for field in OTHERS:
            deaf = {"pad_mode": not spec.center, "log_floor": spec.log == "none"}
            if not deaf.get(field, False):
                yield name, field


def test_every_preset_has_its_file_and_every_file_its_preset():
    assert {path.stem for path in FOLDER.glob("*.npz")} == set(PRESETS)


def test_missing_file__is_told_with_the_command_that_writes_it(tmp_path):
    with pytest.raises(ReferenceUnavailable, match=r"no golden vectors of 'librosa' in .*; write them: python -m bench golden librosa"):
        read_golden("librosa", tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_golden_file__says_what_computed_it(name):
    stored, peer = read_golden(name), reference(name)
    assert stored.function == peer.function
    assert {peer.project, "numpy"} <= set(stored.versions)


@pytest.mark.parametrize("name", NAMES)
def test_golden_file__is_of_the_preset_as_it_is_now(name):
    assert FeatureSpec(**read_golden(name).spec) == PRESETS[name].spec


@pytest.mark.parametrize("name", NAMES)
def test_truth_in_the_golden_file__is_what_float64_gives(name):
    for vectors in read_golden(name).signals.values():
        np.testing.assert_allclose(vectors.truth, naive_descriptors.features(vectors.samples, PRESETS[name].spec), rtol=2e-7, atol=1e-12)


@pytest.mark.parametrize("name, signal", CASES)
def test_preset__matches_its_golden_features_within_gate_b(name, signal):
    vectors, spec = read_golden(name).signals[signal], PRESETS[name].spec
    assert vectors.features.dtype == np.float32
    assert difference(FrontEnd(spec)(vectors.samples), vectors.features, spec=spec) <= tolerance(spec)


@pytest.mark.parametrize("name, field", list(changes()))
def test_golden_features__tell_one_changed_setting(name, field):
    vectors, spec = read_golden(name).signals["noise"], PRESETS[name].spec
    changed = spec.replace(**{field: OTHERS[field](spec)}, allow_empty_bands=True)
    assert difference(FrontEnd(changed)(vectors.samples), vectors.features, spec=spec) > 5 * tolerance(spec)


def test_golden_script__writes_the_files_that_are_asked_for(tmp_path):
    if not reference("librosa").is_installed():
        pytest.skip("librosa is not installed")
    assert [path.name for path in golden.write_golden(["librosa"], tmp_path)] == ["librosa.npz"]
    written, shipped = read_golden("librosa", tmp_path), read_golden("librosa")
    assert FeatureSpec(**written.spec) == FeatureSpec(**shipped.spec)
    for signal in SIGNALS:
        np.testing.assert_allclose(written.signals[signal].features, shipped.signals[signal].features, rtol=0, atol=1e-4)
