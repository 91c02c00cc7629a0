"""Threads, processes and a real Dask cluster: one plan, one store's bytes, whatever happens to a worker."""

import hashlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest
import soundfile
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_info, threadpool_limits

from fastspec.corpus import RecordingError, read_corpus, read_inputs, take_recordings
from fastspec.errors import CorpusError, FastspecError, RunFailed, StoreError, WorkerError
from fastspec.frontend import FrontEnd
from fastspec.pipeline import Isolation, cluster, featurize, plan_run, tasks
from fastspec.pipeline.budget import Budget
from fastspec.pipeline.partition import PartitionTask, pack_chunks
from fastspec.pipeline.scheduling import open_scheduler
from fastspec.pipeline.tasks import pack, single_threaded_pools
from fastspec.pipeline.work import Tally
from fastspec.presets import preset
from fastspec.store import StoreWriter
from fastspec.store.reading import chunk_hashes
from fastspec.timing import Stopwatch

# A clip's features are so large (many frames) that eight of them fill a chunk, which in so small a store is a partition.
RECIPE = preset("torchaudio", n_fft=512, win_length=400, hop_length=5, n_mels=128, log="db", clip_s=1.0)
CLIPS, PARTITION = 36, 8
ELSEWHERE = ("processes", "cluster")


@pytest.fixture(scope="module")
def dask_cluster():
    with _start_cluster(tries=3) as local:
        yield local


def _start_cluster(*, tries):
    """A cluster; one that does not come up on a busy machine says nothing about fastspec, and is started again."""
    try:
        return LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    except Exception:
        if tries == 1:
            raise
        return _start_cluster(tries=tries - 1)


