"""A few seconds of what fastspec is for, with results that are known: features, decoding, a store."""

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile

from fastspec.audio import Policy, Request, Span, load_recordings
from fastspec.corpus import read_corpus
from fastspec.diagnosis.finding import Finding
from fastspec.frontend import FrontEnd
from fastspec.kernels.compiled import kernel_folder
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.references import difference, read_golden, tolerance, unit
from fastspec.store import find_damage

_PRESETS = ("librosa", "kaldi", "whisper", "librosa-mfcc")
_RATE = 16_000
# How far a tone may be from what it was: rounding to 16 bits, and what lossy encoders do to it.
_ENCODINGS = {"WAV": ("PCM_16", 2e-4), "FLAC": ("PCM_16", 2e-4), "OGG": ("VORBIS", 0.05), "MP3": ("MPEG_LAYER_III", 0.05)}
_REPORT = "do not trust features from here: see 'fastspec preset parity', and report this"


def features() -> Iterator[Finding]:
    """Presets beside what the slow definition gives in float64 for the same samples."""
    for name in _PRESETS:
        spec, golden, start = preset(name).spec, read_golden(name), time.perf_counter()
        front = FrontEnd(spec)
        apart = [difference(front(each.samples), each.truth, spec=spec) for each in golden.signals.values()]
        worst, allowed = max(apart, key=lambda each: np.inf if np.isnan(each) else each), tolerance(spec)
        taken = f"{1e3 * (time.perf_counter() - start):.0f} ms"
        value = f"{worst:.1e} {unit(spec)} from float64, allowed {allowed:.0e}; {taken}"
        yield Finding(f"features: {name}", value, None if worst <= allowed else f"remove {kernel_folder()} and run this again; {_REPORT}")


def recordings() -> Iterator[Finding]:
    """A tone in each of the usual formats, decoded from memory."""
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(_RATE) / _RATE)).astype(np.float32)
    for form, (subtype, allowed) in _ENCODINGS.items():
        name, encoded = f"recordings: {form}", io.BytesIO()
        try:
            soundfile.write(encoded, tone, _RATE, format=form, subtype=subtype)
        except (soundfile.LibsndfileError, ValueError) as error:
            yield Finding(name, f"not encoded, so not tested: {error}", "pip install --force-reinstall soundfile")
            continue
        policy = Policy(_RATE, "mean", "HQ", _RATE, 0.0)
        (clip,) = load_recordings([Request(encoded.getvalue(), [Span(0.0, 1.0)])], policy)
        apart = _apart(clip.samples, tone) if clip.usable else np.inf
        value = f"{clip.info.status}, {apart:.1e} apart, allowed {allowed:g}" if clip.usable else f"{clip.info.status}: {clip.info.reason}"
        yield Finding(name, value, None if apart <= allowed else "pip install --force-reinstall soundfile; if it stays, report this")


def _apart(samples: np.ndarray, tone: np.ndarray) -> float:
    """The largest difference between the magnitudes of their spectra, as a share of the tone's: not every MP3 decoder cuts the delay off.

    Half a second in the middle holds whole periods.
    """
    middle = slice(_RATE // 4, 3 * _RATE // 4)
    theirs, ours = (np.abs(np.fft.rfft(each[middle], _RATE // 2)) for each in (samples, tone))
    return float(np.abs(theirs - ours).max() / ours.max())


def stores() -> Iterator[Finding]:
    """A small store: written by two workers, verified by its hashes, read, and compared with its features computed alone."""
    recipe, noise = preset("kaldi", clip_s=0.5), np.random.default_rng(0).uniform(-0.5, 0.5, (4, _RATE // 2)).astype(np.float32)
    with tempfile.TemporaryDirectory(prefix="fastspec-doctor-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "store.zarr"
        store = featurize(read_corpus([(str(i), clip, _RATE, None) for i, clip in enumerate(noise)]), path, recipe=recipe, workers=2)
        damage = find_damage(path)
        same = np.array_equal(np.asarray(store.features[:]), FrontEnd(recipe).batch(noise))
    if damage:
        told = "; ".join(f"{each.file}: {each.reason}" for each in damage)
        yield Finding("store", f"damaged: {told}", f"see whether the disk of {tempfile.gettempdir()} is sound, and report this")
    else:
        told = f"{len(noise)} clips written, verified and read{'' if same else ', which are not those computed alone'}"
        yield Finding("store", told, None if same else _REPORT)


TESTS: tuple[Callable[[], Iterator[Finding]], ...] = (features, recordings, stores)
