"""The references themselves, where they are installed: each computes our definition, and a missing one says what to do."""

import naive
import numpy as np
import pytest
import soundfile
import soxr
from signals import golden_signals

from fastspec.errors import SpecError
from fastspec.frontend import FrontEnd
from fastspec.presets import preset
from fastspec.references import REFERENCES, Reference, ReferenceUnavailable, difference, installed_references, reference, tolerance
from fastspec.spec import FeatureSpec

SPEECH = FeatureSpec(win_length=400)
SPECS = {
    "speech": SPEECH,
    "librosa preset": preset("librosa").spec,
    "torchaudio preset": preset("torchaudio").spec,
    "symmetric hamming, odd window": SPEECH.replace(window="hamming", periodic=False, win_length=401),
    "blackman, magnitude, ln": SPEECH.replace(window="blackman", power=1.0, log="ln"),
    "rectangular, Slaney's scale and norm": SPEECH.replace(window="rectangular", mel_scale="slaney", mel_norm="slaney"),
    "uncentred, added floor": SPEECH.replace(center=False, log="ln", log_floor=1e-3, log_floor_mode="add"),
    "80 to 7600 Hz, added floor in dB": SPEECH.replace(fmin=80.0, fmax=7600.0, log="db", log_floor=1e-3, log_floor_mode="add", top_db=20.0),
    "zeros around, log10": SPEECH.replace(pad_mode="constant", hop_length=128),
}


@pytest.fixture(params=sorted(REFERENCES))
def peer(request):
    """Each reference; one that is not installed skips the test."""
    found = reference(request.param)
    if not found.is_installed():
        pytest.skip(f"{found.name} is not installed")
    return found


def fail_to_load(_spec):
    raise OSError("libcudart.so: cannot open shared object file")


@pytest.mark.parametrize("signal", ["noise", "clipping"])
@pytest.mark.parametrize("name", sorted(SPECS))
def test_reference__computes_the_same_definition_within_gate_b(peer, name, signal):
    spec = SPECS[name]
    # Not a multiple of the hop: librosa 0.11 then mirrors a slice that is one sample short, and its last frame is wrong by 3e-4 in log10.
    samples = golden_signals(spec.sample_rate // 2 + 37, spec.sample_rate)[signal]
    theirs = peer.transform(spec)(samples)
    assert theirs.dtype == np.float32
    assert difference(FrontEnd(spec)(samples), theirs, spec=spec) <= tolerance(spec)


def test_batched_reference__floors_each_clip_at_its_own_maximum(peer):
    if not peer.batched:
        pytest.skip(f"{peer.name} takes one clip at a time")
    spec = preset("librosa").spec
    clips = np.stack([golden_signals(5000, 22050)[name] * gain for name, gain in (("clipping", 1), ("noise", 1e-5))]).astype(np.float32)
    transform = peer.transform(spec)
    assert difference(transform(clips), [transform(clip) for clip in clips], spec=spec) <= tolerance(spec)


@pytest.mark.corpus
def test_real_recording__matches_each_reference_where_float32_resolves_it(peer, corpus):
    paths = sorted(corpus("fish").rglob("*.ogg"))[::150]
    for path in paths:
        recording, rate = soundfile.read(path, dtype="float32", always_2d=True)
        samples = soxr.resample(recording[:, 0], rate, SPEECH.sample_rate)[:32000]
        ours, theirs = FrontEnd(SPEECH)(samples), peer.transform(SPEECH)(samples)
        # A float32 transform cannot tell a band from rounding when it has too little of its frame's energy.
        energy = SPEECH.n_fft * np.sum((naive.frames(samples, SPEECH) * naive.window(SPEECH)) ** 2, axis=1, keepdims=True)
        resolved = 10.0**theirs >= 1e-7 * energy * naive.bank(SPEECH).max()
        assert resolved.mean() > 0.8
        assert difference(ours[resolved], theirs[resolved], spec=SPEECH) <= tolerance(SPEECH)


def test_missing_reference__says_how_to_install_it():
    missing = Reference(name="absent", packages=("no_such_package", "numpy"), batched=False, build=fail_to_load)
    assert not missing.is_installed()
    for ask in (missing.versions, lambda: missing.transform(SPEECH)):
        with pytest.raises(ReferenceUnavailable, match=r"absent is not installed; install it: pip install no_such_package numpy"):
            ask()


def test_reference_that_does_not_import__says_why_and_what_to_do():
    broken = Reference(name="broken", packages=("numpy",), batched=False, build=fail_to_load)
    with pytest.raises(ReferenceUnavailable, match=r"broken does not import \(libcudart.*\); install it again: pip install numpy --force"):
        broken.transform(SPEECH)


def test_spec_that_is_no_mel_bank__is_refused(peer):
    with pytest.raises(SpecError, match="features is stft"):
        peer.transform(SPEECH.replace(features="stft"))


def test_installed_references__have_versions_of_all_their_packages():
    for found in installed_references():
        assert set(found.versions()) == set(found.packages)


def test_difference__of_other_shapes_is_an_error_and_of_nan_is_nan():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        difference([1, 2], [1, 2, 3], spec=SPEECH)
    assert np.isnan(difference([1.0, np.nan], [1.0, 2.0], spec=SPEECH))
