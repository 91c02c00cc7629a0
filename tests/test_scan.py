"""Every problem that a corpus can have is found when it is there, and only then."""

import io
import json
import threading

import numpy as np
import polars as pl
import pytest
import soundfile

import fastspec
from fastspec import featurize, preset, read_corpus
from fastspec.corpus import FOUND
from fastspec.pipeline import survey_clips
from fastspec.report import scan_text
from fastspec.scanning import split_test
from fastspec.scanning.header import MOST_RECORDINGS, measure_header
from fastspec.scanning.report import report_of


def noise(seed, frames=800, channels=1):
    """Without an offset, which short noise has by chance."""
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels))
    return (samples - samples.mean(axis=0)).astype(np.float32)


def write_corpus(folder, rows, *, columns=("path", "label", "group", "split")):
    """A table of recordings: each row's path, label, group, split, and the seed of its noise or its samples."""
    for i, (path, *_, samples) in enumerate(rows):
        samples = noise(samples if samples is not None else 1000 + i) if samples is None or isinstance(samples, int) else samples
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, samples, 8000, subtype="FLOAT" if path.endswith("wav") else None)
    pl.DataFrame([row[:-1] for row in rows], schema=[(name, pl.String) for name in columns], orient="row").write_csv(folder / "t.csv")
    return read_corpus(folder / "t.csv")


