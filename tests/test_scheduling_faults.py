"""Workers that die, join late or differ, schedulers that are lost, runs that are stopped: what it costs, and what is said."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from distributed import Client, LocalCluster
from stores import promised_bytes
from workers import CLIPS, ELSEWHERE, PARTITION, RECIPE, corpus_of, make_samples, own_processes, wait_until, write_folder

from fastspec.errors import RunFailed, StoreError, WorkerError
from fastspec.pipeline import cluster, featurize, tasks
from fastspec.pipeline.scheduling import open_scheduler
from fastspec.pipeline.work import Tally
from fastspec.timing import Stopwatch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    """The store of samples in memory."""
    return featurize(corpus_of({}), tmp_path_factory.mktemp("store") / "m.zarr", recipe=RECIPE)


# --- workers that die, join, differ ------------------------------------------------------------------------------------------------


def killed_once(mark, i):
    """Samples whose reading kills its process by SIGKILL, the first time."""

    def read():
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return make_samples(i)[0]
        return os.kill(os.getpid(), signal.SIGKILL)

    return read


@pytest.mark.parametrize("scheduler", ELSEWHERE, indirect=True)
def test_worker_killed_in_the_middle__costs_nothing(scheduler, in_memory, tmp_path):
    i = PARTITION + 3
    manifest = corpus_of({i: killed_once(str(tmp_path / "mark"), i)})
    other = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler)
    assert (tmp_path / "mark").exists()
    assert promised_bytes(other.path) == promised_bytes(in_memory.path)


@pytest.mark.parametrize("scheduler", ELSEWHERE, indirect=True)
def test_recording_that_kills_its_worker__costs_its_row_and_no_more(scheduler, in_memory, tmp_path):
    manifest = corpus_of({19: lambda: os.kill(os.getpid(), signal.SIGKILL)})
    other = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler)
    assert other.status_counts() == {"ok": CLIPS - 1, "crashed": 1}
    assert "SIGKILL" in other.ledger["reason"][19]
    features = other.features[:]
    features[19] = in_memory.features[19]
    np.testing.assert_array_equal(features, in_memory.features[:])
    assert not own_processes()


def test_cluster_that_gives_up_at_the_first_death__ends_the_run_and_names_isolate(dask_client, in_memory, tmp_path):
    manifest = corpus_of({19: lambda: os.kill(os.getpid(), signal.SIGKILL)})
    dask_client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    try:
        with pytest.raises(WorkerError, match=r"partition \d of .*s\.zarr .*: 1 worker ended that had it; .* --resume and --isolate"):
            featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, scheduler=dask_client)
    finally:
        dask_client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3))
    resumed = featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(in_memory.path)


class Deadly:
    """A task that no process survives."""

    def __str__(self):
        return "what kills"

    def __call__(self, _reporter):
        os.kill(os.getpid(), signal.SIGKILL)


def test_task_that_kills_two_processes__ends_the_run():
    words = r"what kills: 2 processes ended there, the last by signal 9 \(SIGKILL\).* --resume and --isolate"
    with open_scheduler("processes", workers=1) as place, pytest.raises(WorkerError, match=words):
        list(place.compute_each(lambda _item: Deadly(), range(1), tally=Tally("features", 1), at_once=1, stopwatch=Stopwatch()))
    assert not own_processes()


def test_worker_that_joins_late__is_used(in_memory, tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()

    def awaiting_two(i):
        def read():
            (pids / str(os.getpid())).touch()
            deadline = time.monotonic() + 60
            while len(list(pids.iterdir())) < 2:
                if time.monotonic() > deadline:
                    raise TimeoutError("no second worker came")
                time.sleep(0.02)
            return make_samples(i)[0]

        return read

    manifest = corpus_of({i: awaiting_two(i) for i in range(0, CLIPS, PARTITION)})
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0") as local, Client(local) as client:
        joining = threading.Thread(target=lambda: (wait_until(lambda: list(pids.iterdir())), local.scale(2)))
        joining.start()
        other = featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, scheduler=client)
        joining.join()
    assert len(list(pids.iterdir())) == 2
    assert promised_bytes(other.path) == promised_bytes(in_memory.path)


def test_worker_with_other_versions__is_refused_when_it_takes_a_task(dask_client, in_memory, tmp_path):
    def differ():
        tasks.real_versions, tasks.current_versions = tasks.current_versions, lambda: {**tasks.real_versions(), "libsndfile": "0.0"}

    def agree():
        tasks.current_versions = tasks.real_versions

    words = r"worker on .* would give other bits, it has libsndfile 0\.0 instead of .*; give all workers"
    dask_client.run(differ)
    try:
        with pytest.raises(WorkerError, match=words):
            featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=dask_client)
    finally:
        dask_client.run(agree)
    resumed = featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=dask_client, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(in_memory.path)


def test_store_that_workers_do_not_see__is_one_clear_error(dask_client, tmp_path):
    store = tmp_path / "s.zarr"
    with pytest.raises(StoreError, match="put it where all workers see it under the same path"):
        featurize(corpus_of({0: lambda: store.rename(tmp_path / "moved")}), store, recipe=RECIPE, scheduler=dask_client)


@pytest.mark.parametrize("scheduler", ELSEWHERE, indirect=True)
def test_bad_recordings__end_the_run_or_are_counted_as_in_threads(scheduler, folder, tmp_path):
    with pytest.raises(RunFailed, match=r"a/02\.wav is unreadable"):
        featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler, on_error="fail")
    with pytest.raises(RunFailed, match="1 of 36 clips"):
        featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler, max_failed=0.01, resume=True)


# --- schedulers that are lost, runs that are stopped -------------------------------------------------------------------------------


@pytest.fixture
def lone_scheduler():
    """A Dask scheduler in a process of its own, without workers: the process and the address."""
    code = (
        "import asyncio, distributed\n"
        "async def serve():\n"
        "    async with distributed.Scheduler(host='127.0.0.1', port=0, dashboard=False) as scheduler:\n"
        "        print(scheduler.address, flush=True)\n"
        "        await scheduler.finished()\n"
        "asyncio.run(serve())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


@contextmanager
def worker_of(address):
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as worker:
        try:
            yield
        finally:
            worker.kill()


def test_scheduler_lost_in_the_middle__is_an_error_and_resume_finishes(lone_scheduler, in_memory, tmp_path):
    process, address = lone_scheduler
    pid, (samples, _) = process.pid, make_samples(2 * PARTITION)  # the worker has no test's module
    manifest = corpus_of({2 * PARTITION: lambda: os.kill(pid, signal.SIGKILL) or samples})
    with worker_of(address), pytest.raises(WorkerError, match=r"the Dask scheduler is lost .* go on with --resume"):
        featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, scheduler=address)
    resumed = featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler="threads", resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(in_memory.path)


def cli(*arguments, **options):
    command = [sys.executable, "-c", "from fastspec.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize(
    "end, code, words", [("lost", 2, "the Dask scheduler is lost"), ("interrupted", 130, "go on with the same command")]
)
def test_command_whose_cluster_has_no_workers__can_be_ended_and_says_one_line(lone_scheduler, folder, tmp_path, end, code, words):
    process, address = lone_scheduler
    output = tmp_path / "s.zarr"
    with cli("featurize", folder, "-o", output, "--clip", "1", "--scheduler", address) as run:
        wait_until(output.exists)
        (process if end == "lost" else run).send_signal(signal.SIGKILL if end == "lost" else signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == code
    assert said.count("\n") == 1
    assert words in said


def test_cluster_without_workers__is_an_error_after_a_while(lone_scheduler, tmp_path, monkeypatch):
    _, address = lone_scheduler
    monkeypatch.setattr(cluster, "LONGEST_WAIT_S", 0.1)
    with pytest.raises(
        WorkerError, match=rf"the cluster at {address} has had no workers for 0\.1 s; start some by 'dask worker {address}'"
    ):
        featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=address)


@pytest.mark.parametrize("scheduler", ELSEWHERE, indirect=True)
def test_interrupted_run__stops_its_workers_and_resumes(scheduler, in_memory, tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler, on_progress=interrupt)
    assert not own_processes()
    if scheduler != "processes":
        assert not any(scheduler.run(lambda: sum(run.at_work for run in cluster._runs.values())).values())
    resumed = featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler, resume=True)
    assert promised_bytes(resumed.path) == promised_bytes(in_memory.path)


def test_processes__end_with_the_run_that_started_them_even_if_it_is_killed(tmp_path):
    code = """
import sys, fastspec, numpy, os, pathlib, time
def wait():
    pathlib.Path("pid").write_text(str(os.getpid()))
    time.sleep(600)
fastspec.featurize([("x", wait, 16000, "a")], "s.zarr", recipe=fastspec.preset("librosa", clip_s=1.0), scheduler="processes")
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as run:
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        child = int((tmp_path / "pid").read_text())
        assert psutil.pid_exists(child)
        run.kill()
    wait_until(lambda: not psutil.pid_exists(child))
