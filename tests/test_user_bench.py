"""`fastspec bench`: one real run on little data, and what it does with results that are not the same."""

import json
import math
import os
import subprocess
import sys
from concurrent.futures import Future

import numpy as np
import pytest
from typer.testing import CliRunner

from fastspec.benchmark import compare_runs, differences_between, page_cache, read_baseline
from fastspec.benchmark.baseline import BaselineError
from fastspec.benchmark.job import Key, OurJobs
from fastspec.benchmark.kernel import kernel_rows, noise
from fastspec.benchmark.measure import apart, resolved
from fastspec.benchmark.others import compare_others
from fastspec.benchmark.peers import Peer
from fastspec.benchmark.sample import Sample, audio_seconds, choose_recordings, keep_usable, make_corpus
from fastspec.benchmark.worker import Outcome, fresh_process
from fastspec.cli.app import app
from fastspec.corpus import read_corpus
from fastspec.errors import FastspecError, RunFailed
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.references import Reference
from fastspec.report import benchmark_parts, plot_benchmark
from fastspec.report.benchmark_text import section
from fastspec.spec import FeatureSpec

SPEECH = FeatureSpec(win_length=400)
RECIPE = preset("kaldi", clip_s=0.5)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Twelve recordings, half of them FLAC, and one that is broken."""
    folder = tmp_path_factory.mktemp("bench") / "sounds"
    make_corpus(folder, RECIPE, clips=12)
    (folder / "broken.wav").write_bytes(b"not audio")
    return folder


@pytest.fixture(scope="module")
def ran(sounds):
    """The whole command in a process of its own, as a user runs it, with one peer."""
    code = "from fastspec.cli import main; main()"
    flags = [
        "--preset",
        "librosa",
        "--set",
        "pad_mode=symmetric",
        "--repeats",
        "2",
        "--workers",
        "2",
        "-o",
        "now.json",
        "--picture",
        "now.png",
    ]
    result = subprocess.run(
        [sys.executable, "-c", code, "bench", str(sounds), *flags],
        cwd=sounds.parent,
        env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, sounds.parent / "now.json"


@pytest.fixture(scope="module")
def rows(ran):
    document = json.loads(ran[1].read_text())
    assert (document["command"], set(document)) == ("bench", {"command", "version", "rows"})
    return document["rows"]


@pytest.fixture(scope="module")
def sample(sounds, tmp_path_factory):
    manifest, about = choose_recordings(read_corpus(sounds), RECIPE, clips=100)
    folder = tmp_path_factory.mktemp("sample")
    usable = keep_usable(manifest, featurize(manifest, folder / "all.zarr", recipe=RECIPE))
    store = featurize(usable, folder / "usable.zarr", recipe=RECIPE)
    return Sample(usable, usable.write(folder / "usable.parquet"), RECIPE, store, "digest", about | {"audio_s": audio_seconds(store)})


# --- the whole -----------------------------------------------------------------------------------------------------------------------


def test_run__measures_start_kernel_stages_and_whole_jobs(rows):
    assert [row["step"] for row in section(rows, "start")] == ["import", "kernels compiled", "kernels read"]
    assert all(row["seconds"] > 0 for row in section(rows, "start"))
    ours = section(rows, "kernel")[0]
    assert (ours["implementation"], ours["faster"]) == ("fastspec", 1.0)
    assert ours["ns_per_frame"] > 0
    warm = [row for row in section(rows, "stages") if row["cache"] == "warm"]
    assert {"open", "decode", "resample", "features", "write"} < {row["stage"] for row in warm}
    assert all(row["seconds"] > 0 for row in warm if row["stage"] in ("open", "decode", "resample", "features", "write"))
    one = section(rows, "job")[0]
    assert (one["implementation"], one["workers"], one["cache"]) == ("fastspec", 1, "warm")
    assert one["peak_mib"] > 20
    assert one["x_real_time"] == pytest.approx(3600 * one["hours_per_s"])


def test_stages__add_up_to_the_job_of_one_worker(rows):
    for row in section(rows, "job"):
        if (row["implementation"], row.get("workers")) == ("fastspec", 1):
            stages = [each["seconds"] for each in section(rows, "stages") if each["cache"] == row["cache"]]
            assert sum(stages) == pytest.approx(row["seconds"], rel=1e-6)


def test_sample__says_what_was_measured_and_what_was_left_out(rows, sounds):
    (sample,) = section(rows, "sample")
    assert (sample["corpus"], sample["recordings"], sample["left_out"]) == (str(sounds), 13, 1)
    assert sample["clips"] == 12
    assert sample["audio_s"] == pytest.approx(6.0, rel=0.05)
    assert any(name.startswith("FLAC PCM_16") for name in sample["formats"])


def test_peer__is_compared_before_it_is_timed(rows):
    pytest.importorskip("librosa")
    for part in ("kernel", "job"):
        (peer,) = (row for row in section(rows, part) if row["implementation"].startswith("librosa"))
        assert peer["note"] is None
        assert 0 <= peer["difference"] <= 1e-3
        assert peer["faster"] > 0


def test_cold_runs__are_there_or_it_is_said_why_not(rows):
    cold = [row for row in section(rows, "job") if row.get("cache") == "cold"]
    assert bool(cold) is (section(rows, "sample")[0]["not_cold"] is None)


def test_text__fits_80_columns_but_for_lines_that_are_left_whole(ran):
    tables = ran[0].split("\n\n")[1:]
    assert [table.splitlines()[0].strip() for table in tables[1:4]] == [
        "Features of clips in memory, one thread",
        "Where the time goes",
        "The whole job",
    ]
    for table in tables[1:4]:
        assert max(len(line) for line in table.splitlines() if "not timed" not in line and "wrote" not in line) <= 80
    assert "13 recordings of" in ran[0]
    assert "without 1 that give no features" in ran[0]
    assert "wrote now.json" in ran[0]


def test_picture__has_a_panel_for_each_part(ran, rows):
    assert ran[1].with_suffix(".png").stat().st_size > 10_000
    assert "wrote now.png" in ran[0]
    kernel, stages, jobs = plot_benchmark(rows, title="a machine").axes
    assert kernel.get_yticklabels()[0].get_text() == "fastspec"
    assert {"decode", "features", "write"} <= {text.get_text() for text in stages.get_legend().get_texts()}
    assert "fastspec, warm" in {text.get_text() for text in jobs.get_legend().get_texts()}


# --- what is wrong -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--picture", "F.gif"], "give a name that ends in .png, .svg or .pdf"),
        (["-o", "no/such/F.json"], "no/such is not a folder"),
        (["--baseline", "no-such.json"], "the baseline no-such.json cannot be read"),
        (["--preset", "whispr"], "did you mean 'whisper'"),
        (["no-such-folder"], "no-such-folder does not exist"),
    ],
)
def test_mistake__is_told_before_anything_is_measured(arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastspec.benchmark.run.run_benchmark", lambda *_, **__: pytest.fail("measured"))
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert isinstance(result.exception, FastspecError)
    assert message in str(result.exception)


def test_kernel__tells_a_peer_that_computes_something_else_and_does_not_time_it(monkeypatch):
    def shifted(_spec):
        honest = FrontEndOf(SPEECH)
        return lambda clip: honest(clip) + np.float32(1)

    from fastspec.frontend import FrontEnd as FrontEndOf

    def broken(_spec):
        raise ImportError("no module named 'gone'")

    references = [
        Reference(name="wrong", packages=("numpy",), build=shifted, base=SPEECH),
        Reference(name="absent", packages=("no_such_package",), build=shifted, base=SPEECH),
        Reference(name="broken", packages=("numpy",), build=broken, base=SPEECH),
    ]
    monkeypatch.setattr("fastspec.benchmark.kernel.references", lambda _spec: references)
    ours, wrong, absent, failing = kernel_rows(SPEECH, noise(2, 0.2, SPEECH), repeat=1)
    assert ours["hours_per_s"] > 0
    assert wrong["note"] == "differs by 1 log10, not timed"
    assert absent["note"] == "not installed: pip install no_such_package"
    assert failing["note"].startswith("fails here: ReferenceUnavailable: broken does not import")
    assert not {"seconds", "hours_per_s"} & (set(wrong) | set(absent) | set(failing))


def fake_peer(name, read):
    def write(job, folder):
        np.save(folder / "clips.npy", np.arange(len(job.clips)))

    return Peer(name, ("numpy",), write, read)


def test_whole_jobs__of_peers_are_compared_with_the_sample(sample, tmp_path, monkeypatch):
    features = np.asarray(sample.store.features[:])

    def fail(_job, _folder):
        raise RuntimeError("out of luck")

    found = [
        fake_peer("same", lambda _job, _folder: features),
        fake_peer("other", lambda _job, _folder: features + 1),
        fake_peer("short", lambda _job, _folder: features[:-1]),
        fake_peer("fails", fail),
        Peer("absent", ("no_such_package",), None, None),
        fake_peer("whole", lambda _job, _folder: features)._replace(resamples=False),
    ]
    monkeypatch.setattr("fastspec.benchmark.others.peers", lambda _spec: found)
    others = {other.name: other for other in compare_others(sample, tmp_path, processes=2, on_step=lambda _step: None)}
    assert (others["same"].note, others["same"].difference) == (None, 0.0)
    assert others["other"].note == "differs by 1 ln, not timed"
    assert others["short"].note == "differs in shape, not timed"
    assert others["fails"].note == "fails here: RuntimeError: out of luck"
    assert others["absent"].note == "not installed: pip install no_such_package"
    assert others["whole"].note.startswith("takes whole recordings of one channel")
    assert others["same"].run() > 0
    with pytest.raises(RunFailed, match="other gave other features when it was timed"):
        others["other"].check()


def test_clip_policy_that_no_peer_has__leaves_them_out(sample, tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr("fastspec.benchmark.others.peers", lambda _spec: [fake_peer("any", None)])
    for change, reason in (({"pad": "reflect"}, "has no padding 'reflect'"), ({"channel": "loudest"}, "has no channel 'loudest'")):
        (other,) = compare_others(replace(sample, recipe=RECIPE.replace(**change)), tmp_path, processes=1, on_step=lambda _step: None)
        assert other.note == reason


class Stub:
    """A process that answers with outcomes that are given."""

    def __init__(self, outcome):
        self.outcome = outcome

    def submit(self, *_call):
        future = Future()
        future.set_result(self.outcome)
        return future


OUTCOME = Outcome(2.0, {"decode": 2.0}, "digest", {"ok": 1}, 100, 50.0)


def test_features_that_change_with_the_workers__end_the_benchmark(sample, tmp_path):
    jobs = OurJobs(sample, tmp_path, {1: Stub(OUTCOME), 2: Stub(OUTCOME._replace(digest="another"))})
    assert jobs.run(Key("fastspec", 1, "warm")) == 2.0
    with pytest.raises(RunFailed, match="2 workers gave other features than the first run"):
        jobs.run(Key("fastspec", 2, "warm"))


def test_process_that_dies__is_a_line_with_advice(tmp_path):
    with (
        pytest.raises(RunFailed, match="a process that was measured died; the memory may be too little"),
        fresh_process(tmp_path) as process,
    ):
        process.submit(os.abort).result()


def test_cold_run_that_read_too_little_from_the_disk__was_not_cold(sample, tmp_path):
    files = sample.files()
    jobs = OurJobs(sample, tmp_path, {1: Stub(OUTCOME)})
    jobs.run(Key("fastspec", 1, "cold"), cold=files)
    assert "in memory when it is asked" in jobs.why_not_cold(files)
    read_all = OurJobs(sample, tmp_path, {1: Stub(OUTCOME._replace(from_disk=sum(file.stat().st_size for file in files)))})
    read_all.run(Key("fastspec", 1, "cold"), cold=files)
    assert read_all.why_not_cold(files) is None


def test_files__leave_the_page_cache_whole(tmp_path):
    if not page_cache.can_forget():
        pytest.skip("this system has no way to ask for it")
    (tmp_path / "a").write_bytes(b"x" * 10_000)
    page_cache.forget([tmp_path / "a"])
    assert (tmp_path / "a").read_bytes() == b"x" * 10_000
    assert page_cache.bytes_from_disk() >= 0


# --- the sample ----------------------------------------------------------------------------------------------------------------------


def test_files_of_a_sample__are_the_archive_where_recordings_lie_in_one(tmp_path, sample):
    import zipfile
    from dataclasses import replace

    with zipfile.ZipFile(tmp_path / "sounds.zip", "w") as archive:
        archive.write(sample.files()[0], "a.wav")
    inside = replace(sample, manifest=read_corpus(tmp_path / "sounds.zip"))
    assert inside.files() == [tmp_path / "sounds.zip"]
    assert inside.stretches() is None
    assert [stretch.duration_s for stretch in sample.stretches()] == [0.5] * 12


def test_features_of_another_shape__are_infinitely_apart_but_for_a_last_frame():
    features = np.zeros((2, 10, 80), np.float32)
    assert apart(features, features[:, :9], SPEECH) == 0.0
    assert apart(features, features[:, :8], SPEECH) == math.inf
    assert apart(features, features[..., :40], SPEECH) == math.inf


@pytest.mark.parametrize("log, weak", [("log10", -5.0), ("db", -50.0), ("ln", -12.0), ("none", 1e-5)])
def test_bands_far_below_their_frame__are_not_compared(log, weak):
    loud = 1.0 if log == "none" else 0.0
    assert resolved(np.array([[loud, weak]], np.float32), SPEECH.replace(log=log)).tolist() == [[True, False]]


# --- the baseline --------------------------------------------------------------------------------------------------------------------


def test_baseline__marks_what_is_slower_beyond_the_noise_of_both(rows, ran):
    earlier = read_baseline(ran[1])
    assert {row["verdict"] for row in compare_runs(rows, earlier)} == {"same"}
    slow = json.loads(json.dumps(rows))
    target = next(row for row in slow if row["section"] == "job")
    target |= {"hours_per_s": target["hours_per_s"] / 3, "noise": 0.5}
    compared = {row["name"]: row for row in compare_runs(slow, earlier)}
    assert compared["job: fastspec, 1 worker, warm"]["verdict"] == "slower"
    assert compared["job: fastspec, 1 worker, warm"]["ratio"] == pytest.approx(1 / 3)
    target |= {"noise": 2.5}
    assert {row["verdict"] for row in compare_runs(slow, earlier)} == {"same"}
    shown = "\n".join(str(getattr(part, "title", part)) for part in benchmark_parts([*rows, *compared.values()], version="1"))
    assert "Against the baseline" in shown


def test_baseline__names_what_else_is_different(rows):
    other = json.loads(json.dumps(rows))
    other[0] |= {"cpu": "another", "packages": {**other[0]["packages"], "numpy": "1.0"}}
    other[1] |= {"recipe": "else", "manifest": "else"}
    told = differences_between(rows, other)
    assert f"cpu: another then, {rows[0]['cpu']} now" in told
    assert any(line.startswith("numpy: 1.0 then") for line in told)
    assert sum("the ratios compare" in line for line in told) == 2
    assert differences_between(rows, rows) == []


@pytest.mark.parametrize("text", ["", "[]", '{"command": "scan", "rows": []}', '{"command": "bench", "rows": [{"section": "job"}]}'])
def test_file_that_is_no_benchmark__is_refused(tmp_path, text):
    (tmp_path / "F.json").write_text(text)
    with pytest.raises(BaselineError, match="is no benchmark"):
        read_baseline(tmp_path / "F.json")
