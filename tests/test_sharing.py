"""Workers that have nothing else to do take clips from the end of another's chunk: the bytes are the same, and none is left at work."""

import shutil
import threading
import time
import zipfile

import numpy as np
import pytest
import soundfile
from stores import RECIPE, promised_bytes, write_recordings

import fastspec.pipeline.compute as compute_room
from fastspec import featurize, read_corpus
from fastspec.corpus.manifest import RecordingError
from fastspec.pipeline.scheduling import _Turns
from fastspec.pipeline.sharing import Blocks
from fastspec.pipeline.work import Tally
from fastspec.timing import Stopwatch

CLIPS = 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings of several lengths and a broken one, that are one partition."""
    return write_recordings(tmp_path_factory.mktemp("corpus"), count=CLIPS)


@pytest.fixture(scope="module")
def alone(folder, tmp_path_factory):
    """The store, computed by one worker."""
    return featurize(folder, tmp_path_factory.mktemp("alone") / "s.zarr", recipe=RECIPE, workers=0)


class Taken(list):
    """Blocks that helpers have taken; where help is expected, whoever has the chunk begins when it has come."""

    def __init__(self):
        self.came, self.expected = threading.Event(), True


@pytest.fixture
def taken(monkeypatch):
    """Blocks of one clip."""
    blocks, take_last, compute = Taken(), Blocks.take_last, compute_room._compute_batch

    def watched(self):
        block = take_last(self)
        if block is not None:
            blocks.append(block[0])
            blocks.came.set()
        return block

    def late(*arguments):
        assert not blocks.expected or "helper" in threading.current_thread().name or blocks.came.wait(60)
        return compute(*arguments)

    monkeypatch.setattr(Blocks, "take_last", watched)
    monkeypatch.setattr(compute_room, "_compute_batch", late)
    monkeypatch.setattr(compute_room, "GROUP_CLIPS", 2)
    return blocks


def helpers_at_work():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fastspec")]


@pytest.mark.parametrize("workers", [2, 5])
def test_chunk_of_a_small_corpus__is_computed_by_all_workers_to_the_same_bytes(workers, folder, alone, taken, tmp_path):
    stopwatch = Stopwatch()
    shared = featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, workers=workers, stopwatch=stopwatch)
    assert len(alone.timings) == 1
    assert taken
    assert len(set(taken)) == len(taken)
    assert promised_bytes(shared.path) == promised_bytes(alone.path)
    assert stopwatch.seconds()["features"] > 0
    assert helpers_at_work() == []


def test_one_worker_or_none__has_no_help(folder, alone, taken, tmp_path):
    taken.expected = False
    for workers in (0, 1):
        store = featurize(folder, tmp_path / f"{workers}.zarr", recipe=RECIPE, workers=workers)
        assert promised_bytes(store.path) == promised_bytes(alone.path)
    assert taken == []


def test_windows_and_archives__are_read_by_one_worker_in_order(folder, alone, taken, tmp_path):
    taken.expected = False
    windows = RECIPE.replace(clip_s=0.5, hop_s=0.25)
    whole = featurize(folder, tmp_path / "whole.zarr", recipe=windows, workers=0)
    windowed = featurize(folder, tmp_path / "windowed.zarr", recipe=windows, workers=3)
    assert promised_bytes(windowed.path) == promised_bytes(whole.path)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        for path in folder.rglob("*.wav"):
            archive.write(path, path.relative_to(folder))
    zipped = featurize(tmp_path / "c.zip", tmp_path / "zipped.zarr", recipe=RECIPE, workers=3)
    np.testing.assert_array_equal(zipped.features[:], alone.features[:])
    assert taken == []


def test_recordings_with_one_clip_beside_one_with_many__keep_their_order(tmp_path):
    rng = np.random.default_rng(5)
    for i in range(24):
        length = 48_000 if i == 11 else 12_000
        soundfile.write(tmp_path / f"{i:02}.wav", rng.uniform(-0.5, 0.5, length).astype(np.float32), 16000)
    recipe = RECIPE.replace(clip_s=1.0, hop_s=1.0)
    stores = [featurize(read_corpus(tmp_path), tmp_path / f"{n}.zarr", recipe=recipe, workers=n) for n in (0, 4)]
    assert promised_bytes(stores[0].path) == promised_bytes(stores[1].path)
    assert stores[0].ledger["start_s"].to_list() == [0.0] * 12 + [1.0, 2.0] + [0.0] * 12


def test_helper_that_fails__ends_the_run_and_it_can_go_on(folder, alone, taken, tmp_path, monkeypatch):
    owner, compute = [], compute_room._compute_batch

    def fail_elsewhere(*arguments):
        owner.append(threading.current_thread().name)
        if "helper" in owner[-1]:
            raise RecordingError("unreadable", "as no recording is") from None
        return compute(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(compute_room, "_compute_batch", fail_elsewhere)
        with pytest.raises(RecordingError, match="as no recording is"):
            featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, workers=2)
    assert taken
    assert helpers_at_work() == []
    resumed = featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, workers=2, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(alone.path)


@pytest.mark.usefixtures("taken")
def test_interrupted_run__leaves_no_helper_at_work(folder, alone, tmp_path):
    def interrupt(progress):
        if progress.clips > CLIPS // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, workers=3, on_progress=interrupt)
    assert helpers_at_work() == []
    shutil.rmtree(tmp_path / "s.zarr" / "commits", ignore_errors=True)
    again = featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, workers=3, overwrite=True)
    assert promised_bytes(again.path) == promised_bytes(alone.path)


def test_helper__makes_way_for_a_task_that_waits_and_comes_back():
    begun, done, order = threading.Event(), threading.Event(), []

    def help_until_wanted(is_wanted):
        begun.set()
        while not is_wanted() and not done.is_set():
            time.sleep(0.001)
        order.append("helper")
        return not done.is_set()

    with _Turns(2, Tally("features", 1), Stopwatch()) as turns, turns.begin() as first, first.offer(help_until_wanted):
        assert begun.wait(10)
        with turns.begin():
            order.append("task")
            begun.clear()
        assert begun.wait(10)
        done.set()
    assert order == ["helper", "task", "helper"]


def test_offer_of_which_nothing_is_left__is_not_taken_up_again():
    calls = []
    with _Turns(3, Tally("features", 1), Stopwatch()) as turns, turns.begin() as first, first.offer(calls.append) as helpers:
        helpers.wait()  # append answers None: nothing is left
        with turns.begin():
            pass
        helpers.wait()
        assert len(calls) == 2  # one for each turn that was free
