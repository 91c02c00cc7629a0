"""`fastspec warmup` in a process of its own: what it compiles, and that nothing is left to compile."""

import json
import os
import subprocess
import sys

import pytest

from fastspec.kernels.compiled import kernel_folder

WARMUP = "from fastspec.cli import main; main()"
MOST_COMPILATIONS = 14
# Every kind of front end that a user may ask for; a kernel that warmup forgets is compiled here.
LATER = """
import io
import numpy as np
import soundfile
from fastspec.audio import Policy, Request, Span, load_batches, load_recordings
from fastspec.frontend import FrontEnd
from fastspec.kernels.jit import compilations
from fastspec.presets import PRESETS
from fastspec.spec import FeatureSpec
specs = [recipe.spec for recipe in PRESETS.values()]
specs += [FeatureSpec(n_fft=n_fft) for n_fft in (405, 1103, 8192)] + [FeatureSpec(remove_dc="clip"), FeatureSpec(normalize="per_band")]
for spec in specs:
    for samples in (np.zeros((2, 9000), np.float32), np.zeros((1, 9000), np.int16), np.full((1, 9000), np.nan, np.float32)):
        FrontEnd(spec).batch(samples)
packed = io.BytesIO()
soundfile.write(packed, np.zeros((100, 2)), 8000, format="FLAC")
requests, policy = [Request(packed.getvalue(), [Span(0.0, 1.0)])] * 2, Policy(8000, "mean", "HQ", 8000, 0.0)
clips = list(load_recordings(requests, policy))
assert sum(map(len, load_batches(requests, policy))) == 2
assert [clip.info.channels for clip in clips] == [2, 2]
print(compilations().compiled)
"""


def run(program, *arguments, **environment):
    command = [sys.executable, "-c", program, *arguments]
    surroundings = os.environ | {"NUMBA_DISABLE_JIT": "0"} | environment
    answer = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


def test_warmup__leaves_nothing_to_compile():
    run(WARMUP, "warmup")
    assert run(LATER) == "0\n"


def test_warmup__says_how_many_kernels_and_where():
    run(WARMUP, "warmup")
    printed = json.loads(run(WARMUP, "warmup", "--json"))
    (row,) = printed["rows"]
    assert printed["command"] == "warmup"
    assert (row["compiled"], row["cache"]) == (0, str(kernel_folder()))
    assert 0 < row["read"] <= MOST_COMPILATIONS
    assert f"0 kernels compiled, {row['read']} read from the cache in" in run(WARMUP, "warmup")


def test_everything_a_process_compiles__is_about_a_dozen_kernels(tmp_path):
    printed = json.loads(run(WARMUP, "warmup", "--json", FASTSPEC_CACHE=str(tmp_path)))
    assert 0 < printed["rows"][0]["compiled"] <= MOST_COMPILATIONS
    assert printed["rows"][0]["compiled"] == len(list(tmp_path.rglob("*.kernel")))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows its home otherwise")
def test_warmup_with_nowhere_to_keep_kernels__says_so(tmp_path):
    (tmp_path / "file").touch()
    printed = run(WARMUP, "warmup", FASTSPEC_CACHE=str(tmp_path / "file"), NUMBA_DISABLE_JIT="1")
    assert "0 kernels compiled, 0 read from the cache" in printed
    assert "FASTSPEC_CACHE names one" in printed
