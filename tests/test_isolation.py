"""Recordings that crash or hang what decodes them cost their own rows, and no process is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from functools import partial
from pathlib import Path

import bad_sources
import numpy as np
import psutil
import pytest
import soundfile
from stores import promised_bytes

from fastspec.audio import AudioError, Decoders, Isolated, measure_extent
from fastspec.corpus import read_corpus
from fastspec.errors import FastspecError, RunFailed
from fastspec.pipeline import featurize
from fastspec.presets import preset
from fastspec.store import Layout

RATE = bad_sources.RATE
# Chunks of 32 clips.
RECIPE = preset("torchaudio", n_fft=1024, win_length=400, hop_length=20, n_mels=128, log="db", clip_s=1.0)
SMALL = preset("librosa", n_mels=16, clip_s=1.0)
TIMEOUT_S = 3.0  # enough for a recording that does not hang, on a busy machine


def samples(sources):
    """A manifest of functions, named as in the mapping."""
    return read_corpus([(name, source, RATE, "x") for name, source in sources.items()])


def descendants(pid=None):
    return psutil.Process(pid).children(recursive=True)


def assert_gone(processes):
    """A minute is for a busy machine."""
    assert not psutil.wait_procs(processes, timeout=60)[1]


@pytest.fixture(autouse=True)
def nothing_left():
    """No test leaves a process behind. What tests of other files left, such as multiprocessing's tracker of resources, is theirs."""
    before = descendants()
    yield
    assert not set(descendants()) - set(before)


@pytest.fixture
def decoders():
    with Decoders(timeout_s=30) as decoders:
        yield decoders


# --- one recording ------------------------------------------------------------------------------------------------------------------

ENDS = {
    "segfault": ("crashed", "the decoder was ended by SIGSEGV"),
    "abort": ("crashed", "the decoder was ended by SIGABRT"),
    "exit_at_once": ("crashed", "the decoder ended with exit code 3"),
    "exit_politely": ("crashed", "the decoder ended with exit code 4"),
    "killed": ("crashed", "the decoder was ended by SIGKILL, as the system does when memory runs out"),
    "too_much": ("crashed", "decoding raised MemoryError: "),
    "hang": ("timeout", "the decoder gave nothing for 3 s and was ended"),
}


@pytest.mark.parametrize("name", ENDS)
def test_recording_that_ends_its_decoder__costs_its_row_and_says_how(name, tmp_path):
    manifest = samples({"a": partial(bad_sources.noise, 1), "bad": getattr(bad_sources, name), "b": partial(bad_sources.noise, 2)})
    ledger = featurize(manifest, tmp_path / "s.zarr", recipe=SMALL, isolate=True, timeout_s=TIMEOUT_S).ledger
    assert ledger["status"].to_list() == ["ok", ENDS[name][0], "ok"]
    assert ledger["reason"].to_list() == [None, ENDS[name][1], None]


def test_decoder_that_ran_out_of_memory__is_given_no_other_recording(tmp_path):
    sources = {"a": partial(bad_sources.noise, 1), "bad": bad_sources.too_much, "b": bad_sources.much_noise}
    store = featurize(samples(sources), tmp_path / "s.zarr", recipe=SMALL, isolate=True, timeout_s=TIMEOUT_S, workers=1)
    assert store.ledger["reason"].to_list() == [None, ENDS["too_much"][1], None]


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_time_out_that_is_none__is_refused(timeout_s):
    with pytest.raises(FastspecError, match=r"the time-out is .* s; give the seconds that a decoder may hang, more than 0"):
        Decoders(timeout_s=timeout_s)


def test_reasons_of_the_decoder__are_those_it_gives_here(decoders, tmp_path):
    (tmp_path / "text.wav").write_text("once upon a time")
    for source in (tmp_path / "text.wav", tmp_path / "gone.wav", b"", b"RIFF"):
        with pytest.raises(AudioError) as here:
            measure_extent(source)
        with pytest.raises(AudioError) as there:
            measure_extent(Isolated(source, decoders))
        assert here.value.args == there.value.args


def test_process__is_kept_for_the_next_recording_until_it_had_its_share():
    with Decoders(files_each=3) as decoders:
        ids = [Isolated(b"", decoders).call(bad_sources.process_id, on_block=None) for _ in range(7)]
        assert ids == [ids[0]] * 3 + [ids[3]] * 3 + [ids[6]]
        assert len({os.getpid(), *ids}) == 4


