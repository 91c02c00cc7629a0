"""`fastspec doctor`: what it says of an installation that works, and that it tells what is broken."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.diagnosis import Finding, examine, facts, selftest
from fastspec.frontend import FrontEnd
from fastspec.kernels.jit import Compilations
from fastspec.learn.registry import PluginInfo
from fastspec.store import Damage


def run(*arguments):
    return CliRunner(env={"COLUMNS": "80", "NO_COLOR": "1"}).invoke(app, ["doctor", *arguments])


def wrong(check):
    """The findings of a check that are wrong, by name."""
    return {finding.name: finding for finding in check() if finding.wrong}


@pytest.fixture(scope="module")
def healthy():
    return run("--json")


def test_installation_that_works__exits_0_and_names_all_that_an_issue_needs(healthy):
    assert healthy.exit_code == 0, healthy.output
    printed = json.loads(healthy.stdout)
    assert (printed["command"], set(printed)) == ("doctor", {"command", "version", "rows"})
    names = {row["name"]: row["value"] for row in printed["rows"]}
    assert {"python", "packages", "processor", "cores", "memory", "thread pools", "libsndfile", "temporary files"} <= set(names)
    assert {"classifiers", "peers", "kernel cache", "store", "features: whisper", "recordings: MP3"} <= set(names)
    assert "lanes" in names["processor"]
    assert "numba" in names["packages"]
    assert all(row["advice"] is None for row in printed["rows"])


def test_table__fits_80_columns_and_puts_advice_below_what_is_wrong(monkeypatch):
    findings = [Finding("python", "3.11"), Finding("disk", "full " * 40, "free some")]
    monkeypatch.setattr("fastspec.diagnosis.examine", lambda: findings)
    result = run()
    assert result.exit_code == 1
    assert str(result.exception) == "1 of 2 findings are wrong: disk"
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "→ free some" in result.stdout
    marks = [line.split()[:2] for line in result.stdout.splitlines() if line.startswith(("ok", "WRONG"))]
    assert marks == [["ok", "python"], ["WRONG", "disk"]]


def test_kernel_that_computes_something_else__is_told_for_each_preset(monkeypatch):
    honest = FrontEnd.__call__
    monkeypatch.setattr(FrontEnd, "__call__", lambda self, samples: honest(self, samples) + np.float32(0.01))
    found = wrong(selftest.features)
    assert set(found) == {"features: librosa", "features: kaldi", "features: whisper", "features: librosa-mfcc"}
    assert "report this" in found["features: kaldi"].advice


def test_kernel_that_gives_nan__is_wrong(monkeypatch):
    honest = FrontEnd.__call__
    monkeypatch.setattr(FrontEnd, "__call__", lambda self, samples: honest(self, samples) * np.float32(np.nan))
    assert len(wrong(selftest.features)) == 4


def test_library_without_a_format__is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr("soundfile.available_formats", lambda: {"WAV": "", "FLAC": "", "OGG": ""})
    assert "does not read MP3: pip install" in wrong(facts.decoding)["libsndfile"].advice


def test_format_that_cannot_be_encoded__is_wrong_and_the_others_are_tested(monkeypatch):
    import soundfile

    write = soundfile.write

    def refuse_mp3(file, samples, rate, *, format, subtype):  # noqa: A002 - soundfile's own name
        if format == "MP3":
            raise ValueError("Unknown format: 'MP3'")
        write(file, samples, rate, format=format, subtype=subtype)

    monkeypatch.setattr("soundfile.write", refuse_mp3)
    found = {finding.name: finding for finding in selftest.recordings()}
    assert [name for name, finding in found.items() if finding.wrong] == ["recordings: MP3"]
    assert found["recordings: FLAC"].value.startswith("ok")


def test_decoder_that_gives_silence__is_wrong(monkeypatch):
    def silent(requests, policy):
        from fastspec.audio import ClipInfo, LoadedClip

        return (LoadedClip(np.zeros(policy.n_samples, np.float32), ClipInfo("silent")) for _ in requests)

    monkeypatch.setattr(selftest, "load_recordings", silent)
    assert set(wrong(selftest.recordings)) == {"recordings: WAV", "recordings: FLAC", "recordings: OGG", "recordings: MP3"}


def test_cache_without_a_folder__is_wrong(monkeypatch):
    monkeypatch.setattr(facts, "kernel_folder", lambda: None)
    assert "FASTSPEC_CACHE" in wrong(facts.kernel_cache)["kernel cache"].advice


@pytest.mark.parametrize("compiled, is_wrong", [(2, True), (0, False)])
def test_cache_that_cannot_be_written__is_wrong_if_something_had_to_be_compiled(monkeypatch, tmp_path, compiled, is_wrong):
    def refuse(**_folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(facts, "kernel_folder", lambda: tmp_path)
    monkeypatch.setattr(facts, "compilations", lambda: Compilations(compiled=compiled, read=3))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    (finding,) = facts.kernel_cache()
    assert "read-only" in finding.value
    assert finding.wrong is is_wrong


def test_store_that_is_damaged__is_told_with_the_file(monkeypatch):
    monkeypatch.setattr(selftest, "find_damage", lambda _path: [Damage("features/c/0/0/0", "its values have another hash", 0)])
    assert "features/c/0/0/0: its values have another hash" in wrong(selftest.stores)["store"].value


def test_full_disk_few_files_and_broken_plugins__are_told(monkeypatch):
    import resource

    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 1 << 20})())
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (64, 1024))
    assert set(wrong(facts.surroundings)) == {"temporary files", "open files"}
    monkeypatch.setattr(facts, "plugins", lambda: [PluginInfo("kestrel", "fastspec-kestrel", "1.0", "no_such_module:Kestrel")])
    assert "kestrel: its module 'no_such_module' is not there" in wrong(facts.classifiers)["classifiers"].advice


def test_check_that_raises__is_a_finding_and_stops_no_other(monkeypatch):
    def broken():
        raise ImportError("libcublas.so.12: cannot open shared object file")
        yield

    monkeypatch.setattr("fastspec.diagnosis.FACTS", (broken,))
    monkeypatch.setattr("fastspec.diagnosis.TESTS", (selftest.recordings,))
    first, *others = examine()
    assert first.wrong
    assert "ImportError: libcublas.so.12" in first.value
    assert not any(finding.wrong for finding in others)


def test_limits_of_a_container__are_the_memory_and_the_cores_that_count(tmp_path):
    from fastspec.benchmark import usable_cores

    (tmp_path / "meminfo").write_text("MemTotal:       8388608 kB\nMemFree: 1 kB\n")
    assert facts._memory(tmp_path / "meminfo", tmp_path) == "8.0 GiB"
    (tmp_path / "memory.max").write_text("2147483648\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert facts._memory(tmp_path / "meminfo", tmp_path) == "8.0 GiB, limited to 2.0 GiB"
    assert usable_cores(tmp_path) == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(tmp_path) >= 1
