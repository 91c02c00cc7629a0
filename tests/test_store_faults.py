"""What a run meets in the world: killed at any instant, a full disk, Ctrl-C, a second writer. The store ends as if nothing had happened."""

import random
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from stores import RECIPE, promised_bytes, write_recordings

from fastspec.corpus import read_corpus
from fastspec.errors import StoreError
from fastspec.pipeline import check_output, featurize
from fastspec.store.lock import locked

CHILD = """
import sys
from fastspec.corpus import read_corpus
from fastspec.frontend import FrontEnd
from fastspec.pipeline import featurize
from fastspec.spec import Recipe
corpus, output, recipe = sys.argv[1], sys.argv[2], Recipe.from_json(sys.argv[3])
manifest, front = read_corpus(corpus), FrontEnd(recipe)
front.batch(__import__("numpy").zeros((32, recipe.n_samples), "float32"))
print("ready", flush=True)
featurize(manifest, output, recipe=recipe, workers=2, resume=True)
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """What a run that meets nothing writes."""
    return promised_bytes(featurize(folder, tmp_path_factory.mktemp("whole") / "s.zarr", recipe=RECIPE).path)


def start(folder, output, **options):
    """A run in a process of its own, at the instant when it begins to write."""
    command = [sys.executable, "-c", CHILD, str(folder), str(output), RECIPE.to_json()]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    assert child.stdout.readline() == "ready\n", child.communicate()[1]
    return child


def kill_after(folder, output, seconds):
    """Whether the run was still at work when it was killed."""
    child = start(folder, output)
    time.sleep(seconds)
    child.kill()
    out, _ = child.communicate()
    assert child.returncode in (0, -signal.SIGKILL)
    return "done" not in out


def test_run_killed_at_twenty_random_instants__ends_with_the_same_bytes(folder, whole, tmp_path):
    begun = time.perf_counter()
    start(folder, tmp_path / "measured.zarr").communicate()
    longest, rng = time.perf_counter() - begun, random.Random(0)

    def kill_and_resume(lane):
        """Ten kills; a store that got ready in between is compared and begun anew."""
        output, killed = tmp_path / f"{lane}.zarr", 0
        for instant in range(10):
            killed += kill_after(folder, output, instants[lane][instant])
            if (output / "finished.json").exists():
                assert promised_bytes(featurize(folder, output, recipe=RECIPE, resume=True).path) == whole
                output = tmp_path / f"{lane}-{instant}.zarr"
        assert promised_bytes(featurize(folder, output, recipe=RECIPE, resume=True).path) == whole
        return killed

    instants = [[rng.uniform(0, longest / 4) for _ in range(10)] for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(kill_and_resume, range(2))) > 0
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_interrupted_process__is_told_how_to_go_on_and_resumes(folder, whole, tmp_path):
    output, program = tmp_path / "s.zarr", "from fastspec.cli import main; main()"
    flags = ["--preset", "torchaudio", "--clip", "1", "--workers", "2"]
    for field in ("n_fft=1024", "win_length=400", "hop_length=20", "n_mels=128", "log=db"):
        flags += ["--set", field]
    child = subprocess.Popen(
        [sys.executable, "-c", program, "featurize", str(folder), "-o", str(output), *flags], stderr=subprocess.PIPE, text=True
    )
    while not (output / "fastspec.json").exists():
        assert child.poll() is None
        time.sleep(0.001)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130
    assert err == f"fastspec: interrupted; go on with the same command and --resume, {output} keeps what is done\n"
    assert promised_bytes(featurize(folder, output, recipe=RECIPE, resume=True).path) == whole


def test_interrupt_before_anything_is_written__says_so(tmp_path):
    program = (
        "import os, signal, fastspec.corpus\n"
        "fastspec.corpus.read_corpus = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)\n"
        "from fastspec.cli import main; main()"
    )
    command = [sys.executable, "-c", program, "featurize", str(tmp_path), "-o", str(tmp_path / "s.zarr")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (130, "fastspec: interrupted; nothing written yet\n")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB, where the tests may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_full_disk__is_one_line_and_the_run_goes_on_when_there_is_room(folder, whole, small_disk):
    output = small_disk / "s.zarr"
    with pytest.raises(StoreError, match=r"s\.zarr cannot be written: No space left on device; what is done is kept") as caught:
        featurize(folder, output, recipe=RECIPE, workers=2)
    assert "\n" not in str(caught.value)
    assert not (output / "finished.json").exists()
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    assert promised_bytes(featurize(folder, output, recipe=RECIPE, resume=True).path) == whole


def test_file_that_may_not_grow__is_one_line_and_the_run_goes_on(folder, whole, tmp_path):
    output = tmp_path / "s.zarr"
    child = start(folder, output, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    _, err = child.communicate()
    assert child.returncode == 1
    assert err.splitlines()[-1].startswith(f"fastspec.errors.StoreError: {output} cannot be written: File too large")
    assert promised_bytes(featurize(folder, output, recipe=RECIPE, resume=True).path) == whole


# --- two writers -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_second_writer__is_refused_whatever_it_wants(folder, tmp_path, options):
    with locked(tmp_path / "s.zarr"), pytest.raises(StoreError, match=r"s\.zarr is being written by another run"):
        featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, **options)


def test_second_writer__is_refused_before_the_corpus_is_read(tmp_path):
    with locked(tmp_path / "s.zarr"), pytest.raises(StoreError, match="is being written by another run"):
        check_output(tmp_path / "s.zarr", resume=True, overwrite=False, flags=True)


def test_two_runs_at_the_same_instant__give_one_store_and_one_refusal(folder, whole, tmp_path):
    output = tmp_path / "s.zarr"
    children = [start(folder, output) for _ in range(2)]
    errors = [child.communicate()[1] for child in children]
    done = [child.returncode == 0 for child in children]
    # One that came when the other had ended finds the store finished.
    assert all(ok or "is being written by another run" in error for ok, error in zip(done, errors, strict=True))
    assert any(done)
    assert promised_bytes(output) == whole


def test_lock__dies_with_its_process_and_what_it_left_is_swept(folder, whole, tmp_path):
    output = tmp_path / "s.zarr"
    holder = "import os, sys\nfrom pathlib import Path\nfrom fastspec.store.lock import locked\n"
    holder += "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", holder, str(output)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    (tmp_path / ".s.zarr.draft-abcd1234").mkdir()
    (tmp_path / ".s.zarr.removed-abcd1234" / "s.zarr").mkdir(parents=True)
    (tmp_path / ".other.zarr.draft-abcd1234").mkdir()
    with pytest.raises(StoreError, match="another run"):
        featurize(folder, output, recipe=RECIPE)
    child.kill()
    child.communicate()
    assert promised_bytes(featurize(folder, output, recipe=RECIPE).path) == whole
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.zarr.draft-abcd1234", "s.zarr"]


def test_lock__holds_in_one_process_too_and_leaves_nothing(tmp_path):
    with locked(tmp_path / "s.zarr"):
        with pytest.raises(StoreError), locked(tmp_path / "s.zarr"):
            pass
        with locked(tmp_path / "t.zarr"):
            pass
    with locked(tmp_path / "s.zarr"):
        pass
    assert not list(tmp_path.iterdir())


def test_chunk_and_its_new_folders__are_flushed_before_the_commit(folder, tmp_path, monkeypatch):
    import fastspec.store.writing as writing

    events = []
    flush, record = writing.sync_together, writing.write_record
    monkeypatch.setattr(writing, "sync_together", lambda paths: (flush(paths), events.extend(paths)))
    monkeypatch.setattr(writing, "write_record", lambda path, data: (record(path, data), events.append(path)))
    path = featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, workers=0).path
    chunk = path / "features" / "c" / "0" / "0" / "0"
    committed = events.index(path / "commits" / "000000.rows")
    assert {chunk, *list(chunk.parents)[:4]} <= set(events[:committed])


def test_manifest_is_read__from_what_read_corpus_takes(folder, whole, tmp_path):
    assert promised_bytes(featurize(read_corpus(folder), tmp_path / "a.zarr", recipe=RECIPE).path) == whole
    samples = [("x", np.ones(16000, np.float32), 16000, "one")]
    assert featurize(samples, tmp_path / "b.zarr", recipe=RECIPE).labels == ["one"]
