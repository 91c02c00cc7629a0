"""The benchmark from recordings to stores, on a few recordings, beside a peer that takes no time to start."""

import json

import numpy as np
import pytest

from bench import corpus
from bench.__main__ import main
from fastspec.benchmark.peers import Job, Peer, Stretch, _batches, _read_arrays, _write_batch, load_clip
from fastspec.errors import RunFailed
from fastspec.frontend import FrontEnd
from fastspec.spec import ClipPolicy, Recipe

pytestmark = pytest.mark.filterwarnings("ignore:.*slated for removal:DeprecationWarning")  # what librosa.load imports

IMPLEMENTATIONS = [corpus.OURS, corpus.ONE_WORKER, corpus.DECODING, "librosa"]


def write_by_librosa(job, folder):
    """What a process of the benchmark does, in this one."""
    for i, batch in enumerate(_batches(job)):
        _write_batch("librosa", batch, folder / f"{i:05}.npy")


def write_what_is_wrong(job, folder):
    write_by_librosa(job, folder)
    for file in folder.glob("*.npy"):
        np.save(file, np.load(file) + np.float32(1))


LIBROSA = Peer("librosa", ("librosa",), write_by_librosa, _read_arrays)


@pytest.mark.parametrize("case", corpus.CASES[:3], ids=lambda case: case.name)
def test_row__of_each_implementation_with_floor_and_ceiling_beside_the_fastest_peer(case):
    pytest.importorskip("librosa")
    tiny = case._replace(recordings=5, clip_s=min(case.clip_s, 2.0))
    rows = corpus.run_corpus([tiny], repeat=1, others=[LIBROSA])
    assert [row["implementation"] for row in rows] == IMPLEMENTATIONS
    ours, one, decoding, peer = rows
    assert all(row["clips"] == 5 and row["ms"] > 0 for row in rows)
    assert 0 <= peer["difference"] <= 1e-4
    assert (peer["at_least"], one["at_least"]) == (case.floor, corpus.TWO_WORKERS_AT_LEAST)
    assert peer["faster"] == pytest.approx(peer["ms"] / ours["ms"])
    assert peer["ceiling"] == pytest.approx(peer["ms"] / decoding["ms"])
    assert ours["reached"] == pytest.approx(decoding["ms"] / ours["ms"])
    assert peer["met"] is (peer["faster"] >= case.floor)
    lines = corpus.as_jobs(rows, repeat=1).splitlines()
    assert [line.split(" | ")[2].strip() for line in lines[2:5]] == ["decoding alone", IMPLEMENTATIONS[1], "librosa"]
    assert [float(line.split(" | ")[3]) for line in lines[2:5]] == pytest.approx([ours["reached"], one["faster"], peer["faster"]], rel=0.2)
    assert lines[-1].startswith("Best of 1, with fastspec ")


def test_peer_that_computes_something_else__is_not_timed():
    pytest.importorskip("librosa")
    wrong = LIBROSA._replace(name="wrong", write=write_what_is_wrong)
    with pytest.raises(RunFailed, match="wrong is 1 away from fastspec"):
        corpus.run_corpus([corpus.CASES[0]], share=0.001, repeat=1, others=[wrong])


@pytest.fixture
def made(tmp_path):
    """A job of eight recordings and its features."""
    case = corpus.CASES[0]._replace(clip_s=2.0)
    manifest = corpus._recordings(case, tmp_path / "corpus", 8)
    recipe = Recipe(spec=corpus.SPEECH, clip=ClipPolicy(clip_s=2.0))
    job = Job([Stretch(manifest.open(path), 0.0, 2.0) for path in manifest.table["path"]], recipe, 2)
    return job, np.stack([FrontEnd(corpus.SPEECH)(load_clip("torchaudio", clip, recipe)) for clip in job.clips])


def test_value_that_a_peer_rounds_away__is_judged_by_float64_and_told(made):
    job, ours = made
    theirs = ours.copy()
    theirs[3, 100, 40] += np.float32(0.002)
    assert corpus._compare("rounding", ours, theirs, job) == pytest.approx(0.002, rel=1e-3)
    with pytest.raises(RunFailed, match="two definitions are not timed"):  # where it is fastspec that is off, nothing excuses it
        corpus._compare("exact", theirs, ours, job)


def test_values_that_differ_in_number__are_another_definition(made):
    job, ours = made
    theirs = ours.copy()
    theirs[:, 100, 40] += np.float32(0.002)
    with pytest.raises(RunFailed, match="two definitions are not timed"):
        corpus._compare("another", ours, theirs, job)


def test_peer_that_is_not_installed__is_left_out(monkeypatch, capsys):
    absent = Peer("absent", ("no_such_package",), write_by_librosa, _read_arrays)
    monkeypatch.setattr(corpus, "PEERS", [absent])
    monkeypatch.setattr(corpus.run_corpus, "__kwdefaults__", corpus.run_corpus.__kwdefaults__ | {"others": [absent]})
    assert main(["corpus", "--case", "0", "--share", "0.002", "--repeat", "1", "--json"]) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)["rows"]
    assert [row["implementation"] for row in rows] == IMPLEMENTATIONS[:3]
    assert "absent is left out; to include it: pip install no_such_package" in printed.err


def test_batches__are_256_clips_or_two_for_each_process():
    def sizes(n):
        return [len(batch.clips) for batch in _batches(Job(list(range(n)), Recipe(spec=corpus.SPEECH), 2))]

    assert sizes(2000) == [256] * 7 + [208]
    assert sizes(60) == [15] * 4
    assert sizes(3) == [1] * 3


@pytest.mark.corpus
def test_recordings_of_mixed_rates__are_compared_too(request):
    pytest.importorskip("librosa")
    request.getfixturevalue("corpus")("stamps")
    rows = corpus.run_corpus([corpus.CASES[3]], share=20 / corpus.CASES[3].recordings, repeat=1, others=[LIBROSA])
    assert rows[-1]["difference"] <= 1e-4
