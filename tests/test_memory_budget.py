"""Memory that workers share: samples at a high rate, in many channels, wait until there is room for them."""

import copy
import gc
import os
import shutil
import signal
import threading
import time
from contextlib import contextmanager

import numpy as np
import polars as pl
import pytest
import soundfile
from typer.testing import CliRunner

import fastspec
from fastspec.audio import AudioError, Decoders, Isolated, Span
from fastspec.audio import clip as audio_room
from fastspec.audio.decode import Recording
from fastspec.cli.app import app
from fastspec.errors import FastspecError
from fastspec.pipeline import compute as compute_room
from fastspec.pipeline import partition as partition_room
from fastspec.pipeline import repair, update
from fastspec.pipeline.budget import Budget
from fastspec.store import layout as layout_room

RATE, CHANNELS, SECONDS = 96_000, 8, 4.0


@pytest.fixture(scope="module")
def loud_corpus(tmp_path_factory):
    """Six recordings of 12 MB of samples each, where the clips that are made of them have 128 KB."""
    folder = tmp_path_factory.mktemp("rates")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (round(RATE * SECONDS), CHANNELS))
    for i in range(6):
        soundfile.write(folder / f"{i}.flac", noise * (i + 1) / 6, RATE)
    return folder


@pytest.fixture
def at_work(monkeypatch):
    """How many clips were being decoded at once, each time that one was begun."""
    load, lock, now, seen = audio_room._load_clip, threading.Lock(), [], []

    def watched(*arguments, **options):
        with lock:
            now.append(1)
            seen.append(len(now))
        time.sleep(0.2)  # so that the others come, where nothing keeps them
        try:
            return load(*arguments, **options)
        finally:
            with lock:
                now.pop()

    monkeypatch.setattr(audio_room, "_load_clip", watched)
    return seen


RECIPE = fastspec.preset("whisper", clip_s=4.0)


@pytest.fixture(autouse=True)
def _one_clip_each(monkeypatch):
    """A chunk, a partition and a lazy block for each clip."""
    monkeypatch.setattr(layout_room, "CHUNK_BYTES", 1)
    monkeypatch.setattr(compute_room, "GROUP_CLIPS", 1)
    monkeypatch.setattr("fastspec.pipeline.lazy.BLOCK_GROUPS", 1)


@pytest.fixture
def store(loud_corpus, tmp_path):
    """A store of all recordings."""
    return fastspec.featurize(loud_corpus, tmp_path / "s.zarr", recipe=RECIPE).path


def _featurize(corpus, path, **options):
    fastspec.featurize(corpus, path, recipe=RECIPE, overwrite=True, **options)


def _update(corpus, path, **options):
    for file in corpus.iterdir():
        os.utime(file, (0, time.time()))  # all of them have changed
    update(path, corpus, **options)


def _repair(_corpus, path, **options):
    shutil.rmtree(path / "features" / "c")
    assert len(repair(path, **options)) == 6


def _compute_lazily(corpus, _path, *, workers, memory_bytes):
    features = fastspec.feature_array(corpus, recipe=RECIPE, memory_bytes=memory_bytes)
    features.compute(scheduler="threads", num_workers=workers)


ACTIONS = {"featurize": _featurize, "update": _update, "repair": _repair, "lazily": _compute_lazily}


@pytest.mark.parametrize(("memory_mib", "together"), [(100, 1), (4096, 2)])
@pytest.mark.parametrize("action", ACTIONS)
def test_recordings_of_many_samples__are_decoded_at_once_only_where_they_fit(action, memory_mib, together, loud_corpus, store, at_work):
    at_work.clear()
    ACTIONS[action](loud_corpus, store, workers=3, memory_bytes=memory_mib << 20)
    assert len(at_work) == 6
    assert max(at_work) == 1 if together == 1 else max(at_work) >= together


@pytest.mark.parametrize("action", ACTIONS)
def test_memory_for_less_than_one_worker__is_refused_with_both_numbers(action, loud_corpus, store):
    with pytest.raises(FastspecError, match=r"the memory budget is 20 MiB and one worker needs \d+ MiB"):
        ACTIONS[action](loud_corpus, store, workers=1, memory_bytes=20 << 20)


@pytest.fixture
def decoders():
    with Decoders() as some:
        yield some