def good_rows(n=16):
    """Two classes of four groups, train and test apart, nothing twice."""
    return [(f"{i:02}.wav", "ab"[i % 2], f"g{i // 2 % 4}", ("train", "test")[i // 2 % 4 // 2], None) for i in range(n)]


def kinds(report):
    return [problem.kind for problem in report.problems]


def test_good_corpus__has_no_problem_and_is_counted(tmp_path):
    report = fastspec.scan(write_corpus(tmp_path, good_rows()))
    assert kinds(report) == []
    assert (report.clips, report.recordings, report.groups, report.imbalance) == (16, 16, 4, 1.0)
    assert report.hours == pytest.approx(16 * 0.1 / 3600)
    assert report.classes == [{"label": c, "clips": 8, "hours": pytest.approx(0.8 / 3600), "groups": 4} for c in "ab"]
    assert (report.statuses, report.splits) == ({"ok": 16}, {"test": 8, "train": 8})
    assert (report.formats, report.sample_rates, report.channels) == ({"WAV FLOAT": 16}, {"8000": 16}, {"1": 16})
    assert set(report.durations_s.values()) == {0.1}
    assert report.remarks == []


PROBLEMS = {
    "conflicting-labels": {0: ("a", "g0", "train"), 1: ("b", "g0", "train")},
    "copies-across-groups": {0: ("a", "g0", "train"), 2: ("a", "g1", "train")},
    "copies-across-splits": {0: ("a", "g0", "train"), 4: ("a", "g2", "test")},
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_equal_audio__is_a_problem_by_where_it_is(tmp_path, kind):
    rows = good_rows()
    for i, said in PROBLEMS[kind].items():
        rows[i] = (rows[i][0], *said, 7)
    report = fastspec.scan(write_corpus(tmp_path, rows))
    expected = {kind, "copies-across-groups"} if kind == "copies-across-splits" else {kind}
    assert set(kinds(report)) == expected
    (problem,) = [problem for problem in report.problems if problem.kind == kind]
    assert problem.clips == 2
    first, second = PROBLEMS[kind]
    assert problem.text.startswith("1 set of clips with equal audio")
    assert rows[first][0] in problem.text
    assert rows[second][0] in problem.text
    assert problem.advice
    assert report.manifest.found["duplicate_of"].to_list()[second] == first


def test_equal_audio_in_another_lossless_format__is_a_copy(tmp_path):
    rows, samples = good_rows(), np.round(noise(5) * 2**15) / 2**15
    rows[0] = ("00.wav", "a", "g0", "train", samples)
    rows[2] = ("02.flac", "a", "g1", "train", samples)
    assert kinds(fastspec.scan(write_corpus(tmp_path, rows))) == ["copies-across-groups"]


def test_files_that_may_have_been_meant__are_told_of(tmp_path):
    manifest = write_corpus(tmp_path, good_rows())
    (tmp_path / "notes.txt").touch()
    assert kinds(fastspec.scan(manifest)) == []
    (tmp_path / "more").mkdir()
    (tmp_path / "more/x.M4A").touch()
    manifest = read_corpus(tmp_path)
    assert repr(manifest).endswith(", 3 other files ignored ('more/x.M4A' is one)>")
    table, sound = [problem for problem in fastspec.scan(manifest).problems if not problem.spoils]
    assert (table.kind, table.text) == ("table-beside", "1 table lies in the folder, not read, such as 't.csv'")
    assert (sound.kind, sound.text) == ("unknown-format", "1 file left out, of a format that cannot be read, such as 'more/x.M4A'")


def test_copies_across_groups__do_no_harm_once_a_split_keeps_them_together(tmp_path):
    rows = [(path, label, group, None, 7 if path in ("00.wav", "02.wav") else None) for path, label, group, *_ in good_rows()]
    report = fastspec.scan(write_corpus(tmp_path, rows))
    assert [problem.kind for problem in report.spoiling] == ["copies-across-groups"]
    report = fastspec.scan(split_test(report.manifest, 0.4))
    assert report.spoiling == []
    assert kinds(report) == ["copies-across-groups"]


def test_copies_within_a_group__are_remarked_only(tmp_path):
    rows = good_rows()
    rows[0], rows[8] = (*rows[0][:-1], 7), (*rows[8][:-1], 7)
    report = fastspec.scan(write_corpus(tmp_path, rows))
    assert kinds(report) == []
    assert report.remarks == [{"remark": "copies of an earlier clip", "clips": 1, "example": "08.wav"}]


def test_group_in_two_splits__is_a_problem_and_validation_is_training(tmp_path):
    rows = [(path, label, group, "validation" if path == "00.wav" else split, s) for path, label, group, split, s in good_rows()]
    assert kinds(fastspec.scan(write_corpus(tmp_path, rows))) == []
    rows[0] = (*rows[0][:3], "test", None)
    report = fastspec.scan(write_corpus(tmp_path, rows))
    assert kinds(report) == ["groups-across-splits"]
    assert "1 group in several splits, such as 'g0'" in report.problems[0].text


def test_class_with_one_group__is_a_problem_also_where_its_groups_are_copies(tmp_path):
    rows = good_rows()
    rows += [("x.wav", "c", "g8", "train", None), ("y.wav", "d", "g9", "train", 7), ("z.wav", "d", "g10", "train", 7)]
    report = fastspec.scan(write_corpus(tmp_path, rows))
    assert set(kinds(report)) == {"one-group", "copies-across-groups"}
    (problem,) = [problem for problem in report.problems if problem.kind == "one-group"]
    assert problem.text == "2 classes have one group only: 'c', 'd'"


def test_rows_that_cannot_be_read__are_told_by_row_for_tables_and_by_path_for_folders(tmp_path):
    write_corpus(tmp_path, [("a.wav", None, None, None, None), ("b.wav", None, None, None, None)])
    (tmp_path / "c.wav").write_bytes(b"not audio")
    (tmp_path / "t.csv").write_text("path,start_s\na.wav,0\ngone.wav,0\nb.wav,7.5\nc.wav,0\n")
    (problem,) = fastspec.scan(read_corpus(tmp_path / "t.csv")).problems
    assert (problem.kind, problem.clips) == ("unreadable", 3)
    assert problem.text == (
        f"{tmp_path / 't.csv'} has 3 rows that cannot be read: row 3 'gone.wav' is unreadable: no such file; row 4 'b.wav' is empty: the "
        "clip starts at 7.5 s and the recording ends at 0.1 s; row 5 'c.wav' is unreadable: text and no sound (row 1 is the header)"
    )
    (problem,) = fastspec.scan(read_corpus(tmp_path)).spoiling
    assert problem.text == "1 clip of 3 cannot be read: 'c.wav' is unreadable: text and no sound"


def test_header_that_claims_more__is_reported_and_does_not_hide_a_late_start(tmp_path, write_tone):
    data = bytearray(write_tone(tmp_path / "a.flac", seconds=1.0).read_bytes())
    data[21] |= 0x0F
    (tmp_path / "a.flac").write_bytes(data)
    (tmp_path / "t.csv").write_text("path,start_s\na.flac,0\na.flac,100\n")
    report = fastspec.scan(read_corpus(tmp_path / "t.csv"))
    assert report.statuses == {"empty": 1, "ok": 1}
    (problem,) = [problem for problem in report.problems if not problem.spoils]
    assert (problem.kind, problem.clips) == ("cut-short", 1)
    assert problem.text.startswith("1 recording holds less than the header claims, such as 'a.flac': 1 s of")


def test_wav_that_was_cut__is_reported_with_both_lengths(tmp_path):
    manifest = write_corpus(tmp_path, good_rows())
    path = tmp_path / "00.wav"
    soundfile.write(path, noise(7, 4000), 8000)
    path.write_bytes(path.read_bytes()[:-4000])
    (problem,) = fastspec.scan(manifest).problems
    assert problem.text == "1 recording holds less than the header claims, such as '00.wav': 0.25 s of 0.5 s"
    assert not problem.spoils


def findings(tmp_path, **found):
    """The problems of a good corpus whose first recording was found to be otherwise."""
    report = fastspec.scan(write_corpus(tmp_path, good_rows()))
    first = pl.int_range(pl.len()) == 0
    table = report.manifest.found.with_columns(pl.when(first).then(pl.lit(v)).otherwise(name).alias(name) for name, v in found.items())
    return kinds(report_of(report.manifest, table.cast(FOUND)))


@pytest.mark.parametrize("form, frames, claimed, expected", [
    ("MP3", 62_208, 62_266, []),  # as an encoder's own estimate is
    ("MP3", 79_300, 80_000, []),
    ("MP3", 300, 700, []),
    ("MP3", 40_000, 80_000, ["cut-short"]),
    ("FLAC", 62_208, 62_266, ["cut-short"]),
    ("FLAC", 62_208, 2**63 - 1, []),  # written to a pipe: the header does not say
])  # fmt: skip
def test_recording_of_fewer_frames_than_claimed__is_cut_where_that_is_plausible(tmp_path, form, frames, claimed, expected):
    assert findings(tmp_path, format=form, frames=frames, header_frames=claimed) == expected


REMARKS = {
    "silent: every sample is 0": np.zeros((800, 1), np.float32),
    "half of it or more is exactly 0": np.tile(np.float32([0.5, -0.5, 0, 0, 0]), 160)[:, None],
    "clipped: 0.1% of samples or more": np.clip(4 * noise(0), -1, 1),
    "offset (DC) of 1% of full scale or more": noise(0, 80_000) + np.float32(0.05),
    "a dead channel": np.hstack([noise(0), np.float32(1e-5) * noise(1)]),
    "channels in antiphase": np.hstack([noise(0), np.float32(-0.9) * noise(0)]),
    "NaN or infinite samples": np.where(np.arange(800) == 7, np.nan, noise(0)[:, 0])[:, None],
}


@pytest.mark.parametrize("remark", REMARKS)
def test_clip_that_may_surprise__is_remarked(tmp_path, remark):
    samples = REMARKS[remark].astype(np.float32)
    report = fastspec.scan(write_corpus(tmp_path, [*good_rows(), ("odd.wav", "a", "g0", "train", samples)]))
    assert {"remark": remark, "clips": 1, "example": "odd.wav"} in report.remarks
    assert not report.spoiling


# --- the header ----------------------------------------------------------------------------------------------------------------------


def header_rows(n=240, *, leak=None, seed=0):
    """Recordings of two classes in 40 groups; `leak` is the column that tells the class nine times in ten."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    told = np.where(random.uniform(size=n) < 0.9, labels, 1 - labels)
    return pl.DataFrame(
        {
            "path": [f"{i}.wav" for i in range(n)],
            "label": ["ab"[label] for label in labels],
            "group": [f"g{i % 40}" for i in range(n)],
            "format": ["WAV"] * n,
            "subtype": ["PCM_16"] * n,
            "sample_rate": np.where(told, 16000, 44100) if leak == "sample_rate" else random.choice([8000, 16000], n),
            "channels": np.ones(n, np.int64),
            "header_frames": np.where(told, 100, 200) if leak == "header_frames" else random.integers(100, 300, n),
            "size_bytes": random.integers(1000, 2000, n),
        }
    )


def test_headers_that_say_nothing__do_not_leak():
    for seed in range(5):
        found = measure_header(header_rows(seed=seed), seed=seed)
        assert found is not None
        assert not found.header_leaks
        assert found.encoding_low <= found.encoding <= found.encoding_high


def test_sample_rate_that_tells_the_class__leaks():
    found = measure_header(header_rows(leak="sample_rate"))
    assert found is not None
    assert found.encoding_leaks
    assert found.encoding == pytest.approx(0.9, abs=0.06)
    assert 0.8 < found.encoding_low < found.encoding_high < 0.97


def test_length_that_tells_the_class__leaks_by_the_whole_header_only():
    found = measure_header(header_rows(leak="header_frames"))
    assert found is not None
    assert found.header_leaks
    assert not found.encoding_leaks


def test_header_of_a_group__says_nothing_of_other_groups():
    """A sample rate for each group tells the class of its group; a random split would call that a leak."""
    groups = np.arange(240) % 40
    rows = header_rows().with_columns(
        pl.Series("sample_rate", 8000 + 100 * np.random.default_rng(1).permutation(40)[groups]),
        pl.Series("label", ["ab"[g] for g in np.random.default_rng(2).integers(0, 2, 40)[groups]]),
    )
    found = measure_header(rows)
    assert found is not None
    assert not found.encoding_leaks


def test_classes_of_one_group__are_left_out_of_the_header_test():
    rows = header_rows().with_columns(pl.when(pl.col("group") == "g3").then(pl.lit("c")).otherwise("label").alias("label"))
    found = measure_header(rows)
    assert found is not None
    assert found.recordings == 240 - 6
    assert measure_header(rows.filter(pl.col("label") != "a")) is None


def test_very_many_recordings__are_drawn_from_by_whole_groups(monkeypatch):
    monkeypatch.setattr("fastspec.scanning.header.MOST_RECORDINGS", 100)
    found = measure_header(header_rows(leak="sample_rate"))
    assert found is not None
    assert 60 <= found.recordings <= 130
    assert found.encoding_leaks
    assert MOST_RECORDINGS == 20_000


def test_leak__spoils_an_evaluation_when_it_is_the_encoding(tmp_path):
    rows = [(f"{i:02}.{'wav' if i % 2 else 'flac'}", "ab"[i % 2], f"g{i // 2}", None, None) for i in range(60)]
    report = fastspec.scan(write_corpus(tmp_path, rows))
    assert kinds(report) == ["header-leak"]
    assert report.spoiling[0].text.startswith("format, rate and channels alone predict the label: accuracy 1.000")


def test_length_that_tells_the_class__is_worth_knowing_and_spoils_nothing(tmp_path):
    rows = [(f"{i:02}.wav", "ab"[i % 2], f"g{i // 2}", None, noise(i, 800 + i % 2)) for i in range(60)]
    report = fastspec.scan(write_corpus(tmp_path, rows))
    assert kinds(report) == ["length-leak"]
    assert report.spoiling == []


# --- what is written and printed -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_written_manifest__is_read_again_with_what_was_found(tmp_path, ending):
    rows = good_rows()
    rows[0], rows[8] = (*rows[0][:-1], 7), (*rows[8][:-1], 7)
    report = fastspec.scan(write_corpus(tmp_path, rows))
    again = read_corpus(report.write(tmp_path / f"m.{ending}"))
    assert again.digest() == report.manifest.digest()
    assert again.found.equals(report.manifest.found)
    store = featurize(again, tmp_path / "s.zarr", recipe=preset("librosa", sample_rate=8000, clip_s=0.1))
    for column in ("audio_hash", "duplicate_of", "status"):
        assert store.ledger[column].to_list() == report.manifest.found[column].to_list()


def test_report__is_plain_json_and_fits_80_columns(tmp_path):
    from rich.console import Console

    rows = good_rows()
    rows[0] = (f"{'long' * 40}.wav", "a", "g0", "train", None)
    report = fastspec.scan(write_corpus(tmp_path, [*rows, ("odd.wav", "c" * 90, "g0", "train", None)]))
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(scan_text(report.to_dict()))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    for word in ("17 of 17 recordings in 4 groups", "WAV FLOAT", "would spoil an evaluation", "one group only"):
        assert word in text


def test_very_many_classes__are_shown_by_the_largest_and_the_smallest():
    from rich.console import Console

    from fastspec.report.corpus_text import classes_table

    rows = [{"label": f"c{i:03}", "clips": 1000 - i, "hours": 1.0, "groups": 2} for i in range(100)]
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(classes_table(rows, clips=100_000))
    text = console.export_text()
    assert "c000" in text
    assert "c099" in text
    assert "… 80 more" in text
    assert "c050" not in text


def test_corpus_without_any_readable_recording__is_reported_all_the_same(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not audio")
    report = fastspec.scan(read_corpus(tmp_path))
    assert (report.statuses, report.hours, report.durations_s, report.header) == ({"unreadable": 1}, 0.0, {}, None)
    assert kinds(report) == ["unreadable"]
    scan_text(report.to_dict())


def test_interrupted_scan__leaves_no_worker(tmp_path):
    manifest = write_corpus(tmp_path, good_rows())

    def interrupt(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey_clips(manifest, workers=2, on_progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fastspec")]


def test_progress__counts_clips(tmp_path):
    seen = []
    fastspec.scan(write_corpus(tmp_path, good_rows()), workers=0, on_progress=seen.append)
    assert [(p.stage, p.clips, p.total, p.failed) for p in seen] == [("scan", i, 16, 0) for i in range(1, 17)]