def test_clips_before_the_crash__are_given_once_each(decoders):
    Isolated(b"", decoders).call(bad_sources.process_id, on_block=None)  # what dies now is tried again in a new process
    stream = Isolated(b"", decoders).stream(bad_sources.count_until_crash, on_block=None)
    assert [next(stream), next(stream), next(stream)] == [0, 1, 2]
    with pytest.raises(AudioError, match="the recording is crashed: the decoder was ended by SIGABRT"):
        next(stream)


def test_crash_that_an_earlier_recording_caused__is_not_blamed_on_the_next(tmp_path):
    manifest = samples({"poison": bad_sources.poison, "next": bad_sources.fragile, "last": bad_sources.segfault})
    store = featurize(manifest, tmp_path / "s.zarr", recipe=SMALL, isolate=True, workers=1)
    assert store.ledger["status"].to_list() == ["ok", "ok", "crashed"]


def test_decoder_that_goes_on__may_take_longer_than_the_time_out():
    with Decoders(timeout_s=TIMEOUT_S) as decoders:
        assert Isolated(b"", decoders).call(bad_sources.go_on_slowly, on_block=None) == "done"


def test_stop__is_heard_while_a_decoder_hangs():
    class Stop(Exception):
        pass

    def stop():
        raise Stop

    with Decoders(timeout_s=10_000) as decoders, pytest.raises(Stop):
        measure_extent(Isolated(bad_sources.hang, decoders), on_block=stop)


def test_function_that_cannot_be_sent__is_called_here_and_decoded_there(tmp_path):
    lock = threading.Lock()

    def locked_noise():
        with lock:
            return bad_sources.noise(3)

    ours = {"locked": locked_noise, "lambda": lambda: bad_sources.noise(4), "array": bad_sources.noise(5)}
    here, there = (featurize(samples(ours), tmp_path / f"{isolate}.zarr", recipe=SMALL, isolate=isolate) for isolate in (False, True))
    assert promised_bytes(here.path) == promised_bytes(there.path)
    assert here.status_counts() == {"ok": 3}


def test_what_a_source_prints__does_not_disturb(decoders, capfd):
    extent = measure_extent(Isolated(partial(print_and_give, read_corpus([("a", bad_sources.noise(0), RATE, None)]).open("a")), decoders))
    assert extent.frames == RATE
    assert capfd.readouterr().out == ""


def print_and_give(data):
    print("not a message")  # noqa: T201
    return data