def test_isolated_recording__reserves_the_same_bytes_and_leaves_them_before_its_clip_comes(loud_corpus, decoders):
    def load(source):
        told = []

        @contextmanager
        def reserve(size):
            told.append(size)
            yield
            told.append("left")

        spans = [Span(0.0, 2.0), Span(2.0, 2.0), Span(3.0, 0.01)]
        policy = {"sample_rate": 16_000, "channel": "mean", "resample": "HQ", "n_samples": 32_000}
        told.extend(len(clip.samples) for clip in audio_room.load_clips(source, spans, **policy, reserve=reserve))
        return told

    here = load(loud_corpus / "0.flac")
    assert here[1:3] == ["left", 32_000]
    assert here[-1] == 160  # short enough to be nobody's business
    assert load(Isolated(loud_corpus / "0.flac", decoders)) == here


def _die_with_memory(_source, *, on_block, reserve):
    with reserve(70):
        on_block()
        os.kill(os.getpid(), signal.SIGKILL)


def test_memory_of_a_decoder_that_died__is_given_back(decoders, tmp_path):
    budget = Budget(100)
    with pytest.raises(AudioError, match="SIGKILL"):
        Isolated(tmp_path, decoders).call(_die_with_memory, on_block=None, reserve=budget.reserve)
    assert budget.left == 100


def test_isolated_recordings__are_decoded_at_once_only_where_they_fit(loud_corpus, tmp_path, monkeypatch):
    reserve, lock, now, seen = Budget.reserve, threading.Lock(), [], []

    @contextmanager
    def watched(budget, size):
        with reserve(budget, size):
            with lock:
                now.append(size)
                seen.append(len(now))
            yield
            now.pop()

    monkeypatch.setattr(Budget, "reserve", watched)
    _featurize(loud_corpus, tmp_path / "s.zarr", workers=3, memory_bytes=100 << 20, isolate=True)
    assert seen == [1] * 6


def test_budget_that_travels__is_the_same_for_all_that_it_came_with_and_for_nobody_else():
    mine, other = Budget(100), Budget(100)
    first, again, third = (copy.deepcopy(budget) for budget in (mine, mine, other))
    with first.reserve(60):
        assert (again.left, third.left) == (40, 100)


def tables_of_six_rows():
    # Not isinstance, which asks weak proxies of what is gone.
    return [one for one in gc.get_objects() if issubclass(type(one), pl.DataFrame) and one.height == 6]


@pytest.mark.parametrize("way", ["python", "command"])
def test_table_of_the_corpus__is_gone_while_clips_are_computed(way, loud_corpus, tmp_path, monkeypatch):
    tables, compute_batches = [], partition_room.compute_batches
    others = tables_of_six_rows()

    def watched(*arguments, **options):
        tables.extend(one for one in tables_of_six_rows() if not any(one is other for other in others))
        return compute_batches(*arguments, **options)

    monkeypatch.setattr(partition_room, "compute_batches", watched)
    if way == "python":
        fastspec.featurize(loud_corpus, tmp_path / "s.zarr", recipe=RECIPE, workers=0)
    else:
        command = ["featurize", str(loud_corpus), "-o", str(tmp_path / "s.zarr"), "--preset", "whisper", "--clip", "4", "--workers", "0"]
        assert CliRunner().invoke(app, command).exit_code == 0
    assert tables == []


def test_reservation__waits_until_there_is_room():
    budget, order = Budget(100), []
    with budget.reserve(60):
        other = threading.Thread(target=lambda: [order.append("asked"), budget.reserve(60).__enter__(), order.append("had")])
        other.start()
        while not order:
            time.sleep(0.001)
        order.append("left")
    other.join()
    assert order == ["asked", "left", "had"]


def test_reservation_larger_than_everything__is_everything():
    budget = Budget(100)
    with budget.reserve(1000):
        assert budget.left == 0
    assert budget.left == 100


def test_reservation_that_ends_in_an_error__is_given_back():
    budget = Budget(100)
    with pytest.raises(KeyError), budget.reserve(100):
        raise KeyError
    assert budget.left == 100


def test_blocks_before_the_next_clip__are_not_kept(loud_corpus):
    with Recording(loud_corpus / "0.flac") as recording:
        whole = recording.read(0, 200_000, following=150_000)
        held = sum(len(block) for _, block in recording._kept)
        assert np.array_equal(recording.read(150_000, 200_000), whole[150_000:])
    assert held < 200_000 - 65_536
