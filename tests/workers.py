"""Corpora of a few partitions for workers in other processes, and what is asked of them and their stores."""

import time

import numpy as np
import psutil
import soundfile
from distributed import LocalCluster

from fastspec.corpus import read_corpus
from fastspec.presets import preset

# A clip's features are so large (many frames) that eight of them fill a chunk, which in so small a store is a partition.
RECIPE = preset("torchaudio", n_fft=512, win_length=400, hop_length=5, n_mels=128, log="db", clip_s=1.0)
CLIPS, PARTITION = 36, 8
ELSEWHERE = ("processes", "cluster")


def start_cluster(*, tries):
    """A cluster; one that does not come up on a busy machine says nothing about fastspec, and is started again."""
    try:
        return LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0")
    except Exception:
        if tries == 1:
            raise
        return start_cluster(tries=tries - 1)


def make_samples(i):
    rate = (16000, 22050)[i % 3 == 0]
    return np.random.default_rng(i).uniform(-0.5, 0.5, round((0.3 + i % 5 * 0.2) * rate)).astype(np.float32), rate


def write_folder(root):
    """Recordings of several rates and lengths in two classes; one is broken."""
    for i in range(CLIPS):
        path = root / "ab"[i % 2] / f"{i:02}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, *make_samples(i))
    (root / "a" / "02.wav").write_bytes(b"RIFF and nothing that follows")
    return root


def corpus_of(sources):
    """Samples in memory with these in the places of some of them; how they come to be is no part of a manifest's identity."""
    items = ((f"{i:02}", *make_samples(i)) for i in range(CLIPS))
    return read_corpus([(name, sources.get(i, samples), rate, "ab"[i % 2]) for i, (name, samples, rate) in enumerate(items)])


def wait_until(condition, *, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def own_processes():
    """Processes that tasks are carried out in."""
    return [p for p in psutil.Process().children() if "fastspec.pipeline.processes" in " ".join(p.cmdline())]
