"""Memory that workers share: samples at a high rate, in many channels, wait until there is room for them."""

import threading
import time

import numpy as np
import pytest
import soundfile

import fastspec
from fastspec.audio import clip as audio_room
from fastspec.audio.decode import Recording
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


@pytest.mark.parametrize(("memory_mib", "together"), [(200, 1), (4096, 2)])
def test_recordings_of_many_samples__are_decoded_at_once_only_where_they_fit(
    memory_mib, together, loud_corpus, tmp_path, at_work, monkeypatch
):
    monkeypatch.setattr(layout_room, "CHUNK_BYTES", 1)  # a partition for each clip
    recipe = fastspec.preset("whisper", clip_s=4.0)
    store = fastspec.featurize(loud_corpus, tmp_path / "s.zarr", recipe=recipe, workers=3, memory_bytes=memory_mib << 20)
    assert store.status_counts() == {"ok": 6}
    assert max(at_work) == 1 if together == 1 else max(at_work) >= together


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
