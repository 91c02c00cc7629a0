"""The references themselves, where they are installed: each computes our definition, and a missing one says what to do."""

import naive
import naive_descriptors
import naive_frames
import numpy as np
import pytest
import soundfile
import soxr
from signals import golden_signals

from fastspec.errors import SpecError
from fastspec.frontend import FrontEnd
from fastspec.presets import PRESETS, preset
from fastspec.references import (
    REFERENCES,
    Reference,
    ReferenceUnavailable,
    difference,
    differences,
    largest,
    measure_parity,
    reference,
    references,
    tolerance,
)
from fastspec.references.importing import prepare_torch
from fastspec.spec import FeatureSpec

SPEECH = FeatureSpec(win_length=400)
SPECS = {
    "speech": SPEECH,
    "symmetric hamming, odd window": SPEECH.replace(window="hamming", periodic=False, win_length=401),
    "blackman, magnitude, ln": SPEECH.replace(window="blackman", power=1.0, log="ln"),
    "rectangular, Slaney's scale and norm": SPEECH.replace(window="rectangular", mel_scale="slaney", mel_norm="slaney"),
    "weights of sum 1, added floor": SPEECH.replace(mel_norm="sum", log_floor=1e-4, log_floor_mode="add"),
    "uncentred, added floor": SPEECH.replace(center=False, log="ln", log_floor=1e-3, log_floor_mode="add"),
    "80 to 7600 Hz, added floor in dB": SPEECH.replace(fmin=80.0, fmax=7600.0, log="db", log_floor=1e-3, log_floor_mode="add", top_db=20.0),
    "zeros around, log10": SPEECH.replace(pad_mode="constant", hop_length=128),
    "30 dB below the maximum, log10": SPEECH.replace(top_db=30.0),
    "kaldi, Hamming window": preset("kaldi", window="hamming").spec,
    "kaldi, Hann window, 40 to 7000 Hz": preset("kaldi", window="hann", n_mels=40, fmin=40.0, fmax=7000.0).spec,
    **{f"preset {name}": recipe.spec for name, recipe in PRESETS.items()},
}
CASES = [pytest.param(peer, spec, id=f"{name}, {peer.name}") for name, spec in SPECS.items() for peer in references(spec)]


def require(peer):
    """Skip the test of a reference that is not installed."""
    if not peer.is_installed():
        pytest.skip(f"{peer.name} is not installed: {peer.install_command}")


@pytest.fixture(params=REFERENCES, ids=lambda peer: f"{peer.name} {peer.build.__name__}")
def peer(request):
    """Each reference."""
    return request.param


def fail_to_load(_spec):
    raise OSError("libcudart.so: cannot open shared object file")


