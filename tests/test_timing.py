"""Where the time of workers goes: stages of a thread never overlap, and with idleness they are all the time that there was."""

import threading

import pytest
from typer.testing import CliRunner

import fastspec
from fastspec import timing
from fastspec.cli.app import app
from fastspec.timing import Stopwatch, stage

STAGES = ["open", "decode", "resample", "features", "write", "other", "idle"]


class Ticks:
    """A clock that goes on when it is told."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def ticks(monkeypatch):
    clock = Ticks()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_stage_within_a_stage__takes_its_time_from_the_outer_one(ticks):
    watch = Stopwatch()
    with watch.run(workers=2), watch.worker():
        ticks.now += 1
        with stage("features"):
            ticks.now += 2
            with stage("resample"):
                ticks.now += 4
            ticks.now += 8
        ticks.now += 16
    seconds = watch.seconds()
    assert (seconds["other"], seconds["features"], seconds["resample"], seconds["idle"]) == (17, 10, 4, 31)


def test_worker_that_waits_for_another__is_idle(ticks):
    watch = Stopwatch()
    with watch.run(workers=2):
        with watch.worker(), stage("idle"):
            ticks.now += 3
        ticks.now += 1
    assert watch.seconds() == dict.fromkeys(STAGES, 0.0) | {"idle": 8}


def test_stage_that_raises__is_left(ticks):
    watch = Stopwatch()

    def work() -> None:
        with watch.worker(), stage("write"):
            ticks.now += 1
            raise OSError("full")

    with watch.run(workers=1), pytest.raises(OSError, match="full"):
        work()
    assert watch.seconds()["write"] == 1


def test_stage_outside_of_a_worker__measures_nothing(ticks):
    watch = Stopwatch()
    with watch.run(workers=1), stage("decode"):
        ticks.now += 3
    assert watch.seconds() == dict.fromkeys(STAGES, 0.0) | {"idle": 3.0}


def test_other_threads__do_not_disturb_a_worker(ticks):
    watch = Stopwatch()

    def work() -> None:
        with watch.worker(), stage("decode"):
            pass

    with watch.run(workers=1), watch.worker(), stage("write"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        ticks.now += 1
    assert (watch.seconds()["decode"], watch.seconds()["write"]) == (0, 1)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_stages_of_a_run__add_up(tmp_path, write_tone, workers):
    for i in range(6):
        write_tone(tmp_path / f"in/a/{i}.wav", seconds=0.3, sample_rate=8000 if i % 2 else 22050)
    watch, watched = Stopwatch(), []
    run = watch.run

    def note(**options):
        watched.append(options["workers"])
        return run(**options)

    watch.run = note
    recipe = fastspec.preset("librosa", clip_s=0.2)
    fastspec.featurize(fastspec.read_corpus(tmp_path / "in"), tmp_path / "s.zarr", recipe=recipe, workers=workers, stopwatch=watch)
    seconds = watch.seconds()
    assert list(seconds) == STAGES
    assert all(seconds[name] > 0 for name in STAGES[:-1])
    assert watched == [max(1, workers)]
    assert sum(seconds.values()) == pytest.approx(watch._available)


def test_profile_option__prints_every_stage_and_their_sum(tmp_path, write_tone):
    write_tone(tmp_path / "in/a/x.wav")
    printed = (
        CliRunner().invoke(app, ["featurize", str(tmp_path / "in"), "-o", str(tmp_path / "s.zarr"), "--clip", "1", "--profile"]).output
    )
    lines = [line.split() for line in printed.splitlines()]
    for name in [*STAGES, "all"]:
        assert any(line[:1] == [name] and line[-1].endswith("%") for line in lines), printed
