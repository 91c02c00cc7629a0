"""Compiled kernels on disk, watched from other processes: each runs one small kernel and says whether it compiled it or read it."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import filelock
import numpy as np
import pytest

import fastspec
from fastspec.frontend import FrontEnd
from fastspec.kernels import compiled
from fastspec.kernels.extract import extract
from fastspec.spec import FeatureSpec

PACKAGE = Path(fastspec.__file__).parent
SMALL_KERNEL = """
import json, os, sys, time
from pathlib import Path
import numpy as np
from fastspec.kernels import compiled
from fastspec.kernels.jit import entry
from fastspec.kernels.arithmetic import lane_sum
from fastspec.kernels.simd import load, make_lanes

@entry
def total(lanes, x):
    return lane_sum(load(lanes, x, 0) * load(lanes, x, 0))

width, gate = int(sys.argv[1]), sys.argv[2:]
if gate:
    compiled.LONGEST_WAIT_S = float(gate[1])
    Path(gate[0], str(os.getpid())).touch()
    while not Path(gate[0], "open").exists():
        time.sleep(0.001)
value = total(make_lanes(width), np.arange(16, dtype=np.float32))
print(json.dumps([float(value), sum(total.stats.cache_misses.values()), sum(total.stats.cache_hits.values())]))
"""
SUMS = {4: 14.0, 8: 140.0, 16: 1240.0}
COMPILED, READ = (1, 0), (0, 1)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def start(tmp_path, cache):
    """`start(width, *gate, **environment)` starts a process; it says what it did when `finish` waits for it."""
    script = tmp_path / "small_kernel.py"
    script.write_text(SMALL_KERNEL)

    def start_process(width=8, *gate, package=PACKAGE, **environment):
        command = [sys.executable, "-W", "error", str(script), str(width), *map(str, gate)]
        surroundings = (
            os.environ | {"FASTSPEC_CACHE": str(cache), "PYTHONPATH": str(package.parent), "NUMBA_DISABLE_JIT": "0"} | environment
        )
        return subprocess.Popen(command, env=os.environ | surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start_process


def finish(process, width=8):
    """(compilations, cache hits) of a process that got the right answer without a warning."""
    answer, complaint = process.communicate(timeout=300)
    assert (process.returncode, complaint) == (0, "")
    value, misses, hits = json.loads(answer)
    assert value == SUMS[width]
    return misses, hits


def only_kernel(cache):
    (path,) = cache.rglob("*.kernel")
    return path


def test_second_process__compiles_nothing():
    samples = np.zeros(1600, np.float32)
    FrontEnd(FeatureSpec(win_length=400))(samples)
    program = (
        "import numpy as np; from fastspec.frontend import FrontEnd; from fastspec.presets import preset;"
        "from fastspec.kernels.extract import extract; FrontEnd(preset('librosa'))(np.zeros(9000, np.float32));"
        "print(sum(extract.stats.cache_misses.values()), sum(extract.stats.cache_hits.values()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert answer.stdout.split() == ["0", "1"]
    assert extract.stats.cache_path == str(compiled.kernel_folder())


def test_eight_processes_at_once__one_compiles_and_the_others_read(tmp_path, start):
    gate = tmp_path / "gate"
    gate.mkdir()
    processes = [start(8, gate, 60) for _ in range(8)]
    while len(list(gate.iterdir())) < 8:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    (gate / "open").touch()
    assert sorted(finish(process) for process in processes) == [READ] * 7 + [COMPILED]


def test_two_signatures__stand_side_by_side(start):
    for width in (4, 16):
        assert finish(start(width), width) == COMPILED
    for width in (4, 16):
        assert finish(start(width), width) == READ


def test_another_switch_or_processor__is_not_answered_from_the_cache(start):
    assert finish(start()) == COMPILED
    assert finish(start(NUMBA_BOUNDSCHECK="1")) == COMPILED
    assert finish(start(NUMBA_CPU_NAME="generic")) == COMPILED
    assert finish(start(NUMBA_CPU_NAME="generic")) == READ


def test_edit_of_any_kernel_file__is_not_answered_from_the_cache(tmp_path, start):
    package = tmp_path / "edited" / "fastspec"
    shutil.copytree(PACKAGE / "kernels", package / "kernels")
    (package / "__init__.py").touch()
    assert finish(start(package=package)) == COMPILED
    assert finish(start(package=package)) == READ
    with (package / "kernels" / "framing.py").open("a") as file:
        file.write("\n# An edit that the kernel never sees.\n")
    assert finish(start(package=package)) == COMPILED


def cut(content):
    return content[: len(content) // 2]


def turn_a_bit(content):
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize("damage", [cut, turn_a_bit])
def test_damaged_file__is_compiled_again_and_replaced(start, cache, damage):
    assert finish(start()) == COMPILED
    path = only_kernel(cache)
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert finish(start()) == COMPILED
    assert finish(start()) == READ


def test_lock_that_is_never_released__is_waited_for_only_so_long(tmp_path, start, cache):
    assert finish(start()) == COMPILED
    path = only_kernel(cache)
    path.unlink()
    (tmp_path / "open").touch()
    with filelock.FileLock(path.with_suffix(".lock")):
        assert finish(start(8, tmp_path, 0.2)) == COMPILED


def test_folder_where_nothing_can_be_locked__is_used_all_the_same(start, cache):
    assert finish(start()) == COMPILED
    path = only_kernel(cache)
    path.unlink()
    path.with_suffix(".lock").unlink()
    path.with_suffix(".lock").mkdir()
    assert finish(start()) == COMPILED
    assert finish(start()) == READ


def test_nowhere_to_write__compiles_in_memory_without_a_word(tmp_path, start):
    (tmp_path / "file").touch()
    assert finish(start(FASTSPEC_CACHE=str(tmp_path / "file" / "below"))) == COMPILED
    assert finish(start(FASTSPEC_CACHE="", HOME=str(tmp_path / "file"), XDG_CACHE_HOME="")) == COMPILED


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows its home otherwise")
def test_user_without_a_home__has_no_cache_folder(tmp_path, monkeypatch):
    import pwd

    def unknown(_uid):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("FASTSPEC_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert compiled.kernel_folder.__wrapped__() is None
    assert list(tmp_path.iterdir()) == []


def test_new_folder__sweeps_the_oldest_of_its_kind_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setenv("FASTSPEC_CACHE", str(tmp_path))
    old = [tmp_path / "kernels" / f"{i:032x}" for i in range(10)]
    for age, folder in enumerate(old):
        folder.mkdir(parents=True)
        os.utime(folder, (1e9 - age, 1e9 - age))
    (tmp_path / "kernels" / "mine").mkdir()
    newest = compiled.kernel_folder.__wrapped__()
    assert {path.name for path in (tmp_path / "kernels").iterdir()} == {
        "mine",
        newest.name,
        *(folder.name for folder in old[: compiled.KEPT_FOLDERS - 1]),
    }
