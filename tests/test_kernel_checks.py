"""The kernels without the JIT, under bounds checks, and beside memory that nothing may read."""

import ctypes
import mmap
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding

from fastspec.frontend import FrontEnd
from fastspec.kernels.simd import host_lanes, make_lanes
from fastspec.presets import PRESETS
from fastspec.spec import FeatureSpec

TESTS = Path(__file__).resolve().parent
WIDTHS = (4, 8, 16)
SPEECH = FeatureSpec(win_length=400, hop_length=160)
SIGNALS = """
import sys
import numpy as np
from fastspec.frontend import FrontEnd
from fastspec.presets import PRESETS
from fastspec.spec import FeatureSpec
from signals import golden_signals
from test_parity import assert_passes_gate_a

lanes = int(sys.argv[1])
SPEECH = FeatureSpec(win_length=400)
# Passes of 2 and 3, 4 and 5, 2 and 7 (which has no DFT of its own), 8, and 8 twice; an odd size; and 15 samples, which fill no vector.
specs = [FeatureSpec(n_fft=n, hop_length=n // 2, features="stft", log="none") for n in (12, 40, 28, 16, 128, 15)]
specs += [SPEECH, SPEECH.replace(pad_mode="symmetric", power=1.0), PRESETS["kaldi"].spec, PRESETS["nemo"].spec]
for spec in specs:
    for n_samples in (15, 700 if spec.features == ("stft",) else 3200):
        assert_passes_gate_a(golden_signals(n_samples, spec.sample_rate)["noise"], spec, lanes=lanes)
for signal in golden_signals(1600, 16000).values():
    assert_passes_gate_a(signal, SPEECH, lanes=lanes)
for spec in (SPEECH, SPEECH.replace(top_db=20.0), SPEECH.replace(log_floor_mode="add"), PRESETS["nemo"].spec):
    samples = golden_signals(3200, spec.sample_rate)["noise"]
    samples[100] = np.nan
    missing = np.isnan(FrontEnd(spec, lanes=lanes)(samples)).all(axis=1)
    assert missing.any() and not missing.all()
print("passed")
"""
# A plan, or samples, that are not what the rest of the arguments say; each would read or write beyond an array.
LIES = """
import sys
import numpy as np
from fastspec.frontend import FrontEnd, _NONE_COVERED
from fastspec.kernels.arrays import frozen
from fastspec.kernels.extract import extract
from fastspec.spec import FeatureSpec

front = FrontEnd(FeatureSpec(win_length=400), lanes=int(sys.argv[1]))
samples, plan, n_frames = np.zeros(8000, np.float32), front._plan, 51

def refuses(samples, plan, out=np.empty(n_frames * 80, np.float32)):
    try:
        extract(frozen(samples), 1, 8000, n_frames, plan, front._scratch(), _NONE_COVERED, front._least(n_frames), out)
    except IndexError:
        return True
    return False

def last(array, value):
    changed = array.copy()
    changed[-1] = value
    return frozen(changed)

assert not refuses(samples, plan)
lies = {
    "samples": refuses(samples[:-1], plan),
    "a third of the samples": refuses(samples[:2600], plan),
    "out": refuses(samples, plan, np.empty(n_frames * 80 - 1, np.float32)),
    "order": refuses(samples, plan._replace(order=last(plan.order, 4096))),
    "a negative place": refuses(samples, plan._replace(order=last(plan.order, -1 - len(front._scratch().points)))),
    "first": refuses(samples, plan._replace(first=last(plan.first, 258))),
    "width": refuses(samples, plan._replace(width=last(plan.width, 999))),
    "start": refuses(samples, plan._replace(start=last(plan.start, len(plan.weights)))),
    "window": refuses(samples, plan._replace(window=frozen(np.zeros(400, np.float32)), order=plan.order[:100])),
    "passes": refuses(samples, plan._replace(passes=frozen(np.array([8, 8, 8], np.int64)))),
}
print([lie for lie, refused in lies.items() if not refused])
"""


def run(program, lanes, **switches):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)]), "NUMBA_DISABLE_JIT": "0"} | switches
    command = [sys.executable, "-W", "error", "-c", program, str(lanes)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout.strip()


@pytest.mark.parametrize("lanes", WIDTHS)
def test_golden_signals__pass_gate_a_without_the_jit(lanes):
    assert run(SIGNALS, lanes, NUMBA_DISABLE_JIT="1") == "passed"


def test_golden_signals__pass_gate_a_under_bounds_checks():
    assert run(SIGNALS, 8, NUMBA_BOUNDSCHECK="1") == "passed"


def test_bounds_checks__refuse_every_read_and_write_beyond_an_array():
    assert run(LIES, 8, NUMBA_BOUNDSCHECK="1") == "[]"


@pytest.mark.parametrize(
    "features, width",
    [
        ({"avx512f": True, "avx2": True, "sse2": True}, 16),
        ({"avx512f": False, "avx2": True, "sse2": True}, 8),
        ({"avx2": False, "avx": True, "sse2": True}, 4),
        ({"sse2": True}, 4),
        ({"neon": True, "sve": True}, 4),
        ({}, 4),
    ],
    ids=["AVX-512", "AVX2", "AVX", "SSE", "NEON", "unknown"],
)
def test_vectors__are_as_wide_as_the_processor_has_them(features, width, monkeypatch):
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)
    assert host_lanes() == make_lanes(width)


def unreadable_page_after(samples):
    """The samples at the very end of readable memory, and the mapping that keeps them."""
    libc = ctypes.CDLL(None, use_errno=True)
    pages = -(-samples.nbytes // mmap.PAGESIZE)
    mapping = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    end = pages * mmap.PAGESIZE
    assert libc.mprotect(ctypes.c_void_p(address + end), ctypes.c_size_t(mmap.PAGESIZE), 0) == 0, os.strerror(ctypes.get_errno())
    placed = np.frombuffer(mapping, np.float32, len(samples), end - samples.nbytes)
    placed[:] = samples
    return placed, mapping


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect through the C library")
@pytest.mark.parametrize("lanes", WIDTHS)
@pytest.mark.parametrize("name", ["speech", "uncentred", "librosa", "kaldi", "nemo"])
def test_samples_that_end_at_an_unreadable_page__are_never_overrun(name, lanes):
    uncentred = SPEECH.replace(center=False, win_length=403)
    spec = {"speech": SPEECH, "uncentred": uncentred}.get(name) or PRESETS[name].spec
    front, w, hop, length = FrontEnd(spec, lanes=lanes), lanes, spec.hop_length, spec.window_length
    block = (w - 1) * hop + length
    for n_samples in {1, 3, length, *(block + d for d in range(-2, 3)), 2 * w * hop + length, 2 * w * hop + length + 5}:
        samples = np.random.default_rng(n_samples).standard_normal(n_samples).astype(np.float32)
        placed, _mapping = unreadable_page_after(samples)
        np.testing.assert_array_equal(front(placed), front(samples))
