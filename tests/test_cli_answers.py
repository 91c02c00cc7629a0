"""What commands say to who has read nothing but README: which numbers they give, and what to do where something was not meant so."""

import sys

import numpy as np
import polars as pl
import pytest
import soundfile

from fastspec import cli


@pytest.fixture
def fastspec(monkeypatch, capsys):
    """`fastspec("scan", folder)` is the exit code, standard output and standard error of that command, run in this process."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fastspec", *map(str, arguments)])
        code = cli._run()
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Two classes of eight recordings of a second, and a table `t.csv` whose split tests on one group of four."""
    folder, random, rows = tmp_path_factory.mktemp("sounds") / "sounds", np.random.default_rng(0), []
    for i in range(16):
        label, hz = (("low", 300), ("high", 2500))[i % 2]
        path = folder / label / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(hz * np.arange(16000) / 2500) + 0.2 * random.standard_normal(16000), 16000)
        rows.append((f"sounds/{label}/{i}.wav", label, "tested" if i < 4 else f"g{i}", "test" if i < 4 else "train"))
    pl.DataFrame(rows, schema=["path", "label", "group", "split"], orient="row").write_csv(folder.parent / "t.csv")
    return folder


def featurized(corpus, store):
    from fastspec import featurize, preset

    return featurize(corpus, store, recipe=preset("kaldi", clip_s=0.5, hop_s=0.5), workers=0).path


@pytest.fixture(scope="module")
def store(sounds):
    """Two windows of each recording."""
    return featurized(sounds, sounds.parent / "s.zarr")


@pytest.fixture(scope="module")
def divided(sounds):
    """The same of the table."""
    return featurized(sounds.parent / "t.csv", sounds.parent / "t.zarr")


# --- which numbers -----------------------------------------------------------------------------------------------------------------


def test_leaderboard_of_a_given_split__says_what_is_tested_and_what_is_trained_on(fastspec, divided):
    code, out, _ = fastspec("leaderboard", divided, "-m", "lda")
    assert code == 0
    assert "\n8 clips of 4 recordings in 1 group, scored by recording; trained on 24 clips of 12 recordings in 12 groups," in out
    assert "one group was tested: no interval" in out


def test_leaderboard_by_folds__says_that_all_is_tested(fastspec, store):
    assert "\n32 clips of 16 recordings in 16 groups: each recording is a group by itself" in fastspec("leaderboard", store, "-m", "lda")[1]
