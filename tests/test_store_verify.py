"""Damage is found by hash, and mended from the recordings."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from stores import RECIPE, file_bytes, write_recordings
from typer.testing import CliRunner

from fastspec.cli.app import app
from fastspec.errors import RunFailed, StoreError
from fastspec.pipeline import featurize, repair
from fastspec.store import find_damage, read_ledger
from fastspec.store.reading import chunk_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    return featurize(folder, tmp_path_factory.mktemp("whole") / "s.zarr", recipe=RECIPE)


@pytest.fixture
def store(whole, tmp_path):
    return Path(shutil.copytree(whole.path, tmp_path / "s.zarr"))


def flip(path, offset=5000):
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_whole_store__has_no_damage(store):
    assert find_damage(store) == []
    assert repair(store) == []


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink], ids=["one bit", "cut short", "missing"])
@pytest.mark.parametrize("chunk", [0, 2])
def test_damaged_chunk__is_found_and_repaired_byte_for_byte(store, whole, harm, chunk):
    harm(chunk_file(store, chunk))
    (found,) = repair(store)
    assert (found.file, found.chunk) == (f"features/c/{chunk}/0/0", chunk)
    assert file_bytes(store) == file_bytes(whole.path)


def test_missing_chunk_of_failed_clips__is_damage_though_it_reads_as_nan(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "x.wav").write_bytes(b"not audio")
    path = featurize(tmp_path / "c", tmp_path / "s.zarr", recipe=RECIPE).path
    chunk_file(path, 0).unlink()
    assert [found.reason for found in find_damage(path)] == ["missing"]


@pytest.mark.parametrize("name", ["ledger.parquet", "valid_frames/c/0"])
@pytest.mark.parametrize("harm", [lambda path: flip(path, 8), Path.unlink], ids=["one bit", "missing"])
def test_damaged_table__is_found_and_repaired_byte_for_byte(store, whole, name, harm):
    harm(store / name)
    (found,) = repair(store)
    assert found.file == name.partition("/")[0]
    assert file_bytes(store) == file_bytes(whole.path)


def test_repair__takes_the_recordings_from_where_they_are_now(store, folder, tmp_path):
    flip(chunk_file(store, 1))
    (store / "source.json").write_text('{"corpus": null}')
    with pytest.raises(StoreError, match="does not say where its recordings are; give the corpus"):
        repair(store)
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert len(repair(store, moved)) == 1
    assert find_damage(store) == []


def test_recordings_that_changed__are_refused_and_nothing_is_written(store, folder, tmp_path):
    flip(chunk_file(store, 0))
    changed = shutil.copytree(folder, tmp_path / "changed")
    soundfile.write(changed / "a" / "000.wav", np.zeros(9000), 16000)
    before = file_bytes(store)
    with pytest.raises(StoreError, match="the recordings of clips 0 to 31 give other features than they did"):
        repair(store, changed)
    assert file_bytes(store) == before


def test_other_versions__are_refused(store):
    flip(chunk_file(store, 0))
    text = (store / "fastspec.json").read_text()
    (store / "fastspec.json").write_text(text.replace('"soxr": "', '"soxr": "0.0.'))
    with pytest.raises(StoreError, match=r"soxr is 0\.0\."):
        repair(store)


def test_unfinished_store__has_nothing_to_compare_with(store):
    (store / "finished.json").unlink()
    with pytest.raises(StoreError, match="is not finished"):
        find_damage(store)


def test_command__answers_with_the_exit_code(store):
    run = CliRunner().invoke
    assert run(app, ["store", "verify", str(store)]).exit_code == 0
    flip(chunk_file(store, 1))
    result = run(app, ["store", "verify", str(store)])
    assert isinstance(result.exception, RunFailed)
    assert "damaged: features/c/1/0/0: its values have another hash" in result.output
    result = run(app, ["store", "verify", str(store), "--repair"])
    assert isinstance(result.exception, RunFailed)
    assert "all of it was repaired" in str(result.exception)
    assert run(app, ["store", "verify", str(store)]).exit_code == 0


# --- which clips may fail ----------------------------------------------------------------------------------------------------------


def test_on_error_fail__ends_at_the_first_clip_and_goes_on_when_it_is_mended(folder, tmp_path):
    corpus = shutil.copytree(folder, tmp_path / "c")
    with pytest.raises(RunFailed, match=r"a/broken\.wav is unreadable: .*mend it and go on with --resume"):
        featurize(corpus, tmp_path / "s.zarr", recipe=RECIPE, on_error="fail")
    with pytest.raises(StoreError, match="is unfinished"):
        featurize(corpus, tmp_path / "s.zarr", recipe=RECIPE)
    shutil.copy(corpus / "a" / "000.wav", corpus / "a" / "broken.wav")
    store = featurize(corpus, tmp_path / "s.zarr", recipe=RECIPE, resume=True, on_error="fail")
    assert store.status_counts() == {"ok": 71}


def test_max_failed__is_checked_when_the_store_is_whole(folder, tmp_path):
    with pytest.raises(RunFailed, match=r"1 of 71 clips .* gave no features, 1\.41%, more than 1\.00%; the store is whole"):
        featurize(folder, tmp_path / "s.zarr", recipe=RECIPE, max_failed=0.01)
    assert find_damage(tmp_path / "s.zarr") == []
    assert len(featurize(folder, tmp_path / "t.zarr", recipe=RECIPE, max_failed=0.02)) == 71


def test_max_failed_flag__gives_exit_code_1_after_the_report(folder, tmp_path):
    flags = ["--preset", "torchaudio", "--clip", "1", "--max-failed"]
    result = CliRunner().invoke(app, ["featurize", str(folder), "-o", str(tmp_path / "s.zarr"), *flags, "1%"])
    assert isinstance(result.exception, RunFailed)
    assert result.exception.exit_code == 1
    assert "70 ok, 1 unreadable" in result.output
    assert CliRunner().invoke(app, ["featurize", str(folder), "-o", str(tmp_path / "t.zarr"), *flags, "2%"]).exit_code == 0


def test_timings__are_milliseconds_of_each_partition(whole):
    assert whole.timings.columns == ["partition", "first_clip", "clips", "compute_ms", "write_ms"]
    assert whole.timings["clips"].sum() == len(whole)
    assert (whole.timings["compute_ms"] > 0).all()


# --- a store that is not finished --------------------------------------------------------------------------------------------------


def test_info_and_ledger_of_an_unfinished_store__say_what_is_done(folder, tmp_path):
    def stop(progress):
        if progress.clips > 40:
            raise KeyboardInterrupt

    path = tmp_path / "s.zarr"
    with pytest.raises(KeyboardInterrupt):
        featurize(folder, path, recipe=RECIPE, workers=0, on_progress=stop)
    done = len(read_ledger(path))
    assert 0 < done < 71
    info = CliRunner().invoke(app, ["store", "info", str(path)]).output
    assert "71 clips x 801 frames x 128 bands; 3" in info
    assert f"unfinished: {done} of 71 clips are done" in info
    ledger = CliRunner().invoke(app, ["store", "ledger", str(path)])
    assert f"{71 - done} clips not done yet" in ledger.output
    assert ledger.exit_code == 0