@pytest.fixture
def client(dask_cluster):
    with Client(dask_cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def scheduler(request):
    """The scheduler of a parameter's name, with two workers."""
    return request.getfixturevalue("client") if request.param == "cluster" else request.param


def make_samples(i):
    rate = (16000, 22050)[i % 3 == 0]
    return np.random.default_rng(i).uniform(-0.5, 0.5, round((0.3 + i % 5 * 0.2) * rate)).astype(np.float32), rate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recordings of several rates and lengths in two classes; one is broken."""
    root = tmp_path_factory.mktemp("corpus")
    for i in range(CLIPS):
        path = root / "ab"[i % 2] / f"{i:02}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, *make_samples(i))
    (root / "a" / "02.wav").write_bytes(b"RIFF and nothing that follows")
    return root


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    return featurize(folder, tmp_path_factory.mktemp("store") / "s.zarr", recipe=RECIPE, workers=0)


def corpus_of(sources):
    """Samples in memory with these in the places of some of them; how they come to be is no part of a manifest's identity."""
    items = ((f"{i:02}", *make_samples(i)) for i in range(CLIPS))
    return read_corpus([(name, sources.get(i, samples), rate, "ab"[i % 2]) for i, (name, samples, rate) in enumerate(items)])


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    """The store of samples in memory."""
    return featurize(corpus_of({}), tmp_path_factory.mktemp("store") / "m.zarr", recipe=RECIPE)


def promised_bytes(store):
    """Digest of each file that the contracts promise to be equal between runs."""
    files = [p for p in store.path.rglob("*") if p.is_file() and p.parent.name != "timings"]
    return {str(p.relative_to(store.path)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def wait_until(condition, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def own_processes():
    """Processes that tasks are carried out in."""
    return [p for p in psutil.Process().children() if "fastspec.pipeline.processes" in " ".join(p.cmdline())]


# --- the same bytes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["threads", *ELSEWHERE], indirect=True)
def test_store__has_the_same_bytes_from_any_scheduler(scheduler, folder, store, tmp_path):
    other = featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler)
    assert promised_bytes(other) == promised_bytes(store)
    assert not own_processes()


def test_address_of_a_scheduler__is_as_good_as_its_client(dask_cluster, folder, store, tmp_path):
    stopwatch, seen = Stopwatch(), []
    other = featurize(
        folder,
        tmp_path / "s.zarr",
        recipe=RECIPE,
        scheduler=dask_cluster.scheduler_address,
        on_progress=seen.append,
        stopwatch=stopwatch,
    )
    assert promised_bytes(other) == promised_bytes(store)
    assert [p.clips for p in seen][-1] == CLIPS
    assert seen[-1].failed == 1
    assert stopwatch.seconds()["features"] > 0


@pytest.mark.parametrize("scheduler, kind", [("cluster", "zip"), ("processes", "tar.gz")], indirect=["scheduler"])
def test_archives_given_from_a_folder__are_read_in_place_by_workers(scheduler, kind, folder, store, tmp_path, monkeypatch):
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
            for path in folder.rglob("*.wav"):
                archive.write(path, path.relative_to(folder))
    else:
        with tarfile.open(tmp_path / "c.tar.gz", "w:gz") as archive:
            for path in sorted(folder.rglob("*.wav")):
                archive.add(path, path.relative_to(folder))
    monkeypatch.chdir(tmp_path)
    manifest = read_corpus(f"c.{kind}")
    other = featurize(manifest, "s.zarr", recipe=RECIPE, scheduler=scheduler)
    assert sorted(chunk_hashes(other.path)) == sorted(chunk_hashes(store.path))


def test_windows__are_measured_and_computed_by_workers(client, folder, tmp_path):
    recipe = RECIPE.replace(clip_s=0.5, hop_s=0.25)
    here = featurize(folder, tmp_path / "here.zarr", recipe=recipe)
    there = featurize(folder, tmp_path / "there.zarr", recipe=recipe, scheduler=client)
    assert promised_bytes(there) == promised_bytes(here)


def test_script_without_a_guarded_main_part__may_use_processes(folder, store, tmp_path):
    (tmp_path / "script.py").write_text(
        "import sys, fastspec\n"
        "from fastspec.spec import Recipe\n"
        "fastspec.featurize(sys.argv[1], 's.zarr', recipe=Recipe.from_json(sys.argv[2]), scheduler='processes')\n"
    )
    subprocess.run([sys.executable, "script.py", str(folder), RECIPE.to_json()], cwd=tmp_path, check=True)
    assert chunk_hashes(tmp_path / "s.zarr") == chunk_hashes(store.path)


# --- what travels ------------------------------------------------------------------------------------------------------------------


def task_of(manifest, path):
    plan = plan_run(manifest, RECIPE)
    writer = StoreWriter.create(path, plan.layout, manifest=plan.clips.table)
    return PartitionTask.prepare(
        0,
        packed=pack_chunks(plan.clips, plan.layout),
        isolation=Isolation(plan.clips.recordings),
        writer=writer,
        front=FrontEnd(RECIPE),
        budget=Budget(1),
    )


def test_task__takes_along_its_own_rows_and_samples_alone(tmp_path):
    few, many = (
        # So many that partitions are of eight chunks in both.
        read_corpus([(f"{i:05}", np.zeros(1000, np.float32), 16000, "a") for i in range(n)])
        for n in (512 * PARTITION, 5120 * PARTITION)
    )
    sizes = [len(pack(task_of(manifest, tmp_path / f"{len(manifest)}.zarr"))) for manifest in (few, many)]
    assert sizes[0] > 8 * PARTITION * 4000
    assert sizes[1] < 1.1 * sizes[0]


def test_tasks__are_prepared_a_window_at_a_time(client):
    prepared, under_way = [], []

    def prepare(i):
        prepared.append(i)
        return lambda reporter: reporter.add(1, 0) or i

    tally = Tally("scan", 40, on_progress=lambda progress: under_way.append(len(prepared) - progress.clips + 1))
    with open_scheduler(client) as place:
        results = place.compute_each(prepare, range(40), tally=tally, at_once=1, stopwatch=Stopwatch())
        assert list(results) == list(range(40))
    assert max(under_way) == 2 * cluster.AHEAD


def test_memory_of_a_worker__decides_how_many_of_its_threads_compute_at_once(tmp_path):
    def prepare(i):
        def task(_reporter):
            (tmp_path / f"begun {i}").touch()
            time.sleep(0.05)
            at_once = len(list(tmp_path.glob("begun*"))) - len(list(tmp_path.glob("done*")))
            (tmp_path / f"done {i}").touch()
            return at_once

        return task

    with (
        LocalCluster(n_workers=1, threads_per_worker=4, processes=False, dashboard_address=":0") as local,
        Client(local) as client,
        open_scheduler(client) as place,
    ):
        at_once = list(place.compute_each(prepare, range(12), tally=Tally("scan", 12), at_once=2, stopwatch=Stopwatch()))
    assert max(at_once) <= 2


def corpora(folder):
    """Each kind of recordings, in the working directory, by relative addresses."""
    yield read_corpus("c")
    with zipfile.ZipFile("c.zip", "w") as archive, tarfile.open("c.tar", "w") as plain, tarfile.open("c.tar.gz", "w:gz") as packed:
        for path in sorted(folder.rglob("*.wav")):
            archive.write(path, path.relative_to(folder))
            plain.add(path, path.relative_to(folder))
            packed.add(path, path.relative_to(folder))
    yield from map(read_corpus, ("c.zip", "c.tar", "c.tar.gz"))
    shutil.copyfile("c.tar", "shard-0.tar")
    shutil.copyfile("c.tar", "shard-1.tar")
    yield read_corpus("shard-{0..1}.tar")
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(folder.rglob("*.wav"))]
    pl.DataFrame({"audio": cells}).write_parquet("c.parquet")
    yield read_corpus("c.parquet")
    yield read_inputs(["c", "c.zip"])
    yield corpus_of({})


def test_recordings_sent_to_another_folder__are_those_asked_for_alone(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c").symlink_to(folder)
    for manifest in corpora(folder):
        path, other = manifest.table["path"][5], manifest.table["path"][7]
        here = content(manifest.open(path))
        sent = pickle.dumps(take_recordings(manifest.recordings, {path}))
        monkeypatch.chdir("/")
        there = pickle.loads(sent)  # noqa: S301 - our own bytes
        assert content(there.open(path)) == here, manifest
        assert len(sent) < 1000 + len(here)
        if manifest.source not in ("c", "c.zip"):  # which open whatever lies there
            with pytest.raises(RecordingError):
                there.open(other)
        monkeypatch.chdir(tmp_path)


def content(source):
    return source.read_bytes() if isinstance(source, Path) else source


def test_archive_that_tasks_share__is_opened_once_and_anew_when_it_has_changed(tmp_path):
    def pack_zip(*names):
        with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
            for name in names:
                archive.writestr(name, b"sound")

    pack_zip("a.wav")
    sent = pickle.dumps(read_corpus(tmp_path / "c.zip").recordings)
    first, second = (pickle.loads(sent) for _ in range(2))  # noqa: S301 - our own bytes
    assert first is second
    pack_zip("a.wav", "b.wav")
    assert pickle.loads(sent).open("b.wav") == b"sound"  # noqa: S301


@pytest.mark.parametrize("scheduler", ELSEWHERE, indirect=True)
def test_function_that_cannot_leave_its_process__is_refused_before_anything_starts(scheduler, tmp_path):
    lock = threading.Lock()
    with pytest.raises(CorpusError, match=r"function of '04' cannot be sent to another process: .*; give arrays, or functions"):
        featurize(corpus_of({4: lambda: lock}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler)
    assert not (tmp_path / "s.zarr").exists()


def test_writer_that_travelled__refuses_another_store_in_its_place(in_memory, tmp_path):
    task = task_of(corpus_of({}), tmp_path / "s.zarr")
    sent = pickle.dumps(task.writer)
    writer = pickle.loads(sent)  # noqa: S301 - our own bytes
    shutil.rmtree(tmp_path / "s.zarr")
    with pytest.raises(StoreError, match="not the store that is being written; put it where all workers see it"):
        pickle.loads(sent)  # noqa: S301
    shutil.copytree(in_memory.path, tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "fastspec.json").write_text(plan_run(corpus_of({}), RECIPE.replace(n_mels=64)).layout.to_json())
    with pytest.raises(StoreError, match="not the store"):
        writer.write_chunk(0, np.zeros((PARTITION, *RECIPE.shape), np.float32))


def test_pools_of_threads__are_of_one_as_long_as_anybody_computes():
    def widths():
        return {pool["num_threads"] for pool in threadpool_info()}

    with threadpool_limits(2):
        before, (first, second) = widths(), (single_threaded_pools(), single_threaded_pools())
        assert before == {2}
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert widths() == {1}
        second.__exit__(None, None, None)
        assert widths() == before


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
    assert promised_bytes(other) == promised_bytes(in_memory)


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


def test_cluster_that_gives_up_at_the_first_death__ends_the_run_and_names_isolate(client, in_memory, tmp_path):
    manifest = corpus_of({19: lambda: os.kill(os.getpid(), signal.SIGKILL)})
    client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    try:
        with pytest.raises(WorkerError, match=r"partition \d of .*s\.zarr .*: 1 worker ended that had it; .* --resume and --isolate"):
            featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, scheduler=client)
    finally:
        client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 3))
    resumed = featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, resume=True)
    assert promised_bytes(resumed) == promised_bytes(in_memory)


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
    assert promised_bytes(other) == promised_bytes(in_memory)


