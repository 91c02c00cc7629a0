"""Threads, processes and a real Dask cluster: one plan, one store's bytes, whatever happens to a worker."""

import pickle
import shutil
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from distributed import Client, LocalCluster
from stores import promised_bytes
from threadpoolctl import threadpool_info, threadpool_limits
from workers import CLIPS, ELSEWHERE, PARTITION, RECIPE, corpus_of, own_processes, write_folder

from fastspec.corpus import RecordingError, read_corpus, read_inputs, take_recordings
from fastspec.errors import CorpusError, FastspecError, StoreError, WorkerError
from fastspec.frontend import FrontEnd
from fastspec.pipeline import Isolation, cluster, featurize, plan_run
from fastspec.pipeline.budget import Budget
from fastspec.pipeline.partition import PartitionTask, pack_chunks
from fastspec.pipeline.scheduling import open_scheduler
from fastspec.pipeline.tasks import pack, single_threaded_pools
from fastspec.pipeline.work import Tally
from fastspec.store import StoreWriter
from fastspec.store.reading import chunk_hashes
from fastspec.timing import Stopwatch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory):
    return featurize(folder, tmp_path_factory.mktemp("store") / "s.zarr", recipe=RECIPE, workers=0)


@pytest.fixture(scope="module")
def in_memory(tmp_path_factory):
    """The store of samples in memory."""
    return featurize(corpus_of({}), tmp_path_factory.mktemp("store") / "m.zarr", recipe=RECIPE)


# --- the same bytes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheduler", ["threads", *ELSEWHERE], indirect=True)
def test_store__has_the_same_bytes_from_any_scheduler(scheduler, folder, store, tmp_path):
    other = featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, scheduler=scheduler)
    assert promised_bytes(other.path) == promised_bytes(store.path)
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
    assert promised_bytes(other.path) == promised_bytes(store.path)
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


def test_windows__are_measured_and_computed_by_workers(dask_client, folder, tmp_path):
    recipe = RECIPE.replace(clip_s=0.5, hop_s=0.25)
    here = featurize(folder, tmp_path / "here.zarr", recipe=recipe)
    there = featurize(folder, tmp_path / "there.zarr", recipe=recipe, scheduler=dask_client)
    assert promised_bytes(there.path) == promised_bytes(here.path)


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


def test_tasks__are_prepared_a_window_at_a_time(dask_client):
    prepared, under_way = [], []

    def prepare(i):
        prepared.append(i)
        return lambda reporter: reporter.add(1, 0) or i

    tally = Tally("scan", 40, on_progress=lambda progress: under_way.append(len(prepared) - progress.clips + 1))
    with open_scheduler(dask_client) as place:
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


def test_names_that_mean_no_scheduler__say_what_is_allowed(tmp_path):
    for name in ("slurm", "tcp://nowhere", "http://host:1"):
        with pytest.raises(WorkerError, match="is unknown; give threads, processes, or the address"):
            featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=name)
    with pytest.raises(FastspecError, match="give threads, processes, an address, or a Client"):
        featurize(corpus_of({}), tmp_path / "s.zarr", recipe=RECIPE, scheduler=7)
    assert not (tmp_path / "s.zarr").exists()