# --- whole runs ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Several formats, rates and lengths, some of them broken."""
    root = tmp_path_factory.mktemp("corpus")
    for i, ending in enumerate(["wav", "flac", "ogg", "mp3", "aiff", "wav"] * 4):
        rate = (16000, 44100, 22050)[i % 3]
        tones = np.random.default_rng(i).uniform(-0.5, 0.5, (round((0.4 + 0.3 * i) * rate), 1 + i % 2))
        (root / "ab"[i % 2]).mkdir(exist_ok=True)
        soundfile.write(root / "ab"[i % 2] / f"{i:03}.{ending}", tones, rate)
    (root / "a" / "text.wav").write_bytes(b"RIFF and nothing that follows")
    (root / "a" / "empty.wav").touch()
    cut = (root / "b" / "019.flac").read_bytes()
    (root / "b" / "cut.flac").write_bytes(cut[: len(cut) // 2])
    return root


@pytest.fixture(scope="module")
def corpora(folder, tmp_path_factory):
    """The same as a folder and in archives."""
    root = tmp_path_factory.mktemp("archives")
    with zipfile.ZipFile(root / "c.zip", "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    subprocess.run(["tar", "-czf", root / "c.tar.gz", "-C", folder, "."], check=True)
    return {"folder": folder, "zip": root / "c.zip", "tar.gz": root / "c.tar.gz"}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
@pytest.mark.parametrize(
    "recipe",
    [SMALL, preset("librosa", n_mels=16), preset("librosa", n_mels=16, clip_s=0.5, hop_s=0.3, channel="each")],
    ids=["clips", "chosen length", "windows"],
)
def test_isolated_run__has_the_bytes_of_any_other(corpora, kind, recipe, tmp_path):
    here, there = (
        featurize(corpora[kind], tmp_path / f"{isolate}.zarr", recipe=recipe, isolate=isolate, timeout_s=60) for isolate in (False, True)
    )
    assert promised_bytes(here.path) == promised_bytes(there.path)
    assert set(here.status_counts()) >= {"ok", "unreadable"}


def test_rest_of_a_partition__has_the_bytes_of_a_run_in_which_nothing_crashed(tmp_path):
    def sources(segfault, hang):
        good = {f"{i:02}": partial(bad_sources.noise, i) for i in range(70)}
        return samples(dict(sorted({**good, "05b": segfault, "37b": hang, "37c": segfault, "69b": hang}.items())))

    plain = featurize(sources(bad_sources.unreadable, bad_sources.unreadable), tmp_path / "plain.zarr", recipe=RECIPE)
    manifest = sources(bad_sources.segfault, bad_sources.hang)
    assert Layout.read(plain.path).n_chunks == 3
    store = featurize(manifest, tmp_path / "isolated.zarr", recipe=RECIPE, isolate=True, timeout_s=TIMEOUT_S)
    assert store.status_counts() == {"ok": 70, "crashed": 2, "timeout": 2}
    differing = {name for name, digest in promised_bytes(store.path).items() if digest != promised_bytes(plain.path)[name]}
    assert differing <= {"ledger.parquet", "finished.json"}
    told = ["status", "reason"]
    assert store.ledger.drop(told).equals(plain.ledger.drop(told))


def test_all_recordings_bad__is_a_whole_store_of_reasons(tmp_path):
    manifest = samples({f"{i}": bad_sources.segfault for i in range(6)})
    store = featurize(manifest, tmp_path / "s.zarr", recipe=SMALL, isolate=True)
    assert store.status_counts() == {"crashed": 6}
    assert np.isnan(store.features[:]).all()
    with pytest.raises(RunFailed, match="crashed: the decoder was ended by SIGSEGV"):
        featurize(manifest, tmp_path / "failed.zarr", recipe=SMALL, isolate=True, on_error="fail")


def test_recordings_that_crash_while_they_are_measured__keep_their_rows(tmp_path):
    manifest = samples({"a": partial(bad_sources.noise, 1), "bad": bad_sources.segfault, "worse": bad_sources.hang})
    windows = SMALL.replace(clip_s=0.25, hop_s=0.25)
    ledger = featurize(manifest, tmp_path / "w.zarr", recipe=windows, isolate=True, timeout_s=TIMEOUT_S).ledger
    assert ledger["status"].to_list() == ["ok"] * 4 + ["crashed", "timeout"]
    chosen = featurize(manifest, tmp_path / "c.zarr", recipe=preset("librosa", n_mels=16), isolate=True, timeout_s=TIMEOUT_S)
    assert chosen.recipe.clip.clip_s == 1.0
    assert chosen.ledger["status"].to_list() == ["ok", "crashed", "timeout"]


# --- a run that dies, and the one after it -------------------------------------------------------------------------------------------

CHILD = """
import sys
sys.path[:] = {path!r}
import test_isolation
test_isolation.run_in_child(*sys.argv[1:])
"""


def run_in_child(scene, output, *arguments):
    """What a process of its own does."""
    print("ready", flush=True)  # noqa: T201
    featurize(SCENES[scene](*arguments), output, recipe=RECIPE, workers=1, resume=True, isolate=scene == "hanging")


def crashing(folder):
    """Chunks of which the second holds what crashes a decoder. Processes leave their numbers in the folder."""
    good = {f"{i:02}": partial(bad_sources.told_noise, i, Path(folder)) for i in range(80)}
    return samples(dict(sorted({**good, "40b": bad_sources.segfault}.items())))


def hanging():
    return samples({"a": partial(bad_sources.noise, 1), "b": bad_sources.hang})


SCENES = {"crashing": crashing, "hanging": hanging}


def start(scene, output, *arguments):
    command = [sys.executable, "-c", CHILD.format(path=sys.path), scene, str(output), *map(str, arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


def marks(store):
    return sorted(p.name for p in (store / "commits").glob("*.underway"))


def test_run_that_a_recording_killed__goes_on_with_that_partition_isolated(tmp_path):
    output, ids = tmp_path / "s.zarr", tmp_path / "ids"
    ids.mkdir()
    child = start("crashing", output, ids)
    child.communicate()
    assert child.returncode == -signal.SIGSEGV
    assert marks(output) == ["000001.underway"]
    for made in ids.iterdir():
        made.unlink()
    store = featurize(crashing(ids), output, recipe=RECIPE, resume=True)
    assert store.status_counts() == {"ok": 80, "crashed": 1}
    assert store.ledger.row(41, named=True)["reason"] == "the decoder was ended by SIGSEGV"
    apart = {int(made.name.split("-")[0]) for made in ids.iterdir() if made.name.split("-")[1] != str(os.getpid())}
    ((_, first, last),) = Layout.read(output).chunks(1)
    assert apart == set(range(first, last - 1))  # the rest of the second partition, in which one is no noise
    assert not (output / "commits").exists()
    fresh = featurize(crashing(ids), tmp_path / "fresh.zarr", recipe=RECIPE, isolate=True)
    assert promised_bytes(store.path) == promised_bytes(fresh.path)


def test_exceptions_and_interrupts__leave_no_mark(tmp_path):
    class Broken(Exception):
        pass

    def fail(_progress):
        raise Broken

    manifest = samples({f"{i}": partial(bad_sources.noise, i) for i in range(80)})
    for workers in (0, 2):
        with pytest.raises(Broken):
            featurize(manifest, tmp_path / f"{workers}.zarr", recipe=RECIPE, workers=workers, on_progress=fail)
        assert marks(tmp_path / f"{workers}.zarr") == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_run_whose_decoder_hangs__leaves_no_process_however_it_is_ended(tmp_path, sent):
    output = tmp_path / "s.zarr"
    child = start("hanging", output)
    while not (output / "commits" / "000000.underway").exists() or not descendants(child.pid):
        assert child.poll() is None
        time.sleep(0.01)
    decoding = descendants(child.pid)
    child.send_signal(sent)
    child.communicate()
    assert_gone(decoding)
    left = [] if sent == signal.SIGINT else ["000000.underway"]
    assert [file.name for file in (output / "commits").iterdir()] == left
    store = featurize(hanging(), output, recipe=RECIPE, resume=True, isolate=True, timeout_s=TIMEOUT_S)
    assert store.status_counts() == {"ok": 1, "timeout": 1}


# --- on the command line -------------------------------------------------------------------------------------------------------------

PROGRAM = "from fastspec.cli import main; main()"
FLAGS = ["--preset", "torchaudio", "--clip", "1", "--set", "n_fft=1024", "--set", "hop_length=20", "--set", "n_mels=128"]


def command(folder, output, *flags):
    return [sys.executable, "-c", PROGRAM, "featurize", str(folder), "-o", str(output), *FLAGS, *flags]


def test_killed_command__is_resumed_to_the_same_bytes(folder, tmp_path):
    whole, killed = tmp_path / "whole.zarr", tmp_path / "killed.zarr"
    subprocess.run(command(folder, whole), check=True, capture_output=True)
    child = subprocess.Popen(command(folder, killed, "--isolate"), stdout=subprocess.DEVNULL)
    while not marks(killed) or not descendants(child.pid):
        assert child.poll() is None
        time.sleep(0.01)
    decoding = descendants(child.pid)
    child.kill()
    child.wait()
    assert_gone(decoding)
    assert marks(killed)
    done = subprocess.run(command(folder, killed, "--resume", "--timeout", "60"), check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert promised_bytes(killed) == promised_bytes(whole)


def test_time_out_of_nothing__is_one_line(folder, tmp_path):
    done = subprocess.run(command(folder, tmp_path / "s.zarr", "--isolate", "--timeout", "0"), check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "fastspec: --timeout is 0 s; give the seconds that a decoder may hang, more than 0\n"


def test_script_without_a_guard__isolates(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, numpy, fastspec\n"
        "def crash(): os.abort()\n"
        "corpus = [('a', numpy.ones(8000, 'float32'), 8000, None), ('b', crash, 8000, None)]\n"
        "recipe = fastspec.preset('librosa', clip_s=1.0)\n"
        "print(fastspec.featurize(corpus, 's.zarr', recipe=recipe, isolate=True).status_counts())\n"
    )
    done = subprocess.run([sys.executable, script.name], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "{'crashed': 1, 'ok': 1}\n"