@pytest.mark.parametrize("signal", ["noise", "clipping"])
@pytest.mark.parametrize("peer, spec", CASES)
def test_reference__computes_the_same_definition_within_gate_b(peer, spec, signal):
    require(peer)
    # Not a multiple of the hop: librosa 0.11 then mirrors a slice that is one sample short, and its last frame is wrong by 3e-4 in log10.
    samples = golden_signals(spec.sample_rate // 2 + 37, spec.sample_rate)[signal]
    theirs = peer.transform(spec)(samples)
    apart = differences(FrontEnd(spec)(samples), theirs, spec=spec)
    # Where a band is one bin with next to nothing in it, a reference can be further from float64 than all others may be from it.
    assert np.all(apart <= tolerance(spec) + differences(theirs, naive_descriptors.features(samples, spec), spec=spec))


@pytest.mark.parametrize("spec", [preset("librosa").spec, SPEECH.replace(top_db=30.0)], ids=["dB", "log10"])
def test_batched_reference__floors_each_clip_at_its_own_maximum(spec):
    peer = reference("torchaudio")
    require(peer)
    clips = np.stack([golden_signals(5000, 22050)[name] * gain for name, gain in (("clipping", 1), ("noise", 1e-5))]).astype(np.float32)
    transform = peer.transform(spec)
    assert difference(transform(clips), [transform(clip) for clip in clips], spec=spec) <= tolerance(spec)


@pytest.mark.corpus
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_real_recordings__match_the_reference_of_a_preset_where_float32_resolves_them(name, corpus):
    peer, spec = reference(name), PRESETS[name].spec
    require(peer)
    samples = np.concatenate([stretch(path, spec.sample_rate) for path in sorted(corpus("fish").rglob("*.ogg"))[::300]])
    theirs, truth = peer.transform(spec)(samples), naive_descriptors.features(samples, spec)
    apart, own = (differences(one, theirs, spec=spec) for one in (FrontEnd(spec)(samples), truth))
    # A float32 transform cannot tell a band from rounding when it has too little of its frame's energy.
    weights = naive.bank(spec).max() * spec.n_fft
    energy = np.sum((naive_frames.frames(samples, spec) * naive_frames.window(spec)) ** 2, axis=1, keepdims=True)
    power = naive.linear(samples, spec.replace(power=2.0))
    resolved = power >= 1e-7 * weights * energy
    assert resolved.mean() > 0.7  # most are of 22 kHz, half of what aisfx hears
    if not spec.is_fused:  # each cepstrum is a sum over all bands of its frame
        resolved = (resolved | (power == 0)).all(axis=1)
        assert resolved.mean() > 0.2
    assert np.all((apart <= tolerance(spec) + own)[resolved])


def stretch(path, sample_rate):
    """A second of a recording at that rate."""
    recording, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(recording[:, 0], rate, sample_rate)[:sample_rate]


def test_ast_extractor__pads_with_normalised_zeros():
    require(reference("ast"))
    prepare_torch()
    from transformers.models.audio_spectrogram_transformer.feature_extraction_audio_spectrogram_transformer import ASTFeatureExtractor

    features = ASTFeatureExtractor()(golden_signals(8000, 16000)["noise"], sampling_rate=16000).input_values[0]
    np.testing.assert_allclose(features[-1], 4.2677393 / (2 * 4.5689974), rtol=1e-6)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset__has_one_reference_that_computes_it(name):
    assert [peer.name for peer in REFERENCES if name in peer.defines] == [reference(name).name]
    assert reference(name) in references(PRESETS[name].spec)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_parity__is_measured_against_the_reference_or_else_its_golden_vectors(name):
    found = measure_parity(name)
    assert found.passed
    assert found.error <= found.tolerance
    assert found.live is reference(name).is_installed()
    assert (found.missing is None) is found.live
    assert max(found.reference_error, found.own_error) >= found.error / 2  # or one of the three distances is not what it says


def test_parity_without_the_reference__says_how_to_install_it_and_reads_golden_vectors(monkeypatch):
    monkeypatch.setattr("fastspec.references.parity.reference", lambda name: absent(name))
    found = measure_parity("librosa")
    assert not found.live
    assert found.missing == "no_such_package is not installed; for librosa: pip install no_such_package"
    assert found.passed


def test_parity_with_a_reference_that_fails__says_how_and_reads_golden_vectors(monkeypatch):
    def build(_spec):
        return lambda _samples: 1 // 0

    failing = Reference(name="librosa", packages=("numpy",), build=build, base=PRESETS["librosa"].spec)
    monkeypatch.setattr("fastspec.references.parity.reference", lambda _: failing)
    found = measure_parity("librosa")
    assert not found.live
    assert found.missing.startswith("librosa fails here (ZeroDivisionError: integer")
    assert found.passed


def test_parity_with_a_reference_that_computes_something_else__fails_and_says_where(monkeypatch):
    def one_wrong_value(spec):
        front = FrontEnd(spec)

        def transform(samples):
            features = front(samples)
            features[3, 7] += 1.0
            return features

        return transform

    wrong = Reference(name="wrong", packages=("numpy",), build=one_wrong_value, base=PRESETS["librosa"].spec)
    monkeypatch.setattr("fastspec.references.parity.reference", lambda _: wrong)
    found = measure_parity("librosa")
    assert (found.passed, found.frame, found.band) == (False, 3, 7)
    assert found.error == pytest.approx(1.0)


def absent(name):
    """A reference whose project is there, but not all that it needs."""
    return Reference(name=name, packages=(name, "no_such_package"), build=fail_to_load)


def test_missing_reference__says_how_to_install_it():
    missing = Reference(name="absent", packages=("no_such_package", "numpy"), build=fail_to_load)
    assert not missing.is_installed()
    for ask in (missing.versions, lambda: missing.transform(SPEECH)):
        with pytest.raises(ReferenceUnavailable, match=r"no_such_package is not installed; for absent: pip install no_such_package$"):
            ask()


def test_reference_that_does_not_import__says_why_and_what_to_do():
    broken = Reference(name="broken", packages=("numpy",), build=fail_to_load, base=SPEECH)
    with pytest.raises(ReferenceUnavailable, match=r"broken does not import \(libcudart.*\); install it again: pip install numpy --force"):
        broken.transform(SPEECH)


def test_spec_that_a_reference_does_not_compute__is_refused_with_what_it_does(peer):
    require(peer)
    with pytest.raises(SpecError, match=rf"features is \('stft',\), for which {peer.name} is no reference here; give \('m"):
        peer.transform(peer.base.replace(features="stft"))
    with pytest.raises(SpecError, match=r"remove_dc is 'clip', for which"):
        peer.transform(peer.base.replace(remove_dc="clip"))


def test_installed_references__have_versions_of_all_their_packages(peer):
    require(peer)
    assert {peer.project, *peer.packages, *peer.bare} <= set(peer.versions())


def test_reference_of_one_file__is_installed_without_what_its_package_depends_on():
    assert reference("vggish").install_command == "pip install --no-deps torchvggish"
    assert reference("nemo").install_command == "pip install torch librosa && pip install --no-deps nemo_toolkit"


def test_largest__finds_nan():
    assert largest(np.array([[0.0, 1.0], [np.nan, 2.0]]))[1:] == (1, 0)


def test_difference__of_other_shapes_is_an_error_and_of_nan_is_nan():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        difference([1, 2], [1, 2, 3], spec=SPEECH)
    assert np.isnan(difference([1.0, np.nan], [1.0, 2.0], spec=SPEECH))