def test_worker_with_other_versions__is_refused_when_it_takes_a_task(client, in_memory, tmp_path):
    def differ():
        tasks.real_versions, tasks.current_versions = tasks.current_versions, lambda: {**tasks.real_versions(), "libsndfile": "0.0"}

    def agree():
        tasks.current_versions = tasks.real_versions

    words = r"worker on .* would give other bits, it has libsndfile 0\.0 instead of .*; give all workers"
    client.run(differ)
    try:
        with pytest.raises(WorkerError, match=words):
            featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=client)
    finally:
        client.run(agree)
    resumed = featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=client, resume=True)
    assert promised_bytes(resumed) == promised_bytes(in_memory)


def test_store_that_workers_do_not_see__is_one_clear_error(client, tmp_path):
    store = tmp_path / "s.zarr"
    with pytest.raises(StoreError, match="put it where all workers see it under the same path"):
        featurize(corpus_of({0: lambda: store.rename(tmp_path / "moved")}), store, recipe=RECIPE, scheduler=client)


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


def worker_of(address):
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_scheduler_lost_in_the_middle__is_an_error_and_resume_finishes(lone_scheduler, in_memory, tmp_path):
    process, address = lone_scheduler
    pid = process.pid
    manifest = corpus_of({2 * PARTITION: lambda: os.kill(pid, signal.SIGKILL) or make_samples(2 * PARTITION)[0]})
    with worker_of(address) as worker:
        with pytest.raises(WorkerError, match=r"the Dask scheduler is lost .* go on with --resume"):
            featurize(manifest, tmp_path / "s.zarr", recipe=RECIPE, scheduler=address)
        worker.kill()
    resumed = featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler="threads", resume=True)
    assert promised_bytes(resumed) == promised_bytes(in_memory)


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
    assert promised_bytes(resumed) == promised_bytes(in_memory)


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


def test_names_that_mean_no_scheduler__say_what_is_allowed(tmp_path):
    for name in ("slurm", "tcp://nowhere", "http://host:1"):
        with pytest.raises(WorkerError, match="is unknown; give threads, processes, or the address"):
            featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=name)
    with pytest.raises(FastspecError, match="give threads, processes, an address, or a Client"):
        featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=7)
    assert not (tmp_path / "s.zarr").exists()
